/**
 * Files that are replaced whole: whoever reads one, at any moment and after a crash or a power cut,
 * finds the old text or the new one. Nothing native, no other file of this folder: stasadm uses it
 * in post-install scripts.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, mkdir, open, realpath, rename, stat, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

export interface ReplaceOptions {
  /** Permission bits of the file; by default those of the file replaced, or 0644. */
  readonly mode?: number;
  /** Permission bits of directories that are missing and made; 0755 by default. */
  readonly directoryMode?: number;
  /**
   * What to do if `path` is a symbolic link: replace the file that it points to (default), or the
   * link itself.
   */
  readonly links?: 'follow' | 'replace';
}

const DEFAULT_MODE = 0o644;
const DEFAULT_DIRECTORY_MODE = 0o755;

/**
 * Replaces the file at `path` with `text` (UTF-8), or makes it, and the directories above it. The
 * owner of a file that is replaced is kept. Rejects with Node's system errors; then the old file is
 * untouched and nothing is left beside it.
 */
export async function replaceFile(
  path: string,
  text: string,
  options: ReplaceOptions = {},
): Promise<void> {
  const target = options.links === 'replace' ? path : await followLink(path);
  const directory = dirname(target);
  await makeDirectory(directory, options.directoryMode ?? DEFAULT_DIRECTORY_MODE);
  const old = await statIfPresent(target);
  const temporary = join(directory, `.${basename(target)}.${randomBytes(6).toString('hex')}.tmp`);
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
  const file = await open(temporary, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, 0o600);
  try {
    await fill(file, text, options.mode ?? permissions(old) ?? DEFAULT_MODE, old);
    await rename(temporary, target);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await syncDirectory(directory);
}

/**
 * Makes a directory and those above it that are missing. Not `recursive: true`: where the kernel
 * says ENOENT of a directory whose parent is there, as in /proc, Node's goes on for ever.
 */
async function makeDirectory(path: string, mode: number): Promise<void> {
  const missing: string[] = [];
  let above = path;
  while (!(await exists(above))) {
    missing.push(above);
    above = dirname(above);
  }
  for (const directory of missing.toReversed()) {
    try {
      await mkdir(directory, mode);
    } catch (error) {
      // Somebody else has made it meanwhile.
      if (!(await exists(directory))) throw error;
    }
  }
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
  text: string,
  mode: number,
  owner: FileOwner | undefined,
): Promise<void> {
  try {
    await file.writeFile(text);
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

function permissions(owner: FileOwner | undefined): number | undefined {
  // A link that is replaced has no permissions worth keeping.
  if (owner === undefined || (owner.mode & constants.S_IFMT) === constants.S_IFLNK)
    return undefined;
  return owner.mode & 0o7777;
}

async function followLink(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (isMissing(error)) return path;
    throw error;
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
