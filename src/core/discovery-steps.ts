/**
 * The commands of a connected discovery controller: register, read the supported log pages, read
 * the discovery log page. See controller-machine.ts for the invariants.
 */
import type { KernelController } from '../nvme/kernel-controller.ts';
import { disconnect, gone, stay } from './controller-disposal.ts';
import { restored } from './controller-interruption.ts';
import { part, parted, pollAgain } from './controller-polling.ts';
import type {
  ControllerModel,
  DiscoveryOp,
  DiscoveryWork,
  Effect,
  Failure,
  Input,
  Policy,
  Step,
  StepContext,
} from './controller-model.ts';

const REGISTER_RETRY_MS = 5_000;
const READ_SUPPORT_RETRY_MS = 5_000;
const READ_LOG_RETRY_MS = 20_000;
/** How late the echo of a connect may arrive through udev. */
export const ECHO_MS = 5_000;

/** The step to begin with: not every DC takes registrations or supports port-local entries. */
export function firstOp(kernel: KernelController, policy: Policy): DiscoveryOp {
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

export function run(model: ControllerModel, kernel: KernelController, op: DiscoveryOp): Step {
  return {
    model: {
      ...model,
      phase: { kind: 'connected', kernel, work: { kind: 'running', op, again: undefined } },
    },
    effects: [{ kind: 'run', op, kernel, pleo: model.pleo }],
  };
}

/** Asks for a step: at once if nothing runs, else after what runs; coalesced to the earliest. */
export function request(
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

/** A connection that could not be ended until the next poll is kept like any other. */
export function partingFailed(model: ControllerModel, error: Failure, context: StepContext): Step {
  const { phase } = model;
  if (phase.kind !== 'parting') return stay(model);
  const { again, kernel } = phase;
  const next =
    error.code === 'DEVICE_CHANGED'
      ? parted(model, context)
      : again
        ? run(model, kernel, firstOp(kernel, context.policy))
        : stay({ ...model, phase: { kind: 'connected', kernel, work: { kind: 'steady' } } });
  const report: Effect = {
    kind: 'report',
    report: { kind: 'disconnect-failed', error, device: kernel.device },
  };
  return { model: next.model, effects: [report, ...next.effects] };
}

export function event(
  model: ControllerModel,
  name: 'connected' | 'rediscover' | 'log-changed',
  context: StepContext,
): Step {
  const { phase } = model;
  // Its connection that is being ended says no more by being there; a change of its log does.
  if (phase.kind === 'parting' && name !== 'connected') return pollAgain(model);
  if (phase.kind !== 'connected') return stay(model);
  const again = (asked: ControllerModel, { kernel, work }: typeof phase): Step =>
    asked.kind === 'discovery'
      ? request(asked, kernel, work, firstOp(kernel, context.policy))
      : stay(asked);
  switch (name) {
    case 'log-changed':
      return model.kind === 'discovery'
        ? request(model, phase.kernel, phase.work, 'read-log')
        : stay(model);
    case 'connected': {
      const heard = { ...model, echoUntil: undefined };
      const echo = model.echoUntil !== undefined && context.now <= model.echoUntil;
      return echo ? stay(heard) : restored(heard, phase, context.now, again);
    }
    case 'rediscover':
      if (model.kind !== 'discovery') return stay(model);
      return restored({ ...model, echoUntil: context.now + ECHO_MS }, phase, context.now, again);
  }
}

export function opDone(
  model: ControllerModel,
  { op, persistent, pleo }: Extract<Input, { readonly kind: 'done' }>,
  context: StepContext,
): Step {
  const { phase } = model;
  if (phase.kind === 'disposing' && phase.step.kind === 'awaiting-operation') {
    return phase.step.keepConnection ? gone(model) : disconnect(model, phase.step.kernel);
  }
  if (phase.kind !== 'connected' || phase.work.kind !== 'running' || phase.work.op !== op) {
    return stay(model);
  }
  const done = { ...model, opFailures: 0, pleo: pleo ?? model.pleo };
  const { pollMs } = context.policy;
  // Only a log that was read says it: what else was asked for comes first.
  const rests = op === 'read-log' && persistent === false && phase.work.again === undefined;
  if (rests && pollMs !== undefined) {
    return part(done, phase.kernel, pollMs);
  }
  return proceed(done, phase.kernel, phase.work, context);
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

export function opFailed(
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
