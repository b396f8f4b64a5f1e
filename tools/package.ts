/**
 * Makes the Debian package: `npm run package [-- --suite trixie]`.
 *
 * The result depends only on the repository, node_modules and the release's compiler: file times
 * are those of SOURCE_DATE_EPOCH, or of the last commit.
 */
import { createHash } from 'node:crypto';
import {
  lstat,
  lutimes,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rename,
  rm,
  utimes,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { BuildError, buildPrograms } from './build.ts';
import { completionFiles, completionFolders } from './completion/files.ts';
import { installPages, manPages } from './man/pages.ts';
import {
  changelog,
  controlFile,
  copyright,
  debianVersion,
  nodeDepends,
} from './package/documents.ts';
import { sourceDateEpoch } from './package/epoch.ts';
import { nativeAddons } from './package/native.ts';
import { PackageError, run, seconds } from './package/run.ts';
import {
  conffiles,
  docFolder,
  layOut,
  packageName,
  runtimePackages,
  write,
} from './package/tree.ts';

/** The start-up snapshots are those of one Node: another one has them made anew. */
const triggers = 'interest-noawait /usr/bin/node\n';

/** The release that the package is made for unless another is named. */
export const defaultSuite = 'trixie';

/**
 * Makes the package for a Debian release: out/nvme-stas-node_VERSION_amd64.deb, for another than
 * the default release in a folder of its name in out/.
 * @param options.root absolute path of the repository; this one by default
 * @throws {PackageError | BuildError} their text is one line that says what is missing or failed
 */
export async function buildPackage(options: {
  readonly suite: string;
  readonly log: (line: string) => void;
  readonly root?: string;
}): Promise<{ debPath: string }> {
  const { suite, log, root = dirname(import.meta.dirname) } = options;
  if (process.arch !== 'x64') {
    throw new PackageError(`the package is for amd64; this machine is ${process.arch}`);
  }
  const started = Date.now();
  const step = (line: string): void => log(`[${seconds(Date.now() - started)}] ${line}`);

  const addons = await nativeAddons({ root, suite, log: step });
  nodeDepends(addons.nodeVersion, suite);
  const epoch = await sourceDateEpoch(root);

  const stage = await mkdtemp(join(tmpdir(), 'nvme-stas-package-'));
  try {
    const tree = join(stage, 'tree');
    const { version, bundles, bundledPackages } = await buildPrograms({
      root,
      outDir: join(stage, 'dist'),
      log: step,
    });
    await layOut({ root, tree, bundles, addons });
    const pages = await manPages({ root, version, epoch });
    await installPages(join(tree, 'usr/share/man'), pages, { compressed: true });
    for (const { file, shell, text } of completionFiles()) {
      await document(join(tree, completionFolders[shell], file), text);
    }
    const packages = [...new Set([...bundledPackages, ...runtimePackages])];
    await document(join(tree, docFolder, 'copyright'), await copyright({ root, packages }));
    await document(
      join(tree, docFolder, 'changelog.gz'),
      gzipSync(changelog(version, suite, epoch), { level: 9 }),
    );

    const files = await filesBelow(tree);
    const control = join(tree, 'DEBIAN');
    await write(join(control, 'md5sums'), await md5sums(tree, files), 0o644);
    await write(join(control, 'conffiles'), conffiles.map((path) => `/${path}\n`).join(''), 0o644);
    for (const script of ['postinst', 'prerm', 'postrm']) {
      const text = await readFile(join(import.meta.dirname, 'package', script));
      await write(join(control, script), text, 0o755);
    }
    await write(join(control, 'triggers'), triggers, 0o644);
    const installedBytes = await totalBytes(files);
    await write(
      join(control, 'control'),
      controlFile({ version, suite, addons, installedBytes }),
      0o644,
    );
    await setTimes(tree, epoch);

    const outDir = suite === defaultSuite ? join(root, 'out') : join(root, 'out', suite);
    await mkdir(outDir, { recursive: true });
    const debPath = join(outDir, `${packageName}_${debianVersion(version)}_amd64.deb`);
    const unfinished = `${debPath}.${process.pid}`;
    await run('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', tree, unfinished], {
      env: { SOURCE_DATE_EPOCH: String(epoch) },
    });
    await rename(unfinished, debPath);
    const { size } = await lstat(debPath);
    step(`${relative(root, debPath)} ${(size / 1024).toFixed(0)} KiB`);
    return { debPath };
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

async function document(path: string, content: string | Buffer): Promise<void> {
  await write(path, content, 0o644);
}

/** Every file (no folder, no link) below `folder`, sorted, as absolute paths. */
async function filesBelow(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

async function md5sums(tree: string, files: readonly string[]): Promise<string> {
  const lines: string[] = [];
  for (const file of files) {
    const path = relative(tree, file);
    // dpkg keeps the sums of conffiles itself.
    if (conffiles.includes(path)) continue;
    const sum = createHash('md5')
      .update(await readFile(file))
      .digest('hex');
    lines.push(`${sum}  ${path}\n`);
  }
  return lines.join('');
}

async function totalBytes(files: readonly string[]): Promise<number> {
  let bytes = 0;
  for (const file of files) bytes += (await lstat(file)).size;
  return bytes;
}

async function setTimes(folder: string, epoch: number): Promise<void> {
  const entries = await readdir(folder, { recursive: true });
  for (const entry of entries) await lutimes(join(folder, entry), epoch, epoch);
  await utimes(folder, epoch, epoch);
}

if (process.argv[1] === import.meta.filename) {
  try {
    const { values } = parseArgs({ options: { suite: { type: 'string', default: defaultSuite } } });
    await buildPackage({ suite: values.suite, log: (line) => console.log(line) });
  } catch (error) {
    const isUsage = error instanceof TypeError && 'code' in error;
    if (!(error instanceof PackageError) && !(error instanceof BuildError) && !isUsage) throw error;
    console.error(`tools/package.ts: ${error.message}`);
    process.exitCode = isUsage ? 2 : 1;
  }
}
