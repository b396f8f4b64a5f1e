/**
 * Text from outside made fit for one line of a log or a terminal: nothing in it can end the line,
 * move the cursor, reorder what is read, or hide.
 */

/** Controls, format characters (bidirectional marks, zero width), surrogates, private, unassigned. */
const NOT_PRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/u;

export const DEFAULT_ESCAPED_LENGTH = 256;

function hex(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}

function escapeBytesOf(text: string): string {
  let out = '';
  for (const byte of new TextEncoder().encode(text)) out += hex(byte);
  return out;
}

/** Bytes of one UTF-8 sequence that begins with `lead`; 1 for what cannot begin one. */
function sequenceLength(lead: number): number {
  if (lead >= 0xf0 && lead <= 0xf4) return 4;
  if (lead >= 0xe0 && lead < 0xf0) return 3;
  if (lead >= 0xc2 && lead < 0xe0) return 2;
  return 1;
}

/** The pieces of `bytes`: characters, and numbers for bytes that are not UTF-8. */
function* piecesOfBytes(bytes: Uint8Array): Generator<string | number> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let at = 0;
  while (at < bytes.length) {
    const lead = bytes[at] ?? 0;
    if (lead < 0x80) {
      yield String.fromCharCode(lead);
      at += 1;
      continue;
    }
    const length = sequenceLength(lead);
    let character: string | undefined;
    if (length > 1 && at + length <= bytes.length) {
      try {
        character = decoder.decode(bytes.subarray(at, at + length));
      } catch {
        character = undefined;
      }
    }
    if (character === undefined) {
      yield lead;
      at += 1;
    } else {
      yield character;
      at += length;
    }
  }
}

/**
 * Escapes what is not printable (controls, invisible and bidirectional format characters, bytes
 * that are not UTF-8) as `\xNN` of its bytes, and the backslash as `\\`, so that the result is
 * unambiguous. At most `maxLength` characters come out; a longer text ends in `…`.
 */
export function escapeText(
  input: string | Uint8Array,
  maxLength: number = DEFAULT_ESCAPED_LENGTH,
): string {
  let out = '';
  for (const piece of typeof input === 'string' ? input : piecesOfBytes(input)) {
    let escaped: string;
    if (typeof piece === 'number') escaped = hex(piece);
    else if (piece === '\\') escaped = '\\\\';
    else if (NOT_PRINTABLE.test(piece)) escaped = escapeBytesOf(piece);
    else escaped = piece;
    if (out.length + escaped.length > maxLength - 1) {
      // One more piece fits only if it is the last; not knowing, keep room for the mark.
      return `${out}…`;
    }
    out += escaped;
  }
  return out;
}
