/**
 * Where stasadm keeps what it makes: sys.conf, and files of their own that it names. Paths are below
 * `root`, which stands for `/`.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { getSystemErrorMap } from 'node:util';
import { setIniValueInBytes } from '../config/ini-edit.ts';
import { HOST } from '../config/option-table.ts';
import { replaceFile } from '../platform/atomic-file.ts';
import { ConfFileError, readConfBytes } from '../platform/conf-files.ts';

/** A failure that is said in one line, exit status 1. */
export class StasadmError extends Error {
  override readonly name = 'StasadmError';
}

/** A key of [Host] and what it is to be; undefined: nothing. */
export interface HostValue {
  readonly key: 'nqn' | 'id' | 'symname';
  readonly value: string | undefined;
}

export interface IdentityFilesOptions {
  readonly root: string;
  /** As an absolute path. */
  readonly sysConf: string;
}

function errnoOf(error: unknown): { readonly code: string; readonly text: string } | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') {
    return undefined;
  }
  const errno = 'errno' in error && typeof error.errno === 'number' ? error.errno : 0;
  const text = getSystemErrorMap().get(errno)?.[1];
  return { code: error.code, text: text === undefined ? error.message : `${text} (${error.code})` };
}

function failure(action: string, path: string, error: unknown): StasadmError {
  const why = errnoOf(error)?.text ?? String(error);
  return new StasadmError(`cannot ${action} ${path}: ${why}`, { cause: error });
}

/**
 * The text of a place that a UUID may come from; undefined if there is none. One that even root may
 * not read (in a container, say) is passed over; others are told, since they would not get the same
 * UUID as root does.
 */
export function readIdentitySource(
  root: string,
  path: string,
  isRoot: boolean,
): string | undefined {
  try {
    return readFileSync(join(root, path), 'utf8');
  } catch (error) {
    const code = errnoOf(error)?.code;
    if (isRoot || code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw failure('read', path, error);
  }
}

async function write(root: string, path: string, content: string | Uint8Array): Promise<void> {
  try {
    await replaceFile(join(root, path), content);
  } catch (error) {
    throw failure('write', path, error);
  }
}

function readSysConf({ root, sysConf }: IdentityFilesOptions): Buffer | undefined {
  try {
    return readConfBytes(sysConf, root);
  } catch (error) {
    if (!(error instanceof ConfFileError)) throw error;
    // Nothing is there, and why, is said when it is to be written.
    if (error.code === 'ENOTDIR') return undefined;
    throw new StasadmError(error.message, { cause: error });
  }
}

/** Changes sys.conf and nothing else in it. Throws StasadmError. */
export async function saveInConf(
  options: IdentityFilesOptions,
  { key, value }: HostValue,
): Promise<void> {
  const before = readSysConf(options);
  if (before === undefined && value === undefined) return;
  const after = setIniValueInBytes(before ?? Buffer.alloc(0), HOST, key, value);
  if (before?.equals(after) !== true) await write(options.root, options.sysConf, after);
}

/** Whether a path leads to sys.conf itself, whose lines a value would take the place of. */
export function isSysConf({ root, sysConf }: IdentityFilesOptions, path: string): boolean {
  if (path === sysConf) return true;
  try {
    const [one, other] = [statSync(join(root, path)), statSync(join(root, sysConf))];
    return one.ino === other.ino && one.dev === other.dev;
  } catch {
    // One of them is not there, or writing it says why not.
    return false;
  }
}

/**
 * Keeps a value in a file of its own, which sys.conf then names. Throws StasadmError.
 * @param path absolute
 */
export async function saveInFile(
  options: IdentityFilesOptions,
  { key, value }: HostValue,
  path: string,
): Promise<void> {
  // The file first: sys.conf must never name one that is not there.
  await write(options.root, path, `${value ?? ''}\n`);
  await saveInConf(options, { key, value: `file://${path}` });
}
