/**
 * The controllers of one daemon: a driver each, with the sources that ask for it.
 *
 * Invariants:
 * - one driver a TID; a TID that is being disposed of is not added again before it is gone;
 * - a controller leaves the set only by `remove`, and only when its driver says that it is gone;
 * - who holds a device is known without a search: there is an event for each device, and each may be
 *   one of thousands.
 */
import { tidsByPlace } from '../core/connection-places.ts';
import { newController, type Phase, type Report } from '../core/controller-model.ts';
import type { ExistingController, SourceId } from '../core/plan-controllers.ts';
import { matchesConnection } from '../nvme/connection-match.ts';
import type { KernelController } from '../nvme/kernel-controller.ts';
import type { TidKey, TransportId } from '../nvme/transport-id.ts';
import type { Disposable } from '../ports/disposable.ts';
import type { RawDiscoveryLog } from '../ports/fabrics.ts';
import {
  ControllerDriver,
  type DriverDeps,
  type DriverSettings,
  type LogVerdict,
} from './controller-driver.ts';
import type { KernelSnapshot } from './kernel-index.ts';

export interface ControllerRecord<Extra> {
  readonly driver: ControllerDriver;
  sources: ReadonlySet<SourceId>;
  extra: Extra;
  /** Why it stays although no source asks for it now. */
  keptBecause: string | undefined;
}

export interface ControllerSetHooks<Extra> {
  settings(record: ControllerRecord<Extra>): DriverSettings;
  changed(record: ControllerRecord<Extra>): void;
  report(record: ControllerRecord<Extra>, report: Report): void;
  /** See DriverHooks. */
  logRead(record: ControllerRecord<Extra>, log: RawDiscoveryLog, begunAt: number): LogVerdict;
  /** See DriverHooks. */
  untouchable(kernel: KernelController, own: boolean): string | undefined;
  gone(record: ControllerRecord<Extra>): void;
}

const LOOKING: ReadonlySet<Phase['kind']> = new Set([
  'idle',
  'probing',
  'queued',
  'connecting',
  'waiting-retry',
]);

export class ControllerSet<Extra> implements Disposable {
  readonly #kind: 'discovery' | 'io';
  readonly #deps: DriverDeps;
  readonly #hooks: ControllerSetHooks<Extra>;
  readonly #records = new Map<TidKey, ControllerRecord<Extra>>();
  /** By the name of the device that their drivers hold. */
  readonly #holders = new Map<string, Set<ControllerRecord<Extra>>>();
  #emptied: (() => void)[] = [];

  constructor(kind: 'discovery' | 'io', deps: DriverDeps, hooks: ControllerSetHooks<Extra>) {
    this.#kind = kind;
    this.#deps = deps;
    this.#hooks = hooks;
  }

  /** All of them, those being disposed of included. */
  all(): readonly ControllerRecord<Extra>[] {
    return [...this.#records.values()];
  }

  /** Those that are not being disposed of. */
  live(): readonly ControllerRecord<Extra>[] {
    return this.all().filter((record) => !record.driver.disposing);
  }

  get(key: TidKey): ControllerRecord<Extra> | undefined {
    return this.#records.get(key);
  }

  /** One that is not being disposed of. */
  getLive(key: TidKey): ControllerRecord<Extra> | undefined {
    const record = this.#records.get(key);
    return record?.driver.disposing === true ? undefined : record;
  }

  /** What a plan looks at. */
  existing(): readonly ExistingController[] {
    return this.live().map(({ driver, sources }) => ({
      key: driver.key,
      tid: driver.tid,
      sources,
    }));
  }

  /** The live controllers that hold this device: two TIDs may be answered by one connection. */
  holding(device: string): readonly ControllerRecord<Extra>[] {
    return [...(this.#holders.get(device) ?? [])].filter(({ driver }) => !driver.disposing);
  }

  /**
   * Adds one, to be started; false if the TID is still being disposed of (the next pass tries
   * again). `phase`: `resting` for one that was last known between two polls.
   */
  add(
    tid: TransportId,
    sources: ReadonlySet<SourceId>,
    extra: Extra,
    phase?: Extract<Phase, { readonly kind: 'resting' }>,
  ): boolean {
    const driver = new ControllerDriver(tid, newController(this.#kind, phase), this.#deps, {
      settings: () => this.#hooks.settings(record),
      changed: () => {
        this.#hooks.changed(record);
      },
      holds: (_, before) => {
        this.#moved(record, before?.device);
      },
      report: (_, report) => {
        this.#hooks.report(record, report);
      },
      logRead: (_, log, begunAt) => this.#hooks.logRead(record, log, begunAt),
      heldByAnother: (asking, kernel) => this.#heldByAnother(asking, kernel),
      untouchable: (kernel, own) => this.#hooks.untouchable(kernel, own),
      gone: () => {
        this.#records.delete(driver.key);
        this.#hooks.gone(record);
        if (this.#records.size === 0) {
          for (const resolve of this.#emptied.splice(0)) resolve();
        }
      },
    });
    const record: ControllerRecord<Extra> = { driver, sources, extra, keptBecause: undefined };
    if (this.#records.has(driver.key)) return false;
    this.#records.set(driver.key, record);
    return true;
  }

  /** Takes over its connection if the kernel has one; false if not. To be called before `start`. */
  async adopt(key: TidKey): Promise<boolean> {
    return (await this.#records.get(key)?.driver.adopt()) ?? false;
  }

  /** Begins to look for its connection; nothing if it has begun. */
  start(key: TidKey): void {
    const driver = this.#records.get(key)?.driver;
    const phase = driver?.model.phase.kind;
    if (phase === 'idle' || phase === 'resting') driver?.feed({ kind: 'start' });
  }

  remove(key: TidKey, keepConnection: boolean): void {
    this.#records.get(key)?.driver.feed({ kind: 'remove', keepConnection });
  }

  /**
   * Who is looking for the connection of a controller that is `leaving`: the same connection under
   * another TID, as when its interface is named or no longer named. `coming` would look, too, if
   * they were there.
   */
  heirs(
    leaving: ReadonlySet<TidKey>,
    coming: readonly TransportId[] = [],
  ): (record: ControllerRecord<Extra>) => readonly TransportId[] {
    const interfaces = this.#deps.interfaces.list();
    const looking = this.live().filter(
      ({ driver }) => !leaving.has(driver.key) && LOOKING.has(driver.model.phase.kind),
    );
    const find = tidsByPlace([...coming, ...looking.map(({ driver }) => driver.tid)]);
    return ({ driver: { kernel } }) =>
      kernel === undefined
        ? []
        : find(kernel).filter((tid) => matchesConnection(tid, this.#kind, kernel, interfaces));
  }

  observe(snapshot: KernelSnapshot): void {
    for (const { driver } of this.all()) driver.observe(snapshot);
  }

  /** The same of one device, read now: another connection may have come under its name. */
  look(device: string): void {
    for (const { driver } of this.#holders.get(device) ?? []) void driver.look();
  }

  /** Tries again at once whatever waits. */
  kick(): void {
    for (const { driver } of this.all()) driver.feed({ kind: 'kick' });
  }

  /** Tries again at once what waits for its next try. */
  networkUp(): void {
    for (const { driver } of this.all()) driver.feed({ kind: 'network-up' });
  }

  /** Resolves when the last one is gone, or after `ms`: a disconnect may fail for ever. */
  async emptyWithin(ms: number): Promise<void> {
    if (this.#records.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = this.#deps.clock.setTimer(ms, resolve);
      this.#emptied.push(() => {
        timer.dispose();
        resolve();
      });
    });
  }

  #heldByAnother(asking: ControllerDriver, kernel: KernelController): boolean {
    return this.holding(kernel.device).some(
      ({ driver }) => driver !== asking && driver.kernel?.instance === kernel.instance,
    );
  }

  #moved(record: ControllerRecord<Extra>, before: string | undefined): void {
    const now = record.driver.kernel?.device;
    if (now === before) return;
    if (before !== undefined) {
      const there = this.#holders.get(before);
      there?.delete(record);
      if (there?.size === 0) this.#holders.delete(before);
    }
    if (now === undefined) return;
    const there = this.#holders.get(now);
    if (there === undefined) this.#holders.set(now, new Set([record]));
    else there.add(record);
  }

  dispose(): void {
    for (const { driver } of this.all()) driver.dispose();
    this.#records.clear();
    this.#holders.clear();
    for (const resolve of this.#emptied.splice(0)) resolve();
  }
}
