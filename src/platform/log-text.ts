/** Text of any origin made fit to be one line of a log. */

/** The longest message that is logged, in UTF-16 code units. */
export const MAX_MESSAGE = 4096;
/** The longest value of a journal field. */
export const MAX_FIELD = 512;

/**
 * Controls (they end a line, move a cursor or, as NUL, cut the text short in C), format characters
 * (they hide or reorder what is read), line separators, and halves of surrogate pairs, which UTF-8
 * cannot hold.
 */
const UNFIT = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

function escapeCharacter(character: string): string {
  switch (character) {
    case '\n':
      return '\\n';
    case '\r':
      return '\\r';
    case '\t':
      return '\\t';
  }
  const code = character.codePointAt(0) ?? 0;
  return code < 0x80
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u{${code.toString(16).padStart(4, '0')}}`;
}

/**
 * One line of at most `limit` code units: control and invisible characters appear escaped, and a
 * text that is longer is cut and says by how much. A backslash stays as it is: most texts have been
 * through the escaping of their own layer, and systemd's unit names are full of them.
 */
export function oneLine(text: string, limit: number): string {
  // Cut before escaping too, so that a huge text costs no more than a long one.
  const escaped = text.slice(0, limit).replace(UNFIT, escapeCharacter);
  if (text.length <= limit && escaped.length <= limit) return escaped;
  const mark = `… [${text.length} characters]`;
  return `${cut(escaped, limit - mark.length)}${mark}`;
}

/** The first `length` code units, without half a surrogate pair at the end. */
function cut(text: string, length: number): string {
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? length - 1 : length);
}
