/** What the kernel does by itself: it loses a connection, and makes it again. */
import { isLeaving, type KernelController } from '../nvme/kernel-controller.ts';
import { stay } from './controller-disposal.ts';
import type { ControllerModel, Phase, Report, Step } from './controller-model.ts';

type Connected = Extract<Phase, { readonly kind: 'connected' }>;

/**
 * How late the kernel's event of a connection may come after that was seen in sysfs: udevd passes it
 * on when it has run its rules.
 */
export const LATE_MS = 5_000;

/** One that is being deleted is no longer tried. */
export function isInterrupted(kernel: KernelController): boolean {
  return kernel.state !== '' && kernel.state !== 'live' && !isLeaving(kernel);
}

/** How the connection looks now. */
export function seen(
  model: ControllerModel,
  phase: Connected,
  kernel: KernelController,
  now: number,
): Step {
  if (kernel === phase.kernel) return stay(model);
  const { device, state } = kernel;
  const next: ControllerModel = { ...model, phase: { ...phase, kernel } };
  const [was, is] = [isInterrupted(phase.kernel), isInterrupted(kernel)];
  if (was === is || isLeaving(kernel)) return stay(next);
  const report: Report = is
    ? { kind: 'interrupted', device, state }
    : { kind: 'restored', device, noticed: true };
  const toldUntil = is ? undefined : now + LATE_MS;
  const interruptedSince = is ? now : undefined;
  return { model: { ...next, toldUntil, interruptedSince }, effects: [{ kind: 'report', report }] };
}

/** The kernel says that it has made the connection again; what is to be done then. */
export function restored(
  model: ControllerModel,
  phase: Connected,
  now: number,
  then: (model: ControllerModel, phase: Connected) => Step,
): Step {
  const { device } = phase.kernel;
  const live: Connected = { ...phase, kernel: { ...phase.kernel, state: 'live' } };
  const whole = { ...model, phase: live, toldUntil: undefined, interruptedSince: undefined };
  const next = then(whole, live);
  const late = model.toldUntil !== undefined && now <= model.toldUntil;
  if (late && !isInterrupted(phase.kernel)) return next;
  const report: Report = { kind: 'restored', device, noticed: isInterrupted(phase.kernel) };
  return { model: next.model, effects: [{ kind: 'report', report }, ...next.effects] };
}
