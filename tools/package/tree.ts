/** Lays out the files that the package installs, below a folder that stands for /. */
import { chmod, copyFile, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { bundleName, type Bundle } from '../build.ts';
import type { NativeAddons } from './native.ts';
import { koffiBinary } from './native.ts';
import { PackageError } from './run.ts';

/** The package's name, and the names of its own folders in /usr/lib and /usr/share/doc. */
export const packageName = 'nvme-stas-node';
const libFolder = `usr/lib/${packageName}`;
export const docFolder = `usr/share/doc/${packageName}`;

/** Files of /etc that are the administrator's to change. */
export const conffiles = ['etc/stas/stacd.conf', 'etc/stas/stafd.conf', 'etc/stas/sys.conf.doc'];

/** Folders of the administrator's own files. */
const emptyFolders = ['etc/stas/stacd.conf.d', 'etc/stas/stafd.conf.d'];

/** What is installed to be read, with all that it links to. */
export const readables: readonly string[] = [
  ...['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'DISTROS.md'],
  ...['commands', 'dbus', 'metrics'].map((name) => `docs/${name}.md`),
];

const units = [
  'nvme-stas-metrics.service',
  'nvme-stas-metrics.timer',
  'nvme-stas-modules.service',
  'stacd.service',
  'stafd.service',
  'stas-config.target',
  'stas-config@.service',
  'stas-config@hostid.service.d/order.conf',
];
const busPolicies = ['org.nvmexpress.stac.conf', 'org.nvmexpress.staf.conf'];

function koffiLoader(ending: string): readonly string[] {
  return ['index', 'src/koffi/index', 'src/koffi/src/static'].map((path) => `${path}.${ending}`);
}

/** npm packages that are installed beside the bundles: only the files that run. */
const runtimeFiles: Readonly<Record<string, readonly string[]>> = {
  // Both for import and for require().
  koffi: ['package.json', ...['js', 'cjs'].flatMap(koffiLoader)],
  [dirname(dirname(koffiBinary))]: ['package.json', 'index.js', 'linux_x64/koffi.node'],
  udev: ['package.json', 'udev.js'],
  bindings: ['package.json', 'bindings.js'],
  'file-uri-to-path': ['package.json', 'index.js'],
  'systemd-journald': ['package.json', 'index.js', 'log.js'],
};

/** npm packages of which files are installed beside the bundles. */
export const runtimePackages: readonly string[] = Object.keys(runtimeFiles);

/** What makes the daemons' start-up snapshots, and what decides whether one is used. */
const snapshotScripts = [
  ['make-snapshots', 0o755],
  ['snapshot.sh', 0o644],
] as const;

/** Of Node, for the daemons: make-snapshots has the same. */
export const daemonFlags =
  '--jitless --no-expose-wasm --max-semi-space-size=1 --no-memory-reducer --single-threaded-gc --expose-gc';

/** Of the environment, for the daemons: what is already set stays. */
const daemonSettings = {
  UV_THREADPOOL_SIZE: 32,
  // glibc's own value, which it raises by itself unless it is set: what is freed goes back.
  MALLOC_TRIM_THRESHOLD_: 131_072,
  // One heap for all threads: glibc makes up to eight a processor.
  MALLOC_ARENA_MAX: 1,
};

/**
 * How each program is started.
 *
 * Without a just-in-time compiler Node runs under MemoryDenyWriteExecute; its WebAssembly, which
 * needs the compiler, is switched off with it, or Node says so on each start. A daemon rather
 * collects its young garbage more often than that it keeps it, and with no threads for that.
 */
export const wrappers = [
  { path: 'usr/sbin/stafd', flags: daemonFlags, daemon: true },
  { path: 'usr/sbin/stacd', flags: daemonFlags, daemon: true },
  { path: 'usr/bin/stafctl', flags: '', daemon: false },
  { path: 'usr/bin/stacctl', flags: '', daemon: false },
  { path: 'usr/bin/stasadm', flags: '--jitless --no-expose-wasm', daemon: false },
];

/** The program of /usr/bin or /usr/sbin: some lines of shell. */
export function wrapperText({ path, flags, daemon }: (typeof wrappers)[number]): string {
  const name = basename(path);
  const snapshot = daemon ? '$snapshot' : '';
  const program = `/${libFolder}/${bundleName({ name, native: daemon })}`;
  const words = ['exec /usr/bin/node', flags, snapshot, program, '"$@"'];
  const command = words.filter((word) => word !== '');
  const lines = ['#!/bin/sh'];
  if (daemon) {
    lines.push(
      ...Object.entries(daemonSettings).map(
        ([key, value]) => `: "\${${key}:=${String(value)}}"; export ${key}`,
      ),
      // A file that cannot be read would end the shell.
      'snapshot=',
      `[ -r /${libFolder}/snapshot.sh ] && . /${libFolder}/snapshot.sh && use_snapshot ${name}`,
    );
  }
  return `${[...lines, command.join(' ')].join('\n')}\n`;
}

/**
 * Copies everything that is installed, except the texts that `documents.ts` makes, to `tree`.
 * @param options.root absolute path of the repository
 * @throws {PackageError} a file that is to be installed does not exist
 */
export async function layOut(options: {
  readonly root: string;
  readonly tree: string;
  readonly bundles: readonly Bundle[];
  readonly addons: NativeAddons;
}): Promise<void> {
  const { root, tree, bundles, addons } = options;
  const install = async (from: string, to: string, mode = 0o644): Promise<void> => {
    await copy(from, join(tree, to), mode);
  };

  for (const { path } of bundles) await install(path, `${libFolder}/${basename(path)}`);
  for (const [name, files] of Object.entries(runtimeFiles)) {
    for (const file of files) {
      const path = `node_modules/${name}/${file}`;
      await install(join(root, path), `${libFolder}/${path}`);
    }
  }
  const release = (name: string): string => `${libFolder}/node_modules/${name}/build/Release`;
  await install(addons.udev, `${release('udev')}/udev.node`);
  await install(addons.journald, `${release('systemd-journald')}/journal_send.node`);
  for (const [name, mode] of snapshotScripts) {
    await install(join(import.meta.dirname, name), `${libFolder}/${name}`, mode);
  }
  for (const wrapper of wrappers) {
    await write(join(tree, wrapper.path), wrapperText(wrapper), 0o755);
  }

  await rootOfStafd(join(tree, libFolder, 'root'));
  await install(join(import.meta.dirname, 'README.Debian'), `${docFolder}/README.Debian`);
  for (const path of readables) await install(join(root, path), `${docFolder}/${path}`);

  for (const path of conffiles) await install(join(root, path), path);
  for (const path of emptyFolders) await mkdir(join(tree, path), { recursive: true });
  for (const unit of units) {
    await install(join(root, 'systemd', unit), `usr/lib/systemd/system/${unit}`);
  }
  for (const policy of busPolicies) {
    await install(join(root, 'dbus', policy), `usr/share/dbus-1/system.d/${policy}`);
  }
  for (const name of await filesIn(join(root, 'dbus'), /\.xml$/)) {
    await install(join(root, 'dbus', name), `usr/share/dbus-1/interfaces/${name}`);
  }
}

/** The empty root that stafd.service mounts on, only what stafd may see. */
async function rootOfStafd(root: string): Promise<void> {
  const mounted = ['dev', 'etc', 'opt', 'proc', 'run', 'sys', 'tmp', 'usr', 'var'];
  // systemd makes these for ProtectHome= if they are missing, and dpkg would not know them.
  const hidden = ['home', 'root'];
  for (const folder of [...mounted, ...hidden]) {
    await mkdir(join(root, folder), { recursive: true });
  }
  for (const folder of ['bin', 'lib', 'lib64', 'sbin']) {
    await symlink(`usr/${folder}`, join(root, folder));
  }
}

/** Writes a file with its folders. */
export async function write(path: string, content: string | Buffer, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
  await chmod(path, mode);
}

async function copy(from: string, to: string, mode: number): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  try {
    await copyFile(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new PackageError(`${from}, which the package installs, is missing`, { cause: error });
  }
  await chmod(to, mode);
}

/** Names in a folder that match, in order; none if there is no such folder. */
async function filesIn(folder: string, pattern: RegExp): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).filter((name) => pattern.test(name)).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
