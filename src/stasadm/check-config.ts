/**
 * Reads configuration files as the daemons do and tells what is wrong in them. Changes nothing, and
 * needs neither root nor a running system.
 */
import { statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { hostIdConflicts, withHostIds, type OwnIdentity } from '../config/host-identities.ts';
import type { ConfigFile, Daemon } from '../config/option-table.ts';
import {
  ignoredFileProblem,
  printablePath,
  problemPlace,
  problemText,
  type Problem,
} from '../config/problem.ts';
import { parseServiceConfig, type ServiceConfig } from '../config/service-config.ts';
import { parseSysConfig, type ReadFile } from '../config/sys-config.ts';
import {
  ConfFileError,
  readConfFile,
  readConfFiles,
  readDropIns,
  type ConfFiles,
} from '../platform/conf-files.ts';

/** What is asked for. Paths are absolute. */
export interface CheckRequest {
  /** Files and drop-in directories; none stands for those that the daemons read. */
  readonly files: readonly string[];
  /** What all of them are; undefined: their names tell. */
  readonly as: ConfigFile | undefined;
  readonly sysConf: string;
  /** Stands for `/`; the paths above and in the findings are those without it. */
  readonly root: string;
  /** Whether what cannot be read is that to the daemons, too. */
  readonly isRoot: boolean;
}

export interface CheckedFile {
  readonly file: string;
  readonly kind: ConfigFile;
  /**
   * `missing`: a file that need not be there is not. `private`: a file with the value of an option,
   * a secret for example, that only others may read.
   */
  readonly state: 'read' | 'missing' | 'unreadable' | 'private';
}

export interface Findings {
  readonly files: readonly CheckedFile[];
  readonly problems: readonly Problem[];
}

/** What a file is cannot be told from its name. */
export class UnclearFileError extends Error {
  override readonly name = 'UnclearFileError';
  readonly file: string;

  constructor(file: string) {
    super(`what ${file} is cannot be told from its name`);
    this.file = file;
  }
}

export const CONFIG_FILES: readonly ConfigFile[] = ['stafd', 'stacd', 'sys'];

const DEFAULT_FILES: readonly (readonly [string, Daemon])[] = [
  ['/etc/stas/stafd.conf', 'stafd'],
  ['/etc/stas/stacd.conf', 'stacd'],
];

const DROP_IN_DIRECTORY = '.conf.d';

/** What a file is: by the directory that it is dropped in, else by its own name. */
export function kindOf(file: string): ConfigFile | undefined {
  const directory = basename(dirname(file));
  const name = directory.endsWith(DROP_IN_DIRECTORY) ? directory : basename(file);
  const words = name.toLowerCase().split(/[^a-z]+/);
  const kinds = CONFIG_FILES.filter((kind) => words.includes(kind));
  return kinds.length === 1 ? kinds[0] : undefined;
}

/** What is read and judged together. */
interface Target {
  readonly file: string;
  readonly kind: ConfigFile;
  /** Whether somebody named it: then it has to be there. */
  readonly named: boolean;
}

function targetsOf({ as, files, sysConf }: CheckRequest): readonly Target[] {
  if (files.length === 0) {
    const daemons = DEFAULT_FILES.map(([file, kind]) => ({ file, kind, named: false }));
    const all: readonly Target[] = [...daemons, { file: sysConf, kind: 'sys', named: false }];
    return all.filter(({ kind }) => as === undefined || as === kind);
  }
  return files.map((file) => {
    const kind = as ?? kindOf(file);
    if (kind === undefined) throw new UnclearFileError(file);
    return { file, kind, named: true };
  });
}

/** Throws {@link UnclearFileError}. */
export function checkConfig(request: CheckRequest): Findings {
  const check = new Check(request);
  const targets = targetsOf(request);
  const sys = targets.filter(({ kind }) => kind === 'sys');
  const judged = sys.map((target) => check.sys(target));
  // Without a word about it: what the lines of the others must not contradict.
  const own = sys.length > 0 ? judged[0] : new Check(request).sys(hostOf(request));
  const configs = targets.flatMap((target) => check.service(target, own));
  for (const first of configs.filter(({ daemon }) => daemon === 'stafd')) {
    for (const second of configs.filter(({ daemon }) => daemon === 'stacd')) {
      check.add(hostIdConflicts(first, second, own));
    }
  }
  return check.findings(targets);
}

function hostOf({ sysConf }: CheckRequest): Target {
  return { file: sysConf, kind: 'sys', named: false };
}

class Check {
  readonly #root: string;
  readonly #isRoot: boolean;
  readonly #files: CheckedFile[] = [];
  readonly #problems: Problem[] = [];

  constructor({ isRoot, root }: CheckRequest) {
    this.#root = root;
    this.#isRoot = isRoot;
  }

  add(problems: readonly Problem[]): void {
    for (const problem of problems) this.#problems.push(problem);
  }

  /** The findings in the order of the targets, files and lines; what two targets share, once. */
  findings(targets: readonly Target[]): Findings {
    const rank = (file: string): number => {
      const at = targets.findIndex((target) => target.file === file || isBelow(file, target.file));
      // Files that values are kept in come last; a main file before what is dropped in beside it.
      if (at === -1) return targets.length;
      return targets[at]?.file === file ? at : at + 0.5;
    };
    const compare = (a: { readonly file: string }, b: { readonly file: string }): number =>
      rank(a.file) - rank(b.file) || (a.file < b.file ? -1 : Number(a.file > b.file));
    const problems = this.#problems.toSorted(
      (a, b) => compare(a, b) || (a.line ?? 0) - (b.line ?? 0),
    );
    return { files: unique(this.#files.toSorted(compare)), problems: unique(problems) };
  }

  /** The host's identity, if the file gives one. */
  sys(target: Target): OwnIdentity | undefined {
    const { file, kind } = target;
    const text = this.#read(target, () => readConfFile(file, this.#root));
    if (text === UNREADABLE) return undefined;
    this.#files.push({ file, kind, state: text === undefined ? 'missing' : 'read' });
    if (text === undefined && target.named) {
      this.#problems.push(missingFile(file));
      return undefined;
    }
    const parsed = parseSysConfig(file, text, this.#readValueFile);
    const { identity, missing, privateFiles, problems } = parsed;
    for (const each of privateFiles) this.#files.push({ file: each, kind, state: 'private' });
    this.add(problems);
    this.add(missing.map(({ problem }) => problem));
    return identity;
  }

  /** The configuration in one element; none for a target that is not a daemon's, or has none. */
  service(target: Target, own: OwnIdentity | undefined): readonly ServiceConfig[] {
    const { file, kind, named } = target;
    if (kind === 'sys') return [];
    const found = this.#read(target, () => this.#sourcesOf(file));
    if (found === UNREADABLE) return [];
    const { ignored, present, sources } = found;
    if (!present) this.#files.push({ file, kind, state: 'missing' });
    for (const source of sources) this.#files.push({ file: source.file, kind, state: 'read' });
    if (!present && named) this.#problems.push(missingFile(file, sources.length > 0));
    this.add(ignored.map(ignoredFileProblem));
    const parsed = parseServiceConfig(kind, sources);
    const { config, problems } = withHostIds(parsed.config, own);
    this.add(parsed.problems);
    this.add(problems);
    return [config];
  }

  #sourcesOf(file: string): ConfFiles {
    if (isDirectory(this.#root + file)) return { present: true, ...readDropIns(file, this.#root) };
    if (!dirname(file).endsWith(DROP_IN_DIRECTORY)) return readConfFiles(file, this.#root);
    // A drop-in file by itself.
    const text = readConfFile(file, this.#root);
    const sources = text === undefined ? [] : [{ file, text }];
    return { present: text !== undefined, sources, ignored: [] };
  }

  #read<T>({ kind }: Target, read: () => T): T | typeof UNREADABLE {
    try {
      return read();
    } catch (thrown) {
      if (!(thrown instanceof ConfFileError)) throw thrown;
      this.#files.push({ file: thrown.file, kind, state: 'unreadable' });
      this.#problems.push({
        file: thrown.file,
        severity: 'error',
        message: thrown.why,
        effect: unreadableEffect(thrown, kind),
      });
      return UNREADABLE;
    }
  }

  readonly #readValueFile: ReadFile = (path) => {
    try {
      return readConfFile(path, this.#root);
    } catch (thrown) {
      if (!(thrown instanceof ConfFileError)) throw thrown;
      return { why: thrown.why, privateFile: !this.#isRoot && isDenied(thrown) };
    }
  };
}

const UNREADABLE = Symbol('unreadable');

function isDenied({ code }: ConfFileError): boolean {
  return code === 'EACCES' || code === 'EPERM';
}

function missingFile(file: string, hasDropIns = false): Problem {
  return {
    file,
    severity: 'error',
    message: 'does not exist',
    effect: hasDropIns ? 'only what is dropped in beside it applies' : 'there is nothing to check',
  };
}

function unreadableEffect(error: ConfFileError, kind: ConfigFile): string {
  // The daemon may be allowed to.
  if (isDenied(error)) return 'it is not checked';
  const start = kind === 'sys' ? 'stafd and stacd do not start' : `${kind} does not start`;
  return `${start} with it; on a reload, what is in use stays`;
}

/** In or beside: a drop-in file belongs to the main file as well as to its directory. */
function isBelow(file: string, target: string): boolean {
  const dropIns = `${target}.d`;
  return file === dropIns || [target, dropIns].includes(dirname(file));
}

function unique<T>(items: readonly T[]): readonly T[] {
  return [...new Map(items.map((item) => [JSON.stringify(item), item])).values()];
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    // Reading it says why.
    return false;
  }
}

function count(number: number, noun: string): string {
  return `${number === 0 ? 'no' : String(number)} ${noun}${number === 1 ? '' : 's'}`;
}

/** For people: a line for each problem, and one that says how many there are. */
export function findingsText({ files, problems }: Findings): string {
  const lines = problems.map(
    (problem) => `${problemPlace(problem)}: ${problem.severity}: ${problemText(problem)}`,
  );
  const withProblems = new Set(problems.map(({ file }) => file)).size;
  const read = count(files.filter(({ state }) => state === 'read').length, 'file');
  const found =
    problems.length === 0
      ? 'no problems'
      : `${count(problems.length, 'problem')} in ${count(withProblems, 'file')}`;
  const unchecked = files
    .filter(({ state }) => state === 'private')
    .map(({ file }) => `; not checked, since only others may read it: ${printablePath(file)}`);
  const total = [found, `; ${read} read`, ...unchecked].join('');
  return `${[...lines, total].join('\n')}\n`;
}

/**
 * For programs: `{version, files: [{file, kind, state}], problems: [{file, line?, column?, section?,
 * key?, value?, severity, message, allowed?, effect}]}`. Keys may be added within a version.
 */
export function findingsJson({ files, problems }: Findings): string {
  return `${JSON.stringify({ version: 1, files, problems }, null, 2)}\n`;
}
