/**
 * The discovery controllers that stafd removed last, for those who ask: whoever disconnects because
 * of it wants to know whether a setting of this host is why, and else how old the evidence is.
 */
import { BY_SETTING } from '../core/removal-brake.ts';
import type { TidKey, TransportId } from '../nvme/transport-id.ts';
import type { Ending } from '../runtime/service-core.ts';
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
    for (const { driver } of live) this.#removed.delete(driver.key);
    for (const key of this.#removed.keys()) {
      if (this.#removed.size <= MAX_REMOVED) break;
      this.#removed.delete(key);
    }
  }

  /**
   * A referral is stated to be gone whenever its referrer's log is read; what mDNS or the boot
   * firmware no longer name, at any time.
   */
  list(live: readonly DcRecord[], now: number): readonly RemovedDc[] {
    const stated = new Map(live.map(({ driver, extra }) => [driver.key, extra.readAt]));
    const statedAt = (key: TidKey, removed: Removed): number => {
      if (removed.bySetting) return BY_SETTING;
      const known = stated.get(key);
      if (known !== undefined) return known;
      // For those that refer to each other.
      stated.set(key, removed.at);
      const times = removed.referrers.map((referrer) => {
        const gone = this.#removed.get(referrer);
        if (gone !== undefined) return statedAt(referrer, gone);
        // One that is forgotten is gone, too.
        return stated.has(referrer) ? (stated.get(referrer) ?? removed.at) : now;
      });
      const oldest = Math.min(now, ...times);
      stated.set(key, oldest);
      return oldest;
    };
    return [...this.#removed].map(([key, removed]) => ({
      tid: removed.tid,
      statedAt: statedAt(key, removed),
    }));
  }
}
