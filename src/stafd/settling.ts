/** Finds out when stafd's list of DCs is complete; see StafdService.settled. */
import type { MdnsReport } from './plan.ts';

/**
 * How long a missing avahi-daemon is waited for before the list of DCs counts as complete without
 * mDNS. By then it was asked for when it was missed and woken twice, every 60 s; on a host without
 * one there would be no end. One that is there and does not answer is waited for: it may know of DCs.
 * So the time begins anew when it leaves, since it is most likely being restarted.
 */
const MDNS_PATIENCE_MS = 150_000;

export class Settling {
  /** The list of DCs was complete when it was remembered, and nothing was lost since. */
  restored = false;
  #settled = false;
  /** Since when no pass has seen an avahi-daemon; undefined while it is there, or not asked for. */
  #missingSince: number | undefined;

  get settled(): boolean {
    return this.#settled;
  }

  /** Takes note of what a pass found; true when the list has become complete with it. */
  look(mdns: MdnsReport, complete: () => boolean, now: number): boolean {
    if (this.#settled) return false;
    this.#missingSince = mdns.missing ? (this.#missingSince ?? now) : undefined;
    if (!this.restored) {
      const absent = now - (this.#missingSince ?? now) >= MDNS_PATIENCE_MS;
      if ((mdns.incomplete !== undefined && !absent) || !complete()) return false;
    }
    this.#settled = true;
    return true;
  }
}
