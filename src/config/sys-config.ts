/** sys.conf: who this host is. Text in, an identity or what is missing for one out. */
import { checkHostId } from '../nvme/host-id.ts';
import { checkNqn } from '../nvme/nqn.ts';
import { Secret } from '../nvme/secret.ts';
import { checkDhchapSecret, checkNoSecret, DHCHAP_SECRET_FORM } from './dhchap-secret.ts';
import { EntryReader } from './entry-reader.ts';
import { splitLines } from './ini-text.ts';
import { findOption, HOST } from './option-table.ts';
import { printablePath, type Problem } from './problem.ts';

/** The same members as the host identity of the fabrics port. */
export interface Identity {
  readonly hostnqn: string;
  readonly hostid: string;
  /** DH-HMAC-CHAP host secret. */
  readonly key?: Secret;
  /** Symbolic name, for registration with a discovery controller. */
  readonly symname?: string;
}

export type SysKey = 'nqn' | 'id' | 'key' | 'symname';

/** Why a mandatory value is not there: one line for the person who starts a daemon. */
export interface MissingIdentity {
  readonly key: 'nqn' | 'id';
  /** The file that should hold it: sys.conf itself for a literal. */
  readonly file: string;
  readonly message: string;
  /** The same as a problem among others. */
  readonly problem: Problem;
}

export interface ParsedSysConfig {
  /** Undefined exactly if something is {@link missing}. Frozen. */
  readonly identity: Identity | undefined;
  readonly problems: readonly Problem[];
  readonly missing: readonly MissingIdentity[];
  /** Files that hold an optional value and are not the reader's business: it was not judged. */
  readonly privateFiles: readonly string[];
  /** The file that each value is in, or should be: sys.conf itself for a literal. */
  readonly sources: Readonly<Partial<Record<SysKey, string>>>;
}

/** A file that is there and cannot be read: `why` continues "FILE …". */
export interface UnreadableFile {
  readonly why: string;
  /** Whether that tells nothing about the daemons: they may be allowed to. */
  readonly privateFile?: boolean;
}

/** The text of a file, or undefined if there is none. */
export type ReadFile = (path: string) => string | UnreadableFile | undefined;

const FILE_SCHEME = 'file://';

/** What the symbolic name attribute of a registration holds (TP8010). */
const MAX_SYMNAME_BYTES = 256;

/** Why a text cannot be a symbolic name, as words that continue "the name …", or undefined. */
export function checkSymname(text: string): string | undefined {
  if (new TextEncoder().encode(text).length > MAX_SYMNAME_BYTES) {
    return `is longer than ${MAX_SYMNAME_BYTES} bytes`;
  }
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(text)) return 'contains a control or invisible character';
  if (text.includes('\uFFFD')) return 'contains bytes that are not UTF-8';
  return checkNoSecret(text);
}

/** The first word of the first line. */
function firstWord(text: string): string {
  const line = splitLines(text.startsWith('\uFEFF') ? text.slice(1) : text)[0] ?? '';
  return line.trim().split(/\s+/)[0] ?? '';
}

interface Found {
  /** Empty if the place is there and holds nothing. */
  readonly value: string;
  /** Where it was found, or should have been. */
  readonly source: string;
  readonly state: 'found' | 'missing-file' | 'unreadable-file' | 'private-file' | 'no-path';
  /** Why a file cannot be read; else empty. */
  readonly why: string;
  /** Whether sys.conf names the place, or it is the default one. */
  readonly named: boolean;
}

function locate(
  file: string,
  key: SysKey,
  reader: EntryReader,
  readFile: ReadFile,
): Found | undefined {
  const given = reader.last(HOST, key, (text) => ({ ok: true, value: text }));
  const text = given ?? findOption('sys', HOST, key)?.defaults.sys;
  if (text === undefined) return undefined;
  const found = { value: '', why: '', state: 'found', named: given !== undefined } as const;
  if (!text.startsWith(FILE_SCHEME)) return { ...found, value: text, source: file };
  const source = text.slice(FILE_SCHEME.length);
  if (!source.startsWith('/')) return { ...found, source: text, state: 'no-path' };
  const content = readFile(source);
  if (content === undefined) return { ...found, source, state: 'missing-file' };
  return typeof content === 'string'
    ? { ...found, value: firstWord(content), source }
    : {
        ...found,
        source,
        state: content.privateFile === true ? 'private-file' : 'unreadable-file',
        why: content.why,
      };
}

function whyUnusable(
  found: Found,
  check: (text: string) => string | undefined,
): string | undefined {
  switch (found.state) {
    case 'missing-file':
      return 'does not exist';
    case 'unreadable-file':
    case 'private-file':
      return found.why;
    case 'no-path':
      return 'is not of the form file:///path';
    case 'found':
      return found.value === '' ? 'is empty' : check(found.value);
  }
}

/** What is wrong with a value, at its line of sys.conf if it has one. */
function valueProblem(
  file: string,
  key: SysKey,
  found: Found,
  reader: EntryReader,
  rest: Pick<Problem, 'message' | 'allowed' | 'effect'>,
): Problem {
  const entry = reader.entriesOf(HOST, key).at(-1);
  const inFile = found.source !== file;
  return {
    file,
    ...(entry === undefined ? {} : { line: entry.line, column: entry.column }),
    section: HOST,
    key,
    severity: 'error',
    ...rest,
    // Who reads it next may be allowed to.
    effect: found.state === 'unreadable-file' ? `without it, ${rest.effect}` : rest.effect,
    message: inFile ? `is in ${printablePath(found.source)}, which ${rest.message}` : rest.message,
  };
}

const MANDATORY = {
  nqn: {
    title: 'host NQN',
    command: 'hostnqn',
    check: (text: string) => checkNoSecret(text) ?? checkNqn(text),
  },
  id: { title: 'host ID', command: 'hostid', check: checkHostId },
} as const;

/** What is wrong with a mandatory value and how to mend it. */
function missingIdentity(
  sysConf: string,
  key: 'nqn' | 'id',
  found: Found,
  reason: string,
  reader: EntryReader,
): MissingIdentity {
  const { title, command } = MANDATORY[key];
  const inFile = found.state !== 'no-path' && found.source !== sysConf;
  const source = printablePath(found.source);
  const remedy = `stasadm ${command}${inFile ? ` -f ${source}` : ''}`;
  const message =
    found.state === 'found'
      ? `the ${title} in ${source} ${reason}`
      : `the ${title} is mandatory, and ${source} ${reason}`;
  const problem = valueProblem(sysConf, key, found, reader, {
    message: reason,
    allowed: `what "${remedy}" makes`,
    effect: 'stafd and stacd do not start',
  });
  return {
    key,
    file: found.source,
    message: `${message}; make one with "${remedy}"`,
    problem,
  };
}

/**
 * Reads sys.conf. `text` is undefined if there is no such file: then every default applies.
 * `readFile` is asked for the files that values are kept in, at most once each.
 */
export function parseSysConfig(
  file: string,
  text: string | undefined,
  readFile: ReadFile,
): ParsedSysConfig {
  const reader = new EntryReader('sys', [{ file, text: text ?? '' }]);
  const missing: MissingIdentity[] = [];
  const privateFiles: string[] = [];
  const sources: Partial<Record<SysKey, string>> = {};
  const find = (key: SysKey): Found | undefined => {
    const found = locate(file, key, reader, readFile);
    if (found !== undefined) sources[key] = found.source;
    return found;
  };

  const mandatory = (key: 'nqn' | 'id'): string => {
    const found = find(key);
    if (found === undefined) return '';
    const reason = whyUnusable(found, MANDATORY[key].check);
    if (reason === undefined) return found.value;
    missing.push(missingIdentity(file, key, found, reason, reader));
    return '';
  };

  const optional = (key: 'key' | 'symname'): string | undefined => {
    const found = find(key);
    if (found === undefined) return undefined;
    const reason = whyUnusable(found, key === 'key' ? checkDhchapSecret : checkSymname);
    if (reason === undefined) return found.value;
    if (found.state === 'private-file') {
      privateFiles.push(found.source);
      return undefined;
    }
    // A default file that is not there, or is empty, is nothing to speak of.
    if (!found.named && (found.state === 'missing-file' || found.value === '')) return undefined;
    reader.problems.push(
      valueProblem(file, key, found, reader, {
        message: reason,
        ...(key === 'key' ? { allowed: DHCHAP_SECRET_FORM } : {}),
        effect: key === 'key' ? 'the host has no key' : 'the host has no symbolic name',
      }),
    );
    return undefined;
  };

  const hostnqn = mandatory('nqn');
  const hostid = mandatory('id');
  const key = optional('key');
  const symname = optional('symname');
  const identity: Identity | undefined =
    missing.length > 0
      ? undefined
      : Object.freeze({
          hostnqn,
          hostid,
          ...(key === undefined ? {} : { key: new Secret(key) }),
          ...(symname === undefined ? {} : { symname }),
        });
  return { identity, problems: reader.sortedProblems(), missing, privateFiles, sources };
}
