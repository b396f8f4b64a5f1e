/**
 * The discovery controllers that stafd removed last, for those who ask: whoever disconnects because
 * of it wants to know whether a setting of this host is why, and else how old the evidence is.
 */
import { BY_SETTING } from '../core/removal-brake.ts';
import type { TidKey, TransportId } from '../nvme/transport-id.ts';
import type { Ending } from '../runtime/plan-rules.ts';
import { referrerOf } from './plan.ts';
import type { DcData, DcRecord } from './service-types.ts';

/** How many are remembered. */
const MAX_REMOVED = 1024;

export interface RemovedDc {
  readonly tid: TransportId;
  /** When it was last found not to be asked for, milliseconds; or BY_SETTING. */
  readonly statedAt: number;
}

interface Removed {
  readonly tid: TransportId;
  readonly bySetting: boolean;
  readonly at: number;
  /** Those whose logs had listed it. */
  readonly referrers: readonly TidKey[];
}

export class RemovedDcs {
  /** The oldest first. */
  readonly #removed = new Map<TidKey, Removed>();

  /** Takes note of what a pass has removed, and of what there is after it. */
  note(removed: readonly Ending<DcData>[], live: readonly DcRecord[], now: number): void {
    for (const { record, statedAt } of removed) {
      const { key, tid } = record.driver;
      const referrers = [...record.sources].flatMap((source) => referrerOf(source) ?? []);
      this.#removed.delete(key);
      this.#removed.set(key, { tid, bySetting: statedAt === BY_SETTING, at: now, referrers });
    }
    if (this.#removed.size === 0) return;
    for (const { driver } of live) this.#removed.delete(driver.key);
    for (const key of this.#removed.keys()) {
      if (this.#removed.size <= MAX_REMOVED) break;
      this.#removed.delete(key);
    }
  }

  /**
   * A referral is stated to be gone whenever its referrer's log is read; what mDNS or the boot
   * firmware no longer name, at any time. Of those whose referrers are gone, too, what is said of
   * the referrers counts, so that such as refer to each other rest on the logs that named them.
   */
  list(live: readonly DcRecord[], now: number): readonly RemovedDc[] {
    const readAt = new Map(live.map(({ driver, extra }) => [driver.key, extra.readAt]));
    const own = ({ at, referrers }: Removed): number => {
      const there = referrers.filter((referrer) => readAt.has(referrer));
      return Math.min(now, ...there.map((referrer) => readAt.get(referrer) ?? at));
    };
    const doubtful = [...this.#removed].filter(([, { bySetting }]) => !bySetting);
    const referred = new Map<TidKey, TidKey[]>();
    for (const [key, { referrers }] of doubtful) {
      for (const referrer of referrers) {
        const there = referred.get(referrer);
        if (there === undefined) referred.set(referrer, [key]);
        else there.push(key);
      }
    }
    // The oldest first: it counts for all that it leads to.
    const order = doubtful.map(([key, removed]) => ({ key, at: own(removed) }));
    order.sort((a, b) => a.at - b.at);
    const stated = new Map<TidKey, number>();
    for (const { at, key } of order) {
      const reached = new Set([key]);
      // The set grows while it is walked.
      for (const next of reached) {
        if (stated.has(next)) continue;
        stated.set(next, at);
        for (const other of referred.get(next) ?? []) reached.add(other);
      }
    }
    return [...this.#removed].map(([key, { tid }]) => ({
      tid,
      statedAt: stated.get(key) ?? BY_SETTING,
    }));
  }
}
