/** Small files and folders, below the root of the world. */
import { existsSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { known, unknown, type Answer } from '../../../core/answer.ts';
import { ConfFileError, readConfFile } from '../../../platform/conf-files.ts';
import { hasCode } from '../../../platform/system-error.ts';
import type { World } from './world.ts';

type Root = Pick<World, 'root'>;

/** Why a path cannot be looked at, in words. */
export function whyNot(path: string, thrown: unknown): string {
  if (thrown instanceof ConfFileError) return thrown.message;
  if (hasCode(thrown, 'EACCES', 'EPERM')) return `${path} is not for everybody to see`;
  return `${path}: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
}

/** Undefined if there is none. */
export function textOf({ root }: Root, path: string): Answer<string | undefined> {
  try {
    return known(readConfFile(path, root));
  } catch (thrown) {
    return unknown(whyNot(path, thrown));
  }
}

/** More than any list of modules, or library, has. */
const MAX_LARGE_BYTES = 64 * 1024 * 1024;

/** Of files that the system itself makes, which may be larger. Undefined if there is none. */
export function bytesOf({ root }: Root, path: string): Answer<Buffer | undefined> {
  try {
    const stat = statSync(root + path);
    if (!stat.isFile() || stat.size > MAX_LARGE_BYTES) return unknown(`${path} is no such file`);
    return known(readFileSync(root + path));
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT', 'ENOTDIR')) return known(undefined);
    return unknown(whyNot(path, thrown));
  }
}

export function exists({ root }: Root, path: string): boolean {
  return existsSync(root + path);
}

/** Whether the name is there, even as a link to nothing. */
export function hasName({ root }: Root, path: string): boolean {
  try {
    lstatSync(root + path);
    return true;
  } catch {
    return false;
  }
}

/** Names in a folder; empty if there is no such folder. */
export function namesIn({ root }: Root, folder: string): Answer<readonly string[]> {
  try {
    return known(readdirSync(root + folder).sort());
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT', 'ENOTDIR')) return known([]);
    return unknown(whyNot(folder, thrown));
  }
}
