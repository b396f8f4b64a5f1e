/**
 * stafd: keeps discovery controllers connected and their log pages read.
 *
 * Invariants:
 * - a DC is added or removed only by a plan (plan.ts) that was made of one picture of all sources;
 * - a log is replaced only by one that was read whole from the DC's own device; until the first,
 *   it is unknown, and the loss of the connection keeps the last one;
 * - what a signal announces can be read before the signal is sent.
 */
import { known, unknown, type Answer } from '../core/answer.ts';
import { isDiscoveryLogChange } from '../nvme/aen.ts';
import { decodeEntries } from '../nvme/discovery-log.ts';
import { isDiscoveryController, matchesConnection } from '../nvme/connection-match.ts';
import { printTid, tidKey, type TransportId } from '../nvme/transport-id.ts';
import type { DeviceEvent } from '../ports/devices.ts';
import type { Disposable } from '../ports/disposable.ts';
import type { RawDiscoveryLog } from '../ports/fabrics.ts';
import { ConfiguredControllers } from '../runtime/configured-controllers.ts';
import { ConnectQueue } from '../runtime/connect-queue.ts';
import type { DriverSettings } from '../runtime/controller-driver.ts';
import { ControllerSet } from '../runtime/controller-set.ts';
import { deviceOf } from '../runtime/describe.ts';
import type { KernelSnapshot } from '../runtime/kernel-index.ts';
import { LastKnownConfig } from '../runtime/last-known-config.ts';
import { controllerFields, logReport } from '../runtime/reports.ts';
import { ServiceLoop } from '../runtime/service-loop.ts';
import {
  STAFD_LKC_VERSION,
  dumpLkc,
  parseLkc,
  type SavedDc,
  type SavedState,
} from './last-known-config.ts';
import {
  effectiveOptions,
  nextExpiry,
  planDiscoveryControllers,
  type StafdSnapshot,
} from './plan.ts';
import {
  dcSnapshot,
  describeRefused,
  type DcData,
  type DcRecord,
  type StafdDeps,
  type StafdSettings,
} from './service-types.ts';

/** A kernel connect and a few disconnects; the service manager waits a little longer. */
const STOP_MS = 60_000;
/** The loop looks at everything this often anyway. */
const EXPIRY_WITHIN_MS = 60_000;

export class StafdService {
  readonly #deps: StafdDeps;
  readonly #loop: ServiceLoop;
  readonly #queue: ConnectQueue;
  readonly #controllers: ControllerSet<DcData>;
  readonly #configured: ConfiguredControllers;
  readonly #lkc: LastKnownConfig<SavedState>;
  #settings: StafdSettings;
  #settled = false;
  /** The list of DCs was complete when it was remembered, and nothing was lost since. */
  #restoredSettled = false;
  #expiry: Disposable | undefined;
  #atStop: readonly DcRecord[] | undefined;
  #stopping = false;

  constructor(settings: StafdSettings, deps: StafdDeps) {
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
    this.#controllers = new ControllerSet<DcData>(
      'discovery',
      { ...deps, queue: this.#queue, index: this.#loop.index },
      {
        settings: (record) => this.#driverSettings(record),
        changed: (record) => {
          this.#changed(record);
        },
        report: (record, report) => {
          logReport(deps.log, record.driver.tid, record.driver.kernel?.device, report);
        },
        logRead: (record, log) => {
          this.#logRead(record, log);
        },
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
      { file: deps.lkcFile, log: deps.log, daemon: 'stafd', version: STAFD_LKC_VERSION },
      parseLkc,
    );
  }

  get settings(): StafdSettings {
    return this.#settings;
  }

  /**
   * The list of DCs is complete, so that one that is missing is not wanted: all sources have
   * answered since the start, the logs of all DCs included, since they may refer to others; or a
   * list that was complete was remembered.
   */
  get settled(): boolean {
    return this.#settled;
  }

  /**
   * Controllers that are not on their way out. While the daemon stops, those that it had: nobody is
   * to take its end for the removal of its controllers.
   */
  controllers(): readonly DcRecord[] {
    return this.#atStop ?? this.#controllers.live();
  }

  /** Those that are being disconnected. */
  disposing(): readonly DcRecord[] {
    return this.#controllers.all().filter(({ driver }) => driver.disposing);
  }

  get queueLength(): number {
    return this.#queue.length;
  }

  async start(): Promise<void> {
    this.#configure();
    const saved = await this.#lkc.load();
    this.#restoredSettled = saved?.settled ?? false;
    // What the kernel has is taken over, so that the first plan disconnects what it does not keep;
    // it starts the others, with what the configuration says of them now.
    for (const { log, origin, sources, tid } of saved?.controllers ?? []) {
      if (this.#stopping) return;
      this.#controllers.add(tid, new Set(sources), {
        origin,
        options: {},
        log,
        unresponsiveSince: this.#deps.clock.now(),
      });
      await this.#controllers.adopt(tidKey(tid));
    }
    if (this.#stopping) return;
    this.#loop.start();
  }

  /** Applies a configuration that was read anew; nothing that stays configured is dropped. */
  reload(settings: StafdSettings): void {
    this.#settings = settings;
    this.#configure();
    for (const { driver } of this.#controllers.live()) driver.feed({ kind: 'refresh' });
    this.#controllers.kick();
    this.#loop.markNow();
  }

  /** A source other than the configuration changed (mDNS). */
  sourceChanged(): void {
    this.#loop.mark();
  }

  /** Leaves or disconnects the connections as the configuration says; resolves when done. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#atStop = this.#controllers.live();
    await this.#loop.stop();
    this.#expiry?.dispose();
    this.#configured.dispose();
    const keep = this.#settings.config.persistentConnections;
    this.#save();
    for (const { driver } of this.#controllers.all()) this.#controllers.remove(driver.key, keep);
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

  #driverSettings(record: DcRecord): DriverSettings {
    const { config, host } = this.#settings;
    const { hostNqn } = record.driver.tid;
    return {
      host: hostNqn === '' ? host : { ...host, hostnqn: hostNqn },
      options: effectiveOptions(config, record.extra),
      policy: { pleo: config.pleo, maxAttempts: 0 },
      probeMode: config.reachabilityCheck,
    };
  }

  #pass(snapshot: KernelSnapshot): void {
    this.#controllers.observe(snapshot);
    let removed = false;
    for (const action of planDiscoveryControllers(this.#picture())) {
      switch (action.kind) {
        case 'add': {
          const { extra, sources, tid } = action.wanted;
          const log = unknown('it was not read yet');
          const data = { ...extra, log, unresponsiveSince: this.#deps.clock.now() };
          if (this.#controllers.add(tid, sources, data)) {
            this.#controllers.start(action.wanted.key);
            this.#deps.log.info(
              `${printTid(tid)} - Added (${extra.origin})`,
              controllerFields(tid, undefined),
            );
          }
          break;
        }
        case 'keep': {
          const record = this.#controllers.get(action.key);
          if (record === undefined) break;
          record.sources = action.sources;
          record.keptBecause = action.why;
          if (action.wanted !== undefined) {
            record.extra = { ...record.extra, ...action.wanted.extra };
          }
          this.#controllers.start(action.key);
          break;
        }
        case 'remove': {
          const record = this.#controllers.get(action.key);
          if (record === undefined) break;
          const { tid } = record.driver;
          this.#deps.log.info(
            `${printTid(tid)} - Removed: ${action.why}`,
            controllerFields(tid, undefined),
          );
          this.#controllers.remove(action.key, false);
          removed = true;
          break;
        }
      }
    }
    this.#settle();
    this.#save();
    this.#armExpiry(this.#picture());
    if (removed) {
      this.#deps.listener.dcRemoved();
      this.#deps.listener.discoveryStateChanged();
    }
  }

  #picture(): StafdSnapshot {
    return {
      now: this.#deps.clock.now(),
      config: this.#settings.config,
      configured: this.#configured.list(),
      mdns: this.#mdns(),
      controllers: this.#controllers.live().map(dcSnapshot),
    };
  }

  #mdns(): Answer<readonly TransportId[]> {
    return this.#settings.config.zeroconf ? this.#deps.browser.current() : known([]);
  }

  #settle(): void {
    if (this.#settled) return;
    if (!this.#restoredSettled) {
      const answers: readonly Answer<unknown>[] = [
        ...this.#configured.list().map(({ answer }) => answer),
        this.#mdns(),
        ...this.#controllers.live().map(({ extra }) => extra.log),
      ];
      if (answers.some(({ kind }) => kind === 'unknown')) return;
    }
    this.#settled = true;
    this.#deps.listener.discoveryStateChanged();
  }

  /** Looks again when the time of the next DC that mDNS is silent about is over. */
  #armExpiry(picture: StafdSnapshot): void {
    this.#expiry?.dispose();
    this.#expiry = undefined;
    const wait = nextExpiry(picture) - picture.now;
    // What is further away is the business of a later pass.
    if (wait > EXPIRY_WITHIN_MS) return;
    this.#expiry = this.#deps.clock.setTimer(wait, () => {
      this.#loop.mark();
    });
  }

  #changed(record: DcRecord): void {
    const connected = record.driver.model.phase.kind === 'connected';
    if (connected && record.extra.unresponsiveSince !== undefined) {
      record.extra = { ...record.extra, unresponsiveSince: undefined };
    } else if (!connected && record.extra.unresponsiveSince === undefined) {
      record.extra = { ...record.extra, unresponsiveSince: this.#deps.clock.now() };
      this.#loop.mark();
    }
  }

  #logRead(record: DcRecord, raw: RawDiscoveryLog): void {
    if (record.driver.disposing) return;
    const { driver } = record;
    const device = deviceOf(driver);
    const { entries, refused } = decodeEntries(raw.entries, raw.count);
    record.extra = {
      ...record.extra,
      log: known({ generation: raw.generation.toString(), entries, fresh: true }),
    };
    const fields = controllerFields(driver.tid, device);
    const prefix = `${printTid(driver.tid)} | ${device}`;
    this.#deps.log.info(
      `${prefix} - Received discovery log pages (num records=${String(entries.length)})`,
      fields,
    );
    const refusal = describeRefused(refused);
    if (refusal !== undefined && refusal !== record.extra.refusal) {
      this.#deps.log.warning(`${prefix} - ${refusal}`, fields);
    }
    record.extra = { ...record.extra, refusal };
    if (this.#stopping) return;
    this.#deps.listener.logPagesChanged(driver.tid, device);
    this.#deps.listener.discoveryStateChanged();
    // Referrals may have changed, and it is to be remembered.
    this.#loop.mark();
  }

  #deviceEvent(event: DeviceEvent): void {
    switch (event.kind) {
      case 'aen':
        if (isDiscoveryLogChange(event.aen)) this.#hint(event.device, 'log-changed');
        return;
      case 'nvme-event':
        if (event.event === 'connected' || event.event === 'rediscover') {
          this.#hint(event.device, event.event);
        }
        return;
      case 'resync':
        // A lost event may have been a change of any log.
        for (const { driver } of this.#controllers.live()) {
          driver.feed({ kind: 'event', event: 'log-changed' });
        }
        return;
      case 'add':
      case 'remove':
      case 'fc-discovery':
        return;
    }
  }

  #hint(device: string, event: 'connected' | 'rediscover' | 'log-changed'): void {
    const records = this.#controllers.holding(device);
    for (const { driver } of records) {
      this.#deps.log.debug(`${printTid(driver.tid)} | ${device} - Event: ${event}`);
      driver.feed({ kind: 'event', event });
    }
    if (records.length === 0 && event !== 'connected') void this.#notOurs(device);
  }

  /** nvme-cli's rule is overridden while stafd runs: do for its DCs what the rule would do. */
  async #notOurs(device: string): Promise<void> {
    const kernel = await this.#loop.index.read(device).catch(() => undefined);
    if (this.#stopping || kernel === undefined || !isDiscoveryController(kernel)) return;
    // It may have become ours meanwhile, or be about to: its connect has not answered yet.
    const interfaces = this.#deps.interfaces.list();
    const ours = ({ driver }: DcRecord): boolean =>
      matchesConnection(driver.tid, 'discovery', kernel, interfaces);
    if (this.#controllers.live().some(ours)) return;
    this.#deps.nvmeCli.connectAll(device, kernel.hostTraddr, kernel.hostIface);
  }

  #save(): void {
    const saved = this.#controllers.live().map(({ driver, extra, sources }): SavedDc => ({
      tid: driver.tid,
      origin: extra.origin,
      sources: [...sources],
      log: extra.log,
    }));
    this.#lkc.save(dumpLkc({ settled: this.#settled, controllers: saved }));
  }
}
