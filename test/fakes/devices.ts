/**
 * The kernel's NVMe controllers, as a test says they are.
 *
 * Invariants: a new controller gets the lowest free name, as the kernel gives it, and an instance
 * that was never used before; events go to the listeners at once and are not kept.
 */
import type { DeviceEvent, Devices, KernelController } from '../../src/ports/devices.ts';
import type { Disposable } from '../../src/ports/disposable.ts';
import { ScriptedOperation } from './scripted.ts';

const TEMPLATE: Omit<KernelController, 'device' | 'instance'> = {
  transport: 'tcp',
  traddr: '',
  trsvcid: '',
  hostTraddr: '',
  hostIface: '',
  srcAddr: '',
  subsysnqn: '',
  hostnqn: '',
  hostid: '',
  cntrltype: 'io',
  dctype: 'none',
  model: 'Linux',
  serial: 'a1b2c3',
  cntlid: '1',
  state: 'live',
  hasChildren: false,
};

export interface Quietly {
  /** No event is sent: as if it had been lost. */
  readonly silent?: boolean;
}

export class FakeDevices implements Devices {
  readonly #controllers = new Map<string, KernelController>();
  readonly #listeners = new Set<(event: DeviceEvent) => void>();
  #instances = 0;

  /** Hold or fail it to play a slow or broken sysfs. */
  readonly lists = new ScriptedOperation<undefined, readonly KernelController[]>(
    () => this.controllers,
  );

  readonly reads = new ScriptedOperation<string, KernelController | undefined>((device) =>
    this.get(device),
  );

  list(): Promise<readonly KernelController[]> {
    return this.lists.call(undefined);
  }

  instances(): Promise<ReadonlyMap<string, string>> {
    return Promise.resolve(
      new Map(this.controllers.map(({ device, instance }) => [device, instance])),
    );
  }

  read(device: string): Promise<KernelController | undefined> {
    return this.reads.call(device);
  }

  onEvent(listener: (event: DeviceEvent) => void): Disposable {
    // Wrapped: the same function may listen twice.
    const own = (event: DeviceEvent): void => {
      listener(event);
    };
    this.#listeners.add(own);
    return { dispose: () => void this.#listeners.delete(own) };
  }

  /** The process that listens has crashed. */
  dropListeners(): void {
    this.#listeners.clear();
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  /** What the kernel has now, by device number. */
  get controllers(): readonly KernelController[] {
    return [...this.#controllers.values()].sort(
      (a, b) => Number(a.device.slice(4)) - Number(b.device.slice(4)),
    );
  }

  get(device: string): KernelController | undefined {
    return this.#controllers.get(device);
  }

  /** A controller appears; fields not given are those of a live TCP I/O controller. */
  add(fields: Partial<KernelController> = {}, { silent = false }: Quietly = {}): KernelController {
    const device = fields.device ?? this.#freeName();
    if (this.#controllers.has(device)) throw new Error(`${device} exists`);
    this.#instances += 1;
    const controller = Object.freeze({
      ...TEMPLATE,
      instance: String(40_000 + this.#instances),
      ...fields,
      device,
    });
    this.#controllers.set(device, controller);
    if (!silent) this.emit({ kind: 'add', device });
    return controller;
  }

  /** Changes what sysfs shows of it; the kernel sends no event for that. */
  update(device: string, fields: Partial<Omit<KernelController, 'device'>>): KernelController {
    const controller = this.#controllers.get(device);
    if (controller === undefined) throw new Error(`there is no ${device}`);
    const updated = Object.freeze({ ...controller, ...fields });
    this.#controllers.set(device, updated);
    return updated;
  }

  remove(device: string, { silent = false }: Quietly = {}): void {
    if (!this.#controllers.delete(device)) throw new Error(`there is no ${device}`);
    if (!silent) this.emit({ kind: 'remove', device });
  }

  emit(event: DeviceEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }

  #freeName(): string {
    let number = 0;
    while (this.#controllers.has(`nvme${number}`)) number += 1;
    return `nvme${number}`;
  }
}
