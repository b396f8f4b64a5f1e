/**
 * The life of one controller, as a pure function: model and input in, model and effects out.
 *
 * Invariants, which the property tests check after every step:
 * - At most one kernel operation is in flight: a connect while `connecting` (or `disposing` and
 *   awaiting it), a disconnect while `disposing` or `parting`, a discovery command while `work` is `running`.
 * - A connect cannot be cancelled. Removal while it is in flight is `disposing`, and the connection
 *   that comes of it is disconnected (unless it is to be kept) before the controller is `gone`.
 * - An event during an operation is remembered and acted on after it; none is lost.
 * - `gone` is final.
 */
import type { KernelController } from '../nvme/kernel-controller.ts';
import { disconnect, disconnectFailed, gone, remove, stay } from './controller-disposal.ts';
import {
  deadline,
  type ConnectStage,
  type ControllerModel,
  type Effect,
  type Failure,
  type Input,
  type QueueLane,
  type Report,
  type Step,
  type StepContext,
} from './controller-model.ts';
import { parted, pollAgain } from './controller-polling.ts';
import { isInterrupted, LATE_MS, seen } from './controller-interruption.ts';
import {
  ECHO_MS,
  event,
  firstOp,
  opDone,
  opFailed,
  partingFailed,
  request,
  run,
} from './discovery-steps.ts';
import { retryDelayMs } from './retry-policy.ts';

/** An unreachable address is given to the kernel all the same, first after this long … */
const DOUBTFUL_FIRST_MS = 60_000;
/** … and then at most this often. */
const DOUBTFUL_EVERY_MS = 600_000;

/**
 * A try that takes the kernel longer than this holds up others too long to be repeated like any
 * other. (A dead address takes 3 s; a target that stops answering during the connect, 60 s.)
 */
const HANG_MS = 5_000;
/** … unless others have waited without a gap for this long: nobody is put off for ever. */
const HANG_PATIENCE_MS = 1_800_000;
/**
 * How long a repeated try lets the first tries of others go before: of hundreds of paths that refuse at
 * once, the probes would take the time in which live ones are connected. What is asked for (a reload,
 * the network came up) does not wait.
 */
const PUT_OFF_MS = 10_000;

export function step(model: ControllerModel, input: Input, context: StepContext): Step {
  const { phase } = model;
  switch (input.kind) {
    case 'start':
      if (phase.kind === 'idle') return begin(model, context);
      return phase.kind === 'resting' ? timer(model, context) : stay(model);
    case 'kick':
      return kick(model, context);
    case 'network-up':
      return networkUp(model);
    case 'timer':
      return timer(model, context);
    case 'probed':
      return phase.kind === 'probing' ? probed(model, input.error, context) : stay(model);
    case 'found':
      return phase.kind === 'probing' || phase.kind === 'idle' || phase.kind === 'resting'
        ? found(model, input.kernel, context)
        : stay(model);
    case 'turn':
      return turn(model);
    case 'connected':
      return connected(model, input.kernel, input.adopted, context);
    case 'connect-failed':
      if (phase.kind === 'connecting') return failed(model, input.error, context, input.heldMs);
      return disposalStep(model) === 'awaiting-connect' ? gone(model) : stay(model);
    case 'observed':
      return observed(model, input.kernel, context);
    case 'event':
      return event(model, input.event, context);
    case 'refresh':
      return refresh(model, context);
    case 'done':
      return opDone(model, input, context);
    case 'failed':
      return opFailed(model, input.op, input.error, context);
    case 'remove':
      return remove(model, input.keepConnection);
    case 'disconnected':
      if (phase.kind === 'parting') return parted(model, context);
      return disposalStep(model) === 'disconnecting' ? gone(model) : stay(model);
    case 'disconnect-failed':
      if (phase.kind === 'parting') return partingFailed(model, input.error, context);
      return disconnectFailed(model, input.error, context);
  }
}

function disposalStep(model: ControllerModel): string | undefined {
  return model.phase.kind === 'disposing' ? model.phase.step.kind : undefined;
}

/** From step 1, and nothing that an earlier setting let it find out counts any more. */
function refresh(model: ControllerModel, context: StepContext): Step {
  const { phase } = model;
  if (phase.kind === 'parting') return pollAgain(model);
  if (phase.kind !== 'connected') return stay(model);
  const first = firstOp(phase.kernel, context.policy);
  return request({ ...model, pleo: false }, phase.kernel, phase.work, first);
}

function probe(model: ControllerModel): Step {
  return { model: { ...model, phase: { kind: 'probing' } }, effects: [{ kind: 'probe' }] };
}

/** Looks for the connection of one that never had any. */
function begin(model: ControllerModel, context: StepContext): Step {
  return probe({ ...model, outOfReachSince: context.now });
}

function kick(model: ControllerModel, context: StepContext): Step {
  switch (model.phase.kind) {
    case 'waiting-retry':
    case 'resting':
      // What made the kernel's last try hang may be what was changed.
      return probe({ ...model, hangs: false });
    case 'parting':
      return pollAgain(model);
    case 'held':
      return probe({ ...model, attempts: 0, failingSince: undefined, toldCodes: [], hangs: false });
    case 'idle':
      return begin(model, context);
    case 'probing':
      // The probe is under way, and what answers it is tried at once.
      return stay(model.hangs ? { ...model, hangs: false } : model);
    case 'queued':
    case 'connecting':
    case 'connected':
    case 'disposing':
    case 'gone':
      return stay(model);
  }
}

/**
 * Looks again for what was looked for in vain, also where that has not come out yet. What made the
 * kernel's last try hang had answered its probe: it was not the network of this host.
 */
function networkUp(model: ControllerModel): Step {
  const { kind } = model.phase;
  return kind === 'waiting-retry' || kind === 'probing' ? probe(model) : stay(model);
}

function timer(model: ControllerModel, context: StepContext): Step {
  const { phase } = model;
  const due = deadline(model);
  if (due === undefined || due > context.now) return stay(model);
  if (phase.kind === 'waiting-retry') {
    const latest = phase.latest ?? due + PUT_OFF_MS;
    if (!context.firstTriesWait || context.now >= latest) return probe(model);
    const until = Math.min(context.now + retryDelayMs(2, context.random), latest);
    return stay({ ...model, phase: { ...phase, until, latest } });
  }
  if (phase.kind === 'resting') return probe(model);
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
  if (model.hangs && context.now - (model.kernelFailed ?? 0) < HANG_PATIENCE_MS) {
    return waitInDoubt(model, context);
  }
  const lane: QueueLane = model.attempts === 0 ? 'first' : 'repeat';
  return {
    model: { ...model, phase: { kind: 'queued' }, doubtful: false },
    effects: [{ kind: 'enqueue', lane }],
  };
}

function turn(model: ControllerModel): Step {
  const { phase } = model;
  const connecting: ControllerModel = { ...model, phase: { kind: 'connecting' }, doubtful: false };
  if (phase.kind === 'queued') return { model: connecting, effects: [{ kind: 'connect' }] };
  if (model.doubtful && (phase.kind === 'waiting-retry' || phase.kind === 'probing')) {
    const effects: Effect[] = phase.kind === 'probing' ? [{ kind: 'cancel-probe' }] : [];
    return { model: connecting, effects: [...effects, { kind: 'connect' }] };
  }
  return stay(model);
}

/** It answers, but the kernel's last try held up all others: the next is when none waits. */
function waitInDoubt(model: ControllerModel, context: StepContext): Step {
  const until = context.now + retryDelayMs(model.attempts, context.random);
  return {
    model: { ...model, doubtful: true, phase: { kind: 'waiting-retry', until } },
    effects: model.doubtful ? [] : [{ kind: 'enqueue', lane: 'doubtful' }],
  };
}

/** A try failed, be it the probe's or the kernel's, which takes time. */
function failed(
  model: ControllerModel,
  error: Failure,
  context: StepContext,
  heldMs?: number,
): Step {
  const { now, policy } = context;
  const attempts = model.attempts + 1;
  const failingSince = model.failingSince ?? now;
  const outOfReachSince = model.outOfReachSince ?? now;
  const hangs = heldMs === undefined ? model.hangs : heldMs > HANG_MS;
  const first = !model.toldCodes.includes(error.code);
  const toldCodes = first ? [...model.toldCodes, error.code] : model.toldCodes;
  const failing = { failingSince, toldCodes, outOfReachSince, hangs };
  const tried = { ...model, attempts, lastError: error, ...failing };
  const byProbe = model.phase.kind === 'probing';
  const stage: ConnectStage = byProbe ? 'probe' : 'kernel';
  if (policy.maxAttempts > 0 && attempts >= policy.maxAttempts) {
    const report: Report = { kind: 'held', attempts, error, stage };
    const effects: Effect[] = [{ kind: 'report', report }];
    if (model.doubtful) effects.push({ kind: 'dequeue' });
    return { model: { ...tried, doubtful: false, phase: { kind: 'held', why: 'ncc' } }, effects };
  }
  const delayMs = retryDelayMs(attempts, context.random);
  const effects: Effect[] = [
    {
      kind: 'report',
      report: {
        ...{ kind: 'connect-failed', error, first, delayMs, stage },
        hungMs: hangs ? heldMs : undefined,
      },
    },
  ];
  const kernelFailed = byProbe ? model.kernelFailed : now;
  const doubtfulDue =
    byProbe &&
    !model.doubtful &&
    now - failingSince >= DOUBTFUL_FIRST_MS &&
    (kernelFailed === undefined || now - kernelFailed >= DOUBTFUL_EVERY_MS);
  if (doubtfulDue) effects.push({ kind: 'enqueue', lane: 'doubtful' });
  return {
    model: {
      ...tried,
      kernelFailed,
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
    toldCodes: [],
    outOfReachSince: undefined,
    interruptedSince: isInterrupted(kernel) ? context.now : undefined,
    kernelFailed: undefined,
    hangs: false,
    opFailures: 0,
    pleo: false,
    echoUntil: adopted ? undefined : context.now + ECHO_MS,
    // Somebody may just have made what is adopted.
    toldUntil: adopted ? context.now + LATE_MS : undefined,
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

function observed(
  model: ControllerModel,
  kernel: KernelController | undefined,
  context: StepContext,
): Step {
  const { phase } = model;
  if (phase.kind === 'disposing') {
    // A device that is gone needs no disconnect; one in flight answers by itself.
    return phase.step.kind === 'waiting' && kernel === undefined ? gone(model) : stay(model);
  }
  if (phase.kind !== 'connected') return stay(model);
  if (kernel !== undefined) return seen(model, phase, kernel, context.now);
  const lost: ControllerModel = {
    ...model,
    attempts: 0,
    opFailures: 0,
    echoUntil: undefined,
    toldUntil: undefined,
    outOfReachSince: context.now,
  };
  const again = probe(lost);
  const report: Effect = { kind: 'report', report: { kind: 'lost', device: phase.kernel.device } };
  return { model: again.model, effects: [report, ...again.effects] };
}
