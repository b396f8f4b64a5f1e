import type { DeviceEvent, Devices, KernelController } from '../ports/devices.ts';
import type { Disposable } from '../ports/disposable.ts';
import type { Log } from '../ports/log.ts';
import { SysfsControllers } from './sysfs-controllers.ts';
import { UdevEvents } from './uevents.ts';
import type { UdevModule } from './uevents.ts';

/** Milliseconds. */
const READDRESS_EVERY = 60_000;

export interface KernelDevicesOptions {
  readonly log: Log;
  /** The rest is for tests. Where sysfs is mounted. */
  readonly sysfs?: string;
  readonly proc?: string;
  readonly loadUdev?: () => UdevModule;
}

/**
 * The kernel's controllers from sysfs, and udev's events about them. Where udev's add-on cannot be
 * loaded there are no events, one warning, and what the periodic look at everything finds.
 */
export class KernelDevices implements Devices {
  readonly #options: KernelDevicesOptions;
  readonly #controllers: SysfsControllers;
  readonly #listeners = new Set<(event: DeviceEvent) => void>();
  #events: UdevEvents | 'not yet' | 'unavailable' = 'not yet';
  /** Without events: udev cannot be listened to, or not any more. */
  #deaf = false;
  /** Milliseconds of the monotonic clock: when all source addresses were asked for, without events. */
  #readdressed = -READDRESS_EVERY;

  constructor(options: KernelDevicesOptions) {
    this.#options = options;
    this.#controllers = new SysfsControllers(options.sysfs);
  }

  list(): Promise<readonly KernelController[]> {
    // Before reading: what was lost until now is seen by the pass that follows.
    if (this.#events instanceof UdevEvents) this.#checkForLoss(this.#events);
    if (this.#deaf) this.#readdressNowAndThen();
    return this.#controllers.list();
  }

  instances(): Promise<ReadonlyMap<string, string>> {
    return this.#controllers.instances();
  }

  read(device: string): Promise<KernelController | undefined> {
    return this.#controllers.read(device);
  }

  onEvent(listener: (event: DeviceEvent) => void): Disposable {
    if (this.#events === 'not yet') this.#events = this.#listen();
    // Wrapped: the same function may listen twice.
    const own = (event: DeviceEvent): void => {
      listener(event);
    };
    this.#listeners.add(own);
    return { dispose: () => void this.#listeners.delete(own) };
  }

  /** Without events the list is all the more needed. */
  #checkForLoss(events: UdevEvents): void {
    try {
      if (events.checkForLoss()) this.#controllers.readdress();
      this.#deaf = false;
    } catch (error) {
      if (!this.#deaf) this.#warn(error);
      this.#deaf = true;
    }
  }

  /** What `NVME_EVENT=connected` would have told. */
  #readdressNowAndThen(): void {
    const now = performance.now();
    if (now - this.#readdressed < READDRESS_EVERY) return;
    this.#readdressed = now;
    this.#controllers.readdress();
  }

  #warn(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    const text = 'no device events, changes are found by looking every minute';
    this.#options.log.warning(`${text}: ${why}`);
  }

  #listen(): UdevEvents | 'unavailable' {
    const { loadUdev, proc } = this.#options;
    // Of what was listed before, an event may have been missed.
    this.#controllers.readdress();
    try {
      return new UdevEvents({
        listener: (event) => {
          // It may have been reset between two looks, and have another source address since.
          if (event.kind === 'nvme-event' && event.event === 'connected') {
            this.#controllers.readdress(event.device);
          }
          for (const listener of [...this.#listeners]) listener(event);
        },
        ...(loadUdev === undefined ? {} : { loadUdev }),
        ...(proc === undefined ? {} : { proc }),
      });
    } catch (error) {
      this.#warn(error);
      this.#deaf = true;
      return 'unavailable';
    }
  }
}
