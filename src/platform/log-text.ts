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
  if (text.length <= limit) {
    const line = text.replace(UNFIT, escapeCharacter);
    if (line.length <= limit) return line;
  }
  const mark = `… [${text.length} characters]`;
  let line = '';
  // By characters, so that neither one of them nor its escape is cut in two.
  for (const character of text.slice(0, limit)) {
    const piece = character.replace(UNFIT, escapeCharacter);
    if (line.length + piece.length > limit - mark.length) break;
    line += piece;
  }
  return line + mark;
}
