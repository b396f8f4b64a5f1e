/**
 * stafd: keeps discovery controllers connected and their log pages read.
 *
 * Invariants:
 * - a DC is added or removed only by a plan (plan.ts) that was made of one picture of all sources;
 * - a log is replaced only by one that was read whole from the DC's own device; until the first,
 *   it is unknown, and the loss of the connection keeps the last one;
 * - what a signal announces can be read before the signal is sent.
 */
import { unknown } from '../core/answer.ts';
import type { Family } from '../core/metrics.ts';
import type { PreviewedActions } from '../core/reload-preview.ts';
import { printTid, tidKey, type TidKey } from '../nvme/transport-id.ts';
import type { Disposable } from '../ports/disposable.ts';
import type { RawDiscoveryLog } from '../ports/fabrics.ts';
import type { ConfiguredAnswer } from '../runtime/configured-controllers.ts';
import { deviceOf } from '../runtime/describe.ts';
import type { Explanation } from '../runtime/explain.ts';
import { controllerFields } from '../runtime/reports.ts';
import { ServiceCore, type ServiceSettings } from '../runtime/service-core.ts';
import { STAFD_LKC_VERSION, dumpLkc, parseLkc, type SavedState } from './last-known-config.ts';
import { planDiscoveryControllers, type MdnsReport, type StafdSnapshot } from './plan.ts';
import { DcEvents } from './device-events.ts';
import { nextExpiry } from './expiry.ts';
import {
  absentDiscoveryControllers,
  explainDiscoveryControllers,
  type ExplainInput,
} from './explain.ts';
import { takeLog } from './log-read.ts';
import { StafdMetrics } from './metrics.ts';
import { isPolled, keepsConnection, pollMs } from './polling.ts';
import { previewNotes } from './preview.ts';
import { RemovedDcs, type RemovedDc } from './removed-dcs.ts';
import { Settling } from './settling.ts';
import {
  dcSnapshot,
  savedDc,
  savedParts,
  silentSince,
  type DcData,
  type DcRecord,
  type StafdDeps,
} from './service-types.ts';

/** The loop looks at everything this often anyway. */
const EXPIRY_WITHIN_MS = 60_000;

export class StafdService {
  readonly #deps: StafdDeps;
  readonly #core: ServiceCore<DcData, SavedState>;
  readonly #settling = new Settling();
  readonly #metrics = new StafdMetrics();
  readonly #events: DcEvents;
  #expiry: Disposable | undefined;
  readonly #removed = new RemovedDcs();
  #atStop: readonly DcRecord[] | undefined;

  constructor(settings: ServiceSettings, deps: StafdDeps) {
    this.#deps = deps;
    this.#core = new ServiceCore<DcData, SavedState>(settings, deps, {
      daemon: 'stafd',
      kind: 'discovery',
      lkcVersion: STAFD_LKC_VERSION,
      parseLkc,
      pass: () => {
        this.#pass();
      },
      deviceEvent: (event) => {
        this.#events.take(event);
      },
      policy: (config) => ({ pleo: config.pleo, maxAttempts: 0, pollMs: pollMs(config) }),
      changed: (record) => {
        this.#changed(record);
      },
      controllersChanged: () => {
        deps.listener.controllersChanged();
      },
      reported: () => undefined,
      logRead: (record, log, begunAt) => ({ persistent: this.#logRead(record, log, begunAt) }),
      networkUp: () => {
        deps.browser.retryNow();
      },
    });
    this.#events = new DcEvents(deps, this.#core, this.#metrics);
  }

  get settings(): ServiceSettings {
    return this.#core.settings;
  }

  get stopping(): boolean {
    return this.#core.stopping;
  }

  /**
   * The list of DCs is complete, so that one that is missing is not wanted: all sources have
   * answered since the start, the logs of all DCs included, since they may refer to others; or a
   * list that was complete was remembered. Only a missing avahi-daemon is not waited for without end.
   */
  get settled(): boolean {
    return this.#settling.settled;
  }

  /**
   * Controllers that are not on their way out. While the daemon stops, those that it had: nobody is
   * to take its end for the removal of its controllers.
   */
  controllers(): readonly DcRecord[] {
    return this.#atStop ?? this.#core.controllers.live();
  }

  /** One of them. */
  controller(key: TidKey): DcRecord | undefined {
    if (this.#atStop !== undefined) return this.#atStop.find(({ driver }) => driver.key === key);
    return this.#core.controllers.getLive(key);
  }

  /** DCs that were removed since the start: at most the last 1024. */
  removed(): readonly RemovedDc[] {
    return this.#removed.list(this.controllers(), this.#deps.clock.now());
  }

  /** Reads all logs again, soon. */
  readLogsAgain(): void {
    for (const { driver } of this.#core.controllers.live()) {
      driver.feed({ kind: 'event', event: 'log-changed' });
      // One that is polled is connected only to be read.
      if (driver.model.phase.kind === 'resting') driver.feed({ kind: 'kick' });
    }
  }

  /** Those that are being disconnected. */
  disposing(): readonly DcRecord[] {
    return this.#core.disposing();
  }

  /** The boot firmware tables, for people. */
  bootTables(): Record<string, unknown> {
    return this.#core.boot.describe();
  }

  /** How the controllers stand, and what is missing. */
  explain(): Explanation {
    return explainDiscoveryControllers(this.#explained());
  }

  #explained(): ExplainInput {
    const { browser } = this.#deps;
    return {
      picture: this.#picture(browser.look()),
      configured: this.#configured(),
      unanswered: browser.unanswered(),
      complaints: browser.complaints(),
      live: this.controllers(),
      disposing: new Set(this.disposing().map(({ driver }) => driver.key)),
    };
  }

  get queueLength(): number {
    return this.#core.queueLength;
  }

  /** What is counted: docs/metrics.md. */
  metrics(): readonly Family[] {
    const { metrics } = this.#core;
    const common = metrics.common(this.#core, absentDiscoveryControllers(this.#explained()));
    return [...common, ...metrics.discovery(), ...this.#metrics.families(this.settled)];
  }

  /** What mDNS has found, for people. */
  mdnsInfo(): Record<string, unknown> {
    return this.#deps.browser.info();
  }

  async start(): Promise<void> {
    const { controllers, loop } = this.#core;
    this.#deps.browser.configure(this.settings);
    const saved = await this.#core.begin();
    this.#settling.restored = saved?.settled ?? false;
    // What the kernel has is taken over, so that the first plan disconnects what it does not keep;
    // it starts the others, with what the configuration says of them now.
    const now = this.#deps.clock.now();
    for (const { hostId, log, origin, sources, tid } of saved?.controllers ?? []) {
      if (this.#core.stopping) return;
      const polled = isPolled(this.settings.config, log);
      const resting = {
        kind: 'resting',
        everyMs: pollMs(this.settings.config) ?? 0,
        until: now,
      } as const;
      const unresponsiveSince = polled ? undefined : now;
      controllers.add(
        tid,
        new Set(sources),
        {
          origin,
          options: {},
          hostId,
          log,
          unresponsiveSince,
          silentSince: undefined,
          readAt: undefined,
        },
        polled ? resting : undefined,
      );
      await controllers.adopt(tidKey(tid));
    }
    if (!this.#core.stopping) loop.start();
  }

  /** Applies a configuration that was read anew; nothing that stays configured is dropped. */
  reload(settings: ServiceSettings): void {
    this.#deps.browser.configure(settings);
    this.#core.reload(settings);
    for (const { driver } of this.#core.controllers.live()) driver.feed({ kind: 'refresh' });
  }

  /**
   * What `reload` would do, as far as it can be known: what mDNS and logs will say after it cannot.
   * Changes nothing.
   */
  preview(next: ServiceSettings): PreviewedActions {
    const { config } = next;
    const mdns = this.#deps.browser.preview(next);
    const configured = [...this.#core.previewConfigured(next), ...this.#core.previewBoot(next)];
    const picture = { ...this.#picture(mdns), config, configured };
    const actions = planDiscoveryControllers(picture);
    const preview = this.#core.preview(next, {
      actions,
      configured,
      keepsConnection: () => false,
      follows: () => false,
    });
    const notes = previewNotes(this.settings.config, picture, actions, this.controllers());
    return { ...preview, notes: [...preview.notes, ...notes] };
  }

  /** A source other than the configuration changed (mDNS). */
  sourceChanged(): void {
    this.#core.loop.mark();
  }

  /** Leaves or disconnects the connections as the configuration says; resolves when done. */
  async stop(): Promise<void> {
    this.#atStop = this.#core.controllers.live();
    this.#deps.browser.dispose();
    await this.#core.stop({
      keepsConnection: ({ extra }) => keepsConnection(this.settings.config, extra.log),
      save: () => {
        this.#expiry?.dispose();
        this.#save();
      },
    });
  }

  #pass(): void {
    const { browser, clock, listener, log } = this.#deps;
    const mdns = browser.look();
    this.#core.boot.sayWaiting(this.#core.rules);
    const { controllers } = this.#core;
    const before = controllers.live();
    for (const record of before) {
      const since = silentSince(record, mdns, clock.now());
      if (since === record.extra.silentSince) continue;
      record.extra = { ...record.extra, silentSince: since };
    }
    let added = 0;
    const removed = this.#core.apply(planDiscoveryControllers(this.#picture(mdns, before)), {
      created: ({ extra }) => ({
        ...extra,
        log: unknown('it was not read yet'),
        unresponsiveSince: clock.now(),
        silentSince: undefined,
        readAt: undefined,
      }),
      added: ({ driver: { tid }, extra }) => {
        added += 1;
        log.info(`${printTid(tid)} - Added (${extra.origin})`, controllerFields(tid, undefined));
      },
      kept: ({ extra }, planned) => {
        const { hostId, options, origin } = planned;
        const same =
          extra.hostId === hostId && extra.options === options && extra.origin === origin;
        return same ? extra : { ...extra, ...planned };
      },
      keepsConnection: () => false,
    });
    const live = controllers.live();
    this.#removed.note(removed, live, clock.now());
    const settled = this.#settle(mdns);
    this.#save(live);
    this.#armExpiry(mdns, live);
    if (removed.length > 0) listener.dcRemoved();
    if (removed.length + added > 0 || settled) listener.discoveryStateChanged();
  }

  #picture(mdns: MdnsReport, live = this.#core.controllers.live()): StafdSnapshot {
    const now = this.#deps.clock.now();
    const interfaces = this.#deps.interfaces.list();
    return {
      now,
      config: this.settings.config,
      configured: this.#configured(),
      bootDoubt: this.#core.boot.doubt,
      mdns,
      controllers: live.map((record) =>
        dcSnapshot(record, interfaces, silentSince(record, mdns, now)),
      ),
    };
  }

  /** The controllers of the configuration and of the boot firmware. */
  #configured(): readonly ConfiguredAnswer[] {
    const { boot, configured, rules } = this.#core;
    return [...configured.list(), ...boot.list(rules)];
  }

  /** Whether it is settled from now on. */
  #settle(mdns: MdnsReport): boolean {
    const read = ({ extra: { log } }: DcRecord): boolean => log.kind === 'known' && log.value.fresh;
    const complete = (): boolean =>
      this.#configured().every(({ answer }) => answer.kind === 'known') &&
      this.#core.controllers.live().every(read);
    return this.#settling.look(mdns, complete, this.#deps.clock.now());
  }

  /** Looks again when the time of the next DC that mDNS is silent about is over. */
  #armExpiry(mdns: MdnsReport, live: readonly DcRecord[]): void {
    this.#expiry?.dispose();
    this.#expiry = undefined;
    const now = this.#deps.clock.now();
    // As a rule they are connected, and none is left.
    const away = live.filter(({ extra }) => extra.unresponsiveSince !== undefined);
    const controllers = away.map((record) => ({
      sources: record.sources,
      unresponsiveSince: record.extra.unresponsiveSince,
      silentSince: silentSince(record, mdns, now),
    }));
    const wait = nextExpiry({ config: this.settings.config, controllers, now }) - now;
    // What is further away is the business of a later pass.
    if (wait > EXPIRY_WITHIN_MS) return;
    this.#expiry = this.#deps.clock.setTimer(wait, () => {
      this.#core.loop.mark();
    });
  }

  #changed(record: DcRecord): void {
    const { outOfReachSince } = record.driver.model;
    if (outOfReachSince === record.extra.unresponsiveSince) return;
    record.extra = { ...record.extra, unresponsiveSince: outOfReachSince };
    // Its time may be over, now or later.
    if (outOfReachSince !== undefined) this.#core.loop.mark();
  }

  /** Whether the DC keeps persistent connections. */
  #logRead(record: DcRecord, raw: RawDiscoveryLog, begunAt: number): boolean {
    const { clock, listener, log } = this.#deps;
    const { driver } = record;
    this.#core.metrics.logRead();
    const persistent = takeLog(record, raw, { begunAt, now: clock.now() }, log, this.#metrics);
    if (driver.disposing || this.#core.stopping) return persistent;
    listener.logPagesChanged(driver.tid, deviceOf(driver));
    listener.discoveryStateChanged();
    // Referrals may have changed, and it is to be remembered.
    this.#core.loop.mark();
    return persistent;
  }

  #save(live = this.#core.controllers.live()): void {
    const { settled } = this;
    const parts: unknown[] = [settled];
    for (const record of live) parts.push(...savedParts(record));
    this.#core.lkc.saveParts(parts, () => dumpLkc({ settled, controllers: live.map(savedDc) }));
  }
}
