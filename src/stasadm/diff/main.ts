/** Joins `stasadm diff` to this process. Loaded for this command only: it brings the D-Bus library. */
import { openBus, screenOf } from '../../ctl/process.ts';
import { SystemBlockUses } from '../../platform/block-use.ts';
import { readLiveOptions } from './live-options.ts';
import type { DiffRequest } from './command.ts';
import { runDiff } from './run.ts';

/** Resolves with the exit status. */
export function diffHere(request: DiffRequest): Promise<number> {
  const { stderr, stdout } = process;
  return runDiff(request, {
    screen: screenOf(stdout),
    stdout: (text) => void stdout.write(text),
    stderr: (text) => void stderr.write(text),
    openBus,
    blockUses: new SystemBlockUses(),
    liveOptions: readLiveOptions,
  });
}
