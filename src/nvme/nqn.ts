/**
 * NVMe Qualified Names (NVMe base 2.1, 4.7), and the other strings that a connection is named by.
 * Each `check…` returns why a text is refused, as words that continue "the NQN …", or undefined.
 */

/** NVMe base 2.1, 4.7: at most 223 bytes of UTF-8 (the fields of 256 bytes hold a NUL as well). */
export const MAX_NQN_BYTES = 223;

/** Whatever is not a visible character: controls, format characters, separators, unassigned. */
const NOT_VISIBLE = /[\p{C}\p{Z}]/u;

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}

/**
 * Why `text` cannot go into a connect request as a name. This much holds for every NQN: a comma or
 * a line end would begin another option of the kernel's.
 */
function checkName(text: string): string | undefined {
  if (text === '') return 'is empty';
  // The length in UTF-16 units is never more than the bytes: a cheap bound for hostile lengths.
  if (text.length > MAX_NQN_BYTES || utf8Length(text) > MAX_NQN_BYTES) {
    return `is longer than ${MAX_NQN_BYTES} bytes`;
  }
  if (text.includes(',')) return 'contains a comma';
  if (NOT_VISIBLE.test(text)) return 'contains a space, control or invisible character';
  // What a lenient decoder makes of bytes that are not UTF-8.
  if (text.includes('\uFFFD')) return 'contains bytes that are not UTF-8';
  return undefined;
}

/** Why `text` is not an NQN, or undefined if it is one. */
export function checkNqn(text: string): string | undefined {
  const reason = checkName(text);
  if (reason !== undefined) return reason;
  return text.startsWith('nqn.') && text.length > 4 ? undefined : 'does not begin with "nqn."';
}

export function isNqn(text: string): boolean {
  return checkNqn(text) === undefined;
}

/**
 * Why `text` cannot name a subsystem, or undefined. As {@link checkNqn}, but the prefix is not asked
 * for: the Linux target lets an administrator name a subsystem `testnqn`, and hosts connect to it.
 */
export function checkSubsystemNqn(text: string): string | undefined {
  return checkName(text);
}
