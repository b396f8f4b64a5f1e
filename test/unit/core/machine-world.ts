/**
 * The world around one controller, for tests of the state machine: it carries out effects in the
 * order in which a test says, as slowly as a test says, and knows what must hold after every step.
 *
 * It is written from the promises, not from the driver: effects that contradict each other (two
 * kernel operations at a time, a probe that nobody began) throw.
 */
import { step } from '../../../src/core/controller-machine.ts';
import {
  deadline,
  newController,
  type ControllerModel,
  type DiscoveryOp,
  type Effect,
  type Failure,
  type Input,
  type Policy,
  type QueueLane,
  type Report,
} from '../../../src/core/controller-model.ts';
import type { KernelController } from '../../../src/nvme/kernel-controller.ts';

export const RETRY: Failure = { code: 'ETIMEDOUT', message: 'timed out', errorClass: 'retry' };
export const FINAL: Failure = { code: 'NVME_STATUS', message: 'refused', errorClass: 'final' };
export const CHANGED: Failure = {
  code: 'DEVICE_CHANGED',
  message: 'another connection',
  errorClass: 'final',
};

export function kernelController(fields: Partial<KernelController> = {}): KernelController {
  return {
    device: 'nvme0',
    instance: '1',
    transport: 'tcp',
    traddr: '192.0.2.1',
    trsvcid: '8009',
    hostTraddr: '',
    hostIface: '',
    srcAddr: '',
    subsysnqn: 'nqn.2014-08.org.nvmexpress.discovery',
    hostnqn: 'nqn.host',
    hostid: 'host',
    cntrltype: 'discovery',
    dctype: 'none',
    model: '',
    serial: '',
    cntlid: '1',
    state: 'live',
    hasChildren: false,
    ...fields,
  };
}

/** What is under way outside of the machine. */
export interface Pending {
  probe: boolean;
  queue: QueueLane | undefined;
  connect: boolean;
  disconnect: boolean;
  op: DiscoveryOp | undefined;
}

export class MachineWorld {
  readonly kernel: KernelController;
  readonly pending: Pending = {
    probe: false,
    queue: undefined,
    connect: false,
    disconnect: false,
    op: undefined,
  };
  model: ControllerModel;
  policy: Policy;
  now = 1_000_000;
  random = 0.5;
  firstTriesWait = false;
  /** A kernel connection that the machine made exists. */
  ours = false;
  /** What `remove` was first told. */
  removal: { readonly keep: boolean } | undefined;
  goneCount = 0;
  readonly reports: Report[] = [];
  readonly effects: Effect[] = [];
  #steps = 0;
  /** Per step, when it was last asked for by an event, and when it was last begun. */
  readonly #asked: Record<DiscoveryOp, number> = { register: 0, 'read-support': 0, 'read-log': 0 };
  readonly #begun: Record<DiscoveryOp, number> = { register: 0, 'read-support': 0, 'read-log': 0 };

  constructor(
    kind: 'discovery' | 'io',
    policy: Partial<Policy> = {},
    kernel: Partial<KernelController> = {},
  ) {
    this.model = newController(kind);
    this.policy = { pleo: true, maxAttempts: 0, pollMs: undefined, ...policy };
    this.kernel = kernelController(kernel);
  }

  get phase(): ControllerModel['phase'] {
    return this.model.phase;
  }

  /** One step, its effects begun, everything checked. Returns the effects. */
  feed(input: Input): readonly Effect[] {
    const before = this.model;
    this.#steps += 1;
    this.#note(input);
    const { firstTriesWait, now, policy, random } = this;
    const context = { now, random, policy, firstTriesWait };
    const { model, effects } = step(before, input, context);
    this.model = model;
    const { phase } = model;
    const commanded =
      (phase.kind === 'connected' && phase.work.kind === 'running') ||
      (phase.kind === 'disposing' && phase.step.kind === 'awaiting-operation');
    // The device went: whoever carries out the command drops its answer.
    if (!commanded) this.pending.op = undefined;
    for (const effect of effects) this.#begin(effect);
    this.effects.push(...effects);
    this.check();
    return effects;
  }

  /** Time passes; a timer that falls due fires. */
  advance(ms: number): void {
    this.now += ms;
    const due = deadline(this.model);
    if (due === undefined || due > this.now) return;
    this.feed({ kind: 'timer' });
    const next = deadline(this.model);
    demand(next === undefined || next > this.now, 'a deadline that stays in the past');
  }

  answerProbe(error?: Failure): void {
    this.#take('probe');
    this.feed({ kind: 'probed', error });
  }

  answerFound(): void {
    this.#take('probe');
    this.feed({ kind: 'found', kernel: this.kernel });
    this.ours = true;
  }

  giveTurn(): void {
    if (this.pending.queue === undefined) throw new Error('nothing is queued');
    this.pending.queue = undefined;
    this.feed({ kind: 'turn' });
  }

  answerConnect(outcome: 'made' | 'adopted' | Failure, heldMs = 100): void {
    this.#take('connect');
    if (typeof outcome === 'object') {
      this.feed({ kind: 'connect-failed', error: outcome, heldMs });
      return;
    }
    // Adopted by a machine that lives on is its own from then on.
    if (outcome === 'made' || this.removal === undefined) this.ours = true;
    this.feed({ kind: 'connected', kernel: this.kernel, adopted: outcome === 'adopted' });
  }

  answerDisconnect(error?: Failure): void {
    this.#take('disconnect');
    if (error === undefined || error.code === 'DEVICE_CHANGED') this.ours = false;
    this.feed(
      error === undefined ? { kind: 'disconnected' } : { kind: 'disconnect-failed', error },
    );
  }

  answerOp(
    outcome: { readonly pleo?: boolean; readonly persistent?: boolean } | Failure = {},
  ): void {
    const { op } = this.pending;
    if (op === undefined) throw new Error('no discovery command is in flight');
    this.pending.op = undefined;
    if ('code' in outcome) this.feed({ kind: 'failed', op, error: outcome });
    else this.feed({ kind: 'done', op, ...outcome });
  }

  /** The device went away. */
  lose(): void {
    this.ours = false;
    this.feed({ kind: 'observed', kernel: undefined });
  }

  remove(keep: boolean): void {
    this.removal ??= { keep };
    this.feed({ kind: 'remove', keepConnection: keep });
  }

  /** To `connected`, by a probe and a connect. */
  connect(): this {
    this.feed({ kind: 'start' });
    this.answerProbe();
    this.giveTurn();
    this.answerConnect('made');
    return this;
  }

  /** To `parting`: every command done, and the log says that it keeps no connections. */
  part(): this {
    this.connect();
    while (this.pending.op !== undefined) this.answerOp({ persistent: false });
    return this;
  }

  /** To `connected` with every command done. */
  steady(): this {
    this.connect();
    while (this.pending.op !== undefined) this.answerOp();
    return this;
  }

  check(): void {
    const { phase, doubtful } = this.model;
    const { connect, disconnect, op, probe, queue } = this.pending;
    const inFlight = [connect, disconnect, op !== undefined].filter(Boolean).length;
    demand(inFlight <= 1, 'more than one kernel operation is in flight');
    demand(probe === (phase.kind === 'probing'), 'a probe runs exactly while probing');
    demand(doubtful === (queue === 'doubtful'), 'doubtful exactly while queued for it');
    demand(
      queue === undefined || queue === 'doubtful' || phase.kind === 'queued',
      `queued as ${String(queue)} while ${phase.kind}`,
    );
    const due = deadline(this.model);
    switch (phase.kind) {
      case 'idle':
        demand(this.effects.length === 0, 'idle again');
        break;
      case 'probing':
        break;
      case 'queued':
        demand(queue === 'first' || queue === 'repeat', 'queued without an entry in the queue');
        break;
      case 'connecting':
        demand(connect, 'connecting without a connect');
        break;
      case 'connected':
        switch (phase.work.kind) {
          case 'none':
            demand(this.model.kind === 'io', 'a discovery controller has work');
            break;
          case 'running':
            demand(op === phase.work.op, 'a command is said to run and does not');
            break;
          case 'waiting':
            demand(due !== undefined, 'waits for no time');
            break;
          case 'steady':
            for (const name of ['register', 'read-support', 'read-log'] as const) {
              const lost = this.#begun[name] < this.#asked[name];
              demand(!lost, `an event that asked for ${name} was lost`);
            }
            break;
        }
        break;
      case 'waiting-retry':
        demand(due !== undefined, 'waits for no time');
        break;
      case 'parting':
        demand(disconnect, 'parting without a disconnect');
        break;
      case 'resting':
        demand(queue === undefined && inFlight === 0, 'resting with something under way');
        demand(!this.ours, 'resting, and its connection stayed behind');
        demand(
          this.#begun['read-log'] >= this.#asked['read-log'] || phase.until <= this.now,
          'an event that asked for a poll was lost',
        );
        break;
      case 'held':
        demand(queue === undefined && inFlight === 0, 'held with something under way');
        break;
      case 'disposing':
        demand(this.removal !== undefined, 'disposing of itself');
        switch (phase.step.kind) {
          case 'awaiting-connect':
            demand(connect, 'awaits a connect that nobody makes');
            break;
          case 'awaiting-operation':
            demand(op !== undefined, 'awaits a command that nobody runs');
            break;
          case 'disconnecting':
            demand(disconnect, 'disconnecting without a disconnect');
            break;
          case 'waiting':
            demand(due !== undefined, 'waits for no time');
            break;
        }
        break;
      case 'gone':
        demand(this.goneCount === 1, `gone ${String(this.goneCount)} times`);
        demand(!probe && queue === undefined && inFlight === 0, 'gone with something under way');
        demand(this.removal !== undefined, 'gone without being removed');
        demand(
          this.removal?.keep === true || !this.ours,
          'removed for good, and its connection stayed behind',
        );
        break;
    }
  }

  #take(what: 'probe' | 'connect' | 'disconnect'): void {
    if (!this.pending[what]) throw new Error(`no ${what} is under way`);
    this.pending[what] = false;
  }

  #note(input: Input): void {
    const { phase } = this.model;
    if (phase.kind === 'parting') {
      const says = input.kind === 'event' ? input.event !== 'connected' : input.kind === 'refresh';
      if (says || input.kind === 'kick') this.#asked['read-log'] = this.#steps;
    }
    if (phase.kind !== 'connected' || this.model.kind !== 'discovery') return;
    if (input.kind !== 'event' && input.kind !== 'refresh') return;
    const { echoUntil } = this.model;
    const echo = echoUntil !== undefined && this.now <= echoUntil;
    // It says nothing that was not acted on.
    if (input.kind === 'event' && input.event === 'connected' && echo) return;
    this.#asked['read-log'] = this.#steps;
    if (input.kind === 'event' && input.event === 'log-changed') return;
    const { dctype } = phase.kernel;
    if (dctype === 'ddc' || dctype === 'cdc') this.#asked.register = this.#steps;
  }

  #begin(effect: Effect): void {
    const { pending } = this;
    switch (effect.kind) {
      case 'probe':
        pending.probe = true;
        return;
      case 'cancel-probe':
        demand(pending.probe, 'there is no probe to cancel');
        pending.probe = false;
        return;
      case 'enqueue':
        pending.queue = effect.lane;
        return;
      case 'dequeue':
        pending.queue = undefined;
        return;
      case 'connect':
        this.#idleKernel('connect');
        pending.connect = true;
        return;
      case 'disconnect':
        this.#idleKernel('disconnect');
        demand(
          this.removal === undefined
            ? this.phase.kind === 'parting' && this.policy.pollMs !== undefined
            : !this.removal.keep,
          'a disconnect that nobody asked for',
        );
        pending.disconnect = true;
        return;
      case 'run':
        this.#idleKernel(effect.op);
        pending.op = effect.op;
        this.#begun[effect.op] = this.#steps;
        return;
      case 'report':
        this.reports.push(effect.report);
        return;
      case 'gone':
        this.goneCount += 1;
        return;
    }
  }

  #idleKernel(what: string): void {
    const { connect, disconnect, op } = this.pending;
    const busy = connect ? 'connect' : disconnect ? 'disconnect' : op;
    demand(busy === undefined, `${what} while a ${String(busy)} is in flight`);
  }
}

function demand(holds: boolean, message: string): void {
  if (!holds) throw new Error(message);
}
