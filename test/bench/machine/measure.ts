/** Single measurements in the machine. */
import { quoted } from '../../../tools/completion/model.ts';
import type { Lab } from '../../e2e/lab.ts';
import { PROGRAMS, type Contender } from './contenders.ts';

/** Where targets and dead paths listen. */
export const LIVE_PORT = 4420;

export interface Timed {
  /** Whether it came to the number in time. */
  readonly done: boolean;
  /** Seconds after the start of the command, of each controller. */
  readonly at: readonly number[];
  /** The same of the first asynchronous event that the kernel told of; null without one. */
  readonly aen: number | null;
  /** `seconds` and `status`: null if the command did not end in time. */
  readonly command: {
    readonly status: number | null;
    readonly seconds: number | null;
    readonly cpu: number;
  };
}

export interface ProcessUse {
  /** kB */
  readonly pss: number;
  /** kB */
  readonly privateDirty: number;
  /** Seconds since its start. */
  readonly cpu: number;
  /** Voluntary context switches of its threads. */
  readonly wakeups: number;
}

/** Runs a command in the machine until so many controllers of LIVE_PORT followed. */
export async function timed(
  { machine }: Lab,
  what: 'connected' | 'removed',
  count: number,
  limitSeconds: number,
  command: string,
): Promise<Timed> {
  const args = [what, count, LIVE_PORT, limitSeconds].map(String).join(' ');
  const output = await machine.sh(`${PROGRAMS}/timed.pl ${args} ${quoted(command)}`, {
    timeoutMs: (limitSeconds + 120) * 1000,
  });
  return JSON.parse(output) as Timed;
}

/** Of a contender's daemons, by their names. */
export async function use(
  lab: Lab,
  contender: Contender,
): Promise<Readonly<Record<string, ProcessUse>>> {
  const pids = await contender.processes(lab);
  const output = await lab.machine.sh(`${PROGRAMS}/processes.pl ${Object.values(pids).join(' ')}`);
  const byPid = JSON.parse(output) as Readonly<Record<string, ProcessUse>>;
  return Object.fromEntries(
    Object.entries(pids).map(([name, pid]) => {
      const found = byPid[String(pid)];
      if (pid === 0 || found === undefined) throw new Error(`${name} of ${contender.name} is gone`);
      return [name, found];
    }),
  );
}

/** Ends the contender and removes every connection. */
export async function clear(lab: Lab, contender: Contender): Promise<void> {
  await contender.end(lab);
  await lab.machine.sh('nvme disconnect-all >/dev/null 2>&1; true', { timeoutMs: 300_000 });
  // Again and again: a connect that was in flight may end later.
  const remove =
    'for d in /sys/class/nvme/nvme*; do [ -e "$d" ] && echo 1 >"$d/delete_controller" 2>/dev/null; done';
  await lab.machine.waitFor(`${remove}; ! ls /sys/class/nvme/nvme* 2>/dev/null`, {
    timeoutMs: 300_000,
  });
  await lab.machine.sh('udevadm settle', { timeoutMs: 300_000 });
}
