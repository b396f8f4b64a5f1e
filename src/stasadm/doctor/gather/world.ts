/** What the gatherers are given: the host, or a test's idea of one. */
import { known, unknown, type Answer } from '../../../core/answer.ts';
import type { Bus } from '../../../ports/bus.ts';
import type { Interfaces } from '../../../ports/host.ts';

/** What became of a program: `absent`, there is none of this name. */
export type RunResult =
  | { readonly kind: 'output'; readonly text: string }
  | { readonly kind: 'absent' }
  | { readonly kind: 'failed' }
  /** It took too long, or said too much. */
  | { readonly kind: 'given-up' };

export type CallableBus = Pick<Bus, 'call' | 'close'>;

export interface World {
  /** Prefix of every path; empty for the system itself. */
  readonly root: string;
  readonly isRoot: boolean;
  /** `uname -r` */
  readonly release: string;
  /** sys.conf, without `root`. */
  readonly sysConf: string;
  readonly interfaces: Interfaces;
  /** Rejects with BusError. */
  readonly openBus: () => Promise<CallableBus>;
  /** Runs a program of the system, with an end; never rejects. */
  readonly run: (program: string, args: readonly string[]) => Promise<RunResult>;
  /** Milliseconds that any one source may take. */
  readonly timeoutMs: number;
}

/** What `promise` comes to within the time of the world; never rejects, never waits longer. */
export async function within<T>(
  { timeoutMs }: Pick<World, 'timeoutMs'>,
  what: string,
  promise: Promise<T>,
): Promise<Answer<T>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Answer<T>>((resolve) => {
    timer = setTimeout(() => {
      resolve(unknown(`${what} did not answer within ${String(timeoutMs / 1000)} s`));
    }, timeoutMs);
  });
  const done = promise.then(
    (value) => known(value),
    (thrown: unknown) =>
      unknown(`${what}: ${thrown instanceof Error ? thrown.message : String(thrown)}`),
  );
  const answer = await Promise.race([done, late]);
  clearTimeout(timer);
  return answer;
}
