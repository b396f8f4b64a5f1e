/**
 * The native add-ons udev and systemd-journald, compiled for a Debian release.
 *
 * They are compiled inside a root of that release made by mmdebstrap, so the host needs neither a
 * compiler nor headers, and the result fits the release's Node and C library. The result is cached
 * by everything that it is made from; a cache entry appears whole or not at all.
 */
import { copyFile, cp, mkdir, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { cacheDirectory, cacheKey } from '../../test/vm/cache.ts';
import buildScript from './build-native.sh';
import { PackageError, run, seconds } from './run.ts';

/** What is compiled, and what compiling takes. */
const compiled = ['udev', 'systemd-journald'];
const toolPackages = ['node-gyp', 'nan', 'node-addon-api'];
/** Not compiled, but its needs are looked up with the others'. */
export const koffiBinary = '@koromix/koffi-linux-x64/linux_x64/koffi.node';

const debianPackages = [
  'dpkg-dev',
  'g++',
  'libnode-dev',
  'libsystemd-dev',
  'libudev-dev',
  'make',
  'nodejs',
  'pkgconf',
  'python3',
];

/** Compiled add-ons of one release. */
export interface NativeAddons {
  /** Absolute paths of the add-ons. */
  readonly udev: string;
  readonly journald: string;
  /** The release's Node, as "20.19.2". */
  readonly nodeVersion: string;
  /** A Depends list of the libraries that the add-ons and koffi link with. */
  readonly depends: string;
}

/**
 * Gives the add-ons for a Debian release, compiling them (about a minute) if the cache has none.
 * @param options.root absolute path of the repository, with its node_modules
 * @param options.suite the release's name, for example "trixie"
 * @throws {PackageError} mmdebstrap or the compiler failed
 */
export async function nativeAddons(options: {
  readonly root: string;
  readonly suite: string;
  readonly log: (line: string) => void;
}): Promise<NativeAddons> {
  const { root, suite, log } = options;
  const modules = join(root, 'node_modules');
  const key = await entryKey(modules, suite);
  const entry = join(cacheDirectory(), 'native', `${suite}-${key}`);
  if (await exists(entry)) {
    log(`native add-ons for ${suite}: cached in ${entry}`);
  } else {
    await compile(modules, suite, entry, log);
  }
  return {
    udev: join(entry, 'udev.node'),
    journald: join(entry, 'journal_send.node'),
    nodeVersion: (await readFile(join(entry, 'node-version'), 'utf8')).trim(),
    depends: (await readFile(join(entry, 'depends'), 'utf8')).trim(),
  };
}

async function entryKey(modules: string, suite: string): Promise<string> {
  const versions: string[] = [];
  for (const name of [...compiled, ...toolPackages, dirname(dirname(koffiBinary))]) {
    versions.push(`${name}@${(await packageJson(join(modules, name))).version}`);
  }
  return cacheKey([suite, process.arch, ...debianPackages, buildScript, ...versions]);
}

async function compile(
  modules: string,
  suite: string,
  entry: string,
  log: (line: string) => void,
): Promise<void> {
  const stage = await mkdtemp(join(tmpdir(), 'nvme-stas-native-'));
  const started = Date.now();
  log(`native add-ons for ${suite}: making a root of ${suite} and compiling in it`);
  try {
    const build = join(stage, 'build');
    await mkdir(join(build, 'node_modules'), { recursive: true });
    for (const folder of await closure(modules, [...compiled, ...toolPackages])) {
      const target = join(build, 'node_modules', folder);
      await mkdir(dirname(target), { recursive: true });
      await cp(join(modules, folder), target, { recursive: true });
    }
    await mkdir(join(build, 'prebuilt'));
    await copyFile(join(modules, koffiBinary), join(build, 'prebuilt', basename(koffiBinary)));
    const logFile = join(cacheDirectory(), `native-${suite}.log`);
    await mkdir(join(cacheDirectory(), 'native'), { recursive: true });

    const { command, handOver } = await mmdebstrap();
    const [program, ...prefix] = command;
    try {
      await run(
        program,
        [
          ...prefix,
          '--variant=apt',
          '--format=null',
          '--aptopt=Acquire::Languages "none"',
          '--dpkgopt=force-unsafe-io',
          ...['doc', 'man', 'info', 'locale'].map(
            (folder) => `--dpkgopt=path-exclude=/usr/share/${folder}/*`,
          ),
          `--include=${debianPackages.join(',')}`,
          `--customize-hook=copy-in '${build}' /`,
          `--customize-hook=chroot "$1" sh -c ${quote(buildScript)}`,
          `--customize-hook=copy-out /build/out '${stage}'`,
          ...handOver.map((hook) => `--customize-hook=${hook} '${join(stage, 'out')}'`),
          suite,
          '-',
        ],
        { logFile, env: { NODE_EXTRA_CA_CERTS: undefined, NODE_OPTIONS: undefined } },
      );
    } catch (error) {
      if (!(error instanceof PackageError)) throw error;
      throw new PackageError(`${error.message} (all of it: ${logFile})`, { cause: error });
    }
    await adopt(join(stage, 'out'), entry);
    log(`native add-ons for ${suite}: compiled in ${seconds(Date.now() - started)}`);
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

/** Moves a folder into the cache in one step; an equal one that another run put there stays. */
async function adopt(folder: string, entry: string): Promise<void> {
  const near = await mkdtemp(`${entry}.`);
  await cp(folder, near, { recursive: true });
  try {
    await rename(near, entry);
  } catch (error) {
    await rm(near, { recursive: true, force: true });
    if (!(await exists(entry))) throw error;
  }
}

/** How a root is made with the rights that this user has. */
interface RootMaker {
  readonly command: readonly [string, ...string[]];
  /** Commands that give a folder that came out of the root to this user. */
  readonly handOver: readonly string[];
}

async function mmdebstrap(): Promise<RootMaker> {
  const uid = process.getuid?.() ?? 0;
  if (uid === 0) return { command: ['mmdebstrap', '--mode=root'], handOver: [] };
  const works = async (command: string, args: readonly string[]): Promise<boolean> =>
    run(command, args).then(
      () => true,
      () => false,
    );
  if (await works('unshare', ['--user', '--map-auto', '--map-root-user', 'true'])) {
    return { command: ['mmdebstrap', '--mode=unshare'], handOver: [] };
  }
  if (await works('sudo', ['-n', 'true'])) {
    return {
      command: ['sudo', '-n', 'mmdebstrap', '--mode=root'],
      handOver: [`chown -R ${uid}:${process.getgid?.() ?? uid}`],
    };
  }
  throw new PackageError(
    'making a root of the release needs user namespaces with subordinate IDs, sudo, or root',
  );
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

interface PackageJson {
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

async function packageJson(folder: string): Promise<PackageJson> {
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as PackageJson;
}

/** Packages at the top of node_modules that `names` need at run time, themselves included. */
async function closure(modules: string, names: readonly string[]): Promise<readonly string[]> {
  const found = new Set<string>();
  const visit = async (name: string, from: readonly string[]): Promise<void> => {
    // A copy inside the package that needs it comes along with that package.
    for (const folder of from) {
      const nested = join(folder, 'node_modules', name);
      if (await exists(nested)) return visitDependencies(nested, [nested, ...from]);
    }
    if (found.has(name)) return;
    const folder = join(modules, name);
    // The installer of prebuilt binaries is a dependency of udev that nothing of it loads.
    if (name === '@mapbox/node-pre-gyp') return;
    if (!(await exists(folder))) {
      throw new PackageError(`node_modules/${name} is missing: run npm ci first`);
    }
    found.add(name);
    await visitDependencies(folder, [folder]);
  };
  const visitDependencies = async (folder: string, from: readonly string[]): Promise<void> => {
    const { dependencies = {} } = await packageJson(folder);
    for (const name of Object.keys(dependencies)) await visit(name, from);
  };
  for (const name of names) await visit(name, []);
  return [...found].sort();
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
