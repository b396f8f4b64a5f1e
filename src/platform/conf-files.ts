/**
 * Reads configuration files and the drop-in files beside them (`FILE.d/*.conf`). Nothing native, no
 * other file of this folder: stasadm uses it in post-install scripts.
 *
 * What is there and cannot be read is an error, never empty: what it asks for is unknown, and taking
 * that for "nothing" would disconnect everything that it names.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readSync,
  readdirSync,
} from 'node:fs';
import { join } from 'node:path';
import { getSystemErrorMap } from 'node:util';
import { escapeText } from '../nvme/escape.ts';

/** More than any sane configuration has. */
export const MAX_CONF_BYTES = 1024 * 1024;

/** A directory that changes all the time is listed anew this often. */
const TRIES = 5;

export interface ConfText {
  readonly file: string;
  readonly text: string;
}

/** A name in a drop-in directory that holds no settings: `why` continues "FILE …". */
export interface IgnoredEntry {
  readonly file: string;
  readonly why: string;
}

export interface ConfFiles {
  /** Whether the file itself is there. */
  readonly present: boolean;
  /** The file, if it is there, and its drop-in files in byte order of their names. */
  readonly sources: readonly ConfText[];
  readonly ignored: readonly IgnoredEntry[];
}

/**
 * Codes beside errno names: `NOT_A_FILE`, `TOO_LARGE`, `DANGLING` (a symbolic link to nothing),
 * `CHANGING` (a directory in which files come and go faster than they can be read).
 */
export class ConfFileError extends Error {
  override readonly name = 'ConfFileError';
  readonly file: string;
  readonly code: string;
  /** Continues "FILE …". */
  readonly why: string;

  constructor(file: string, code: string, why: string) {
    super(`${escapeText(file)} ${why}`);
    this.file = file;
    this.code = code;
    this.why = why;
  }
}

/**
 * A configuration file with what is dropped in beside it. Paths are absolute and are read below
 * `root`, which stands for `/`; results name them without it. Throws {@link ConfFileError}.
 */
export function readConfFiles(path: string, root = ''): ConfFiles {
  const text = readConfFile(path, root);
  const dropIns = readDropIns(`${path}.d`, root);
  return {
    present: text !== undefined,
    sources: [...(text === undefined ? [] : [{ file: path, text }]), ...dropIns.sources],
    ignored: dropIns.ignored,
  };
}

/** The text of a file; undefined if there is none. Throws {@link ConfFileError}. */
export function readConfFile(path: string, root = ''): string | undefined {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const found = read(Buffer.from(root + path), path);
    switch (found.kind) {
      case 'file':
        return found.bytes.toString('utf8');
      case 'not-a-file':
        throw new ConfFileError(path, 'NOT_A_FILE', found.why);
      case 'missing':
        if (!isLink(root + path)) return undefined;
        break;
    }
  }
  throw new ConfFileError(path, 'DANGLING', 'is a symbolic link to nothing');
}

/**
 * The bytes of a file that is to be changed; undefined if there is none, or a link to none: then it
 * is to be made. Throws {@link ConfFileError}.
 */
export function readConfBytes(path: string, root = ''): Buffer | undefined {
  const found = read(Buffer.from(root + path), path);
  switch (found.kind) {
    case 'file':
      return found.bytes;
    case 'not-a-file':
      throw new ConfFileError(path, 'NOT_A_FILE', found.why);
    case 'missing':
      return undefined;
  }
}

/** The `*.conf` of a directory, none if there is no such directory. */
export function readDropIns(directory: string, root = ''): Omit<ConfFiles, 'present'> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const found = readListed(directory, root);
    if (found !== undefined) return found;
  }
  throw new ConfFileError(directory, 'CHANGING', 'changes while it is read');
}

/** Undefined if a file went away between its being listed and its being read. */
function readListed(directory: string, root: string): Omit<ConfFiles, 'present'> | undefined {
  const sources: ConfText[] = [];
  const ignored: IgnoredEntry[] = [];
  for (const name of dropInNames(directory, root)) {
    // A name is bytes; not all bytes are text.
    const text = name.toString('utf8');
    const file = join(directory, Buffer.from(text).equals(name) ? text : escapeText(name));
    const path = Buffer.concat([Buffer.from(`${root}${directory}/`), name]);
    const found = read(path, file);
    switch (found.kind) {
      case 'file':
        sources.push({ file, text: found.bytes.toString('utf8') });
        break;
      case 'not-a-file':
        ignored.push({ file, why: found.why });
        break;
      case 'missing':
        if (!isLink(path)) return undefined;
        throw new ConfFileError(file, 'DANGLING', 'is a symbolic link to nothing');
    }
  }
  return { sources, ignored };
}

/** Not hidden ones, and not what editors and package managers leave: `x.conf~`, `x.conf.dpkg-old`. */
function dropInNames(directory: string, root: string): Buffer[] {
  let names: Buffer[];
  try {
    names = readdirSync(root + directory, { encoding: 'buffer' });
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') {
      if (!isLink(root + directory)) return [];
      throw new ConfFileError(directory, 'DANGLING', 'is a symbolic link to nothing');
    }
    throw unreadable(directory, thrown);
  }
  const suffix = Buffer.from('.conf');
  return names
    .filter((name) => name[0] !== 0x2e && name.subarray(-suffix.length).equals(suffix))
    .sort((a, b) => Buffer.compare(a, b));
}

type Found =
  | { readonly kind: 'file'; readonly bytes: Buffer }
  | { readonly kind: 'missing' }
  | { readonly kind: 'not-a-file'; readonly why: string };

function read(path: Buffer, shown: string): Found {
  let descriptor: number;
  try {
    // Non-blocking: a FIFO in its place must not stop a daemon.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (thrown) {
    const code = codeOf(thrown);
    if (code === 'ENOENT') return { kind: 'missing' };
    // What a socket answers.
    if (code === 'ENXIO') return { kind: 'not-a-file', why: 'is not a file' };
    throw unreadable(shown, thrown);
  }
  try {
    const stat = fstatSync(descriptor);
    // A link to /dev/null is how a drop-in file of somebody else is switched off.
    if (stat.isCharacterDevice() && stat.rdev === NULL_DEVICE) {
      return { kind: 'file', bytes: Buffer.alloc(0) };
    }
    if (stat.isDirectory()) return { kind: 'not-a-file', why: 'is a directory' };
    if (!stat.isFile()) return { kind: 'not-a-file', why: 'is not a file' };
    return { kind: 'file', bytes: readBounded(descriptor, shown) };
  } catch (thrown) {
    throw unreadable(shown, thrown);
  } finally {
    closeSync(descriptor);
  }
}

const PIECE_BYTES = 16 * 1024;

/** Major 1, minor 3. */
const NULL_DEVICE = 0x103;

function readBounded(descriptor: number, shown: string): Buffer {
  const pieces: Buffer[] = [];
  let length = 0;
  for (;;) {
    const piece = Buffer.alloc(PIECE_BYTES);
    const more = readSync(descriptor, piece);
    if (more === 0) return Buffer.concat(pieces);
    pieces.push(piece.subarray(0, more));
    length += more;
    if (length > MAX_CONF_BYTES) {
      throw new ConfFileError(shown, 'TOO_LARGE', `is larger than ${String(MAX_CONF_BYTES)} bytes`);
    }
  }
}

function isLink(path: string | Buffer): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}

function unreadable(file: string, thrown: unknown): ConfFileError {
  if (thrown instanceof ConfFileError) return thrown;
  const code = codeOf(thrown);
  if (code === undefined) throw thrown;
  const errno = thrown instanceof Error && 'errno' in thrown ? Number(thrown.errno) : 0;
  const text = getSystemErrorMap().get(errno)?.[1] ?? code;
  return new ConfFileError(file, code, `cannot be read: ${text} (${code})`);
}

function codeOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}
