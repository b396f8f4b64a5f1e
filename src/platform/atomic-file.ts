/**
 * Files that are replaced whole: whoever reads one, at any moment and after a crash or a power cut,
 * finds the old text or the new one. Nothing native, no other file of this folder: stasadm uses it
 * in post-install scripts.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import {
  chmod,
  lstat,
  mkdir,
  open,
  readlink,
  realpath,
  rename,
  stat,
  unlink,
} from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';

export interface ReplaceOptions {
  /** Permission bits of the file; by default those of the file replaced, or 0644. */
  readonly mode?: number;
  /** Permission bits of directories that are missing and made; 0755 by default. */
  readonly directoryMode?: number;
  /**
   * What to do if `path` is a symbolic link: replace the file that it points to (default), or make
   * that, or replace the link itself.
   */
  readonly links?: 'follow' | 'replace';
}

/**
 * What is not replaced because of what it is: `NOT_A_FILE` (a device, a FIFO, a socket: the system
 * would lose it), `FOREIGN_LINK` (a symbolic link that somebody else could have put there).
 */
export class ReplaceError extends Error {
  override readonly name = 'ReplaceError';
  readonly code: 'NOT_A_FILE' | 'FOREIGN_LINK';

  constructor(code: ReplaceError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

const DEFAULT_MODE = 0o644;
const DEFAULT_DIRECTORY_MODE = 0o755;

/**
 * Replaces the file at `path` with `content` (text is written as UTF-8), or makes it, and the
 * directories above it. Unless a mode is given, owner, permissions and, where coreutils are there
 * to copy them, access control list and extended attributes of a file that is replaced are kept.
 * Rejects with Node's system errors or a {@link ReplaceError}; then the old file is untouched and
 * nothing is left beside it.
 */
export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  options: ReplaceOptions = {},
): Promise<void> {
  const target = options.links === 'replace' ? path : await followLinks(path);
  const directory = dirname(target);
  const made = await makeDirectory(directory, options.directoryMode ?? DEFAULT_DIRECTORY_MODE);
  const old = await statIfPresent(target);
  if (options.links !== 'replace' && old !== undefined && !isReplaceable(old)) {
    throw new ReplaceError('NOT_A_FILE', 'not a regular file');
  }
  const temporary = join(directory, `.${basename(target)}.${randomBytes(6).toString('hex')}.tmp`);
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
  const file = await open(temporary, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, 0o600);
  try {
    if (options.mode === undefined && isRegular(old)) await copyAttributes(target, temporary);
    await fill(file, content, options.mode ?? permissions(old) ?? DEFAULT_MODE, old);
    await rename(temporary, target);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await syncDirectory(directory);
  for (const each of made) await syncDirectory(dirname(each));
}

/**
 * Makes a directory and those above it that are missing, and returns what it made. Not
 * `recursive: true`: where the kernel says ENOENT of a directory whose parent is there, as in /proc,
 * Node's goes on for ever.
 */
async function makeDirectory(path: string, mode: number): Promise<readonly string[]> {
  const missing: string[] = [];
  const made: string[] = [];
  let above = path;
  while (!(await exists(above))) {
    missing.push(above);
    above = dirname(above);
  }
  for (const directory of missing.toReversed()) {
    try {
      await mkdir(directory, mode);
      // Exact, whatever the umask.
      await chmod(directory, mode);
      made.push(directory);
    } catch (error) {
      // Somebody else has made it meanwhile.
      if (!(await exists(directory))) throw error;
    }
  }
  return made;
}

/** What is there and is no directory is an error of what comes next. */
async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isMissing(error) && path !== dirname(path)) return false;
    throw error;
  }
}

interface FileOwner {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

async function fill(
  file: FileHandle,
  content: string | Uint8Array,
  mode: number,
  owner: FileOwner | undefined,
): Promise<void> {
  try {
    await file.writeFile(content);
    if (owner !== undefined) {
      const { uid, gid } = await file.stat();
      if (uid !== owner.uid || gid !== owner.gid) await file.chown(owner.uid, owner.gid);
    }
    // After chown, which clears set-ID bits; and exact, whatever the umask.
    await file.chmod(mode);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The rename itself must survive a power cut, and is stored in the directory. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function typeOf({ mode }: FileOwner): number {
  return mode & constants.S_IFMT;
}

function isRegular(file: FileOwner | undefined): boolean {
  return file !== undefined && typeOf(file) === constants.S_IFREG;
}

/** Of a directory, the system says so itself, with an error that everybody knows. */
function isReplaceable(file: FileOwner): boolean {
  return isRegular(file) || typeOf(file) === constants.S_IFDIR;
}

function permissions(owner: FileOwner | undefined): number | undefined {
  // A link that is replaced has no permissions worth keeping.
  if (owner === undefined || typeOf(owner) === constants.S_IFLNK) return undefined;
  return owner.mode & 0o7777;
}

/**
 * Gives `to` what Node cannot read of a file: its access control list, extended attributes and
 * security context. Where there is no cp that can, they are lost, as there was nobody to set them.
 */
function copyAttributes(from: string, to: string): Promise<void> {
  const args = ['--attributes-only', '--preserve=all', '--', from, to];
  return new Promise((resolve) => {
    execFile('cp', args, { env: { PATH: '/usr/bin:/bin' } }, () => {
      resolve();
    });
  });
}

/** As the kernel has it. */
const MAX_LINKS = 40;
const STICKY_AND_WRITABLE = 0o1002;

/** Where a path leads to, whether or not something is there. */
async function followLinks(path: string): Promise<string> {
  let at = path;
  for (let links = 0; links < MAX_LINKS; links += 1) {
    const found = await statIfPresent(at);
    if (found === undefined || typeOf(found) !== constants.S_IFLNK) return at;
    const directory = await realpath(dirname(at));
    await refuseForeignLink(found, directory);
    const link = await readlink(at);
    // Not normalized: `..` after a link to a directory is above where that leads.
    at = isAbsolute(link) ? link : `${directory}/${link}`;
  }
  // The system's own error.
  return realpath(path);
}

/** What the kernel refuses to follow in /tmp (proc(5), protected_symlinks); it is not asked here. */
async function refuseForeignLink(link: FileOwner, directory: string): Promise<void> {
  const { mode, uid } = await stat(directory);
  const shared = (mode & STICKY_AND_WRITABLE) === STICKY_AND_WRITABLE;
  if (shared && link.uid !== uid && link.uid !== process.geteuid?.()) {
    throw new ReplaceError('FOREIGN_LINK', "a symbolic link of another user's");
  }
}

async function statIfPresent(path: string): Promise<FileOwner | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
