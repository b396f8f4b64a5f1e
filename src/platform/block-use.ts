/**
 * What uses the kernel's NVMe namespaces: mounts, swap, and devices that are made of others (device
 * mapper, md, bcache, btrfs), from sysfs and /proc.
 *
 * Nothing is opened but sysfs, mountinfo of processes and /proc/swaps, which takes no capability, so that it can neither wait
 * for a device that does not answer nor for a mount point that hangs. What a process has opened
 * cannot be seen, nor pools of ZFS, nor a mount namespace in which there is no process.
 */
import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlockUse, HolderKind, NamespaceUse } from '../nvme/block-use.ts';
import type { BlockUses } from '../ports/block-use.ts';
import { fromSystemError, hasCode } from './system-error.ts';

const CONTROLLER = /^nvme[0-9]+$/;
/** A path: `nvme3c4n1` is the one of controller 4 to namespace `nvme3n1` of its subsystem. */
const PATH = /^nvme([0-9]+)c[0-9]+n([0-9]+)$/;
/** A namespace without paths: of a kernel or a controller that knows of no others. */
const NAMESPACE = /^nvme[0-9]+n[0-9]+$/;
/** What one read of a file of /proc gives. */
const BEGIN_BYTES = 4096;
/** States of a path (ANA) in which it carries I/O. */
const WORKING: ReadonlySet<string> = new Set(['optimized', 'non-optimized']);

export interface Mount {
  /** `259:3`; the file system's own number where it has no device or several. */
  readonly number: string;
  readonly at: string;
  readonly fileSystem: string;
  readonly source: string;
  /** Of another mount namespace, a process that is in it. */
  readonly process?: number;
}

/** `\040` and the like, as the kernel writes white space and backslashes; any bytes come out. */
function unescapeOctal(text: string): string {
  const bytes = text.replace(/\\([0-3][0-7]{2})/g, (_, octal: string) =>
    String.fromCharCode(parseInt(octal, 8)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

/** The lines of /proc/PID/mountinfo (proc(5)), read as Latin-1. What is no such line is left out. */
export function parseMountinfo(text: string): readonly Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split('\n')) {
    const words = line.split(' ');
    const separator = words.indexOf('-', 6);
    const [number, at] = [words[2], words[4]];
    const [fileSystem, source] = [words[separator + 1], words[separator + 2]];
    if (separator === -1 || number === undefined || at === undefined) continue;
    if (fileSystem === undefined || source === undefined) continue;
    mounts.push({
      number,
      at: unescapeOctal(at),
      fileSystem: unescapeOctal(fileSystem),
      source: unescapeOctal(source),
    });
  }
  return mounts;
}

/** The device files and files of /proc/swaps, read as Latin-1. */
export function parseSwaps(text: string): readonly string[] {
  return text
    .split('\n')
    .slice(1)
    .map((line) => unescapeOctal(line.split(/[ \t]/, 1)[0] ?? ''))
    .filter((path) => path.startsWith('/'));
}

/** What the whole host has in use, to look devices up in. */
interface HostUse {
  readonly mounts: ReadonlyMap<string, readonly Mount[]>;
  /** Mounts of file systems that have no device number of their own, by device file. */
  readonly bySource: ReadonlyMap<string, readonly Mount[]>;
  readonly swaps: ReadonlySet<string>;
  /** By device: the btrfs file system that it is part of, with all of its devices. */
  readonly btrfs: ReadonlyMap<string, Btrfs>;
  /** Loop devices by the device file that they stand on. */
  readonly loops: ReadonlyMap<string, readonly string[]>;
}

interface Btrfs {
  readonly id: string;
  readonly devices: readonly string[];
}

export class SystemBlockUses implements BlockUses {
  readonly #sys: string;
  readonly #proc: string;

  /** Where sysfs and proc are mounted. */
  constructor(sys = '/sys', proc = '/proc') {
    this.#sys = sys;
    this.#proc = proc;
  }

  async read(
    controllers: readonly string[],
  ): Promise<ReadonlyMap<string, readonly NamespaceUse[]>> {
    try {
      const [paths, host] = await Promise.all([this.#paths(), this.#hostUse()]);
      const found = new Map(controllers.map((name): [string, NamespaceUse[]] => [name, []]));
      // Each namespace once, however many controllers lead to it.
      for (const [block, its] of paths) {
        const asked = [...its.keys()].filter((controller) => found.has(controller));
        if (asked.length === 0) continue;
        const uses = await this.#usesOf(block, host, new Set());
        const working = await this.#working(await this.#siblings(block, its, paths));
        for (const controller of asked) {
          const otherPaths = working.filter((other) => other !== controller);
          found.get(controller)?.push({ block, uses, otherPaths });
        }
      }
      return found;
    } catch (error) {
      throw fromSystemError('cannot find out what is in use', error);
    }
  }

  /** Every namespace with its paths: by controller, the device that stands for the path. */
  async #paths(): Promise<ReadonlyMap<string, ReadonlyMap<string, string>>> {
    const directory = join(this.#sys, 'class', 'nvme');
    const paths = new Map<string, Map<string, string>>();
    for (const controller of await names(directory)) {
      if (!CONTROLLER.test(controller)) continue;
      for (const device of await names(join(directory, controller))) {
        const block = blockOf(device);
        if (block === undefined) continue;
        const its = paths.get(block);
        if (its === undefined) paths.set(block, new Map([[controller, device]]));
        else its.set(controller, device);
      }
    }
    return paths;
  }

  /**
   * The paths of a namespace, and those that the device mapper joins with them where the kernel's
   * own multipathing is off.
   */
  async #siblings(
    block: string,
    its: ReadonlyMap<string, string>,
    paths: ReadonlyMap<string, ReadonlyMap<string, string>>,
  ): Promise<ReadonlyMap<string, string>> {
    const joined = new Map(its);
    for (const holder of await names(join(this.#sys, 'class', 'block', block, 'holders'))) {
      const directory = join(this.#sys, 'class', 'block', holder);
      if (holderKind(holder, await attribute(join(directory, 'dm', 'uuid'))) !== 'dm-multipath') {
        continue;
      }
      for (const sibling of await names(join(directory, 'slaves'))) {
        for (const [controller, device] of paths.get(sibling) ?? []) joined.set(controller, device);
      }
    }
    return joined;
  }

  /** Of the paths, those that I/O gets through now. */
  async #working(paths: ReadonlyMap<string, string>): Promise<readonly string[]> {
    const working: string[] = [];
    for (const [controller, device] of paths) {
      const directory = join(this.#sys, 'class', 'nvme', controller);
      if ((await attribute(join(directory, 'state'))) !== 'live') continue;
      const ana = await attribute(join(directory, device, 'ana_state'));
      if (ana === undefined || WORKING.has(ana)) working.push(controller);
    }
    return working;
  }

  async #hostUse(): Promise<HostUse> {
    const [present, swaps, btrfs, loops] = await Promise.all([
      this.#mounts(),
      this.#swaps(),
      this.#btrfs(),
      this.#loops(),
    ]);
    const mounts = new Map<string, Mount[]>();
    const bySource = new Map<string, Mount[]>();
    for (const mount of present) {
      if (!mount.number.startsWith('0:')) append(mounts, mount.number, mount);
      else if (mount.source.startsWith('/')) append(bySource, mount.source, mount);
    }
    return { mounts, bySource, swaps: new Set(parseSwaps(swaps)), btrfs, loops };
  }

  /** A kernel without swap has no such file; one that shows only processes has no version, either. */
  async #swaps(): Promise<string> {
    const text = await found(readFile(join(this.#proc, 'swaps'), 'latin1'), ABSENT);
    if (text === undefined) await readFile(join(this.#proc, 'version'));
    return text ?? '';
  }

  /**
   * Of all mount namespaces that have processes. What is mounted for the first process or this one,
   * too, counts once: others have copies of it, under whatever names. A sandbox shows less than the
   * first process sees.
   */
  async #mounts(): Promise<readonly Mount[]> {
    const mounts: Mount[] = [];
    const seen = new Set<string>();
    const begins = new Set<string>();
    const add = (text: string, process?: number): void => {
      const others = parseMountinfo(text).filter((mount) => !seen.has(mounted(mount)));
      for (const mount of others)
        mounts.push(process === undefined ? mount : { ...mount, process });
      for (const mount of others) seen.add(mounted(mount));
    };
    const others = (await names(this.#proc)).filter((name) => /^[0-9]+$/.test(name));
    for (const process of ['1', 'self', ...others]) {
      const path = join(this.#proc, process, 'mountinfo');
      // These two have not ended: they are hidden, and with them who knows what else.
      const absent = process === '1' || process === 'self' ? [] : ENDED;
      // Cheap beside the whole, which is the same for all processes of a namespace and a root.
      const begin = await found(beginOf(path), absent);
      if (begin === undefined || begins.has(begin)) continue;
      // The process may have ended meanwhile: another one may tell.
      const text = (await found(readFile(path, 'latin1'), ENDED)) ?? '';
      if (text === '') continue;
      begins.add(begin);
      add(text, others.includes(process) && process !== '1' ? Number(process) : undefined);
    }
    return mounts;
  }

  /** They are no holders to the kernel. */
  async #loops(): Promise<ReadonlyMap<string, readonly string[]>> {
    const directory = join(this.#sys, 'class', 'block');
    const loops = new Map<string, string[]>();
    for (const device of await names(directory)) {
      if (!device.startsWith('loop')) continue;
      const file = await attribute(join(directory, device, 'loop', 'backing_file'));
      if (file !== undefined) append(loops, file, device);
    }
    return loops;
  }

  /** File systems of several devices, of which mountinfo names only one. */
  async #btrfs(): Promise<ReadonlyMap<string, Btrfs>> {
    const directory = join(this.#sys, 'fs', 'btrfs');
    const byDevice = new Map<string, Btrfs>();
    for (const id of await names(directory)) {
      const devices = await names(join(directory, id, 'devices'));
      for (const device of devices) byDevice.set(device, { id, devices });
    }
    return byDevice;
  }

  /** Of a block device, its partitions, and all that is made of them. */
  async #usesOf(block: string, host: HostUse, seen: Set<string>): Promise<readonly BlockUse[]> {
    if (seen.has(block)) return [];
    seen.add(block);
    const directory = join(this.#sys, 'class', 'block', block);
    const uses: BlockUse[] = [];
    const files = await this.#deviceFiles(block, directory);
    const number = await attribute(join(directory, 'dev'));
    const mounts = [
      ...(host.mounts.get(number ?? '') ?? []),
      ...files.flatMap((path) => host.bySource.get(path) ?? []),
    ];
    for (const mount of mounts) uses.push(mountUse(block, mount));
    if (files.some((path) => host.swaps.has(path))) uses.push({ kind: 'swap', device: block });
    if (mounts.length === 0) uses.push(...(await this.#btrfsUses(block, host)));
    const holders = await names(join(directory, 'holders'));
    const loops = files.flatMap((path) => host.loops.get(path) ?? []);
    for (const holder of [...holders, ...loops]) {
      if (seen.has(holder)) continue;
      uses.push(await this.#holder(holder), ...(await this.#usesOf(holder, host, seen)));
    }
    for (const child of await names(directory)) {
      if (!child.startsWith(block)) continue;
      if ((await attribute(join(directory, child, 'partition'))) === undefined) continue;
      uses.push(...(await this.#usesOf(child, host, seen)));
    }
    return uses;
  }

  /** It is part of a mounted file system although another of its devices is the one that is named. */
  async #btrfsUses(block: string, host: HostUse): Promise<readonly BlockUse[]> {
    const btrfs = host.btrfs.get(block);
    if (btrfs === undefined) return [];
    const uses: BlockUse[] = [];
    for (const device of btrfs.devices) {
      const directory = join(this.#sys, 'class', 'block', device);
      for (const path of await this.#deviceFiles(device, directory)) {
        for (const mount of host.bySource.get(path) ?? []) uses.push(mountUse(block, mount));
      }
    }
    if (uses.length > 0) return uses;
    return [{ kind: 'holder', device: block, holder: 'btrfs', name: btrfs.id }];
  }

  /** The names below /dev that a mount or swap may have been asked for by. */
  async #deviceFiles(block: string, directory: string): Promise<readonly string[]> {
    const mapped = await attribute(join(directory, 'dm', 'name'));
    // The kernel writes `!` for a slash in a device's name.
    const own = `/dev/${block.replaceAll('!', '/')}`;
    return mapped === undefined ? [own] : [own, `/dev/mapper/${mapped}`];
  }

  async #holder(device: string): Promise<BlockUse> {
    const directory = join(this.#sys, 'class', 'block', device);
    const uuid = await attribute(join(directory, 'dm', 'uuid'));
    const name = (await attribute(join(directory, 'dm', 'name'))) ?? '';
    return { kind: 'holder', device, holder: holderKind(device, uuid), name };
  }
}

/** The block device that people use, of a device below a controller; undefined for others. */
function blockOf(device: string): string | undefined {
  const [, subsystem, number] = PATH.exec(device) ?? [];
  if (subsystem !== undefined && number !== undefined) return `nvme${subsystem}n${number}`;
  return NAMESPACE.test(device) ? device : undefined;
}

/** The device mapper's UUIDs begin with who made them. */
function holderKind(device: string, uuid: string | undefined): HolderKind {
  if (uuid?.startsWith('LVM-') === true) return 'LVM';
  if (uuid?.startsWith('CRYPT-') === true) return 'encryption';
  if (uuid?.startsWith('mpath-') === true) return 'dm-multipath';
  return device.startsWith('md') ? 'RAID' : 'other';
}

function mountUse(device: string, { at, fileSystem, process }: Mount): BlockUse {
  const use = { kind: 'mount', device, at, fileSystem } as const;
  return process === undefined ? use : { ...use, process };
}

/** What tells one file system from another, wherever it is mounted. */
function mounted({ number, source }: Mount): string {
  return number.startsWith('0:') ? source : number;
}

function append<T>(map: Map<string, T[]>, key: string, item: T): void {
  const there = map.get(key);
  if (there === undefined) map.set(key, [item]);
  else there.push(item);
}

/** What says that the device, or that of its attributes, is not there (any more). */
const ABSENT = ['ENOENT', 'ENODEV', 'ENXIO', 'ENOTDIR'] as const;
/** What says that a process has ended; EINVAL: its parent has not taken note yet. */
const ENDED = ['ENOENT', 'ESRCH', 'EINVAL'] as const;

/** As much of a mountinfo as tells one mount namespace from another. */
async function beginOf(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(BEGIN_BYTES), 0, BEGIN_BYTES, 0);
    return buffer.toString('latin1', 0, bytesRead);
  } finally {
    await file.close();
  }
}

async function names(directory: string): Promise<readonly string[]> {
  return (await found(readdir(directory), ABSENT))?.sort() ?? [];
}

/** Undefined if it is `absent`. */
async function found<T>(read: Promise<T>, absent: readonly string[]): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (hasCode(error, ...absent)) return undefined;
    throw error;
  }
}

async function attribute(path: string): Promise<string | undefined> {
  return (await found(readFile(path, 'utf8'), ABSENT))?.trim();
}
