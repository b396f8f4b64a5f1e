/**
 * Makes the manual pages in out/man, as man(1) reads them: `npm run man`, then for example
 * `man -M out/man stafd.conf`.
 */
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { projectVersion } from './build.ts';
import { installPages, manPages } from './man/pages.ts';
import { sourceDateEpoch } from './package/epoch.ts';
import { PackageError } from './package/run.ts';

const root = dirname(import.meta.dirname);
const folder = join(root, 'out', 'man');
try {
  const epoch = await sourceDateEpoch(root);
  const pages = await manPages({ root, version: await projectVersion(root), epoch });
  await rm(folder, { recursive: true, force: true });
  await installPages(folder, pages, { compressed: false });
  for (const { file, names } of pages) {
    const others = names.length > 1 ? ` (also: ${names.slice(1).join(', ')})` : '';
    console.log(`out/man/man${file.slice(-1)}/${file}${others}`);
  }
} catch (error) {
  if (!(error instanceof PackageError)) throw error;
  console.error(`tools/man.ts: ${error.message}`);
  process.exitCode = 1;
}
