/** Makes the completions for bash and zsh in out/completions: `npm run completions`. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { completionFiles } from './completion/files.ts';
import { PackageError } from './package/run.ts';

const folder = join(dirname(import.meta.dirname), 'out', 'completions');
try {
  const files = completionFiles();
  await rm(folder, { recursive: true, force: true });
  for (const { file, shell, text } of files) {
    await mkdir(join(folder, shell), { recursive: true });
    await writeFile(join(folder, shell, file), text);
    console.log(`out/completions/${shell}/${file}`);
  }
} catch (error) {
  if (!(error instanceof PackageError)) throw error;
  console.error(`tools/completions.ts: ${error.message}`);
  process.exitCode = 1;
}
