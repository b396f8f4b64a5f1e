/** Brings a kernel's NVMe target to what a spec says, wherever its shell is. */
import { type ConfigfsState, parseState, readScript } from './configfs.ts';
import { plan } from './plan.ts';
import { renderScript } from './script.ts';
import type { TargetSpec } from './spec.ts';

/** Runs a shell script as root where the target is, and gives its stdout; throws if it fails. */
export type RunScript = (script: string) => Promise<string>;

/** What the target has at the moment. Loads the kernel's modules for it. */
export async function readState(run: RunScript): Promise<ConfigfsState> {
  return parseState(await run(readScript));
}

/** Makes the target as `spec` says, and gives the number of changes: 0 when it was so already. */
export async function applySpec(run: RunScript, spec: TargetSpec): Promise<number> {
  const loop = spec.ports.some(({ transport }) => transport === 'loop');
  // Not loaded for others: it brings the host's side of NVMe over Fabrics with it.
  if (loop) await run('modprobe nvme-loop');
  const steps = plan(await readState(run), spec);
  if (steps.length > 0) await run(renderScript(steps));
  return steps.length;
}
