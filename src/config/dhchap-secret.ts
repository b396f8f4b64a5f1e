/**
 * DH-HMAC-CHAP secrets (NVMe base 2.1, 8.3.5.5.7): `DHHC-1:hh:base64:`, where hh names the hash
 * that the secret was transformed with and the base64 ends in a CRC-32, which the kernel checks.
 */
const SECRET = /^DHHC-1:0[0-3]:(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?:$/;

/** 64 bytes of secret and 4 of CRC in base64, and the frame around them. */
const MAX_LENGTH = 128;

/** Why a text is not a secret, without showing it; undefined if it is one. */
export function checkDhchapSecret(text: string): string | undefined {
  if (text === '') return 'is empty';
  if (text.length > MAX_LENGTH || !SECRET.test(text)) return 'is not a DH-HMAC-CHAP secret';
  return undefined;
}

/**
 * Why a text that is shown and sent to others, such as an NQN, is not to be used: it holds a secret,
 * as where the `;` between two fields is missing. Undefined if it holds none.
 */
export function checkNoSecret(text: string): string | undefined {
  return /DHHC-[0-9]/i.test(text) ? 'has a DH-HMAC-CHAP secret in it' : undefined;
}

export const DHCHAP_SECRET_FORM = 'DHHC-1:hh:base64:';
