/**
 * The level-triggered loop that both daemons share: whatever happens marks it, one pass looks at
 * everything, at the latest every 60 s.
 *
 * Invariants:
 * - events carry no decision: the pass compares with what sysfs says then;
 * - no pass begins before `start`: what a daemon remembers must be there first;
 * - after `stop` no pass begins, and `stop` resolves when the one at hand is done.
 */
import type { DeviceEvent, Devices } from '../ports/devices.ts';
import type { Disposable } from '../ports/disposable.ts';
import { toPortError } from '../ports/errors.ts';
import type { Clock } from '../ports/host.ts';
import type { Log } from '../ports/log.ts';
import { Coalescer } from './coalescer.ts';
import { KernelIndex, type KernelSnapshot } from './kernel-index.ts';

const RESYNC_MS = 60_000;
/** Devices that come may be many, and events of them lost. */
const COMERS_MS = 5_000;

export interface ServiceLoopDeps {
  readonly clock: Clock;
  readonly devices: Devices;
  readonly log: Log;
  /**
   * Looks at everything and carries out what follows. `hasty`: of what belongs together it may see
   * but half, see Coalescer.
   */
  pass(snapshot: KernelSnapshot, hasty: boolean): Promise<void> | void;
  /** A hint for one controller, before the pass that it also causes (if it causes one). */
  deviceEvent(event: DeviceEvent): void;
}

export class ServiceLoop {
  readonly index: KernelIndex;
  readonly #deps: ServiceLoopDeps;
  readonly #coalescer: Coalescer;
  #events: Disposable | undefined;
  #resync: Disposable | undefined;
  #comers: Disposable | undefined;
  #started = false;
  #stopped = false;

  constructor(deps: ServiceLoopDeps) {
    this.#deps = deps;
    this.index = new KernelIndex(deps.devices, deps.clock);
    this.#coalescer = new Coalescer(
      deps.clock,
      (hasty) => this.#pass(hasty),
      (thrown) => {
        deps.log.error(`Internal error in a pass: ${toPortError(thrown).message}`);
      },
    );
  }

  start(): void {
    this.#started = true;
    this.#events = this.#deps.devices.onEvent((event) => {
      this.#onEvent(event);
    });
    this.#armResync();
    this.#coalescer.markNow();
  }

  /** Something changed: look soon. The start looks anyway. */
  mark(): void {
    if (this.#started) this.#coalescer.mark();
  }

  /** Look at once (start, reload). */
  markNow(): void {
    if (this.#started) this.#coalescer.markNow();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#events?.dispose();
    this.#resync?.dispose();
    this.#comers?.dispose();
    this.#coalescer.dispose();
    await this.#coalescer.idle();
  }

  async #pass(hasty: boolean): Promise<void> {
    const snapshot = await this.index.get();
    // Stopped while sysfs was read: what it would do now is the stop's business.
    if (this.#stopped) return;
    await this.#deps.pass(snapshot, hasty);
  }

  #armResync(): void {
    this.#resync = this.#deps.clock.setTimer(RESYNC_MS, () => {
      this.#armResync();
      this.#coalescer.mark();
    });
  }

  #onEvent(event: DeviceEvent): void {
    switch (event.kind) {
      case 'remove':
      case 'resync':
        this.index.invalidate();
        this.#coalescer.mark();
        break;
      // Nothing here waits for it; what it is to a controller, `deviceEvent` sees to. A pass over all
      // others for each would cost most when all of them are being connected.
      case 'add':
        this.#comers ??= this.#deps.clock.setTimer(COMERS_MS, () => {
          this.#comers = undefined;
          this.#coalescer.mark();
        });
        break;
      case 'nvme-event':
      case 'aen':
      case 'fc-discovery':
        break;
    }
    this.#deps.deviceEvent(event);
  }
}
