/**
 * What the services of both daemons are made of: the loop, one driver a controller, the connect
 * queue, the configured controllers, and what is remembered over a restart.
 *
 * Invariants:
 * - a controller is added or removed only by the actions of a plan (`apply`), or by `stop`;
 * - after `stop` was called no pass begins, and nothing is in flight when it resolves.
 */
import { mergeOptions } from '../config/connect-option.ts';
import type { ServiceConfig } from '../config/service-config.ts';
import type { Policy, Report } from '../core/controller-model.ts';
import { BY_SETTING } from '../core/removal-brake.ts';
import {
  sameSources,
  type ControllerAction,
  type WantedController,
} from '../core/plan-controllers.ts';
import type { PreviewedActions } from '../core/reload-preview.ts';
import type { ConnectOptions } from '../nvme/connect-options.ts';
import { identityFor } from '../nvme/host-id.ts';
import { printTid } from '../nvme/transport-id.ts';
import type { DeviceEvent, Devices } from '../ports/devices.ts';
import type { Fabrics, HostIdentity, RawDiscoveryLog } from '../ports/fabrics.ts';
import { toPortError } from '../ports/errors.ts';
import type { Clock, Interfaces, Prober, Resolver, StateFile } from '../ports/host.ts';
import type { Log } from '../ports/log.ts';
import type { Network } from '../ports/network.ts';
import type { BootFirmware } from '../ports/boot-firmware.ts';
import { BootTables } from './boot-tables.ts';
import {
  ConfiguredControllers,
  configuredRules,
  type ConfiguredAnswer,
  type ConfiguredRules,
} from './configured-controllers.ts';
import { Coalescer } from './coalescer.ts';
import { ConnectQueue } from './connect-queue.ts';
import type { ControllerDriver, DriverSettings, LogVerdict } from './controller-driver.ts';
import { ControllerSet, type ControllerRecord } from './controller-set.ts';
import { visible } from './explain.ts';
import type { KernelSnapshot } from './kernel-index.ts';
import { LastKnownConfig } from './last-known-config.ts';
import { NetworkRetry } from './network-retry.ts';
import type { ActionRules, Ending } from './plan-rules.ts';
import { previewActions, type PlannedReload } from './reload-preview.ts';
import { controllerFields, logReport, logState } from './reports.ts';
import { ServiceLoop } from './service-loop.ts';
import { ServiceMetrics } from './service-metrics.ts';

const NONE_HELD: ReadonlyMap<string, string> = new Map();

/** A kernel connect and a few disconnects; the service manager waits a little longer. */
const STOP_MS = 60_000;

export interface ServiceSettings {
  readonly config: ServiceConfig;
  readonly host: HostIdentity;
}

/** The adapters that both services need. */
export interface ServiceDeps {
  readonly bootFirmware: BootFirmware;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly devices: Devices;
  readonly fabrics: Fabrics;
  readonly interfaces: Interfaces;
  readonly log: Log;
  readonly lkcFile: StateFile;
  readonly network: Network;
  readonly prober: Prober;
  readonly resolver: Resolver;
}

/** What a service knows of a controller, besides its driver. */
export interface ServiceExtra {
  /** Overrides of its configuration line; empty for those that are not configured. */
  readonly options: ConnectOptions;
  /** What its host NQN is connected with; empty where the NQN decides: see {@link identityFor}. */
  readonly hostId: string;
}

export interface ServiceDefinition<Extra extends ServiceExtra, Saved> {
  readonly daemon: 'stafd' | 'stacd';
  readonly kind: 'discovery' | 'io';
  readonly lkcVersion: number;
  /** Undefined for what this version would not have written. */
  parseLkc(content: unknown): Saved | undefined;
  /** Looks at everything and carries out what follows. */
  pass(kernel: KernelSnapshot): void;
  /** A hint for one controller; it carries no decision. */
  deviceEvent(event: DeviceEvent): void;
  policy(config: ServiceConfig, extra: Extra): Policy;
  /** Something of a controller that others can see changed. */
  changed(record: ControllerRecord<Extra>): void;
  /** The same, of any of them, or who asks for them, or which there are: once for many changes. */
  controllersChanged(): void;
  /** What the operator was told of a controller. */
  reported(record: ControllerRecord<Extra>, report: Report): void;
  /** See DriverHooks. */
  logRead(record: ControllerRecord<Extra>, log: RawDiscoveryLog, begunAt: number): LogVerdict;
  /** What the service looks for besides its controllers may be in reach now. */
  networkUp(): void;
}

export class ServiceCore<Extra extends ServiceExtra, Saved> {
  readonly loop: ServiceLoop;
  readonly controllers: ControllerSet<Extra>;
  readonly configured: ConfiguredControllers;
  readonly boot: BootTables;
  readonly lkc: LastKnownConfig<Saved>;
  readonly metrics = new ServiceMetrics();
  readonly #deps: ServiceDeps;
  readonly #definition: ServiceDefinition<Extra, Saved>;
  readonly #queue: ConnectQueue;
  readonly #news: Coalescer;
  /** What can be seen of each, when somebody was last to be told. */
  readonly #seen = new WeakMap<ControllerDriver, string>();
  #network: NetworkRetry | undefined;
  #settings: ServiceSettings;
  #stopping = false;
  #kickDue = false;
  #hasty = false;

  constructor(
    settings: ServiceSettings,
    deps: ServiceDeps,
    definition: ServiceDefinition<Extra, Saved>,
  ) {
    const { daemon, kind, lkcVersion } = definition;
    this.#deps = deps;
    this.#definition = definition;
    this.#settings = settings;
    this.#queue = new ConnectQueue(deps.clock);
    this.#news = new Coalescer(
      deps.clock,
      () => {
        definition.controllersChanged();
        return Promise.resolve();
      },
      (thrown) => {
        deps.log.error(`Cannot tell of a change: ${toPortError(thrown).message}`);
      },
    );
    this.boot = new BootTables(deps);
    const mark = (): void => {
      this.loop.mark();
    };
    this.loop = new ServiceLoop({
      ...deps,
      pass: (snapshot, hasty) => {
        this.#hasty = hasty;
        this.boot.observe(snapshot);
        this.controllers.observe(snapshot);
        definition.pass(snapshot);
      },
      deviceEvent: (event) => {
        if (event.kind === 'resync') this.metrics.resync();
        if (event.kind === 'add') this.controllers.look(event.device);
        definition.deviceEvent(event);
      },
    });
    this.controllers = new ControllerSet<Extra>(
      kind,
      { ...deps, queue: this.#queue, index: this.loop.index },
      {
        settings: (record) => this.#driverSettings(record),
        changed: (record) => {
          this.#changed(record.driver);
          definition.changed(record);
        },
        report: (record, report) => {
          logReport(deps.log, record.driver.tid, record.driver.kernel?.device, report);
          this.metrics.note(report);
          definition.reported(record, report);
        },
        logRead: (record, log, begunAt) => definition.logRead(record, log, begunAt),
        untouchable: (kernel, own) =>
          kernel.transport === 'pcie' ? 'a local controller' : this.boot.claim(kernel, own),
        gone: () => {
          this.#news.mark();
          mark();
        },
      },
    );
    this.configured = new ConfiguredControllers({ ...deps, changed: mark });
    this.lkc = new LastKnownConfig<Saved>(
      { file: deps.lkcFile, log: deps.log, daemon, version: lkcVersion },
      (content) => definition.parseLkc(content),
    );
  }

  get settings(): ServiceSettings {
    return this.#settings;
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  /** Those that are being disconnected. */
  disposing(): readonly ControllerRecord<Extra>[] {
    return this.controllers.all().filter(({ driver }) => driver.disposing);
  }

  get queueLength(): number {
    return this.#queue.length;
  }

  /** Begins with the configuration; what was remembered, or undefined if there is nothing. */
  async begin(): Promise<Saved | undefined> {
    const { clock, log, network } = this.#deps;
    this.#network = new NetworkRetry(clock, network, () => {
      log.debug('The network came up: what waits is tried again');
      this.configured.retryNow();
      // After a reload it is tried again anyway, and not before what is dropped is gone.
      if (!this.#kickDue) this.controllers.networkUp();
      this.#definition.networkUp();
      // Which connections are whose depends on the addresses of interfaces, too.
      this.loop.mark();
    });
    this.#configure();
    return this.lkc.load();
  }

  /**
   * Takes a configuration over, looks at everything at once, and then tries again what waits. Not
   * before: what the new configuration drops must not take over somebody's connection meanwhile.
   */
  reload(settings: ServiceSettings): void {
    this.#settings = settings;
    this.#configure();
    this.#kickDue = true;
    this.loop.markNow();
  }

  /** The configured controllers, as the first pass after `reload` would find them. */
  previewConfigured(next: ServiceSettings): readonly ConfiguredAnswer[] {
    return this.configured.preview(next.config.controllers, configuredRules(next));
  }

  /** The same of the boot firmware's. */
  previewBoot(next: ServiceSettings): readonly ConfiguredAnswer[] {
    return this.boot.list(configuredRules(next));
  }

  /** What `reload` and the pass after it would do; changes nothing. */
  preview<Planned extends ServiceExtra>(
    next: ServiceSettings,
    plan: Pick<
      PlannedReload<Extra, Planned>,
      'actions' | 'configured' | 'follows' | 'hold' | 'keepsConnection'
    >,
  ): PreviewedActions {
    return previewActions({
      ...plan,
      now: this.#settings,
      next,
      records: this.controllers.all(),
      heirs: (leaving, coming) => this.controllers.heirs(leaving, coming),
      hostId: ({ host }, hostNqn, hostId) => this.#identity(host, hostNqn, hostId).hostid,
    });
  }

  /** Of what moves between sources, the pass at hand may see but half: it drops nothing. */
  get hasty(): boolean {
    return this.#hasty;
  }

  /** Carries out a plan, in a hasty pass without its removals (another follows); those that it did. */
  apply<Planned>(
    planned: readonly ControllerAction<Planned>[],
    rules: ActionRules<Extra, Planned>,
  ): readonly Ending<Extra>[] {
    const rash =
      this.#hasty && planned.some((it) => it.kind === 'remove' && it.statedAt !== BY_SETTING);
    if (rash) this.loop.mark();
    const actions = rash ? planned.filter(({ kind }) => kind !== 'remove') : planned;
    for (const action of actions) {
      switch (action.kind) {
        case 'add':
          this.#add(action.wanted, rules);
          break;
        case 'keep': {
          const record = this.controllers.get(action.key);
          if (record === undefined) break;
          const same = sameSources(record.sources, action.sources);
          if (!same || record.keptBecause !== action.why) this.#news.mark();
          // The same one as long as it is: what is saved is compared by that.
          if (!same) record.sources = action.sources;
          record.keptBecause = action.why;
          if (action.wanted !== undefined) record.extra = rules.kept(record, action.wanted.extra);
          // One that was remembered is started by the first plan that keeps it.
          this.controllers.start(action.key);
          break;
        }
        case 'remove':
          break;
      }
    }
    // Only now: one that was added may look for the connection of one that is removed.
    const removed = actions.flatMap((action) => {
      const record = action.kind === 'remove' ? this.controllers.get(action.key) : undefined;
      if (action.kind !== 'remove' || record === undefined) return [];
      return [{ record, why: action.why, statedAt: action.statedAt }];
    });
    const leaving = new Set(removed.map(({ record }) => record.driver.key));
    const heirs = leaving.size === 0 ? () => [] : this.controllers.heirs(leaving);
    const keeps = (record: ControllerRecord<Extra>): boolean =>
      rules.keepsConnection(record) || heirs(record).length > 0;
    const endings = removed.filter(({ record }) => !keeps(record));
    const held = rash ? NONE_HELD : (rules.hold?.(endings) ?? NONE_HELD);
    const done = removed.filter(({ record }) => !held.has(record.driver.key));
    for (const { record } of removed) {
      const why = held.get(record.driver.key);
      if (record.keptBecause !== why) this.#news.mark();
      record.keptBecause = why;
      if (record.keptBecause !== undefined) this.controllers.start(record.driver.key);
    }
    for (const { record, why } of done) this.#remove(record, why, keeps(record));
    if (this.#kickDue && !rash) this.controllers.kick();
    this.#kickDue &&= rash;
    return done;
  }

  /** Leaves or disconnects all connections; resolves when nothing is in flight any more. */
  async stop(end: {
    keepsConnection(record: ControllerRecord<Extra>): boolean;
    save(): void;
  }): Promise<void> {
    this.#stopping = true;
    this.#news.dispose();
    this.#network?.dispose();
    await this.loop.stop();
    this.configured.dispose();
    end.save();
    for (const record of this.controllers.all()) {
      this.controllers.remove(record.driver.key, end.keepsConnection(record));
    }
    await this.controllers.emptyWithin(STOP_MS);
    await this.lkc.flush();
    this.controllers.dispose();
    this.#queue.dispose();
  }

  #add<Planned>(wanted: WantedController<Planned>, rules: ActionRules<Extra, Planned>): void {
    const { key, sources, tid } = wanted;
    if (!this.controllers.add(tid, sources, rules.created(wanted))) return;
    this.#news.mark();
    const record = this.controllers.get(key);
    if (record !== undefined) rules.added(record);
    this.controllers.start(key);
  }

  #remove(record: ControllerRecord<Extra>, why: string, keep: boolean): void {
    const { key, kernel, tid } = record.driver;
    const what = keep ? 'Given up, its connection stays' : 'Removed';
    this.#deps.log.info(
      `${printTid(tid)} - ${what}: ${why}`,
      controllerFields(tid, kernel?.device),
    );
    this.controllers.remove(key, keep);
  }

  /** A picture of the kernel that shows the same as the one before is no news. */
  #changed(driver: ControllerDriver): void {
    const seen = visible(driver);
    if (this.#seen.get(driver) === seen) return;
    this.#seen.set(driver, seen);
    logState(this.#deps.log, driver);
    this.#news.mark();
  }

  /** How the TIDs of configured controllers are completed. */
  get rules(): ConfiguredRules {
    return configuredRules(this.#settings);
  }

  #configure(): void {
    const { config, host } = this.#settings;
    this.boot.read(host);
    this.configured.set(config.controllers, this.rules);
  }

  /** Of a table's host NQN there are connections already, with the ID of the table. */
  #identity(host: HostIdentity, hostNqn: string, hostId: string): HostIdentity {
    return identityFor(host, hostNqn, this.boot.hostId(hostNqn) ?? hostId);
  }

  #driverSettings(record: ControllerRecord<Extra>): DriverSettings {
    const { config, host } = this.#settings;
    return {
      host: this.#identity(host, record.driver.tid.hostNqn, record.extra.hostId),
      options: mergeOptions(config.options, record.extra.options),
      policy: this.#definition.policy(config, record.extra),
      probeMode: config.reachabilityCheck,
    };
  }
}
