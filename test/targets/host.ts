/** The NVMe targets of a virtual machine, from a test on the host. */
import type { Machine } from '../vm/machine.ts';
import { applySpec, readState, type RunScript } from './apply.ts';
import { describeState } from './plan.ts';
import { type TargetDocument, targetSpec } from './spec.ts';

/**
 * Makes the machine's target as `document` says; whatever else it had is removed. Only differences
 * are touched, so connections to what stays are not disturbed. Throws TargetSpecError, VmError.
 */
export async function applyTargets(machine: Machine, document: TargetDocument): Promise<void> {
  await applySpec(runIn(machine), targetSpec(document));
}

/** Removes everything from the machine's target. */
export async function clearTargets(machine: Machine): Promise<void> {
  await applyTargets(machine, {});
}

/** What the machine's target has, in the form that `applyTargets` takes. */
export async function showTargets(machine: Machine): Promise<TargetDocument> {
  return describeState(await readState(runIn(machine))) as TargetDocument;
}

function runIn(machine: Machine): RunScript {
  // The script can be longer than an argument may be.
  return (script) => machine.sh('exec sh -s', { stdin: script, timeoutMs: 300_000 });
}
