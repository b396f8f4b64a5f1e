/**
 * INI text as lines: sections, entries in file order with their line numbers, and what is neither.
 * The grammar is that of the files in /etc/stas: `[section]`, `key = value`, whole lines of comment
 * (`#`, `;`), no inline comments, repeated keys kept in order, and a line that is indented deeper
 * than its key continues the value (comments and empty lines between do not end it). Nothing here
 * knows what a key means. One pass, linear time.
 */

/** A text with the name of the file that it is the content of. */
export interface ConfSource {
  readonly file: string;
  readonly text: string;
}

/** A value's continuation. */
export interface IniContinuation {
  readonly text: string;
  readonly line: number;
}

export interface IniEntry {
  readonly section: string;
  /** In lower case. */
  readonly key: string;
  /** What follows `=` on the key's own line, trimmed. */
  readonly value: string;
  /** Lines count from 1. */
  readonly line: number;
  /** Column of the key, from 1. */
  readonly keyColumn: number;
  /** Column of the value, from 1. */
  readonly column: number;
  readonly continuations: readonly IniContinuation[];
}

export interface IniSection {
  /** Case-sensitive. A section that occurs twice is here twice. */
  readonly name: string;
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

/** A line that says nothing; the rest of the file applies. */
export interface IniFault {
  readonly kind: 'before-section' | 'no-equals' | 'no-key' | 'bad-header' | 'after-header';
  readonly line: number;
  readonly column: number;
  readonly text: string;
}

export interface IniText {
  readonly sections: readonly IniSection[];
  readonly entries: readonly IniEntry[];
  readonly faults: readonly IniFault[];
}

interface OpenEntry {
  readonly entry: IniEntry;
  readonly continuations: IniContinuation[];
  readonly indent: number;
}

/** The lines of a text, whatever ends them; the last one is empty if the text ends with a line end. */
export function splitLines(text: string): string[] {
  return text.split(/\r\n|\n|\r/);
}

/** Whether a line holds nothing for a program: empty or a comment. */
export function isBlankOrComment(line: string): boolean {
  const text = line.trim();
  return text === '' || text.startsWith('#') || text.startsWith(';');
}

export function parseIni(text: string): IniText {
  const sections: IniSection[] = [];
  const entries: IniEntry[] = [];
  const faults: IniFault[] = [];
  let section: string | undefined;
  let open: OpenEntry | undefined;

  // A byte order mark is not part of the first line.
  const lines = splitLines(text.startsWith('\uFEFF') ? text.slice(1) : text);
  for (const [index, raw] of lines.entries()) {
    if (isBlankOrComment(raw)) continue;
    const line = index + 1;
    const content = raw.trim();
    const indent = raw.length - raw.trimStart().length;
    const fault = (kind: IniFault['kind'], at: number = indent): void => {
      faults.push({ kind, line, column: at + 1, text: content });
    };

    if (open !== undefined && indent > open.indent) {
      open.continuations.push({ text: content, line });
      continue;
    }
    open = undefined;

    if (content.startsWith('[')) {
      const end = content.lastIndexOf(']');
      if (end <= 1) {
        fault('bad-header');
        continue;
      }
      section = content.slice(1, end);
      sections.push({ name: section, line, column: indent + 1 });
      if (end !== content.length - 1) fault('after-header', indent + end + 1);
      continue;
    }
    if (section === undefined) {
      fault('before-section');
      continue;
    }
    const equals = content.indexOf('=');
    if (equals <= 0) {
      fault(equals === 0 ? 'no-key' : 'no-equals');
      continue;
    }
    const afterEquals = content.slice(equals + 1);
    const continuations: IniContinuation[] = [];
    const entry: IniEntry = {
      section,
      key: content.slice(0, equals).trim().toLowerCase(),
      value: afterEquals.trim(),
      line,
      keyColumn: indent + 1,
      column: indent + equals + 2 + (afterEquals.length - afterEquals.trimStart().length),
      continuations,
    };
    entries.push(entry);
    open = { entry, continuations, indent };
  }
  return { sections, entries, faults };
}
