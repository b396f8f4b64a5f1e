/**
 * Carries out what the state machine of one controller asks for.
 *
 * Invariants:
 * - inputs are taken one after the other: an effect that answers at once is queued, not nested;
 * - one timer, set to the machine's deadline after every step;
 * - an answer that belongs to an earlier life of the connection is dropped;
 * - after `gone` or `dispose` nothing is performed any more.
 */
import { step } from '../core/controller-machine.ts';
import {
  deadline,
  type ControllerModel,
  type DiscoveryOp,
  type Effect,
  type Input,
  type Policy,
  type Report,
} from '../core/controller-model.ts';
import type { ConnectOptions, ProbeMode } from '../nvme/connect-options.ts';
import { matchesConnection, sameTarget } from '../nvme/connection-match.ts';
import { isLeaving, type KernelController } from '../nvme/kernel-controller.ts';
import { tidKey, type TidKey, type TransportId } from '../nvme/transport-id.ts';
import type { Disposable } from '../ports/disposable.ts';
import { PortError, toPortError } from '../ports/errors.ts';
import type { Fabrics, HostIdentity, RawDiscoveryLog } from '../ports/fabrics.ts';
import type { Clock, Interfaces, Prober } from '../ports/host.ts';
import type { ConnectQueue } from './connect-queue.ts';
import type { KernelIndex, KernelSnapshot } from './kernel-index.ts';

/**
 * How old a picture of the kernel may be when an existing connection is looked for. Short: the kernel
 * itself refuses a second connection (EALREADY) only if that is asked for in the same words.
 */
const INDEX_AGE_MS = 1_000;

export interface DriverDeps {
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly fabrics: Fabrics;
  readonly prober: Prober;
  readonly interfaces: Interfaces;
  readonly queue: ConnectQueue;
  readonly index: KernelIndex;
}

/** Settings that a reload may change under a living controller; asked for when needed. */
export interface DriverSettings {
  readonly host: HostIdentity;
  readonly options: ConnectOptions;
  readonly policy: Policy;
  readonly probeMode: ProbeMode;
}

/** What a log says of the DC that it was read from. */
export interface LogVerdict {
  /** False if the DC says that it keeps no persistent connections. */
  readonly persistent: boolean;
}

export interface DriverHooks {
  settings(driver: ControllerDriver): DriverSettings;
  /** Something that others can see changed. */
  changed(driver: ControllerDriver): void;
  /** Its `kernel` is another one now, or was read anew; before anything follows from that. */
  holds(driver: ControllerDriver, before: KernelController | undefined): void;
  report(driver: ControllerDriver, report: Report): void;
  /** A discovery log page was read whole from its own device; `begunAt`: milliseconds. */
  logRead(driver: ControllerDriver, log: RawDiscoveryLog, begunAt: number): LogVerdict;
  /** Another controller of this daemon holds the same device: it must not be disconnected. */
  heldByAnother(driver: ControllerDriver, kernel: KernelController): boolean;
  /**
   * Why a connection must never be dropped, as words that continue "it is …": PCIe, the boot path.
   * `own`: this driver made it.
   */
  untouchable(kernel: KernelController, own: boolean): string | undefined;
  gone(driver: ControllerDriver): void;
}

export class ControllerDriver implements Disposable {
  readonly tid: TransportId;
  readonly key: TidKey;
  readonly #deps: DriverDeps;
  readonly #hooks: DriverHooks;
  readonly #inputs: Input[] = [];
  #model: ControllerModel;
  #feeding = false;
  #timer: Disposable | undefined;
  #probe: AbortController | undefined;
  /** The discovery command in flight; an answer to another one is stale. */
  #operation: symbol | undefined;
  /** The instance of the device that came of its last connect. */
  #made: string | undefined;
  /** The machine asked for a connect that the turn at hand is to make. */
  #connectDue = false;
  #disposed = false;

  constructor(tid: TransportId, model: ControllerModel, deps: DriverDeps, hooks: DriverHooks) {
    this.tid = tid;
    this.key = tidKey(tid);
    this.#deps = deps;
    this.#hooks = hooks;
    this.#model = model;
  }

  get model(): ControllerModel {
    return this.#model;
  }

  /** The device that it holds, or undefined while there is none. */
  get kernel(): KernelController | undefined {
    const { phase } = this.#model;
    if (phase.kind === 'connected' || phase.kind === 'parting') return phase.kernel;
    if (phase.kind !== 'disposing' || phase.step.kind === 'awaiting-connect') return undefined;
    return phase.step.kernel;
  }

  /** Why the connection that it holds must never be dropped; undefined if it may, or has none. */
  get untouchable(): string | undefined {
    return this.kernel && this.#untouchable(this.kernel);
  }

  get disposing(): boolean {
    return this.#model.phase.kind === 'disposing' || this.#model.phase.kind === 'gone';
  }

  feed(input: Input): void {
    if (this.#disposed) return;
    this.#inputs.push(input);
    if (this.#feeding) return;
    this.#feeding = true;
    try {
      for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
        this.#take(next);
      }
    } finally {
      this.#feeding = false;
    }
  }

  /** Takes over the connection that the kernel has, before the start; false if it has none. */
  async adopt(): Promise<boolean> {
    const kernel = await this.#findExisting(INDEX_AGE_MS);
    if (kernel === undefined) return false;
    this.feed({ kind: 'found', kernel });
    return true;
  }

  /** Compares what it holds with what the kernel has. */
  observe(snapshot: KernelSnapshot): void {
    const held = this.kernel;
    if (held === undefined) return;
    const now = snapshot.get(held.device);
    const complete = now?.instance === held.instance && now.state === 'live';
    if (!complete) void this.look();
    else if (now !== held) this.feed({ kind: 'observed', kernel: now });
  }

  dispose(): void {
    this.#disposed = true;
    this.#timer?.dispose();
    this.#timer = undefined;
    this.#probe?.abort();
    this.#probe = undefined;
    this.#deps.queue.dequeue(this.key);
  }

  /** Compares with the device itself: a picture may be from before sysfs said what it is. */
  async look(): Promise<void> {
    const held = this.kernel;
    if (held === undefined) return;
    try {
      const now = await this.#deps.index.read(held.device);
      const same = now?.instance === held.instance ? now : undefined;
      if (this.kernel === held) this.feed({ kind: 'observed', kernel: same });
      // What was heard of it meanwhile may be younger than what was read.
      else if (this.kernel?.instance === held.instance) await this.look();
    } catch {
      // The next pass looks again.
    }
  }

  #take(input: Input): void {
    const before = this.#model;
    const held = this.kernel;
    const { clock, queue, random } = this.#deps;
    const { firstTriesWait } = queue;
    const { policy } = this.#hooks.settings(this);
    const context = { now: clock.now(), random: random(), policy, firstTriesWait };
    const { model, effects } = step(before, input, context);
    this.#model = model;
    if (this.kernel !== held) this.#hooks.holds(this, held);
    const { phase } = model;
    const running = phase.kind === 'connected' && phase.work.kind === 'running';
    const awaited = phase.kind === 'disposing' && phase.step.kind === 'awaiting-operation';
    if (!running && !awaited) this.#operation = undefined;
    for (const effect of effects) this.#perform(effect);
    this.#arm();
    if (model !== before) this.#hooks.changed(this);
  }

  #arm(): void {
    this.#timer?.dispose();
    this.#timer = undefined;
    const due = deadline(this.#model);
    if (due === undefined || this.#disposed) return;
    this.#timer = this.#deps.clock.setTimer(Math.max(0, due - this.#deps.clock.now()), () => {
      this.feed({ kind: 'timer' });
    });
  }

  #perform(effect: Effect): void {
    switch (effect.kind) {
      case 'probe':
        void this.#runProbe();
        return;
      case 'cancel-probe':
        this.#probe?.abort();
        this.#probe = undefined;
        return;
      case 'enqueue':
        this.#deps.queue.enqueue(this.key, effect.lane, () => this.#takeTurn());
        return;
      case 'dequeue':
        this.#deps.queue.dequeue(this.key);
        return;
      case 'connect':
        // Made by #takeTurn, which the queue waits for.
        this.#connectDue = true;
        return;
      case 'disconnect':
        void this.#disconnect(effect.kernel);
        return;
      case 'run':
        void this.#run(effect.op, effect.kernel, effect.pleo);
        return;
      case 'report':
        this.#hooks.report(this, effect.report);
        return;
      case 'gone':
        this.dispose();
        this.#hooks.gone(this);
        return;
    }
  }

  async #runProbe(): Promise<void> {
    this.#probe?.abort();
    const abort = new AbortController();
    this.#probe = abort;
    const existing = await this.#findExisting(INDEX_AGE_MS);
    if (this.#probe !== abort) return;
    if (existing !== undefined) {
      this.#probe = undefined;
      this.feed({ kind: 'found', kernel: existing });
      return;
    }
    const { probeMode } = this.#hooks.settings(this);
    const result = await this.#deps.prober.probe(this.tid, probeMode, abort.signal);
    // Cancelled, and perhaps begun anew, while it ran.
    if (this.#probe !== abort) return;
    this.#probe = undefined;
    this.feed({ kind: 'probed', error: result.kind === 'reachable' ? undefined : result.error });
  }

  async #takeTurn(): Promise<void> {
    this.feed({ kind: 'turn' });
    if (!this.#connectDue) return;
    this.#connectDue = false;
    await this.#connect();
  }

  async #connect(): Promise<void> {
    const { host, options } = this.#hooks.settings(this);
    let heldMs = 0;
    try {
      const existing = await this.#findExisting(INDEX_AGE_MS);
      if (existing !== undefined) {
        this.feed({ kind: 'connected', kernel: existing, adopted: true });
        return;
      }
      const measured = this.#deps.queue.measure();
      const device = await this.#deps.fabrics
        .connect({ tid: this.tid, host, options, discovery: this.#model.kind === 'discovery' })
        .finally(() => {
          heldMs = measured();
        });
      const kernel = await this.#deps.index.read(device);
      // The name may have passed to somebody else's connection meanwhile, which is not ours to hold.
      if (kernel === undefined || !sameTarget(this.tid, kernel)) {
        throw retryable('ENODEV', `${device} vanished right after it was connected`);
      }
      this.#made = kernel.instance;
      this.feed({ kind: 'connected', kernel, adopted: false });
    } catch (thrown) {
      await this.#connectFailed(toPortError(thrown), heldMs);
    }
  }

  async #connectFailed(error: PortError, heldMs: number): Promise<void> {
    // Somebody else was faster.
    const existing = error.code === 'EALREADY' ? await this.#findExisting(0) : undefined;
    if (existing === undefined) this.feed({ kind: 'connect-failed', error, heldMs });
    else this.feed({ kind: 'connected', kernel: existing, adopted: true });
  }

  /** The kernel's own connection to this controller, whoever made it. */
  async #findExisting(maxAgeMs: number): Promise<KernelController | undefined> {
    try {
      const candidates = await this.#deps.index.candidates(this.tid, maxAgeMs);
      if (candidates.length === 0) return undefined;
      const interfaces = this.#deps.interfaces.list();
      const matches = (it: KernelController): boolean =>
        !isLeaving(it) && matchesConnection(this.tid, this.#model.kind, it, interfaces);
      for (const candidate of candidates) {
        if (!matches(candidate)) continue;
        // The picture may be from before it went, or from before it was all that it is.
        const kernel = await this.#deps.index.read(candidate.device);
        if (kernel?.instance === candidate.instance && matches(kernel)) return kernel;
      }
    } catch {
      // Without a picture of the kernel the connect itself finds out (EALREADY).
    }
    return undefined;
  }

  async #disconnect(kernel: KernelController): Promise<void> {
    const why = this.#hooks.heldByAnother(this, kernel)
      ? "another controller's, too"
      : this.#untouchable(kernel);
    const { device } = kernel;
    // One that is only parting was reported by the machine.
    const tell = (report: Report): void => {
      if (this.disposing) this.#hooks.report(this, report);
    };
    tell(why === undefined ? { kind: 'disconnecting', device } : { kind: 'spared', device, why });
    try {
      if (why === undefined) await this.#deps.fabrics.disconnect(kernel);
    } catch (thrown) {
      this.feed({ kind: 'disconnect-failed', error: toPortError(thrown) });
      return;
    }
    if (why === undefined) tell({ kind: 'disconnected', device });
    this.feed({ kind: 'disconnected' });
  }

  #untouchable(kernel: KernelController): string | undefined {
    return this.#hooks.untouchable(kernel, this.#made === kernel.instance);
  }

  async #run(op: DiscoveryOp, kernel: KernelController, pleo: boolean): Promise<void> {
    const operation = Symbol(op);
    this.#operation = operation;
    const begunAt = this.#deps.clock.now();
    try {
      const { log, ...done } = await this.#command(op, kernel, pleo);
      if (this.#operation !== operation) return;
      this.feed({ kind: 'done', op, ...done, ...(log && this.#judge(kernel, log, begunAt)) });
    } catch (thrown) {
      if (this.#operation !== operation) return;
      this.feed({ kind: 'failed', op, error: toPortError(thrown) });
    }
  }

  #judge(kernel: KernelController, log: RawDiscoveryLog, begunAt: number): LogVerdict {
    const { persistent } = this.#hooks.logRead(this, log, begunAt);
    return { persistent: persistent || this.#untouchable(kernel) !== undefined };
  }

  async #command(
    op: DiscoveryOp,
    kernel: KernelController,
    pleo: boolean,
  ): Promise<{ readonly pleo?: boolean; readonly log?: RawDiscoveryLog }> {
    const { fabrics } = this.#deps;
    switch (op) {
      case 'register':
        await fabrics.register(kernel.device, this.#hooks.settings(this).host);
        return {};
      case 'read-support': {
        const support = await fabrics.getDiscoveryLogSupport(kernel.device);
        return { pleo: support.supported && support.pleo };
      }
      case 'read-log': {
        const log = await fabrics.getDiscoveryLog(kernel.device, { pleo });
        // The name may have passed to another connection while it was read.
        const now = await this.#deps.index.read(kernel.device);
        if (now?.instance !== kernel.instance) {
          throw retryable('DEVICE_CHANGED', `${kernel.device} changed while its log was read`);
        }
        return { log };
      }
    }
  }
}

function retryable(code: string, text: string): PortError {
  return new PortError(text, { code, errorClass: 'retry' });
}
