/** What files say, entry by entry, with whatever is wrong in them collected as problems. */
import type { FieldNote } from './controller-entry.ts';
import {
  parseIni,
  type ConfSource,
  type IniEntry,
  type IniFault,
  type IniText,
} from './ini-text.ts';
import { findOption, OPTIONS, sectionsOf, type ConfigFile } from './option-table.ts';
import type { ReadValue, ValueFault } from './option-value.ts';
import { placeText, printableName, printableValue, type Place, type Problem } from './problem.ts';

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
      column: section.column,
      section: printableValue(section.name),
      severity: 'error',
      message: 'is not a section of this file',
      allowed: known.join(', '),
      effect: 'the section is ignored',
    });
  }
  for (const { section, key, keyColumn, line } of ini.entries) {
    if (!known.includes(section) || findOption(kind, section, key) !== undefined) continue;
    const allowed = elsewhere(kind, section, key);
    const problem = {
      file,
      line,
      column: keyColumn,
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

/** The problems of names that an option had once. */
function legacyNameProblems(file: string, kind: ConfigFile, ini: IniText): Problem[] {
  return ini.entries.flatMap(({ key, keyColumn, line, section }) => {
    const option = findOption(kind, section, key);
    if (option?.legacyOf === undefined) return [];
    return [
      {
        file,
        line,
        column: keyColumn,
        section,
        key,
        severity: 'warning' as const,
        message: 'is an earlier name of an option',
        allowed: option.legacyOf,
        effect: 'it applies all the same',
      },
    ];
  });
}

/** An entry and the file that it stands in. */
export type FileEntry = IniEntry & Place;

interface Refused {
  readonly entry: FileEntry;
  readonly text: string;
  readonly fault: ValueFault;
}

/**
 * What the entries of files say: of one file, or of several of the same kind, of which a later one
 * goes before the earlier ones. Collects problems in `problems`.
 */
export class EntryReader {
  readonly problems: Problem[] = [];
  readonly #kind: ConfigFile;
  readonly #files: readonly string[];
  readonly #entries: readonly FileEntry[];

  constructor(kind: ConfigFile, sources: readonly ConfSource[]) {
    this.#kind = kind;
    this.#files = sources.map(({ file }) => file);
    const entries: FileEntry[] = [];
    for (const { file, text } of sources) {
      const ini = parseIni(text);
      // One by one: a file may have more of them than a call takes arguments.
      for (const problem of faultProblems(file, ini)) this.problems.push(problem);
      for (const problem of unknownNameProblems(file, kind, ini)) this.problems.push(problem);
      for (const problem of legacyNameProblems(file, kind, ini)) this.problems.push(problem);
      for (const entry of ini.entries) entries.push({ ...entry, file });
    }
    this.#entries = entries;
  }

  /** The problems in the order of the files and their lines. */
  sortedProblems(): readonly Problem[] {
    const places = new Map(this.#files.map((file, index) => [file, index]));
    const order = ({ file }: Problem): number => places.get(file) ?? -1;
    return Object.freeze(
      this.problems.toSorted((a, b) => order(a) - order(b) || (a.line ?? 0) - (b.line ?? 0)),
    );
  }

  entriesOf(section: string, ...keys: readonly string[]): readonly FileEntry[] {
    return this.#entries.filter((entry) => entry.section === section && keys.includes(entry.key));
  }

  add(entry: FileEntry, value: string, problem: Omit<Problem, 'file' | 'section' | 'key'>): void {
    this.problems.push({
      file: entry.file,
      line: entry.line,
      column: entry.column,
      section: entry.section,
      key: entry.key,
      value: printableValue(value, entry.key),
      ...problem,
    });
  }

  addAt(
    { file, line }: Place,
    section: string,
    key: string,
    problem: Omit<Problem, 'file' | 'line' | 'section' | 'key'>,
  ): void {
    this.problems.push({ file, line, section, key, ...problem });
  }

  /** The value of the last file that has one that can be read. */
  last<T>(
    section: string,
    key: string,
    read: (text: string) => ReadValue<T> | undefined,
  ): T | undefined {
    return [...this.byFile(section, key, read).values()].at(-1);
  }

  /**
   * The value of the key in each file that has one that can be read, in the order of the files. In
   * one file, the last line of the key counts.
   */
  byFile<T>(
    section: string,
    key: string,
    read: (text: string) => ReadValue<T> | undefined,
  ): ReadonlyMap<string, T> {
    const values = new Map<string, T>();
    if (findOption(this.#kind, section, key) === undefined) return values;
    const refused: Refused[] = [];
    let counts: { readonly entry: FileEntry; readonly warning?: ValueFault } | undefined;
    const entriesByFile = new Map<string, FileEntry[]>();
    for (const entry of this.entriesOf(section, key)) {
      const entries = entriesByFile.get(entry.file);
      if (entries === undefined) entriesByFile.set(entry.file, [entry]);
      else entries.push(entry);
    }
    for (const [file, entries] of entriesByFile) {
      const entry = entries.at(-1);
      if (entry === undefined) continue;
      for (const earlier of entries.slice(0, -1)) {
        const message = 'is given again further down';
        const effect = `${placeText(entry, file)} counts`;
        this.add(earlier, joinedValue(earlier), { severity: 'warning', message, effect });
      }
      const text = joinedValue(entry);
      const result = read(text);
      if (result === undefined) continue;
      if (result.ok) {
        values.set(file, result.value);
        counts = result.warning === undefined ? { entry } : { entry, warning: result.warning };
      } else {
        refused.push({ entry, text, fault: result.fault });
      }
    }
    for (const { entry, fault, text } of refused) {
      const effect = counts === undefined ? DEFAULT_APPLIES : `${placeText(counts.entry)} applies`;
      this.add(entry, text, { severity: 'error', ...fault, effect });
    }
    if (counts?.warning !== undefined) {
      const { entry, warning } = counts;
      const effect = 'the rest applies';
      this.add(entry, joinedValue(entry), { severity: 'warning', ...warning, effect });
    }
    return values;
  }

  /** The values of keys that collect, in file order, continuation lines as entries of their own. */
  collect<T>(
    section: string,
    keys: readonly string[],
    read: (text: string, place: Place, report: (note: FieldNote) => void) => T | undefined,
  ): T[] {
    const values: T[] = [];
    for (const entry of this.entriesOf(section, ...keys)) {
      const { file } = entry;
      const parts = [{ text: entry.value, line: entry.line }, ...entry.continuations];
      const filled = parts.filter(({ text }) => text !== '');
      // `controller=` alone is how a list is emptied on purpose; of an exclude it is worth a word.
      for (const part of filled.length === 0 && entry.key !== 'controller' ? parts : filled) {
        const report = (note: FieldNote): void => {
          const { field, value, ...rest } = note;
          const column = part.line === entry.line ? { column: entry.column } : {};
          this.problems.push({
            file,
            line: part.line,
            ...column,
            section: entry.section,
            key: entry.key,
            value:
              field === undefined ? printableValue(value ?? part.text) : fieldText(field, value),
            ...rest,
          });
        };
        const value = read(part.text, { file, line: part.line }, report);
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
