/**
 * Changes one value of an INI text and nothing else: comments, order, spacing, line ends and what is
 * wrong in it stay as they are.
 */
import { isBlankOrComment, parseIni, type IniEntry } from './ini-text.ts';

/** Lines with their ends, so that joining them gives the text again. */
function linesWithEnds(text: string): string[] {
  return text.match(/[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+$/g) ?? [];
}

function lastLine(entry: IniEntry): number {
  return entry.continuations.at(-1)?.line ?? entry.line;
}

/** The indentation of the line at an index. A byte order mark is one only at the very beginning. */
function indentOf(lines: readonly string[], index: number): string {
  const line = lines[index] ?? '';
  const content = index === 0 ? line.replace(/^\uFEFF/, '') : line;
  return content.slice(0, content.length - content.trimStart().length);
}

function endOf(line: string): string {
  return /(?:\r\n|\n|\r)$/.exec(line)?.[0] ?? '';
}

/**
 * What a text becomes: an element is a line of it that is kept, by its index from 0, or new text.
 */
type LineEdit = readonly (number | string)[];

/** The line of an entry with another value; what stands around `=` is kept. */
function withValue(line: string, value: string): string {
  const head = /^[^=]*=[ \t]*/.exec(line)?.[0] ?? '';
  return `${head}${value}${endOf(line)}`;
}

/**
 * Where a new entry of a section goes, as a count of lines before it: after a comment that shows the
 * key (`#key=…`), else after the section's last entry, else after its header.
 */
function placeOfNewEntry(
  lines: readonly string[],
  section: { readonly first: number; readonly last: number },
  entries: readonly IniEntry[],
  key: string,
): number {
  const inSection = entries.filter(({ line }) => line >= section.first && line <= section.last);
  const lastOfSection = inSection.at(-1);
  let place = lastOfSection === undefined ? section.first : lastLine(lastOfSection);
  for (let line = section.first; line <= section.last; line += 1) {
    const shown = /^\s*[#;]\s*([^=\s]+)\s*=/.exec(lines[line - 1] ?? '');
    if (shown?.[1]?.toLowerCase() === key) {
      place = line;
      break;
    }
  }
  // Not between an entry and a line that continues it.
  const around = inSection.find((entry) => entry.line <= place && lastLine(entry) > place);
  return around === undefined ? place : lastLine(around);
}

/** The indentation with which a new line neither continues the entry above nor takes what follows. */
function indentAt(lines: readonly string[], entries: readonly IniEntry[], place: number): string {
  let above = place;
  while (above > 0 && isBlankOrComment(lines[above - 1] ?? '')) above -= 1;
  const open = entries.find((entry) => entry.line <= above && lastLine(entry) >= above);
  if (open !== undefined) return indentOf(lines, open.line - 1);
  const next = lines.findIndex((line, index) => index >= place && !isBlankOrComment(line));
  return next === -1 ? '' : indentOf(lines, next);
}

function indexes(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}

function editLines(
  text: string,
  section: string,
  key: string,
  value: string | undefined,
): LineEdit {
  if (value !== undefined && (value !== value.trim() || /[\r\n]/.test(value))) {
    throw new TypeError('a value is one line without spaces around it');
  }
  const ini = parseIni(text);
  const lines = linesWithEnds(text);
  const eol = endOf(lines[0] ?? '') || '\n';
  const own = ini.entries.filter((entry) => entry.section === section && entry.key === key);
  const kept = value === undefined ? undefined : own.at(-1);

  if (value !== undefined && kept === undefined) {
    const at = ini.sections.findIndex(({ name }) => name === section);
    const header = ini.sections[at];
    if (header === undefined) {
      const ended = endOf(lines.at(-1) ?? '') !== '';
      const gap = lines.length === 0 ? '' : ended ? eol : eol + eol;
      return [...indexes(0, lines.length), `${gap}[${section}]${eol}${key}=${value}${eol}`];
    }
    const nextHeader = ini.sections[at + 1];
    const last = nextHeader === undefined ? lines.length : nextHeader.line - 1;
    const place = placeOfNewEntry(lines, { first: header.line, last }, ini.entries, key);
    const entry = `${indentAt(lines, ini.entries, place)}${key}=${value}${eol}`;
    const joint = endOf(lines[place - 1] ?? '') === '' ? eol : '';
    return [...indexes(0, place), `${joint}${entry}`, ...indexes(place, lines.length)];
  }

  const dropped = new Set<number>();
  for (const entry of own) {
    if (entry !== kept) dropped.add(entry.line);
    for (const continuation of entry.continuations) dropped.add(continuation.line);
  }
  return lines.flatMap((line, index): LineEdit => {
    if (dropped.has(index + 1)) return [];
    return index + 1 === kept?.line && value !== undefined ? [withValue(line, value)] : [index];
  });
}

/**
 * Returns `text` with `[section] key` set to `value`, or without the key if `value` is undefined.
 * `key` is in lower case. `value` is one line without spaces around it; a TypeError otherwise.
 */
export function setIniValue(
  text: string,
  section: string,
  key: string,
  value: string | undefined,
): string {
  const lines = linesWithEnds(text);
  return editLines(text, section, key, value)
    .map((part) => (typeof part === 'string' ? part : lines[part]))
    .join('');
}

/**
 * The same for a text as bytes, which need not be UTF-8: bytes of other lines stay what they are.
 */
export function setIniValueInBytes(
  bytes: Buffer,
  section: string,
  key: string,
  value: string | undefined,
): Buffer {
  // One character a byte. No bytes but those of a line end are decoded to a line end.
  const lines = linesWithEnds(bytes.toString('latin1'));
  return Buffer.concat(
    editLines(bytes.toString('utf8'), section, key, value).map((part) =>
      typeof part === 'string' ? Buffer.from(part) : Buffer.from(lines[part] ?? '', 'latin1'),
    ),
  );
}
