/**
 * A host with thousands of controllers, for measurements: unlike the fakes of the unit tests, whose
 * work grows with the square of what they hold, nothing here searches or sorts.
 *
 * Invariants: time passes only by `advance`; a connection is a controller in `ScaleDevices`, and only
 * there; events go to the listeners at once.
 */
import type { DeviceEvent, Devices, KernelController } from '../../src/ports/devices.ts';
import type { Disposable } from '../../src/ports/disposable.ts';
import { PortError } from '../../src/ports/errors.ts';
import type {
  ConnectRequest,
  DiscoveryLogSupport,
  Fabrics,
  RawDiscoveryLog,
} from '../../src/ports/fabrics.ts';
import type { Clock, StateFile } from '../../src/ports/host.ts';
import type { TraceableLog } from '../../src/ports/log.ts';

interface Timer {
  readonly due: number;
  readonly callback: () => void;
}

/** Lets what can settle without a timer do so: turns of the real event loop. */
export async function turns(count = 3): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export class ScaleClock implements Clock {
  readonly #timers = new Set<Timer>();
  #now = 1_000_000;

  now(): number {
    return this.#now;
  }

  wallTime(): Date {
    return new Date(this.#now);
  }

  setTimer(ms: number, callback: () => void): Disposable {
    const timer = { due: this.#now + Math.max(0, ms), callback };
    this.#timers.add(timer);
    return { dispose: () => void this.#timers.delete(timer) };
  }

  /** Timers that are set. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Fires what falls due within `ms` milliseconds; what is set meanwhile, a step of 50 ms later. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await turns();
    while (this.#now < end) {
      this.#now = Math.min(end, this.#now + 50);
      const due = [...this.#timers].filter((timer) => timer.due <= this.#now);
      for (const timer of due.sort((a, b) => a.due - b.due)) {
        if (this.#timers.delete(timer)) timer.callback();
      }
      if (due.length > 0) await turns();
    }
  }
}

export class ScaleDevices implements Devices {
  readonly #controllers = new Map<string, KernelController>();
  readonly #listeners = new Set<(event: DeviceEvent) => void>();
  #numbers = 0;
  /** How often all of them were read. */
  lists = 0;

  list(): Promise<readonly KernelController[]> {
    this.lists += 1;
    return Promise.resolve([...this.#controllers.values()]);
  }

  instances(): Promise<ReadonlyMap<string, string>> {
    const all = [...this.#controllers.values()];
    return Promise.resolve(new Map(all.map(({ device, instance }) => [device, instance])));
  }

  read(device: string): Promise<KernelController | undefined> {
    return Promise.resolve(this.#controllers.get(device));
  }

  onEvent(listener: (event: DeviceEvent) => void): Disposable {
    this.#listeners.add(listener);
    return { dispose: () => void this.#listeners.delete(listener) };
  }

  emit(event: DeviceEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  get size(): number {
    return this.#controllers.size;
  }

  add(
    fields: Pick<KernelController, 'cntrltype' | 'hostnqn' | 'subsysnqn' | 'traddr' | 'trsvcid'>,
  ): string {
    const device = `nvme${String(this.#numbers)}`;
    this.#numbers += 1;
    this.#controllers.set(device, {
      device,
      instance: String(50_000 + this.#numbers),
      transport: 'tcp',
      hostTraddr: '',
      hostIface: '',
      srcAddr: '10.9.0.1',
      hostid: '',
      dctype: 'none',
      model: 'Linux',
      serial: 'a1b2c3',
      cntlid: '1',
      state: 'live',
      hasChildren: fields.cntrltype === 'io',
      ...fields,
    });
    return device;
  }

  remove(device: string): void {
    if (this.#controllers.delete(device)) this.emit({ kind: 'remove', device });
  }
}

/** Everything answers; a DC's log is told by its address. */
export class ScaleFabrics implements Fabrics {
  readonly libnvmeVersion = '1.13';
  readonly #devices: ScaleDevices;
  readonly #logOf: (device: string) => RawDiscoveryLog;

  constructor(devices: ScaleDevices, logOf: (device: string) => RawDiscoveryLog) {
    this.#devices = devices;
    this.#logOf = logOf;
  }

  supportedOptions(): Promise<ReadonlySet<string>> {
    return Promise.resolve(new Set());
  }

  connect({ discovery, host, tid }: ConnectRequest): Promise<string> {
    const device = this.#devices.add({
      cntrltype: discovery ? 'discovery' : 'io',
      hostnqn: tid.hostNqn === '' ? host.hostnqn : tid.hostNqn,
      subsysnqn: tid.subsysnqn,
      traddr: tid.traddr,
      trsvcid: tid.trsvcid,
    });
    this.#devices.emit({ kind: 'add', device });
    this.#devices.emit({ kind: 'nvme-event', device, event: 'connected' });
    return Promise.resolve(device);
  }

  disconnect({ device }: KernelController): Promise<void> {
    this.#devices.remove(device);
    return Promise.resolve();
  }

  register(): Promise<void> {
    return Promise.resolve();
  }

  getDiscoveryLogSupport(): Promise<DiscoveryLogSupport> {
    return Promise.resolve({ supported: true, extdlpe: false, pleo: false, allsube: false });
  }

  getDiscoveryLog(device: string): Promise<RawDiscoveryLog> {
    return Promise.resolve(this.#logOf(device));
  }

  finish(): void {
    throw new PortError('nothing is stopped here', { code: 'ENOTSUP', errorClass: 'final' });
  }

  idle(): Promise<void> {
    return Promise.resolve();
  }
}

/** As the daemons log without tracing; the lines go nowhere. */
export class ScaleLog implements TraceableLog {
  readonly tracing = false;
  lines = 0;

  setTracing(): void {
    throw new Error('nothing is traced here');
  }

  error(): void {
    this.lines += 1;
  }

  warning(): void {
    this.lines += 1;
  }

  notice(): void {
    this.lines += 1;
  }

  info(): void {
    this.lines += 1;
  }

  debug(): void {
    // Not traced.
  }
}

export class ScaleStateFile implements StateFile {
  text: string | undefined;
  writes = 0;

  read(): Promise<string | undefined> {
    return Promise.resolve(this.text);
  }

  write(text: string): Promise<void> {
    this.text = text;
    this.writes += 1;
    return Promise.resolve();
  }

  setAside(): Promise<string> {
    return Promise.resolve('/aside');
  }
}
