import type { KernelController } from '../nvme/kernel-controller.ts';
import type { Disposable } from './disposable.ts';

export type { KernelController };

/** A hint that something changed. It never carries a decision: the reader looks at the device. */
export type DeviceEvent =
  | { readonly kind: 'add'; readonly device: string }
  | { readonly kind: 'remove'; readonly device: string }
  /** `NVME_EVENT=connected`, `rediscover`, … (kernel 5.18+). */
  | { readonly kind: 'nvme-event'; readonly device: string; readonly event: string }
  /** `NVME_AEN=0x70f002` */
  | { readonly kind: 'aen'; readonly device: string; readonly aen: number }
  /** Fibre Channel: `FC_EVENT=nvmediscovery`. */
  | {
      readonly kind: 'fc-discovery';
      readonly hostTraddr: string;
      readonly traddr: string;
    }
  /** Events may have been lost: look at everything. */
  | { readonly kind: 'resync'; readonly why: string };

export interface Devices {
  /**
   * Every NVMe controller of the kernel, as it is now. One that vanishes while it is being read is
   * left out. Never rejects for the fault of one device.
   */
  list(): Promise<readonly KernelController[]>;
  /** The instance of each by its name, which costs much less than to read them. */
  instances(): Promise<ReadonlyMap<string, string>>;
  /** One of them by name, or undefined if there is none. */
  read(device: string): Promise<KernelController | undefined>;
  /** Begins listening; events before the first call are not kept. */
  onEvent(listener: (event: DeviceEvent) => void): Disposable;
}
