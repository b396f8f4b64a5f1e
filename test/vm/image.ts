/**
 * The disk image of the virtual machine: built from Debian's packages, without a virtual machine
 * and without mounting anything, and kept in the cache by what went into it.
 *
 * Invariants:
 * - an image directory in the cache is complete: it is made under another name and renamed;
 * - one build at a time in a cache (lock), so whatever `work-…` is there with the lock held is
 *   left over from a build that was killed, and is removed;
 * - the machine identity is the same in every image (see `identity`).
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import { cacheDirectory, cacheKey } from './cache.ts';
import { undoAtExit } from './cleanup.ts';
import { VmError } from './errors.ts';
import { shellQuote } from './guest-agent.ts';
import customizeBody from './image/customize.sh';
import prepare from './image/prepare.sh';
import { lock } from './lock.ts';
import { peerIngredients } from './peer.ts';
import { removeTree, Steps } from './steps.ts';

/** Debian releases that an image can be made of. */
export type Suite = 'bookworm' | 'trixie' | 'forky';
export const suites: readonly Suite[] = ['bookworm', 'trixie', 'forky'];

/** Who every machine says it is, until a test changes that. No two machines share a network. */
export const identity = {
  machineId: '0123456789abcdef0123456789abcdef',
  hostNqn: 'nqn.2014-08.org.nvmexpress:uuid:3d0a5f4e-9b1c-4c6e-8f25-6c1f0b7a9e11',
  hostId: '7b3c1f52-0d8e-4a57-9c64-2e5d8a1b0f93',
} as const;

/** A bootable image; nothing writes to these files. */
export interface Image {
  readonly suite: Suite;
  readonly key: string;
  /** The directory in the cache that holds the three files. */
  readonly directory: string;
  readonly disk: string;
  readonly kernel: string;
  readonly initrd: string;
}

export interface ImageOptions {
  /** Default: trixie. */
  readonly suite?: Suite;
  /** Takes one line for each phase; default: nothing is said. */
  readonly log?: (line: string) => void;
}

/** How large the machine's disk is; the file is sparse and as large as its content. */
const diskSize = '3G';

/** Images of one suite that are kept: the present one and one to go back to. */
const keptImages = 2;

/** What the system needs, what the package will depend on, and what tests and people look with. */
function packages(suite: Suite): readonly string[] {
  return [
    ...['systemd', 'systemd-sysv', 'udev', 'dbus', 'libnss-myhostname', 'linux-image-amd64'],
    ...['kmod', 'iproute2', 'procps', 'klibc-utils', 'cpio', 'xz-utils'],
    ...['nvme-cli', 'avahi-daemon', 'avahi-utils', 'libnvme1t64', 'libudev1', 'libsystemd0'],
    // Bookworm's Node is too old for the package.
    ...(suite === 'bookworm' ? [] : ['nodejs']),
    ...['strace', 'nftables', 'iputils-ping', 'jq', 'less', 'man-db', 'nano', 'zstd'],
  ]
    .map((name) => (suite === 'bookworm' && name === 'libnvme1t64' ? 'libnvme1' : name))
    .filter((name, index, all) => all.indexOf(name) === index);
}

/** Gives the image for `suite`, and builds it first if the cache does not have it. */
export async function ensureImage(options: ImageOptions = {}): Promise<Image> {
  const suite = options.suite ?? 'trixie';
  const log = options.log ?? (() => undefined);
  if (arch() !== 'x64') {
    throw new VmError('missing-program', `the machine needs an x86_64 host, this one is ${arch()}`);
  }
  const cache = join(cacheDirectory(), 'images');
  const peer = peerIngredients(suite);
  const include = [...packages(suite), ...peer.packages];
  const customize = [...peer.hooks, customizeScript()];
  const key = cacheKey([suite, diskSize, ...include, prepare, ...customize]);
  const directory = join(cache, `${suite}-${key}`);
  const image: Image = {
    suite,
    key,
    directory,
    disk: join(directory, 'disk.ext4'),
    kernel: join(directory, 'vmlinuz'),
    initrd: join(directory, 'initrd'),
  };
  if (!isComplete(image)) {
    mkdirSync(cache, { recursive: true });
    const release = await lock(`image ${cache}`, () =>
      log('waiting for another process that builds an image'),
    );
    try {
      if (!isComplete(image)) await build(image, include, customize, cache, log);
    } finally {
      await release();
    }
  }
  // The time of last use, which decides what is kept.
  const now = new Date();
  utimesSync(directory, now, now);
  return image;
}

async function build(
  image: Image,
  include: readonly string[],
  customize: readonly string[],
  cache: string,
  log: (line: string) => void,
): Promise<void> {
  const started = Date.now();
  log(`building the ${image.suite} image (once; about a minute on two processors)`);
  removeLeftovers(cache);
  const result = mkdtempSync(join(cache, 'work-'));
  // In mmdebstrap's unshare mode other user IDs write here, and must be able to come here.
  const isRoot = process.getuid?.() === 0;
  const work = isRoot ? result : mkdtempSync('/var/tmp/nvme-stas-image-');
  if (!isRoot) chmodSync(work, 0o777);
  const logFile = join(cache, `build-${image.suite}.log`);
  const step = new Steps(work, logFile, log);
  const clean = undoAtExit(() => {
    step.kill();
    removeTree(work);
    removeTree(result);
  });
  const root = join(work, 'root');
  const disk = join(work, 'disk.ext4');
  try {
    await step.run('mmdebstrap', [
      `--mode=${isRoot ? 'root' : 'unshare'}`,
      '--variant=minbase',
      `--include=${include.join(',')}`,
      '--aptopt=Acquire::Languages "none"',
      '--aptopt=APT::Install-Recommends "false"',
      // A mirror that stands still serves lists past their date; their signatures still count.
      '--aptopt=Acquire::Check-Valid-Until "false"',
      '--dpkgopt=force-unsafe-io',
      ...['doc', 'man', 'info', 'locale', 'lintian', 'bug'].map(
        (directory) => `--dpkgopt=path-exclude=/usr/share/${directory}/*`,
      ),
      `--essential-hook=${prepare}`,
      ...customize.map((hook) => `--customize-hook=${hook}`),
      image.suite,
      root,
    ]);
    // These settings were for the build alone: packages that tests install keep their manuals.
    await step.run('rm', [
      '-f',
      join(root, 'etc/apt/apt.conf.d/99mmdebstrap'),
      join(root, 'etc/dpkg/dpkg.cfg.d/99mmdebstrap'),
    ]);
    log('  making the file system');
    // No journal: no machine ever uses this file system a second time.
    const features = ['-O', '^has_journal', '-E', 'lazy_itable_init=1,root_owner=0:0'];
    await step.run('mke2fs', ['-q', '-t', 'ext4', ...features, '-d', root, disk, diskSize]);
    for (const name of ['vmlinuz', 'initrd']) {
      await step.run('cp', [join(root, 'boot', name), join(work, name)]);
      await step.run('chmod', ['644', join(work, name)]);
    }
    await step.run('rm', ['-rf', root]);
    if (!isRoot) {
      for (const name of ['disk.ext4', 'vmlinuz', 'initrd']) {
        const copy = ['--sparse=always', join(work, name), join(result, name)];
        execFileSync('cp', copy);
      }
    }
    removeTree(image.directory); // if files are missing in it
    renameSync(result, image.directory);
  } finally {
    clean();
  }
  pruneImages(cache, image.suite);
  log(`built the ${image.suite} image in ${Math.round((Date.now() - started) / 1000)} s`);
}

function isComplete({ disk, kernel, initrd }: Image): boolean {
  return [disk, kernel, initrd].every((path) => existsSync(path));
}

/** What is done to the system after its packages are installed, with all that it needs in it. */
function customizeScript(): string {
  const agent = readFileSync(join(import.meta.dirname, 'image', 'agent.pl'), 'utf8');
  return Object.entries({ ...identity, agent })
    .map(([name, value]) => [name.replace(/[A-Z]/g, '_$&').toUpperCase(), shellQuote(value)])
    .map(([name = '', value = '']) => `${name}=${value}\n`)
    .concat(customizeBody)
    .join('');
}

/** Removes what builds that were killed have left. Only with the lock held. */
function removeLeftovers(cache: string): void {
  for (const [parent, prefix] of [
    [cache, 'work-'],
    ['/var/tmp', 'nvme-stas-image-'],
  ] as const) {
    for (const name of readdirSync(parent)) {
      const path = join(parent, name);
      if (name.startsWith(prefix) && statSync(path).uid === process.getuid?.()) removeTree(path);
    }
  }
}

/** Removes images of `suite` that have not been used for longest. */
function pruneImages(cache: string, suite: Suite): void {
  const images = readdirSync(cache)
    .filter((name) => name.startsWith(`${suite}-`))
    .map((name) => ({ path: join(cache, name), used: statSync(join(cache, name)).mtimeMs }))
    .sort((a, b) => b.used - a.used);
  for (const { path } of images.slice(keptImages)) removeTree(path);
}
