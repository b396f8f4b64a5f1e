/** DH-HMAC-CHAP secrets of 32 bytes with their CRC, of no use outside these tests. */
export const SECRETS = {
  host: 'DHHC-1:00:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWF3F7HK:',
  controller: 'DHHC-1:00:YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmLUSf1H:',
  other: 'DHHC-1:00:Y2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2O1g8Y8:',
} as const;
