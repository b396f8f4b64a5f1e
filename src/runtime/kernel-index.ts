/**
 * What the kernel has, read once for everybody who asks at about the same time.
 *
 * Invariant: two readers never scan sysfs at the same time for the same question; `get(0)` always
 * answers with a scan that began after the call.
 */
import { controllersByPlace } from '../core/connection-places.ts';
import type { KernelController } from '../nvme/kernel-controller.ts';
import type { TransportId } from '../nvme/transport-id.ts';
import type { Devices } from '../ports/devices.ts';
import type { Clock } from '../ports/host.ts';

export type KernelSnapshot = ReadonlyMap<string, KernelController>;

export class KernelIndex {
  readonly #devices: Devices;
  readonly #clock: Clock;
  #last: { readonly begun: number; readonly snapshot: KernelSnapshot } | undefined;
  #generation = 0;
  /** Made once of a snapshot: a thousand drivers ask the same. */
  readonly #places = new WeakMap<KernelSnapshot, ReturnType<typeof controllersByPlace>>();
  #scan: { readonly begun: number; readonly result: Promise<KernelSnapshot> } | undefined;

  constructor(devices: Devices, clock: Clock) {
    this.#devices = devices;
    this.#clock = clock;
  }

  /** A snapshot whose scan began at most `maxAgeMs` ago. */
  async get(maxAgeMs: number): Promise<KernelSnapshot> {
    const oldest = this.#clock.now() - maxAgeMs;
    if (maxAgeMs > 0 && this.#last !== undefined && this.#last.begun >= oldest) {
      return this.#last.snapshot;
    }
    if (maxAgeMs > 0 && this.#scan !== undefined && this.#scan.begun >= oldest) {
      return this.#scan.result;
    }
    const begun = this.#clock.now();
    const scan = { begun, result: this.#read(begun) };
    this.#scan = scan;
    try {
      return await scan.result;
    } finally {
      if (this.#scan === scan) this.#scan = undefined;
    }
  }

  /** Of such a snapshot, the controllers that may be the connection that `tid` asks for. */
  async candidates(tid: TransportId, maxAgeMs: number): Promise<readonly KernelController[]> {
    const snapshot = await this.get(maxAgeMs);
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
    this.#scan = undefined;
  }

  read(device: string): Promise<KernelController | undefined> {
    return this.#devices.read(device);
  }

  async #read(begun: number): Promise<KernelSnapshot> {
    const generation = this.#generation;
    const controllers = await this.#devices.list();
    const snapshot = new Map(controllers.map((controller) => [controller.device, controller]));
    if (generation === this.#generation) this.#last = { begun, snapshot };
    return snapshot;
  }
}
