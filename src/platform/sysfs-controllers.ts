/**
 * The kernel's NVMe controllers, read from /sys/class/nvme.
 *
 * Reads are synchronous: an attribute of sysfs costs some ten microseconds, a hundredth of what the
 * thread pool adds to it, and none of those read here waits for a controller. (The longest wait is
 * `address` of nvme-tcp, which takes the admin queue's lock, held while a broken connection's socket
 * is shut down.) A pass gives the event loop a turn every few milliseconds.
 *
 * Invariants:
 * - one pass at a time; a `list` that is asked for during a pass waits for the next one, which all
 *   who ask meanwhile share: what it returns was read after the asking;
 * - attributes that stay the same while a connection is up are kept for (device, instance), only if
 *   they were read while the controller was live, and only until it is seen not live;
 * - a controller is returned only if its instance was the same before and after it was read.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
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
  readonly fixed: FixedFields;
}

/** The fields of the attribute `address`. */
export type AddressFields = Pick<
  KernelController,
  'traddr' | 'trsvcid' | 'hostTraddr' | 'hostIface' | 'srcAddr'
>;

/** The host, not one controller, is in trouble: an incomplete list would mislead. */
const HOST_TROUBLE = ['EMFILE', 'ENFILE', 'ENOMEM'] as const;

/**
 * Reads `traddr=…,trsvcid=…,host_traddr=…,host_iface=…,src_addr=…`: any of them, in any order. A
 * value has no comma, because the kernel's own option parser ends it there. A local controller's
 * address is its PCI address, without a key.
 */
export function parseAddress(text: string): AddressFields {
  const values = new Map<string, string>();
  for (const field of text.trim().split(',')) {
    const equals = field.indexOf('=');
    const key = equals === -1 ? 'traddr' : field.slice(0, equals).trim();
    const value = equals === -1 ? field : field.slice(equals + 1);
    if (!values.has(key)) values.set(key, value.trim());
  }
  const get = (key: string): string => values.get(key) ?? '';
  return {
    traddr: get('traddr'),
    trsvcid: get('trsvcid'),
    hostTraddr: get('host_traddr'),
    hostIface: get('host_iface'),
    srcAddr: get('src_addr'),
  };
}

export class SysfsControllers {
  readonly #class: string;
  readonly #known = new Map<string, Known>();
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

  /** One controller by name, or undefined if there is none. */
  read(device: string): Promise<KernelController | undefined> {
    if (!DEVICE_NAME.test(device)) return Promise.resolve(undefined);
    try {
      return Promise.resolve(this.#readTwice(device));
    } catch (error) {
      return Promise.reject(fromSystemError(`cannot read ${device}`, error));
    }
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
      this.#forget(devices);
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

  #forget(present: readonly string[]): void {
    const names = new Set(present);
    for (const device of this.#known.keys()) {
      if (!names.has(device)) this.#known.delete(device);
    }
  }

  /** Another device of the same name may come between; not twice. */
  #readTwice(device: string): KernelController | undefined {
    return this.#read(device) ?? this.#read(device);
  }

  /** Undefined if it vanished, or became another one, meanwhile. */
  #read(device: string): KernelController | undefined {
    const directory = join(this.#class, device);
    const instance = instanceOf(directory);
    if (instance === undefined) {
      this.#known.delete(device);
      return undefined;
    }
    const known = this.#known.get(device);
    const state = attribute(directory, 'state');
    const live = state === 'live';
    const fixed = live && known?.instance === instance ? known.fixed : readFixed(directory);
    const address = parseAddress(attribute(directory, 'address'));
    const hasChildren = hasChild(directory, device);
    if (instanceOf(directory) !== instance) return undefined;
    if (live) this.#known.set(device, { instance, fixed });
    else this.#known.delete(device);
    return Object.freeze({ device, instance, state, hasChildren, ...fixed, ...address });
  }
}

/** The inode of the directory itself, not of the class's link to it; undefined if it is gone. */
function instanceOf(directory: string): string | undefined {
  try {
    return String(statSync(directory, { bigint: true }).ino);
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
    return readFileSync(`${directory}/${name}`, 'utf8').trim();
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

/** Namespaces (nvme3n1), paths to them (nvme3c3n1) and their character devices (ng3n1). */
function hasChild(directory: string, device: string): boolean {
  const number = device.slice('nvme'.length);
  const child = new RegExp(`^(?:nvme${number}(?:c[0-9]+)?|ng${number})n[0-9]+$`);
  try {
    return readdirSync(directory).some((name) => child.test(name));
  } catch (error) {
    if (isHostTrouble(error)) throw error;
    return false;
  }
}

function isHostTrouble(error: unknown): boolean {
  return hasCode(error, ...HOST_TROUBLE);
}
