/** The one date of everything that is made: the same sources give the same files. */
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { PackageError, run } from './run.ts';

/**
 * Seconds since 1970 that what is made is dated with.
 * @param root absolute path of the repository
 */
export async function sourceDateEpoch(root: string): Promise<number> {
  const given = process.env['SOURCE_DATE_EPOCH'];
  if (given !== undefined && /^\d+$/.test(given)) return Number(given);
  try {
    return Number((await run('git', ['-C', root, 'log', '-1', '--format=%ct'])).trim());
  } catch (error) {
    if (!(error instanceof PackageError)) throw error;
    // Not a clone: a release's own files tell its date.
    return Math.floor((await lstat(join(root, 'package.json'))).mtimeMs / 1000);
  }
}
