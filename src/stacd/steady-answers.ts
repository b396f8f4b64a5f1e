/**
 * Takes the answers of nvme-stas's own stafd for what they are worth. It cannot say that it does not
 * know: a log that it has not read is an empty one, a discovery controller that it has not found yet
 * is not there. So what is missing in its answers counts when it was there before, and has been
 * missing in all of them for a while.
 *
 * Invariants: what it lists counts at once; one process of stafd is not taken for another.
 */
import { known, unknown } from '../core/answer.ts';
import { tidKey, type TidKey } from '../nvme/transport-id.ts';
import type { DiscoveryState, ReportedDc } from './plan.ts';
import type { SaidState } from './stafd-answers.ts';

/**
 * How long an answer is to be the same, milliseconds. It tries to read a log again after 20 s: one
 * that is lost and found again shows both within that time.
 */
export const STEADY_MS = 30_000;

interface Said {
  /** Its log, to be compared; undefined: it was not listed. */
  readonly log: string | undefined;
  /** When it was first asked of those times that it has said so since, milliseconds. */
  readonly since: number;
  /** It has shown a log with entries. */
  readonly wasFull: boolean;
}

export class SteadyAnswers {
  readonly #said = new Map<TidKey, Said>();

  /** What follows from an answer, to a question of that time; and when to ask again. */
  take(
    { controllers }: Extract<SaidState, { readonly kind: 'original' }>,
    askedAt: number,
  ): { readonly state: DiscoveryState; readonly askAgainAt: number } {
    let askAgainAt = Infinity;
    const steady = (key: TidKey, log: string | undefined, full: boolean): boolean => {
      const before = this.#said.get(key);
      const since = before !== undefined && before.log === log ? before.since : askedAt;
      const wasFull = full || (before?.wasFull === true && log !== undefined);
      this.#said.set(key, { log, since, wasFull });
      if (askedAt - since >= STEADY_MS) return true;
      askAgainAt = Math.min(askAgainAt, since + STEADY_MS);
      return false;
    };
    const missing = new Set(this.#said.keys());
    const reported = controllers.map(({ entries, hostId, tid }): ReportedDc => {
      const key = tidKey(tid);
      missing.delete(key);
      const fresh = steady(key, JSON.stringify(entries), entries.length > 0);
      const read = this.#said.get(key)?.wasFull === true;
      const log = read ? known(entries) : unknown('it may not have been read yet');
      return { tid, hostId, log, fresh: read && fresh, readAt: askedAt };
    });
    const removed = new Map<TidKey, number>();
    for (const key of missing) if (steady(key, undefined, false)) removed.set(key, askedAt);
    return { state: { settled: false, askedAt, controllers: reported, removed }, askAgainAt };
  }
}
