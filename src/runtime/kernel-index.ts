/**
 * What the kernel has, read once for everybody who asks at about the same time.
 *
 * Invariants: many who ask at the same time have it read once; `get` always answers with what was
 * read after the call; `candidates` misses nothing that came before its age, by whatever name.
 */
import { controllersByPlace } from '../core/connection-places.ts';
import type { KernelController } from '../nvme/kernel-controller.ts';
import type { TransportId } from '../nvme/transport-id.ts';
import type { Devices } from '../ports/devices.ts';
import type { Clock } from '../ports/host.ts';

export type KernelSnapshot = ReadonlyMap<string, KernelController>;

/** Of those that are known, what changes is seen by looks at all of them. */
const WHOLE_MS = 10_000;

/** Others get no turn while so many are read one by one: then all are, in slices. */
const FEW = 50;

interface Picture {
  /** When the names were compared, and when all of it was read; milliseconds. */
  readonly compared: number;
  readonly whole: number;
  readonly snapshot: KernelSnapshot;
}

export class KernelIndex {
  readonly #devices: Devices;
  readonly #clock: Clock;
  #last: Picture | undefined;
  #generation = 0;
  /** Made once of a snapshot: a thousand drivers ask the same. */
  readonly #places = new WeakMap<KernelSnapshot, ReturnType<typeof controllersByPlace>>();
  #reading: { readonly begun: number; readonly result: Promise<KernelSnapshot> } | undefined;

  constructor(devices: Devices, clock: Clock) {
    this.#devices = devices;
    this.#clock = clock;
  }

  /** What there is now. */
  get(): Promise<KernelSnapshot> {
    const begun = this.#clock.now();
    return this.#shared(begun, this.#read(begun));
  }

  /**
   * The controllers that may be the connection that `tid` asks for. What has come up to `maxAgeMs`
   * ago is among them; of what was there before, what it was at most WHOLE_MS ago.
   */
  async candidates(tid: TransportId, maxAgeMs: number): Promise<readonly KernelController[]> {
    const snapshot = await this.#recent(maxAgeMs);
    let find = this.#places.get(snapshot);
    if (find === undefined) {
      find = controllersByPlace(snapshot.values());
      this.#places.set(snapshot, find);
    }
    return find(tid);
  }

  /** A device went: what was read before is not to be used for new decisions. */
  invalidate(): void {
    this.#generation += 1;
    this.#last = undefined;
    this.#reading = undefined;
  }

  read(device: string): Promise<KernelController | undefined> {
    return this.#devices.read(device);
  }

  async #recent(maxAgeMs: number): Promise<KernelSnapshot> {
    if (maxAgeMs === 0) return this.get();
    const last = this.#last;
    const now = this.#clock.now();
    if (last !== undefined && now - last.compared <= maxAgeMs) return last.snapshot;
    const reading = this.#reading;
    if (reading !== undefined && now - reading.begun <= maxAgeMs) return reading.result;
    const whole = last === undefined || now - last.whole > WHOLE_MS;
    return this.#shared(now, whole ? this.#read(now) : this.#compare(last, now));
  }

  /** Others who ask meanwhile wait for the same. */
  async #shared(begun: number, result: Promise<KernelSnapshot>): Promise<KernelSnapshot> {
    const reading = { begun, result };
    this.#reading = reading;
    try {
      return await result;
    } finally {
      if (this.#reading === reading) this.#reading = undefined;
    }
  }

  async #read(begun: number): Promise<KernelSnapshot> {
    const generation = this.#generation;
    const controllers = await this.#devices.list();
    const snapshot = new Map(controllers.map((controller) => [controller.device, controller]));
    if (generation === this.#generation) this.#last = { compared: begun, whole: begun, snapshot };
    return snapshot;
  }

  /** Reads only what has come, and what was not yet all that it is to be. */
  async #compare(last: Picture, compared: number): Promise<KernelSnapshot> {
    const { snapshot, whole } = last;
    const instances = await this.#devices.instances();
    const kept = (device: string): KernelController | undefined => {
      const before = snapshot.get(device);
      if (before === undefined || !isWhole(before)) return undefined;
      return before.instance === instances.get(device) ? before : undefined;
    };
    const names = [...instances.keys()];
    if (names.filter((device) => kept(device) === undefined).length > FEW) {
      return this.#read(compared);
    }
    const next = new Map<string, KernelController>();
    for (const device of names) {
      const now = kept(device) ?? (await this.#devices.read(device));
      if (now !== undefined) next.set(device, now);
    }
    const same =
      next.size === snapshot.size && [...next].every(([name, now]) => snapshot.get(name) === now);
    const result = same ? snapshot : next;
    // Nothing went, and nothing younger was read meanwhile.
    if (this.#last === last) this.#last = { compared, whole, snapshot: result };
    return result;
  }
}

/** What kind of controller it is will not change: by its type, or by the namespaces that it has. */
function isWhole({ cntrltype, hasChildren, state }: KernelController): boolean {
  return state === 'live' && (hasChildren || cntrltype === 'io' || cntrltype === 'discovery');
}
