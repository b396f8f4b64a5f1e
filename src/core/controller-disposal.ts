/** How a controller ends: see controller-machine.ts for the invariants. */
import type { KernelController } from '../nvme/kernel-controller.ts';
import type { ControllerModel, Effect, Failure, Step, StepContext } from './controller-model.ts';

const DISCONNECT_RETRY_MS = 5_000;

export function stay(model: ControllerModel): Step {
  return { model, effects: [] };
}

export function remove(model: ControllerModel, keepConnection: boolean): Step {
  const { phase } = model;
  const withdraw: Effect[] = model.doubtful ? [{ kind: 'dequeue' }] : [];
  switch (phase.kind) {
    case 'idle':
    case 'waiting-retry':
    case 'resting':
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
    case 'parting':
      return stay({
        ...model,
        phase: {
          kind: 'disposing',
          step: { kind: 'disconnecting', kernel: phase.kernel, keepConnection },
        },
      });
    case 'disposing':
    case 'gone':
      return stay(model);
  }
}

export function disconnect(model: ControllerModel, kernel: KernelController): Step {
  return {
    model: {
      ...model,
      phase: {
        kind: 'disposing',
        step: { kind: 'disconnecting', kernel, keepConnection: false },
      },
    },
    effects: [{ kind: 'disconnect', kernel }],
  };
}

export function disconnectFailed(
  model: ControllerModel,
  error: Failure,
  context: StepContext,
): Step {
  const { phase } = model;
  if (phase.kind !== 'disposing' || phase.step.kind !== 'disconnecting') return stay(model);
  const { keepConnection, kernel } = phase.step;
  const report: Effect = {
    kind: 'report',
    report: { kind: 'disconnect-failed', error, device: kernel.device },
  };
  // The name belongs to another connection now: ours is gone.
  if (keepConnection || error.code === 'DEVICE_CHANGED') return gone(model, [report]);
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

export function gone(model: ControllerModel, effects: readonly Effect[] = []): Step {
  return {
    model: { ...model, doubtful: false, phase: { kind: 'gone' } },
    effects: [...effects, { kind: 'gone' }],
  };
}
