/**
 * stacd: keeps I/O controllers connected.
 *
 * Invariants:
 * - an I/O controller is added or removed only by a plan (plan.ts) that was made of one picture of
 *   all sources;
 * - the stop of the daemon drops no connection, whatever state it is in;
 * - of what was remembered, only what the kernel still has is taken up again.
 */
import type { ServiceConfig } from '../config/service-config.ts';
import type { Answer } from '../core/answer.ts';
import type { KernelController } from '../nvme/kernel-controller.ts';
import { printTid, tidKey } from '../nvme/transport-id.ts';
import type { DeviceEvent, Devices } from '../ports/devices.ts';
import type { Disposable } from '../ports/disposable.ts';
import { toPortError } from '../ports/errors.ts';
import type { Fabrics, HostIdentity } from '../ports/fabrics.ts';
import type { Clock, Interfaces, Prober, Resolver, StateFile } from '../ports/host.ts';
import type { Log } from '../ports/log.ts';
import { ConfiguredControllers } from '../runtime/configured-controllers.ts';
import { ConnectQueue } from '../runtime/connect-queue.ts';
import type { DriverSettings } from '../runtime/controller-driver.ts';
import { ControllerSet, type ControllerRecord } from '../runtime/controller-set.ts';
import type { KernelSnapshot } from '../runtime/kernel-index.ts';
import { LastKnownConfig } from '../runtime/last-known-config.ts';
import { controllerFields, logReport } from '../runtime/reports.ts';
import { ServiceLoop } from '../runtime/service-loop.ts';
import { STACD_LKC_VERSION, dumpLkc, parseLkc, type SavedIoc } from './last-known-config.ts';
import {
  effectiveOptions,
  keepsConnection,
  planIoControllers,
  unwantedConnections,
  type DiscoveryState,
  type IocExtra,
  type StacdSnapshot,
} from './plan.ts';

/** After `add`, the kernel needs a moment before sysfs says everything about a controller. */
const AUDIT_AFTER_ADD_MS = 1_000;

/** A kernel connect and a few disconnects; the service manager waits a little longer. */
const STOP_MS = 60_000;

export type IocRecord = ControllerRecord<IocExtra>;

export interface StacdSettings {
  readonly config: ServiceConfig;
  readonly host: HostIdentity;
}

export interface StacdDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly devices: Devices;
  readonly fabrics: Fabrics;
  readonly interfaces: Interfaces;
  readonly log: Log;
  readonly lkcFile: StateFile;
  readonly prober: Prober;
  readonly resolver: Resolver;
  /** Whether the firmware left a boot table (NBFT): some connection may be the boot path. */
  readonly bootTables: () => boolean;
  /** What stafd says now. */
  readonly discovery: { current(): Answer<DiscoveryState> };
}

export class StacdService {
  readonly #deps: StacdDeps;
  readonly #loop: ServiceLoop;
  readonly #queue: ConnectQueue;
  readonly #controllers: ControllerSet<IocExtra>;
  readonly #configured: ConfiguredControllers;
  readonly #lkc: LastKnownConfig<readonly SavedIoc[]>;
  #settings: StacdSettings;
  #auditDue = true;
  #auditRefused = false;
  #stopping = false;
  #auditTimer: Disposable | undefined;

  constructor(settings: StacdSettings, deps: StacdDeps) {
    this.#deps = deps;
    this.#settings = settings;
    this.#queue = new ConnectQueue(deps.clock);
    this.#loop = new ServiceLoop({
      ...deps,
      pass: (snapshot) => {
        this.#pass(snapshot);
      },
      deviceEvent: (event) => {
        this.#deviceEvent(event);
      },
    });
    this.#controllers = new ControllerSet<IocExtra>(
      'io',
      { ...deps, queue: this.#queue, index: this.#loop.index },
      {
        settings: (record) => this.#driverSettings(record),
        changed: () => undefined,
        report: (record, report) => {
          logReport(deps.log, record.driver.tid, record.driver.kernel?.device, report);
        },
        logRead: () => undefined,
        untouchable: (kernel) => kernel.transport === 'pcie',
        gone: () => {
          this.#loop.mark();
        },
      },
    );
    this.#configured = new ConfiguredControllers({
      ...deps,
      changed: () => {
        this.#loop.mark();
      },
    });
    this.#lkc = new LastKnownConfig(
      { file: deps.lkcFile, log: deps.log, daemon: 'stacd', version: STACD_LKC_VERSION },
      parseLkc,
    );
  }

  get settings(): StacdSettings {
    return this.#settings;
  }

  /** Controllers that are not on their way out. */
  controllers(): readonly IocRecord[] {
    return this.#controllers.live();
  }

  /** Those that are being disconnected. */
  disposing(): readonly IocRecord[] {
    return this.#controllers.all().filter(({ driver }) => driver.disposing);
  }

  get queueLength(): number {
    return this.#queue.length;
  }

  async start(): Promise<void> {
    this.#configure();
    const saved = await this.#lkc.load();
    if (saved !== undefined && saved.length > 0) await this.#restore(saved);
    if (this.#stopping) return;
    this.#loop.start();
  }

  /** Applies a configuration that was read anew; nothing that stays configured is dropped. */
  reload(settings: StacdSettings): void {
    this.#settings = settings;
    this.#configure();
    this.#controllers.kick();
    this.#auditDue = true;
    this.#loop.markNow();
  }

  /** stafd said something new. */
  discoveryChanged(): void {
    this.#loop.mark();
  }

  /** Leaves every connection as it is; resolves when nothing is in flight any more. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#loop.stop();
    this.#auditTimer?.dispose();
    this.#configured.dispose();
    this.#save();
    for (const { driver } of this.#controllers.all()) this.#controllers.remove(driver.key, true);
    await this.#controllers.emptyWithin(STOP_MS);
    await this.#lkc.flush();
    this.#controllers.dispose();
    this.#queue.dispose();
  }

  #configure(): void {
    const { config, host } = this.#settings;
    this.#configured.set(config.controllers, {
      ignoreIface: config.ignoreIface,
      hostNqn: host.hostnqn,
      ipFamilies: config.ipFamilies,
    });
  }

  /** Before the first plan, so that it disconnects what nobody asks for any more. */
  async #restore(saved: readonly SavedIoc[]): Promise<void> {
    for (const { sources, tid } of saved) {
      if (this.#stopping) return;
      this.#controllers.add(tid, new Set(sources), RESTORED);
      const key = tidKey(tid);
      if (!(await this.#controllers.adopt(key))) this.#controllers.remove(key, true);
    }
  }

  #driverSettings(record: IocRecord): DriverSettings {
    const { config, host } = this.#settings;
    const { hostNqn } = record.driver.tid;
    return {
      host: hostNqn === '' ? host : { ...host, hostnqn: hostNqn },
      options: effectiveOptions(config, record.extra),
      policy: { pleo: false, maxAttempts: record.extra.ncc ? config.connectAttemptsOnNcc : 0 },
      probeMode: config.reachabilityCheck,
    };
  }

  #pass(kernel: KernelSnapshot): void {
    this.#controllers.observe(kernel);
    const picture = this.#picture();
    for (const action of planIoControllers(picture)) {
      switch (action.kind) {
        case 'add': {
          const { extra, sources, tid } = action.wanted;
          if (this.#controllers.add(tid, sources, extra))
            this.#controllers.start(action.wanted.key);
          break;
        }
        case 'keep': {
          const record = this.#controllers.get(action.key);
          if (record === undefined) break;
          record.sources = action.sources;
          record.keptBecause = action.why;
          if (action.wanted !== undefined) this.#update(record, action.wanted.extra);
          break;
        }
        case 'remove':
          this.#remove(action.key, action.why);
          break;
      }
    }
    this.#save();
    if (this.#auditDue) this.#audit(picture, kernel);
  }

  #update(record: IocRecord, extra: IocExtra): void {
    const cleared = record.extra.ncc && !extra.ncc;
    record.extra = extra;
    if (cleared) record.driver.feed({ kind: 'kick' });
  }

  #remove(key: IocRecord['driver']['key'], why: string): void {
    const record = this.#controllers.get(key);
    if (record === undefined) return;
    const { tid } = record.driver;
    const keep = keepsConnection(this.#settings.config, tid);
    const fields = controllerFields(tid, record.driver.kernel?.device);
    const what = keep ? 'Given up, its connection stays' : 'Removed';
    this.#deps.log.info(`${printTid(tid)} - ${what}: ${why}`, fields);
    this.#controllers.remove(key, keep);
  }

  #picture(): StacdSnapshot {
    return {
      config: this.#settings.config,
      hostNqn: this.#settings.host.hostnqn,
      configured: this.#configured.list(),
      discovery: this.#deps.discovery.current(),
      controllers: this.#controllers.existing(),
    };
  }

  /** Drops what nobody wants, if the scope says so and everything is known; else when it is. */
  #audit(picture: StacdSnapshot, kernel: KernelSnapshot): void {
    const { config } = picture;
    if (config.disconnectScope !== 'all-connections-matching-disconnect-trtypes') {
      this.#auditDue = false;
      return;
    }
    if (this.#deps.bootTables()) {
      this.#auditDue = false;
      if (!this.#auditRefused) {
        this.#deps.log.warning(
          'This host has a boot table (NBFT): connections that nothing asks for stay, since one of them may be the boot path',
        );
      }
      this.#auditRefused = true;
      return;
    }
    const held = new Set(
      this.#controllers.all().flatMap(({ driver }) => driver.kernel?.instance ?? []),
    );
    // One that is just being connected belongs to no driver yet.
    if (this.#controllers.all().some(({ driver }) => CONNECTING.has(driver.model.phase.kind))) {
      return;
    }
    const interfaces = this.#deps.interfaces.list();
    const unwanted = unwantedConnections(picture, [...kernel.values()], held, interfaces);
    // Not everything is known: it stays due.
    if (unwanted === undefined) return;
    this.#auditDue = false;
    for (const controller of unwanted) void this.#disconnectUnwanted(controller);
  }

  async #disconnectUnwanted(controller: KernelController): Promise<void> {
    const { fabrics, log } = this.#deps;
    const { device, subsysnqn, traddr, trsvcid, transport } = controller;
    log.notice(
      `(${transport}, ${traddr}, ${trsvcid}, ${subsysnqn}) | ${device} - Nothing asks for this connection (disconnect-scope): disconnecting`,
      { NVME_DEVICE: device, NVME_SUBSYSNQN: subsysnqn, NVME_TRADDR: traddr },
    );
    try {
      await fabrics.disconnect(controller);
    } catch (thrown) {
      log.error(`${device} - Failed to disconnect: ${toPortError(thrown).message}`);
    }
  }

  #deviceEvent(event: DeviceEvent): void {
    if (event.kind !== 'add') return;
    this.#auditTimer?.dispose();
    this.#auditTimer = this.#deps.clock.setTimer(AUDIT_AFTER_ADD_MS, () => {
      this.#auditDue = true;
      this.#loop.mark();
    });
  }

  #save(): void {
    const saved = this.#controllers
      .live()
      .map(({ driver, sources }): SavedIoc => ({ tid: driver.tid, sources: [...sources] }));
    this.#lkc.save(dumpLkc(saved));
  }
}

/** What a configuration or a log says of it is filled in by the first plan. */
const RESTORED: IocExtra = { options: {}, entry: undefined, ncc: false };

const CONNECTING: ReadonlySet<string> = new Set(['connecting', 'disposing']);
