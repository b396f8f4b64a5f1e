/**
 * Uevents as udevd passes them on, through the package `udev`.
 *
 * The package gives no word of events that are lost. libudev asks for a buffer of 128 MiB, which
 * takes CAP_NET_ADMIN; without it, it gets the system's default of 208 KiB, some 200 events. When
 * that overflows, libuv takes the error for a dead descriptor and stops watching it, for good. So
 * the kernel's own count of what it dropped is read (`checkForLoss`), and a monitor that lost
 * something is replaced.
 *
 * Invariants:
 * - a monitor is never closed and never forgotten: closing it releases it once, and the collector
 *   would release it a second time. The one that went deaf stays until the process ends;
 * - a listener is called from the event loop, in the order of the events, never from inside the
 *   package's own callback, in which no promise would go on.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { DeviceEvent } from '../ports/devices.ts';

/** Properties of an event, as udev has them, and `syspath`. */
export type UeventProperties = Readonly<Record<string, string | null | undefined>>;

/** The part of the package `udev` that is used. */
export interface UdevModule {
  monitor(subsystem: string): UdevMonitor;
}

export interface UdevMonitor {
  on(
    action: 'add' | 'remove' | 'change',
    listener: (properties: UeventProperties) => void,
  ): unknown;
}

/** `fc` for the events of Fibre Channel's discovery. */
const SUBSYSTEMS = ['nvme', 'fc'] as const;
const ACTIONS = ['add', 'remove', 'change'] as const;
/** Since none is given back: more than many losses need, far below what a process may have open. */
const MAX_MONITORS = 256;

export interface UdevEventsOptions {
  readonly listener: (event: DeviceEvent) => void;
  /** The rest is for tests. */
  readonly loadUdev?: () => UdevModule;
  /** This process's directory in procfs. */
  readonly proc?: string;
}

export class UdevEvents {
  readonly #listener: (event: DeviceEvent) => void;
  readonly #udev: UdevModule;
  readonly #proc: string;
  /** All that were ever made: see the invariants. */
  readonly #monitors: UdevMonitor[] = [];
  #queue: DeviceEvent[] = [];
  /** Those that listen now. */
  #current = new Set<UdevMonitor>();
  /** Inodes of the current monitors' sockets, with the drops seen so far. */
  #drops = new Map<string, number>();
  /** There are as many monitors as there may be. */
  #spent = false;

  /** Begins listening. Throws if the package cannot be loaded or udev cannot be listened to. */
  constructor(options: UdevEventsOptions) {
    this.#listener = options.listener;
    this.#proc = options.proc ?? '/proc/self';
    this.#udev = (options.loadUdev ?? loadUdev)();
    this.#open();
  }

  /**
   * Looks whether events were lost; if so, sends `resync` and listens anew. Cheap. Throws if it
   * cannot listen anew: the next call tries again, and throws again where that is of no use.
   *
   * @returns whether some were.
   */
  checkForLoss(): boolean {
    if (this.#spent) throw spent();
    const now = dropsOfSockets(this.#proc);
    let lost = 0;
    for (const [inode, before] of this.#drops) {
      lost += Math.max(0, (now.get(inode) ?? before) - before);
    }
    if (lost === 0) return false;
    this.#enqueue({ kind: 'resync', why: `${lost} uevents were lost` });
    this.#open();
    return true;
  }

  #open(): void {
    if (this.#monitors.length + SUBSYSTEMS.length > MAX_MONITORS) {
      this.#spent = true;
      throw spent();
    }
    const others = ownSockets(this.#proc);
    const current = new Set<UdevMonitor>();
    for (const subsystem of SUBSYSTEMS) {
      const monitor = this.#udev.monitor(subsystem);
      this.#monitors.push(monitor);
      current.add(monitor);
      for (const action of ACTIONS) {
        monitor.on(action, (properties) => {
          if (!this.#current.has(monitor)) return;
          for (const event of toDeviceEvents(subsystem, action, properties)) this.#enqueue(event);
        });
      }
    }
    // Only now: those before, of which one may still hear, count until all are there.
    this.#current = current;
    this.#drops = new Map(
      [...dropsOfSockets(this.#proc)].filter(
        ([inode]) => !others.has(inode) && ownSockets(this.#proc).has(inode),
      ),
    );
  }

  #enqueue(event: DeviceEvent): void {
    this.#queue.push(event);
    if (this.#queue.length > 1) return;
    setImmediate(() => {
      const events = this.#queue;
      this.#queue = [];
      for (const queued of events) this.#listener(queued);
    });
  }
}

function spent(): Error {
  return new Error('too many uevents were lost to listen anew once more');
}

function loadUdev(): UdevModule {
  const require = createRequire(import.meta.url);
  return require('udev') as UdevModule;
}

/** What one uevent says; usually one event, none for what does not concern us. */
export function toDeviceEvents(
  subsystem: (typeof SUBSYSTEMS)[number],
  action: (typeof ACTIONS)[number],
  properties: UeventProperties,
): readonly DeviceEvent[] {
  if (subsystem === 'fc') {
    if (action !== 'change' || properties['FC_EVENT'] !== 'nvmediscovery') return [];
    const hostTraddr = properties['NVMEFC_HOST_TRADDR'] ?? '';
    const traddr = properties['NVMEFC_TRADDR'] ?? '';
    return hostTraddr === '' || traddr === '' ? [] : [{ kind: 'fc-discovery', hostTraddr, traddr }];
  }
  const path = properties['syspath'] ?? properties['DEVPATH'] ?? '';
  const device = path.slice(path.lastIndexOf('/') + 1);
  if (!/^nvme[0-9]+$/.test(device)) return [];
  if (action !== 'change') return [{ kind: action, device }];

  const events: DeviceEvent[] = [];
  const { NVME_EVENT: event, NVME_AEN: aen } = properties;
  if (typeof event === 'string' && event !== '') events.push({ kind: 'nvme-event', device, event });
  if (typeof aen === 'string' && /^(?:0x[0-9a-f]{1,8}|0)$/i.test(aen)) {
    events.push({ kind: 'aen', device, aen: Number(aen) });
  }
  return events;
}

/** Inodes of the sockets of the process. */
function ownSockets(proc: string): ReadonlySet<string> {
  const inodes = new Set<string>();
  let descriptors: readonly string[] = [];
  try {
    descriptors = readdirSync(`${proc}/fd`);
  } catch {
    // Without procfs, losses stay unseen, and are made good by the periodic look at everything.
  }
  for (const fd of descriptors) {
    try {
      const inode = /^socket:\[([0-9]+)\]$/.exec(readlinkSync(`${proc}/fd/${fd}`))?.[1];
      if (inode !== undefined) inodes.add(inode);
    } catch {
      // Closed since the directory was read.
    }
  }
  return inodes;
}

const NETLINK_KOBJECT_UEVENT = '15';

/** How many messages the kernel dropped for each socket of uevents (netlink(7)), by inode. */
function dropsOfSockets(proc: string): ReadonlyMap<string, number> {
  const drops = new Map<string, number>();
  let table: string;
  try {
    table = readFileSync(`${proc}/net/netlink`, 'utf8');
  } catch {
    return drops;
  }
  // sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode
  for (const line of table.split('\n').slice(1)) {
    const columns = line.trim().split(/\s+/);
    const [, protocol, , , , , , , dropped, inode] = columns;
    if (protocol !== NETLINK_KOBJECT_UEVENT || inode === undefined) continue;
    drops.set(inode, Number(dropped));
  }
  return drops;
}
