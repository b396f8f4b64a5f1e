/**
 * Text from outside made fit for one line of a log or a terminal: nothing in it can end the line,
 * move the cursor, reorder what is read, or hide.
 */

/** Controls, format characters (bidirectional marks, zero width), surrogates, private, unassigned. */
const NOT_PRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/u;

/** Nearly every text: it stays as it is. */
const ALL_PLAIN = /^[ -[\]-~]*$/;

export const DEFAULT_ESCAPED_LENGTH = 256;

function hex(byte: number): string {
  return byte < 0x10 ? `\\x0${byte.toString(16)}` : `\\x${byte.toString(16)}`;
}

function escapeBytesOf(text: string): string {
  let out = '';
  for (const byte of new TextEncoder().encode(text)) out += hex(byte);
  return out;
}

/** One character, or what stands for it. ASCII first: it is most of everything. */
function escapeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code === 0x5c) return '\\\\';
  if (code < 0x20 || code === 0x7f) return hex(code);
  if (code < 0x7f) return character;
  return NOT_PRINTABLE.test(character) ? escapeBytesOf(character) : character;
}

/** Least code point of a sequence of so many bytes: less is an overlong encoding. */
const LEAST: readonly number[] = [0, 0, 0x80, 0x800, 0x10000];

/**
 * The character of UTF-8 at a place, empty if the byte there begins none (RFC 3629). By hand, since
 * a decoder per text costs more than the text.
 */
function characterAt(
  bytes: Uint8Array,
  at: number,
): { readonly text: string; readonly size: number } {
  const lead = bytes[at] ?? 0;
  if (lead < 0x80) return { text: String.fromCharCode(lead), size: 1 };
  const size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  const none = { text: '', size: 1 };
  if (lead < 0xc0 || lead > 0xf4) return none;
  let code = lead & (0x7f >> size);
  for (let next = at + 1; next < at + size; next += 1) {
    const byte = bytes[next] ?? 0;
    if ((byte & 0xc0) !== 0x80) return none;
    code = (code << 6) | (byte & 0x3f);
  }
  const surrogate = code >= 0xd800 && code <= 0xdfff;
  if (surrogate || code < (LEAST[size] ?? 0) || code > 0x10ffff) return none;
  return { text: String.fromCodePoint(code), size };
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
  if (typeof input === 'string' && input.length < maxLength && ALL_PLAIN.test(input)) return input;
  let out = '';
  // Without knowing what follows, room is kept for the mark: false if `piece` does not fit.
  const add = (piece: string): boolean => {
    const fits = out.length + piece.length <= maxLength - 1;
    out += fits ? piece : '…';
    return fits;
  };
  if (typeof input === 'string') {
    for (const character of input) if (!add(escapeCharacter(character))) break;
    return out;
  }
  for (let at = 0; at < input.length;) {
    const { text, size } = characterAt(input, at);
    if (!add(text === '' ? hex(input[at] ?? 0) : escapeCharacter(text))) break;
    at += size;
  }
  return out;
}
