/**
 * NVMe status codes in words (NVMe base 2.1, 4.2.3, and the Fabrics codes of Connect, 6.3). A status
 * is the Status Code Type in bits 10:8 and the Status Code in bits 7:0; DNR and the other bits above
 * are ignored.
 */

/** Those that an operator meets when a host connects, registers or reads a log page. */
const WORDS: ReadonlyMap<number, string> = new Map([
  [0x000, 'success'],
  [0x001, 'the controller does not know this command'],
  [0x002, 'the command has an invalid field'],
  [0x004, 'data could not be transferred'],
  [0x006, 'internal error of the controller'],
  [0x007, 'the command was aborted on request'],
  [0x008, 'the command was aborted because its queue was deleted'],
  [0x00b, 'invalid namespace or format'],
  [0x00c, 'command out of sequence'],
  [0x015, 'operation denied'],
  [0x018, 'host identifier in an inconsistent format'],
  [0x019, 'keep-alive timeout expired'],
  [0x01a, 'invalid keep-alive timeout (kato)'],
  [0x024, 'the controller is not ready yet'],
  [0x027, 'host identifier not initialised'],
  [0x082, 'namespace not ready'],
  [0x109, 'the controller does not have this log page'],
  [0x12f, 'the registration has invalid discovery information'],
  [0x132, 'the discovery controller has no room for another registration'],
  [0x180, 'the controller does not support this format of Connect'],
  [0x181, 'the controller is busy or all its connections are in use'],
  [0x182, 'invalid Connect parameters: does the subsystem NQN exist on this port?'],
  [0x183, 'the controller asks for a new discovery'],
  [0x184, 'this host is not allowed to connect: its host NQN is not in the access list'],
  [0x185, 'invalid queue type for Disconnect'],
  [0x190, 'the discovery log changed while it was read'],
  [0x191, 'authentication is required: is a DH-HMAC-CHAP key configured?'],
  [0x300, 'internal error on the path to the namespace'],
  [0x360, 'the path to the controller failed'],
  [0x370, 'the path failed on the host'],
  [0x371, 'the command was cancelled by the host'],
]);

const TYPES: readonly string[] = [
  'generic',
  'command specific',
  'media and data integrity',
  'path related',
];

/** A status for people, with its number: `this host is not allowed to connect … (status 0x184)`. */
export function nvmeStatusText(status: number): string {
  const code = status & 0x7ff;
  const number = `0x${code.toString(16).padStart(3, '0')}`;
  const type = TYPES[code >> 8] ?? (code >> 8 === 7 ? 'vendor specific' : 'reserved');
  return `${WORDS.get(code) ?? `${type} error`} (NVMe status ${number})`;
}
