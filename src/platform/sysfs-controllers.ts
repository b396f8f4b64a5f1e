/**
 * The kernel's NVMe controllers, read from /sys/class/nvme.
 *
 * Reads are synchronous: an attribute of sysfs costs a few microseconds, much less than the way
 * through the thread pool, and none of those read here waits for a controller. A pass gives the event
 * loop a turn every few milliseconds. The state is read through a descriptor that stays open: a
 * seventh of the cost of opening it each time.
 *
 * `address` can end the host: whoever reads it of an nvme-tcp controller in the moment in which its
 * admin queue is torn down (a removal, a reset, a connect that failed) waits for the queue's lock, and
 * then follows the pointer to a socket that is gone (nvme_tcp_get_address; ARCHITECTURE.md). So it is
 * read for the source address alone, of a controller that is live, at once after its state. What else
 * it says, `uevent` says without a look at the queue.
 *
 * Invariants:
 * - one pass at a time; a `list` that is asked for during a pass waits for the next one, which all
 *   who ask meanwhile share: what it returns was read after the asking, but for what stays;
 * - what is known of a device belongs to one instance of it, with its descriptor, which is closed
 *   when it is forgotten: when the device is gone or another instance has its name;
 * - `address` is read once when a controller is live, and once more after each `readdress`: a source
 *   address may be older than the rest, until `readdress`; one that is not live has none;
 * - fields that a connection keeps are kept only if they were read while the controller was live,
 *   and are read again when it is live again;
 * - a controller is made of one instance's attributes, never of two.
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseAddress, parseAskedAddress } from '../nvme/controller-address.ts';
import type { AddressFields, AskedAddress } from '../nvme/controller-address.ts';
import type { KernelController } from '../ports/devices.ts';
import { MAX_FIELD, oneLine } from './log-text.ts';
import { fromSystemError, hasCode } from './system-error.ts';

/** Milliseconds of reading after which others get their turn. */
const SLICE = 4;

const DEVICE_NAME = /^nvme[0-9]+$/;

/** What a connection keeps for as long as it is up. */
type FixedFields = Pick<
  KernelController,
  | 'transport'
  | 'subsysnqn'
  | 'hostnqn'
  | 'hostid'
  | 'cntrltype'
  | 'dctype'
  | 'model'
  | 'serial'
  | 'cntlid'
>;

interface Known {
  readonly instance: string;
  /** A descriptor of the attribute; undefined as long as the device has no such attribute. */
  state: number | undefined;
  /** Undefined if it was not told yet. */
  asked: AskedAddress | undefined;
  srcAddr: string;
  /** The source address is to be read when it is live. */
  sourceDue: boolean;
  /** As read while it was live; undefined if it never was. */
  fixed: FixedFields | undefined;
  /** It was seen not live since `fixed` was read. */
  outdated: boolean;
  /** What was made of it: the same object as long as nothing changes. */
  made: KernelController | undefined;
  /** The directory's link count, which its subdirectories make, when children were last seen. */
  linksWithChildren: bigint | undefined;
}

/** A page: no attribute is longer. */
const ATTRIBUTE_SIZE = 4096;

/** An object: of a name, Node makes one each time. */
const AS_TEXT = { encoding: 'utf8', flag: 'r' } as const;

/** Of a controller of which sysfs does not say it. */
const UNTOLD: AskedAddress = { traddr: '', trsvcid: '', hostTraddr: '', hostIface: '' };

/** The host, not one controller, is in trouble: an incomplete list would mislead. */
const HOST_TROUBLE = ['EMFILE', 'ENFILE', 'ENOMEM'] as const;

export class SysfsControllers {
  readonly #class: string;
  readonly #known = new Map<string, Known>();
  readonly #buffer = Buffer.alloc(ATTRIBUTE_SIZE);
  /** The last that was made: most of what the next one says, the host's names above all, it says too. */
  #latest: KernelController | undefined;
  #running: Promise<unknown> | undefined;
  #next: Promise<readonly KernelController[]> | undefined;

  /** `root`: where sysfs is mounted. */
  constructor(root = '/sys') {
    this.#class = join(root, 'class', 'nvme');
  }

  /** Rejects with PortError only if the class itself, or the host, cannot be read. */
  list(): Promise<readonly KernelController[]> {
    if (this.#next !== undefined) return this.#next;
    if (this.#running === undefined) return this.#start();
    this.#next = this.#running.then(() => {
      this.#next = undefined;
      return this.#start();
    });
    return this.#next;
  }

  /** What `list` would read, by name. Rejects as it does. */
  instances(): Promise<ReadonlyMap<string, string>> {
    try {
      const found = this.#devices().flatMap((device): readonly (readonly [string, string])[] => {
        const identity = identify(`${this.#class}/${device}`);
        return identity === undefined ? [] : [[device, identity.instance]];
      });
      return Promise.resolve(new Map(found));
    } catch (error) {
      return Promise.reject(fromSystemError(`cannot read ${this.#class}`, error));
    }
  }

  /** One controller by name, or undefined if there is none. */
  read(device: string): Promise<KernelController | undefined> {
    if (!DEVICE_NAME.test(device)) return Promise.resolve(undefined);
    try {
      return Promise.resolve(this.#readTwice(device));
    } catch (error) {
      return Promise.reject(fromSystemError(`cannot read ${device}`, error));
    }
  }

  /** It was connected anew: its source address is to be read again; of all, if no name is given. */
  readdress(device?: string): void {
    const due = device === undefined ? this.#known.values() : [this.#known.get(device)];
    for (const known of due) if (known !== undefined) known.sourceDue = true;
  }

  #start(): Promise<readonly KernelController[]> {
    const pass = this.#pass();
    const settled = pass
      .catch(() => undefined)
      .then(() => {
        this.#running = undefined;
      });
    this.#running = settled;
    return pass;
  }

  async #pass(): Promise<readonly KernelController[]> {
    const controllers: KernelController[] = [];
    try {
      const devices = this.#devices();
      let sliceEnd = performance.now() + SLICE;
      for (const device of devices) {
        if (performance.now() >= sliceEnd) {
          await new Promise((resolve) => setImmediate(resolve));
          sliceEnd = performance.now() + SLICE;
        }
        const controller = this.#readTwice(device);
        if (controller !== undefined) controllers.push(controller);
      }
      this.#forgetOthers(devices);
    } catch (error) {
      throw fromSystemError(`cannot read ${this.#class}`, error);
    }
    return controllers;
  }

  /** Names of controllers, by number. */
  #devices(): readonly string[] {
    let names: readonly string[];
    try {
      names = readdirSync(this.#class);
    } catch (error) {
      // The module is not loaded.
      if (hasCode(error, 'ENOENT')) return [];
      throw error;
    }
    return names
      .filter((name) => DEVICE_NAME.test(name))
      .sort((a, b) => Number(a.slice(4)) - Number(b.slice(4)));
  }

  #forgetOthers(present: readonly string[]): void {
    const names = new Set(present);
    for (const device of [...this.#known.keys()]) {
      if (!names.has(device)) this.#forget(device);
    }
  }

  #forget(device: string): void {
    const known = this.#known.get(device);
    if (known === undefined) return;
    this.#known.delete(device);
    if (known.state !== undefined) closeSync(known.state);
  }

  /** Another device of the same name may come between; not twice. */
  #readTwice(device: string): KernelController | undefined {
    return this.#read(device) ?? this.#read(device);
  }

  /** Undefined if it vanished, or became another one, meanwhile. */
  #read(device: string): KernelController | undefined {
    const directory = `${this.#class}/${device}`;
    const identity = identify(directory);
    let known = this.#known.get(device);
    if (known !== undefined && known.instance !== identity?.instance) {
      this.#forget(device);
      known = undefined;
    }
    if (identity === undefined) return undefined;
    known ??= this.#open(device, directory, identity.instance);
    if (known === undefined) return undefined;
    known.state ??= openAttribute(directory, 'state');
    const state = this.#readAgain(known.state);
    const live = state === 'live';
    const resource = live && known.sourceDue;
    // Nothing comes between: the longer, the likelier is the moment that ends the host.
    const address = resource ? this.#readOnce(directory, 'address') : '';
    const asked = known.asked ?? this.#readAsked(directory);
    if (state === undefined || address === undefined || asked === undefined) {
      this.#forget(device);
      return undefined;
    }
    if (!live) known.outdated = true;
    let { fixed } = known;
    const refix = fixed === undefined || (live && known.outdated);
    if (fixed === undefined || refix) fixed = sharing(readFixed(directory), this.#latest);
    const anew = asked !== (known.asked ?? UNTOLD);
    const byName = refix || resource || known.asked === undefined;
    const hasChildren = known.linksWithChildren === identity.links || hasChild(directory);
    // Of two instances, the attributes that were read by name could be the later one's.
    if (byName && identify(directory)?.instance !== known.instance) return undefined;
    if (live && refix) {
      known.fixed = fixed;
      known.outdated = false;
    }
    known.asked = asked === UNTOLD ? undefined : asked;
    if (resource) known.srcAddr = parseAddress(address).srcAddr;
    known.sourceDue = !live;
    known.linksWithChildren = hasChildren ? identity.links : undefined;
    const before = known.made;
    const srcAddr = live ? known.srcAddr : '';
    const same = before?.state === state && before.srcAddr === srcAddr;
    if (same && before.hasChildren === hasChildren && !refix && !anew) return before;
    const controller = Object.freeze({
      device,
      instance: known.instance,
      state,
      hasChildren,
      ...fixed,
      ...sharing<AddressFields>({ ...asked, srcAddr }, this.#latest),
    });
    this.#latest = known.made = controller;
    return controller;
  }

  #open(device: string, directory: string, instance: string): Known | undefined {
    const known: Known = {
      instance,
      state: openAttribute(directory, 'state'),
      asked: undefined,
      srcAddr: '',
      sourceDue: true,
      fixed: undefined,
      outdated: false,
      made: undefined,
      linksWithChildren: undefined,
    };
    this.#known.set(device, known);
    if (identify(directory)?.instance === instance) return known;
    this.#forget(device);
    return undefined;
  }

  /** `UNTOLD` if sysfs does not say it, or not yet; undefined if the device is gone. */
  #readAsked(directory: string): AskedAddress | undefined {
    const uevent = this.#readOnce(directory, 'uevent');
    const asked = uevent === undefined ? undefined : parseAskedAddress(uevent);
    if (uevent === undefined || asked !== undefined) return asked;
    // A local controller's address is in `address` alone, which looks at no queue there.
    if (!/^NVME_TRTYPE=pcie$/m.test(uevent)) return UNTOLD;
    const address = this.#readOnce(directory, 'address');
    if (address === undefined) return undefined;
    const fields = parseAddress(address);
    return fields.traddr === '' ? UNTOLD : fields;
  }

  /** The same of an attribute that is seldom read. */
  #readOnce(directory: string, name: string): string | undefined {
    const fd = openAttribute(directory, name);
    try {
      return this.#readAgain(fd);
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }

  /** What the attribute holds now; undefined if its device is gone. */
  #readAgain(fd: number | undefined): string | undefined {
    if (fd === undefined) return '';
    try {
      const length = readSync(fd, this.#buffer, 0, ATTRIBUTE_SIZE, 0);
      return this.#buffer.toString('utf8', 0, length).trim();
    } catch (error) {
      if (isHostTrouble(error)) throw error;
      return hasCode(error, 'ENODEV') ? undefined : '';
    }
  }
}

/** `fields`, with the strings of `other` where they are equal: kept once where neighbours agree. */
function sharing<T extends object>(fields: T, other: T | undefined): T {
  if (other === undefined) return fields;
  const shared = { ...fields };
  for (const key of Object.keys(fields) as (keyof T)[]) {
    if (fields[key] === other[key]) shared[key] = other[key];
  }
  return shared;
}

interface Identity {
  /** The inode of the directory itself, not of the class's link to it. */
  readonly instance: string;
  readonly links: bigint;
}

/** Undefined if it is gone. */
function identify(directory: string): Identity | undefined {
  try {
    const { ino, nlink } = statSync(directory, { bigint: true });
    return { instance: String(ino), links: nlink };
  } catch (error) {
    if (isHostTrouble(error)) throw error;
    return undefined;
  }
}

function openAttribute(directory: string, name: string): number | undefined {
  try {
    return openSync(`${directory}/${name}`, 'r');
  } catch (error) {
    if (isHostTrouble(error)) throw error;
    return undefined;
  }
}

function readFixed(directory: string): FixedFields {
  return {
    transport: attribute(directory, 'transport'),
    subsysnqn: subsystemAttribute(directory, 'subsysnqn'),
    hostnqn: attribute(directory, 'hostnqn'),
    hostid: attribute(directory, 'hostid'),
    cntrltype: attribute(directory, 'cntrltype'),
    dctype: attribute(directory, 'dctype'),
    // The controller's own words, for people.
    model: oneLine(subsystemAttribute(directory, 'model'), MAX_FIELD),
    serial: oneLine(subsystemAttribute(directory, 'serial'), MAX_FIELD),
    cntlid: attribute(directory, 'cntlid'),
  };
}

/** What an attribute holds; empty if it is missing or cannot be read now. */
function attribute(directory: string, name: string): string {
  try {
    return readFileSync(`${directory}/${name}`, AS_TEXT).trim();
  } catch (error) {
    if (isHostTrouble(error)) throw error;
    return '';
  }
}

/**
 * An attribute of the controller's subsystem. Until its first connection is up, a controller has
 * none, and the kernel prints the null pointer.
 */
function subsystemAttribute(directory: string, name: string): string {
  const text = attribute(directory, name);
  return text === '(efault)' || text === '(null)' ? '' : text;
}

/**
 * Namespaces (nvme3n1), paths to them (nvme3c4n1: the first number is the subsystem's, which is
 * another than the controller's where there are several) and their character devices (ng3n1).
 */
const CHILD = /^(?:nvme[0-9]+(?:c[0-9]+)?|ng[0-9]+)n[0-9]+$/;

function hasChild(directory: string): boolean {
  try {
    return readdirSync(directory).some((name) => CHILD.test(name));
  } catch (error) {
    if (isHostTrouble(error)) throw error;
    return false;
  }
}

function isHostTrouble(error: unknown): boolean {
  return hasCode(error, ...HOST_TROUBLE);
}
