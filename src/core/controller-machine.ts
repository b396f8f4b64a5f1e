/**
 * The life of one controller, as a pure function: model and input in, model and effects out.
 *
 * Invariants, which the property tests check after every step:
 * - At most one kernel operation is in flight: a connect while `connecting` (or `disposing` and
 *   awaiting it), a disconnect while `disposing`, a discovery command while `work` is `running`.
 * - A connect cannot be cancelled. Removal while it is in flight is `disposing`, and the connection
 *   that comes of it is disconnected (unless it is to be kept) before the controller is `gone`.
 * - An event during an operation is remembered and acted on after it; none is lost.
 * - `gone` is final.
 *
 * This file is long because the table of states and inputs is one thing: split, no reader could
 * check that every pair is answered.
 */
import type { KernelController } from '../nvme/kernel-controller.ts';
import { retryDelayMs } from './retry-policy.ts';

/** Why an operation failed; `final` ones fail again until something is changed. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly errorClass: 'retry' | 'final';
}

/** The three steps after a discovery controller is connected, in their order (SPEC: stafd). */
export type DiscoveryOp = 'register' | 'read-support' | 'read-log';

/** Where a discovery controller's commands stand; `none` for I/O controllers. */
export type DiscoveryWork =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'running';
      readonly op: DiscoveryOp;
      /** The earliest step that an event asked for meanwhile. */
      readonly again: DiscoveryOp | undefined;
    }
  | {
      readonly kind: 'waiting';
      readonly op: DiscoveryOp;
      readonly until: number;
      readonly error: Failure;
    }
  | { readonly kind: 'steady' };

export type Phase =
  | { readonly kind: 'idle' }
  /** Looking whether the kernel has it already, then whether the address answers. */
  | { readonly kind: 'probing' }
  | { readonly kind: 'queued' }
  | { readonly kind: 'connecting' }
  | { readonly kind: 'connected'; readonly kernel: KernelController; readonly work: DiscoveryWork }
  | { readonly kind: 'waiting-retry'; readonly until: number }
  /** Tried as often as allowed while its entry says "not connected to CDC". */
  | { readonly kind: 'held'; readonly why: 'ncc' }
  | { readonly kind: 'disposing'; readonly step: DisposalStep }
  | { readonly kind: 'gone' };

export type DisposalStep =
  | { readonly kind: 'awaiting-connect'; readonly keepConnection: boolean }
  | {
      readonly kind: 'awaiting-operation';
      readonly kernel: KernelController;
      readonly keepConnection: boolean;
    }
  | { readonly kind: 'disconnecting'; readonly kernel: KernelController }
  | { readonly kind: 'waiting'; readonly kernel: KernelController; readonly until: number };

export interface ControllerModel {
  readonly kind: 'discovery' | 'io';
  readonly phase: Phase;
  /** Tries since it was last connected, probes that found nothing included. */
  readonly attempts: number;
  readonly lastError: Failure | undefined;
  /** Time of the first failure since it was last connected. */
  readonly failingSince: number | undefined;
  /** An entry of last resort stands in the connect queue, beside the probing. */
  readonly doubtful: boolean;
  /** When the kernel was last given an address that the probe could not reach. */
  readonly lastDoubtful: number | undefined;
  /** Whether the DC supports port-local entries; known after `read-support`. */
  readonly pleo: boolean;
  /** Failures in a row of the discovery command at hand. */
  readonly opFailures: number;
  /**
   * Until when one `connected` event is still to come from the connect or the `rediscover` event
   * that was already acted on: the kernel sends it in the same breath, and it says nothing more.
   */
  readonly echoUntil: number | undefined;
}

export type Input =
  | { readonly kind: 'start' }
  /** Try now: reload, a link that came up, an NCC bit that was cleared. */
  | { readonly kind: 'kick' }
  | { readonly kind: 'timer' }
  | { readonly kind: 'probed'; readonly error: Failure | undefined }
  /** The kernel has this connection already: seen before the probe. */
  | { readonly kind: 'found'; readonly kernel: KernelController }
  | { readonly kind: 'turn' }
  | { readonly kind: 'connected'; readonly kernel: KernelController; readonly adopted: boolean }
  | { readonly kind: 'connect-failed'; readonly error: Failure }
  /** What the kernel has now for the device that this controller holds. */
  | { readonly kind: 'observed'; readonly kernel: KernelController | undefined }
  | { readonly kind: 'event'; readonly event: 'connected' | 'rediscover' | 'log-changed' }
  /** Begin again with step 1 (reload). */
  | { readonly kind: 'refresh' }
  | { readonly kind: 'done'; readonly op: DiscoveryOp; readonly pleo?: boolean }
  | { readonly kind: 'failed'; readonly op: DiscoveryOp; readonly error: Failure }
  | { readonly kind: 'remove'; readonly keepConnection: boolean }
  | { readonly kind: 'disconnected' }
  | { readonly kind: 'disconnect-failed'; readonly error: Failure };

/** `doubtful` entries get a turn only when nothing else waits. */
export type QueueLane = 'first' | 'repeat' | 'doubtful';

export type Effect =
  | { readonly kind: 'probe' }
  | { readonly kind: 'cancel-probe' }
  | { readonly kind: 'enqueue'; readonly lane: QueueLane }
  | { readonly kind: 'dequeue' }
  | { readonly kind: 'connect' }
  | { readonly kind: 'disconnect'; readonly kernel: KernelController }
  | {
      readonly kind: 'run';
      readonly op: DiscoveryOp;
      readonly kernel: KernelController;
      readonly pleo: boolean;
    }
  | { readonly kind: 'report'; readonly report: Report }
  | { readonly kind: 'gone' };

/** What an operator should hear: one when a spell of failures begins, one when it ends. */
export type Report =
  | {
      readonly kind: 'connected';
      readonly adopted: boolean;
      readonly device: string;
      readonly attempts: number;
    }
  | {
      readonly kind: 'connect-failed';
      readonly error: Failure;
      readonly first: boolean;
      readonly delayMs: number;
    }
  | { readonly kind: 'held'; readonly attempts: number }
  | { readonly kind: 'lost'; readonly device: string }
  | {
      readonly kind: 'op-failed';
      readonly op: DiscoveryOp;
      readonly error: Failure;
      readonly first: boolean;
      readonly delayMs: number;
    }
  | { readonly kind: 'op-refused'; readonly op: DiscoveryOp; readonly error: Failure }
  | { readonly kind: 'disconnecting'; readonly device: string }
  | { readonly kind: 'disconnect-failed'; readonly error: Failure; readonly device: string };

/** What the configuration says of this controller now. */
export interface Policy {
  /** Ask DCs that support it for port-local entries only. */
  readonly pleo: boolean;
  /** Stop after this many attempts; 0 never stops. */
  readonly maxAttempts: number;
}

export interface StepContext {
  /** Milliseconds, monotonic. */
  readonly now: number;
  /** A number in [0, 1), for the jitter of retries. */
  readonly random: number;
  readonly policy: Policy;
}

export interface Step {
  readonly model: ControllerModel;
  readonly effects: readonly Effect[];
}

const REGISTER_RETRY_MS = 5_000;
const READ_SUPPORT_RETRY_MS = 5_000;
const READ_LOG_RETRY_MS = 20_000;
const DISCONNECT_RETRY_MS = 5_000;
/** An unreachable address is given to the kernel all the same, first after this long … */
const DOUBTFUL_FIRST_MS = 60_000;
/** … and then at most this often. */
const DOUBTFUL_EVERY_MS = 600_000;
/** How late the echo of a connect may arrive through udev. */
const ECHO_MS = 5_000;

export function newController(kind: 'discovery' | 'io'): ControllerModel {
  return {
    kind,
    phase: { kind: 'idle' },
    attempts: 0,
    lastError: undefined,
    failingSince: undefined,
    doubtful: false,
    lastDoubtful: undefined,
    pleo: false,
    opFailures: 0,
    echoUntil: undefined,
  };
}

/** When this controller acts next by itself, in milliseconds of the clock, or undefined. */
export function deadline(model: ControllerModel): number | undefined {
  const { phase } = model;
  switch (phase.kind) {
    case 'waiting-retry':
      return phase.until;
    case 'connected':
      return phase.work.kind === 'waiting' ? phase.work.until : undefined;
    case 'disposing':
      return phase.step.kind === 'waiting' ? phase.step.until : undefined;
    case 'idle':
    case 'probing':
    case 'queued':
    case 'connecting':
    case 'held':
    case 'gone':
      return undefined;
  }
}

export function step(model: ControllerModel, input: Input, context: StepContext): Step {
  const { phase } = model;
  switch (input.kind) {
    case 'start':
      return phase.kind === 'idle' ? probe(model) : stay(model);
    case 'kick':
      return kick(model);
    case 'timer':
      return timer(model, context);
    case 'probed':
      return phase.kind === 'probing' ? probed(model, input.error, context) : stay(model);
    case 'found':
      return phase.kind === 'probing' ? found(model, input.kernel, context) : stay(model);
    case 'turn':
      return turn(model, context);
    case 'connected':
      return connected(model, input.kernel, input.adopted, context);
    case 'connect-failed':
      if (phase.kind === 'disposing') return gone(model);
      return phase.kind === 'connecting' ? failed(model, input.error, context) : stay(model);
    case 'observed':
      return observed(model, input.kernel);
    case 'event':
      return event(model, input.event, context);
    case 'refresh':
      return phase.kind === 'connected'
        ? request(model, phase.kernel, phase.work, firstOp(phase.kernel, context.policy))
        : stay(model);
    case 'done':
      return opDone(model, input.op, input.pleo, context);
    case 'failed':
      return opFailed(model, input.op, input.error, context);
    case 'remove':
      return remove(model, input.keepConnection);
    case 'disconnected':
      return phase.kind === 'disposing' ? gone(model) : stay(model);
    case 'disconnect-failed':
      return disconnectFailed(model, input.error, context);
  }
}

function stay(model: ControllerModel): Step {
  return { model, effects: [] };
}

function probe(model: ControllerModel): Step {
  return { model: { ...model, phase: { kind: 'probing' } }, effects: [{ kind: 'probe' }] };
}

function kick(model: ControllerModel): Step {
  switch (model.phase.kind) {
    case 'waiting-retry':
      return probe(model);
    case 'held':
      return probe({ ...model, attempts: 0, failingSince: undefined });
    case 'idle':
      return probe(model);
    case 'probing':
    case 'queued':
    case 'connecting':
    case 'connected':
    case 'disposing':
    case 'gone':
      return stay(model);
  }
}

function timer(model: ControllerModel, context: StepContext): Step {
  const { phase } = model;
  const due = deadline(model);
  if (due === undefined || due > context.now) return stay(model);
  if (phase.kind === 'waiting-retry') return probe(model);
  if (phase.kind === 'connected' && phase.work.kind === 'waiting') {
    return run(model, phase.kernel, phase.work.op);
  }
  if (phase.kind === 'disposing' && phase.step.kind === 'waiting') {
    return disconnect(model, phase.step.kernel);
  }
  return stay(model);
}

function probed(model: ControllerModel, error: Failure | undefined, context: StepContext): Step {
  if (error !== undefined) return failed(model, error, context);
  const lane: QueueLane = model.attempts === 0 ? 'first' : 'repeat';
  return {
    model: { ...model, phase: { kind: 'queued' }, doubtful: false },
    effects: [{ kind: 'enqueue', lane }],
  };
}

function turn(model: ControllerModel, context: StepContext): Step {
  const { phase } = model;
  const connecting: ControllerModel = { ...model, phase: { kind: 'connecting' }, doubtful: false };
  if (phase.kind === 'queued') return { model: connecting, effects: [{ kind: 'connect' }] };
  if (model.doubtful && (phase.kind === 'waiting-retry' || phase.kind === 'probing')) {
    const effects: Effect[] = phase.kind === 'probing' ? [{ kind: 'cancel-probe' }] : [];
    return {
      model: { ...connecting, lastDoubtful: context.now },
      effects: [...effects, { kind: 'connect' }],
    };
  }
  return stay(model);
}

/** A try failed, be it the probe's or the kernel's. */
function failed(model: ControllerModel, error: Failure, context: StepContext): Step {
  const { now, policy } = context;
  const attempts = model.attempts + 1;
  const failingSince = model.failingSince ?? now;
  const tried = { ...model, attempts, lastError: error, failingSince };
  if (policy.maxAttempts > 0 && attempts >= policy.maxAttempts) {
    const effects: Effect[] = [{ kind: 'report', report: { kind: 'held', attempts } }];
    if (model.doubtful) effects.push({ kind: 'dequeue' });
    return { model: { ...tried, doubtful: false, phase: { kind: 'held', why: 'ncc' } }, effects };
  }
  const delayMs = retryDelayMs(attempts, context.random);
  const first = model.failingSince === undefined;
  const effects: Effect[] = [
    { kind: 'report', report: { kind: 'connect-failed', error, first, delayMs } },
  ];
  const byProbe = model.phase.kind === 'probing';
  const lastDoubtful = byProbe ? model.lastDoubtful : now;
  const doubtfulDue =
    byProbe &&
    !model.doubtful &&
    now - failingSince >= DOUBTFUL_FIRST_MS &&
    (lastDoubtful === undefined || now - lastDoubtful >= DOUBTFUL_EVERY_MS);
  if (doubtfulDue) effects.push({ kind: 'enqueue', lane: 'doubtful' });
  return {
    model: {
      ...tried,
      lastDoubtful,
      doubtful: model.doubtful || doubtfulDue,
      phase: { kind: 'waiting-retry', until: now + delayMs },
    },
    effects,
  };
}

function connected(
  model: ControllerModel,
  kernel: KernelController,
  adopted: boolean,
  context: StepContext,
): Step {
  const { phase } = model;
  if (phase.kind === 'disposing' && phase.step.kind === 'awaiting-connect') {
    // One that somebody else had made before was never ours to drop.
    return phase.step.keepConnection || adopted ? gone(model) : disconnect(model, kernel);
  }
  return phase.kind === 'connecting' ? hold(model, kernel, adopted, context) : stay(model);
}

function found(model: ControllerModel, kernel: KernelController, context: StepContext): Step {
  const held = hold(model, kernel, true, context);
  if (!model.doubtful) return held;
  return {
    model: { ...held.model, doubtful: false },
    effects: [{ kind: 'dequeue' }, ...held.effects],
  };
}

/** From here on the connection is ours to watch over. */
function hold(
  model: ControllerModel,
  kernel: KernelController,
  adopted: boolean,
  context: StepContext,
): Step {
  const report: Effect = {
    kind: 'report',
    report: { kind: 'connected', adopted, device: kernel.device, attempts: model.attempts + 1 },
  };
  const fresh: ControllerModel = {
    ...model,
    attempts: 0,
    lastError: undefined,
    failingSince: undefined,
    lastDoubtful: undefined,
    opFailures: 0,
    pleo: false,
    echoUntil: adopted ? undefined : context.now + ECHO_MS,
  };
  if (model.kind === 'io') {
    return {
      model: { ...fresh, phase: { kind: 'connected', kernel, work: { kind: 'none' } } },
      effects: [report],
    };
  }
  const running = run(fresh, kernel, firstOp(kernel, context.policy));
  return { model: running.model, effects: [report, ...running.effects] };
}

/** The step to begin with: not every DC takes registrations or supports port-local entries. */
function firstOp(kernel: KernelController, policy: Policy): DiscoveryOp {
  return kernel.dctype === 'ddc' || kernel.dctype === 'cdc'
    ? 'register'
    : opAfterRegister(kernel, policy);
}

function opAfterRegister(kernel: KernelController, policy: Policy): DiscoveryOp {
  return policy.pleo && kernel.dctype !== 'cdc' ? 'read-support' : 'read-log';
}

const OP_ORDER: Readonly<Record<DiscoveryOp, number>> = {
  register: 0,
  'read-support': 1,
  'read-log': 2,
};

function earlier(a: DiscoveryOp | undefined, b: DiscoveryOp): DiscoveryOp {
  return a !== undefined && OP_ORDER[a] < OP_ORDER[b] ? a : b;
}

function run(model: ControllerModel, kernel: KernelController, op: DiscoveryOp): Step {
  return {
    model: {
      ...model,
      phase: { kind: 'connected', kernel, work: { kind: 'running', op, again: undefined } },
    },
    effects: [{ kind: 'run', op, kernel, pleo: model.pleo }],
  };
}

/** Asks for a step: at once if nothing runs, else after what runs; coalesced to the earliest. */
function request(
  model: ControllerModel,
  kernel: KernelController,
  work: DiscoveryWork,
  op: DiscoveryOp,
): Step {
  switch (work.kind) {
    case 'none':
      return stay(model);
    case 'steady':
      return run(model, kernel, op);
    case 'waiting':
      return run(model, kernel, earlier(work.op, op));
    case 'running':
      return stay({
        ...model,
        phase: { kind: 'connected', kernel, work: { ...work, again: earlier(work.again, op) } },
      });
  }
}

function event(
  model: ControllerModel,
  name: 'connected' | 'rediscover' | 'log-changed',
  context: StepContext,
): Step {
  const { phase } = model;
  if (phase.kind !== 'connected' || model.kind !== 'discovery') return stay(model);
  switch (name) {
    case 'log-changed':
      return request(model, phase.kernel, phase.work, 'read-log');
    case 'connected':
      if (model.echoUntil !== undefined) {
        const echo = context.now <= model.echoUntil;
        const heard = { ...model, echoUntil: undefined };
        if (echo) return stay(heard);
        return request(heard, phase.kernel, phase.work, firstOp(phase.kernel, context.policy));
      }
      return request(model, phase.kernel, phase.work, firstOp(phase.kernel, context.policy));
    case 'rediscover':
      return request(
        { ...model, echoUntil: context.now + ECHO_MS },
        phase.kernel,
        phase.work,
        firstOp(phase.kernel, context.policy),
      );
  }
}

function opDone(
  model: ControllerModel,
  op: DiscoveryOp,
  pleo: boolean | undefined,
  context: StepContext,
): Step {
  const { phase } = model;
  if (phase.kind === 'disposing' && phase.step.kind === 'awaiting-operation') {
    return phase.step.keepConnection ? gone(model) : disconnect(model, phase.step.kernel);
  }
  if (phase.kind !== 'connected' || phase.work.kind !== 'running' || phase.work.op !== op) {
    return stay(model);
  }
  return proceed(
    { ...model, opFailures: 0, pleo: pleo ?? model.pleo },
    phase.kernel,
    phase.work,
    context,
  );
}

/** Goes on to the next step, or to an earlier one that was asked for meanwhile. */
function proceed(
  model: ControllerModel,
  kernel: KernelController,
  work: { readonly op: DiscoveryOp; readonly again: DiscoveryOp | undefined },
  context: StepContext,
): Step {
  switch (work.op) {
    case 'register':
      return run(model, kernel, earlier(work.again, opAfterRegister(kernel, context.policy)));
    case 'read-support':
      return run(model, kernel, earlier(work.again, 'read-log'));
    case 'read-log':
      if (work.again !== undefined) return run(model, kernel, work.again);
      return stay({ ...model, phase: { kind: 'connected', kernel, work: { kind: 'steady' } } });
  }
}

function opFailed(
  model: ControllerModel,
  op: DiscoveryOp,
  error: Failure,
  context: StepContext,
): Step {
  const { phase } = model;
  if (phase.kind === 'disposing' && phase.step.kind === 'awaiting-operation') {
    return phase.step.keepConnection ? gone(model) : disconnect(model, phase.step.kernel);
  }
  if (phase.kind !== 'connected' || phase.work.kind !== 'running' || phase.work.op !== op) {
    return stay(model);
  }
  if (error.errorClass === 'final' && op !== 'read-log') {
    const next = proceed(
      { ...model, opFailures: 0, pleo: false },
      phase.kernel,
      phase.work,
      context,
    );
    const report: Effect = { kind: 'report', report: { kind: 'op-refused', op, error } };
    return { model: next.model, effects: [report, ...next.effects] };
  }
  const first = model.opFailures === 0;
  const failing = { ...model, opFailures: model.opFailures + 1 };
  const delayMs = opRetryMs(op);
  const report: Effect = {
    kind: 'report',
    report: { kind: 'op-failed', op, error, first, delayMs },
  };
  if (phase.work.again !== undefined) {
    const next = run(failing, phase.kernel, earlier(phase.work.again, op));
    return { model: next.model, effects: [report, ...next.effects] };
  }
  return {
    model: {
      ...failing,
      phase: {
        kind: 'connected',
        kernel: phase.kernel,
        work: { kind: 'waiting', op, until: context.now + delayMs, error },
      },
    },
    effects: [report],
  };
}

function opRetryMs(op: DiscoveryOp): number {
  switch (op) {
    case 'register':
      return REGISTER_RETRY_MS;
    case 'read-support':
      return READ_SUPPORT_RETRY_MS;
    case 'read-log':
      return READ_LOG_RETRY_MS;
  }
}

function observed(model: ControllerModel, kernel: KernelController | undefined): Step {
  const { phase } = model;
  if (phase.kind === 'disposing') {
    // A device that is gone needs no disconnect; one in flight answers by itself.
    return phase.step.kind === 'waiting' && kernel === undefined ? gone(model) : stay(model);
  }
  if (phase.kind !== 'connected') return stay(model);
  if (kernel !== undefined) return stay({ ...model, phase: { ...phase, kernel } });
  const lost: ControllerModel = { ...model, attempts: 0, opFailures: 0, echoUntil: undefined };
  const again = probe(lost);
  const report: Effect = { kind: 'report', report: { kind: 'lost', device: phase.kernel.device } };
  return { model: again.model, effects: [report, ...again.effects] };
}

function remove(model: ControllerModel, keepConnection: boolean): Step {
  const { phase } = model;
  const withdraw: Effect[] = model.doubtful ? [{ kind: 'dequeue' }] : [];
  switch (phase.kind) {
    case 'idle':
    case 'waiting-retry':
    case 'held':
      return gone(model, withdraw);
    case 'probing':
      return gone(model, [{ kind: 'cancel-probe' }, ...withdraw]);
    case 'queued':
      return gone(model, [{ kind: 'dequeue' }]);
    case 'connecting':
      return stay({
        ...model,
        phase: { kind: 'disposing', step: { kind: 'awaiting-connect', keepConnection } },
      });
    case 'connected':
      if (phase.work.kind === 'running') {
        return stay({
          ...model,
          phase: {
            kind: 'disposing',
            step: { kind: 'awaiting-operation', kernel: phase.kernel, keepConnection },
          },
        });
      }
      return keepConnection ? gone(model) : disconnect(model, phase.kernel);
    case 'disposing':
    case 'gone':
      return stay(model);
  }
}

function disconnect(model: ControllerModel, kernel: KernelController): Step {
  return {
    model: { ...model, phase: { kind: 'disposing', step: { kind: 'disconnecting', kernel } } },
    effects: [
      { kind: 'report', report: { kind: 'disconnecting', device: kernel.device } },
      { kind: 'disconnect', kernel },
    ],
  };
}

function disconnectFailed(model: ControllerModel, error: Failure, context: StepContext): Step {
  const { phase } = model;
  if (phase.kind !== 'disposing' || phase.step.kind !== 'disconnecting') return stay(model);
  const { kernel } = phase.step;
  const report: Effect = {
    kind: 'report',
    report: { kind: 'disconnect-failed', error, device: kernel.device },
  };
  // The name belongs to another connection now: ours is gone.
  if (error.code === 'DEVICE_CHANGED') return gone(model, [report]);
  return {
    model: {
      ...model,
      phase: {
        kind: 'disposing',
        step: { kind: 'waiting', kernel, until: context.now + DISCONNECT_RETRY_MS },
      },
    },
    effects: [report],
  };
}

function gone(model: ControllerModel, effects: readonly Effect[] = []): Step {
  return {
    model: { ...model, doubtful: false, phase: { kind: 'gone' } },
    effects: [...effects, { kind: 'gone' }],
  };
}
