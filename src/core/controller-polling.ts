/**
 * Discovery controllers that keep no persistent connections (NVMe base 2.1, EPCSD of their own log
 * entry): connected to read their log, disconnected, and connected again after a while. See
 * controller-machine.ts for the invariants.
 */
import type { KernelController } from '../nvme/kernel-controller.ts';
import { stay } from './controller-disposal.ts';
import type { ControllerModel, Step, StepContext } from './controller-model.ts';

/** Ends the connection until the next poll. */
export function part(model: ControllerModel, kernel: KernelController, everyMs: number): Step {
  return {
    model: {
      ...model,
      // Its log was read a moment ago: it is not for want of an answer that it is disconnected now.
      interruptedSince: undefined,
      phase: { kind: 'parting', kernel, again: false },
    },
    effects: [
      { kind: 'report', report: { kind: 'parting', device: kernel.device, everyMs } },
      { kind: 'disconnect', kernel },
    ],
  };
}

/** Something asks for a poll while the connection of the last one is being ended. */
export function pollAgain(model: ControllerModel): Step {
  const { phase } = model;
  return phase.kind === 'parting'
    ? stay({ ...model, phase: { ...phase, again: true } })
    : stay(model);
}

/** The connection is ended: rests until the next poll, which is at once if one is asked for. */
export function parted(model: ControllerModel, context: StepContext): Step {
  const { phase } = model;
  if (phase.kind !== 'parting') return stay(model);
  const everyMs = context.policy.pollMs ?? 0;
  const until = phase.again ? context.now : context.now + everyMs;
  return stay({ ...model, phase: { kind: 'resting', everyMs, until } });
}
