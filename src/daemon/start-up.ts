/**
 * How a daemon's process begins: with its program, or from a start-up snapshot of Node, made of the
 * program when its modules had been loaded (tools/package/snapshot.sh).
 *
 * Invariant: loading the modules depends on nothing that may be another at the next start: neither
 * the environment, the clock and random numbers, nor files and add-ons.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { startupSnapshot } from 'node:v8';

/**
 * Calls `run`; while a snapshot is being made, has each start from it do that. `run` calls `works`
 * when the daemon has started, or ends in order.
 */
export function startUp(run: (works: () => void) => void): void {
  if (!startupSnapshot.isBuildingSnapshot()) {
    run(() => undefined);
    return;
  }
  startupSnapshot.setDeserializeMainFunction(() => {
    run(sayThatItWorks);
  });
}

/** Takes back the mark of a start from a snapshot: where it stays, the next start is without one. */
function sayThatItWorks(): void {
  const folder = process.env['RUNTIME_DIRECTORY'];
  if (folder === undefined || folder === '') return;
  try {
    rmSync(join(folder, 'starting-from-snapshot'), { force: true });
  } catch {
    // It only costs the next start its time.
  }
}
