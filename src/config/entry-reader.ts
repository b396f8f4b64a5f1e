/** What a file says, entry by entry, with whatever is wrong in it collected as problems. */
import type { FieldNote } from './controller-entry.ts';
import type { IniEntry, IniFault, IniText } from './ini-text.ts';
import { findOption, OPTIONS, sectionsOf, type ConfigFile } from './option-table.ts';
import type { ReadValue } from './option-value.ts';
import { printableName, printableValue, type Problem } from './problem.ts';

const DEFAULT_APPLIES = 'the default applies';

const FAULT_WORDS: Readonly<Record<IniFault['kind'], string>> = {
  'before-section': 'is a line before the first section',
  'no-equals': 'is neither a section nor of the form key=value',
  'no-key': 'has no key before =',
  'bad-header': 'is not a section header',
  'after-header': 'has something after the section header',
};

/** The problems of lines that are no part of any section or option. */
export function faultProblems(file: string, ini: IniText): Problem[] {
  return ini.faults.map((fault) => ({
    file,
    line: fault.line,
    column: fault.column,
    value: printableValue(fault.text),
    severity: fault.kind === 'after-header' ? 'warning' : 'error',
    message: FAULT_WORDS[fault.kind],
    effect:
      fault.kind === 'after-header' ? 'the rest of the line is ignored' : 'the line is ignored',
  }));
}

/** Where an unknown option would be right, for the one who looks for it. */
function elsewhere(daemon: ConfigFile, section: string, key: string): string | undefined {
  const here = OPTIONS.find((option) => option.key === key && option.files.includes(daemon));
  if (here !== undefined && here.section !== section) return `in section [${here.section}]`;
  const other = OPTIONS.find((option) => option.key === key);
  if (other === undefined || other.files.includes(daemon)) return undefined;
  return `in ${other.files.map((file) => `${file}.conf`).join(', ')}`;
}

/** The problems of sections and keys that the file does not have. */
export function unknownNameProblems(file: string, kind: ConfigFile, ini: IniText): Problem[] {
  const problems: Problem[] = [];
  const known = sectionsOf(kind);
  for (const section of ini.sections) {
    if (known.includes(section.name)) continue;
    problems.push({
      file,
      line: section.line,
      column: 1,
      section: printableValue(section.name),
      severity: 'error',
      message: 'is not a section of this file',
      allowed: known.join(', '),
      effect: 'the section is ignored',
    });
  }
  for (const { section, key, line } of ini.entries) {
    if (!known.includes(section) || findOption(kind, section, key) !== undefined) continue;
    const allowed = elsewhere(kind, section, key);
    const problem = {
      file,
      line,
      column: 1,
      section,
      key: printableName(key),
      severity: 'error',
      message: 'is not an option of this section',
      effect: 'it is ignored',
    } as const;
    problems.push(allowed === undefined ? problem : { ...problem, allowed });
  }
  return problems;
}

/** An option's value with its continuation lines: for options that do not collect. */
export function joinedValue(entry: IniEntry): string {
  return [entry.value, ...entry.continuations.map(({ text }) => text)].join(' ').trim();
}

/** What the entries of one file say. Collects problems in `problems`. */
export class EntryReader {
  readonly problems: Problem[] = [];
  readonly #file: string;
  readonly #kind: ConfigFile;
  readonly #entries: readonly IniEntry[];

  constructor(file: string, kind: ConfigFile, ini: IniText) {
    this.#file = file;
    this.#kind = kind;
    this.#entries = ini.entries;
    // One by one: a file may have more of them than a call takes arguments.
    for (const problem of faultProblems(file, ini)) this.problems.push(problem);
    for (const problem of unknownNameProblems(file, kind, ini)) this.problems.push(problem);
  }

  entriesOf(section: string, ...keys: readonly string[]): readonly IniEntry[] {
    return this.#entries.filter((entry) => entry.section === section && keys.includes(entry.key));
  }

  add(entry: IniEntry, value: string, problem: Omit<Problem, 'file' | 'section' | 'key'>): void {
    this.problems.push({
      file: this.#file,
      line: entry.line,
      column: entry.column,
      section: entry.section,
      key: entry.key,
      value: printableValue(value, entry.key),
      ...problem,
    });
  }

  addAt(line: number, section: string, key: string, problem: Omit<Problem, 'file'>): void {
    this.problems.push({ file: this.#file, line, section, key, ...problem });
  }

  /** The value of the last line of the key, if there is one and it can be read. */
  last<T>(
    section: string,
    key: string,
    read: (text: string) => ReadValue<T> | undefined,
  ): T | undefined {
    if (findOption(this.#kind, section, key) === undefined) return undefined;
    const entries = this.entriesOf(section, key);
    const entry = entries.at(-1);
    if (entry === undefined) return undefined;
    for (const earlier of entries.slice(0, -1)) {
      const message = 'is given again further down';
      const effect = `line ${entry.line} counts`;
      this.add(earlier, joinedValue(earlier), { severity: 'warning', message, effect });
    }
    const text = joinedValue(entry);
    const result = read(text);
    if (result === undefined) return undefined;
    if (!result.ok) {
      this.add(entry, text, { severity: 'error', ...result.fault, effect: DEFAULT_APPLIES });
      return undefined;
    }
    if (result.warning !== undefined) {
      this.add(entry, text, { severity: 'warning', ...result.warning, effect: 'the rest applies' });
    }
    return result.value;
  }

  /** The values of keys that collect, in file order, continuation lines as entries of their own. */
  collect<T>(
    section: string,
    keys: readonly string[],
    read: (text: string, line: number, report: (note: FieldNote) => void) => T | undefined,
  ): T[] {
    const values: T[] = [];
    for (const entry of this.entriesOf(section, ...keys)) {
      const parts = [{ text: entry.value, line: entry.line }, ...entry.continuations];
      const filled = parts.filter(({ text }) => text !== '');
      // `controller=` alone is how a list is emptied on purpose; of an exclude it is worth a word.
      for (const part of filled.length === 0 && entry.key !== 'controller' ? parts : filled) {
        const report = (note: FieldNote): void => {
          const { field, value, ...rest } = note;
          const column = part.line === entry.line ? { column: entry.column } : {};
          this.problems.push({
            file: this.#file,
            line: part.line,
            ...column,
            section: entry.section,
            key: entry.key,
            value:
              field === undefined ? printableValue(value ?? part.text) : fieldText(field, value),
            ...rest,
          });
        };
        const value = read(part.text, part.line, report);
        if (value !== undefined) values.push(value);
      }
    }
    return values;
  }
}

function fieldText(field: string, value: string | undefined): string {
  const name = printableName(field);
  return value === undefined ? name : `${name}=${printableValue(value, field)}`;
}
