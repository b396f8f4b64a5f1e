/**
 * stacd: keeps I/O controllers connected.
 *
 * Invariants:
 * - an I/O controller is added or removed only by a plan (plan.ts) that was made of one picture of
 *   all sources;
 * - the stop of the daemon drops no connection, whatever state it is in;
 * - of what was remembered, only what the kernel still has is taken up again.
 */
import type { Answer } from '../core/answer.ts';
import type { Family } from '../core/metrics.ts';
import type { PreviewedActions } from '../core/reload-preview.ts';
import type { KernelController } from '../nvme/kernel-controller.ts';
import { printTid, tidKey, type TidKey } from '../nvme/transport-id.ts';
import type { BlockUses } from '../ports/block-use.ts';
import type { DeviceEvent } from '../ports/devices.ts';
import type { Disposable } from '../ports/disposable.ts';
import { toPortError } from '../ports/errors.ts';
import type { ControllerRecord } from '../runtime/controller-set.ts';
import type { Explanation } from '../runtime/explain.ts';
import type { KernelSnapshot } from '../runtime/kernel-index.ts';
import type { Ending } from '../runtime/plan-rules.ts';
import { controllerFields } from '../runtime/reports.ts';
import { ServiceCore, type ServiceDeps, type ServiceSettings } from '../runtime/service-core.ts';
import { auditConnections, auditsOthers, UNWANTED, type AuditInput } from './audit.ts';
import { auditLimits, kernelFields, kernelName, othersDrop, ownDrop, ownLimits } from './drops.ts';
import { STACD_LKC_VERSION, dumpLkc, parseLkc, type SavedIoc } from './last-known-config.ts';
import {
  keepsConnection,
  planIoControllers,
  type DiscoveryState,
  type IocExtra,
  type StacdSnapshot,
} from './plan.ts';
import { EventLatency } from './event-latency.ts';
import {
  absentIoControllers,
  explainIoControllers,
  sourceWords,
  type ExplainInput,
} from './explain.ts';
import { stacdFamilies } from './metrics.ts';
import { withAudit, withoutDcs } from './preview.ts';
import { RemovalBrake, type Drop, type RemovalBrakeDeps } from './removal-brake.ts';

/** After `add`, the kernel needs a moment before sysfs says everything about a controller. */
const AUDIT_AFTER_ADD_MS = 1_000;

export type IocRecord = ControllerRecord<IocExtra>;

export interface StacdDeps extends ServiceDeps {
  /** Tells who listens that {@link StacdService.explain} says something else. */
  readonly controllersChanged: () => void;
  /** What stafd says now. */
  readonly discovery: { current(): Answer<DiscoveryState>; confirm(): Promise<void> };
  readonly blockUses: BlockUses;
}

export class StacdService {
  readonly #deps: StacdDeps;
  readonly #core: ServiceCore<IocExtra, readonly SavedIoc[]>;
  #auditDue = true;
  #auditTimer: Disposable | undefined;
  /** Connections of others that are being dropped, or could not be, since the audit became due. */
  readonly #dropped = new Set<string>();
  /** Devices of others that are just being disconnected. */
  readonly #leaving = new Set<string>();
  /** When the last connection was given up, milliseconds. */
  #droppedAt = -Infinity;
  readonly #brake: RemovalBrake;
  readonly #auditBrake: RemovalBrake;
  readonly #latency = new EventLatency();

  constructor(settings: ServiceSettings, deps: StacdDeps) {
    this.#deps = deps;
    this.#core = new ServiceCore<IocExtra, readonly SavedIoc[]>(settings, deps, {
      daemon: 'stacd',
      kind: 'io',
      lkcVersion: STACD_LKC_VERSION,
      parseLkc,
      pass: (kernel) => {
        this.#pass(kernel);
      },
      deviceEvent: (event) => {
        this.#deviceEvent(event);
      },
      policy: (config, { ncc }) => ({
        pleo: false,
        maxAttempts: ncc ? config.connectAttemptsOnNcc : 0,
        pollMs: undefined,
      }),
      changed: () => undefined,
      controllersChanged: () => {
        deps.controllersChanged();
      },
      reported: ({ driver: { key } }, report) => {
        if (report.kind !== 'connected') return;
        this.#latency.connected(key, !report.adopted, deps.clock.now());
      },
      logRead: () => ({ persistent: true }),
      networkUp: () => undefined,
    });
    const brakeDeps: RemovalBrakeDeps = {
      ...deps,
      confirm: () => void deps.discovery.confirm(),
      mark: () => {
        this.#core.loop.mark();
      },
      leaving: () => [
        ...this.disposing().flatMap(({ driver }) => driver.kernel?.device ?? []),
        ...this.#leaving,
      ],
      droppedAt: () => this.#droppedAt,
    };
    this.#brake = new RemovalBrake(brakeDeps);
    this.#auditBrake = new RemovalBrake(brakeDeps);
  }

  get settings(): ServiceSettings {
    return this.#core.settings;
  }

  get stopping(): boolean {
    return this.#core.stopping;
  }

  /** Controllers that are not on their way out. */
  controllers(): readonly IocRecord[] {
    return this.#core.controllers.live();
  }

  /** One of them. */
  controller(key: TidKey): IocRecord | undefined {
    return this.#core.controllers.getLive(key);
  }

  /** Those that are being disconnected. */
  disposing(): readonly IocRecord[] {
    return this.#core.disposing();
  }

  /** The boot firmware tables, for people. */
  bootTables(): Record<string, unknown> {
    return this.#core.boot.describe();
  }

  /** The connections that are not dropped yet though their removal is asked for, and why. */
  heldBack(): Record<string, unknown> {
    return { ...this.#brake.info(), ...this.#auditBrake.info() };
  }

  /** How the controllers stand, and what is missing. */
  explain(): Explanation {
    return explainIoControllers(this.#explained());
  }

  #explained(): ExplainInput {
    return {
      picture: this.#picture(),
      configured: this.#core.configured.list(),
      live: this.controllers(),
      disposing: new Set(this.disposing().map(({ driver }) => driver.key)),
      now: this.#deps.clock.now(),
    };
  }

  get queueLength(): number {
    return this.#core.queueLength;
  }

  /** What is counted: docs/metrics.md. */
  metrics(): readonly Family[] {
    const own = stacdFamilies({
      stafdAnswers: this.#deps.discovery.current().kind === 'known',
      heldBack: Object.keys(this.heldBack()).length,
      latency: this.#latency,
    });
    const absent = absentIoControllers(this.#explained());
    return [...this.#core.metrics.common(this.#core, absent), ...own];
  }

  async start(): Promise<void> {
    const saved = await this.#core.begin();
    if (saved !== undefined) await this.#restore(saved);
    if (!this.#core.stopping) this.#core.loop.start();
  }

  /** Applies a configuration that was read anew; nothing that stays configured is dropped. */
  reload(settings: ServiceSettings): void {
    this.#beginAudit();
    this.#core.reload(settings);
  }

  /**
   * What `reload` would do, and the reload of stafd that removes these DCs; what logs will say after
   * it cannot be known. Changes nothing. Rejects if the kernel's connections cannot be read.
   */
  async preview(next: ServiceSettings, removedDcs: ReadonlySet<TidKey>): Promise<PreviewedActions> {
    const audits = auditsOthers(next);
    const kernel: KernelSnapshot = audits ? await this.#core.loop.index.get() : new Map();
    // In one go from here on: nothing changes meanwhile.
    const configured = this.#core.previewConfigured(next);
    const present = {
      ...this.#picture(),
      config: next.config,
      hostNqn: next.host.hostnqn,
      configured,
    };
    const picture = withoutDcs(present, removedDcs);
    const anyway = planIoControllers(present);
    const actions = planIoControllers(picture);
    const removed = new Set(anyway.flatMap((it) => (it.kind === 'remove' ? [it.key] : [])));
    const preview = this.#core.preview(next, {
      actions,
      configured,
      keepsConnection: (tid) => keepsConnection(next.config, tid),
      follows: (key) => !removed.has(key),
      hold: (endings) => this.#brake.preview(this.#ownDrops(endings), ownLimits(picture)),
    });
    const audit = auditConnections(this.#auditInput(picture, kernel));
    const unwanted = audit.kind === 'done' ? audit.unwanted : [];
    const held = this.#auditBrake.preview(unwanted.map(othersDrop), auditLimits(picture, kernel));
    return withAudit(preview, picture, audit, held);
  }

  /** stafd said something new. */
  discoveryChanged(): void {
    this.#core.loop.mark();
  }

  /** Leaves every connection as it is; resolves when nothing is in flight any more. */
  async stop(): Promise<void> {
    await this.#core.stop({
      keepsConnection: () => true,
      save: () => {
        this.#auditTimer?.dispose();
        this.#brake.dispose();
        this.#auditBrake.dispose();
        this.#save();
      },
    });
  }

  /** Before the first plan, so that it disconnects what nobody asks for any more. */
  async #restore(saved: readonly SavedIoc[]): Promise<void> {
    for (const { hostId, sources, tid } of saved) {
      if (this.#core.stopping) return;
      this.#core.controllers.add(tid, new Set(sources), { ...RESTORED, hostId });
      const key = tidKey(tid);
      if (!(await this.#core.controllers.adopt(key))) this.#core.controllers.remove(key, true);
    }
  }

  #pass(kernel: KernelSnapshot): void {
    const picture = this.#picture();
    const { controllers } = this.#core;
    this.#latency.look(picture.discovery, (key) => controllers.get(key) !== undefined);
    let words: ReturnType<typeof sourceWords> | undefined;
    const removed = this.#core.apply(planIoControllers(picture), {
      created: ({ extra }) => extra,
      added: ({ driver, sources }) => {
        this.#latency.added(driver.key, sources);
        words ??= sourceWords({ picture, configured: this.#core.configured.list() });
        const why = [...sources].map(words).join('; ');
        this.#deps.log.info(
          `${printTid(driver.tid)} - Added: ${why}`,
          controllerFields(driver.tid),
        );
      },
      kept: (record, planned) => this.#kept(record, planned),
      keepsConnection: ({ driver }) => keepsConnection(this.settings.config, driver.tid),
      hold: (endings) => this.#brake.hold(this.#ownDrops(endings), ownLimits(picture)),
    });
    if (removed.length > 0) this.#droppedAt = this.#deps.clock.now();
    this.#save();
    if (!this.#auditDue) return;
    if (this.#core.hasty && auditsOthers(picture)) this.#core.loop.mark();
    else this.#audit(picture, kernel);
  }

  /** A connection that another controller holds, too, which stays, is no loss. */
  #ownDrops(endings: readonly Ending<IocExtra>[]): readonly Drop[] {
    if (endings.length === 0) return [];
    const ending = new Set(endings.map(({ record }) => record.driver.key));
    const staying = new Set(
      this.controllers().flatMap(({ driver: { kernel, key } }) =>
        kernel === undefined || ending.has(key) ? [] : [kernel.instance],
      ),
    );
    return endings.map((it) => {
      const drop = ownDrop(it);
      return staying.has(drop.kernel?.instance ?? '') ? { ...drop, kernel: undefined } : drop;
    });
  }

  #kept(record: IocRecord, planned: IocExtra): IocExtra {
    const cleared = record.extra.ncc && !planned.ncc;
    record.extra = planned;
    if (cleared) record.driver.feed({ kind: 'kick' });
    return planned;
  }

  #picture(): StacdSnapshot {
    return {
      now: this.#deps.clock.now(),
      config: this.settings.config,
      hostNqn: this.settings.host.hostnqn,
      configured: this.#core.configured.list(),
      discovery: this.#deps.discovery.current(),
      controllers: this.#core.controllers.existing(),
      connected: new Set(
        this.#core.controllers
          .live()
          .filter(({ driver }) => driver.kernel !== undefined)
          .map(({ driver }) => driver.key),
      ),
    };
  }

  /** Drops what nobody wants, if the scope says so and everything is known; else when it is. */
  #audit(picture: StacdSnapshot, kernel: KernelSnapshot): void {
    const audit = auditConnections(this.#auditInput(picture, kernel));
    this.#auditDue = audit.kind === 'later';
    // What is held meanwhile is held: nothing goes without a younger statement.
    if (audit.kind === 'later') return;
    const unwanted = audit.unwanted.filter(({ kernel: it }) => !this.#dropped.has(it.instance));
    const limits = auditLimits(picture, kernel);
    const held = this.#auditBrake.hold(unwanted.map(othersDrop), limits);
    this.#auditDue = held.size > 0;
    for (const { kernel: it } of unwanted) {
      if (!held.has(it.instance)) void this.#disconnectUnwanted(it);
    }
  }

  #beginAudit(): void {
    this.#auditDue = true;
    this.#dropped.clear();
  }

  #auditInput(picture: StacdSnapshot, kernel: KernelSnapshot): AuditInput {
    return {
      picture,
      kernel: [...kernel.values()],
      drivers: this.#core.controllers.all().map(({ driver }) => driver),
      interfaces: this.#deps.interfaces.list(),
      untouchable: (controller) => this.#core.boot.claim(controller, false) !== undefined,
    };
  }

  async #disconnectUnwanted(controller: KernelController): Promise<void> {
    const { fabrics, log } = this.#deps;
    const { device, instance } = controller;
    this.#dropped.add(instance);
    this.#leaving.add(device);
    this.#droppedAt = this.#deps.clock.now();
    const [name, fields] = [kernelName(controller), kernelFields(controller)];
    log.notice(`${name} - ${UNWANTED}: disconnecting`, fields);
    try {
      await fabrics.disconnect(controller);
      this.#core.metrics.disconnected();
      log.info(`${name} - Disconnected`, fields);
    } catch (thrown) {
      const { code, message } = toPortError(thrown);
      this.#core.metrics.disconnectFailed(code);
      log.error(`${name} - Failed to disconnect: ${message}`, fields);
    } finally {
      this.#leaving.delete(device);
      this.#droppedAt = this.#deps.clock.now();
    }
  }

  #deviceEvent(event: DeviceEvent): void {
    if (event.kind === 'nvme-event' && event.event === 'connected') {
      for (const { driver } of this.#core.controllers.holding(event.device)) {
        driver.feed({ kind: 'event', event: 'connected' });
      }
    }
    if (event.kind !== 'add') return;
    this.#auditTimer?.dispose();
    this.#auditTimer = this.#deps.clock.setTimer(AUDIT_AFTER_ADD_MS, () => {
      this.#beginAudit();
      this.#core.loop.mark();
    });
  }

  #save(): void {
    const live = this.#core.controllers.live();
    const parts = live.flatMap(({ driver, extra, sources }) => [driver.tid, extra.hostId, sources]);
    this.#core.lkc.saveParts(parts, () =>
      dumpLkc(
        live.map(({ driver: { tid }, extra: { hostId }, sources }): SavedIoc => {
          return { tid, hostId, sources: [...sources] };
        }),
      ),
    );
  }
}

/** What a configuration or a log says of it is filled in by the first plan. */
const RESTORED = { options: {}, entry: undefined, ncc: false };
