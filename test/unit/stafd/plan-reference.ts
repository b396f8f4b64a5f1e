/**
 * Which DCs must be there after a pass, said once more and differently from the plan: found by
 * repeating the rules over the addresses until nothing changes.
 */
import type { LogAnswer, MdnsReport } from '../../../src/stafd/plan.ts';
import { MDNS_SOURCE, referralSource, type DcSnapshot } from '../../../src/stafd/plan.ts';
import { tidKey } from '../../../src/nvme/transport-id.ts';
import { dcTid, UNREAD } from './plan-samples.ts';

/** What the sources say; DCs are those of `dcTid`, named by their address. */
export interface SourcesSay {
  /** Milliseconds, monotonic. */
  readonly now: number;
  readonly addresses: readonly string[];
  /** Addresses that the names of lines have now. */
  readonly configured: readonly string[];
  /** Names of lines that do not resolve now. */
  readonly unresolved: readonly string[];
  /** The address that each of the other names has now. */
  readonly resolved: ReadonlyMap<string, string>;
  /** What the boot firmware lists, and whether it may list more. */
  readonly boot: readonly string[];
  readonly bootDoubt: boolean;
  /** Found to answer; the same is announced. */
  readonly mdns: readonly string[];
  /** Announced only. */
  readonly mute: readonly string[];
  /** More may be announced than is known. */
  readonly mdnsIncomplete: boolean;
  readonly excluded: readonly string[];
  /** Seconds; -1 for ever. */
  readonly persistence: number;
}

function refersTo(log: LogAnswer, traddr: string): boolean {
  if (log.kind !== 'known') return false;
  return log.value.entries.some((each) => each.subtype === 'referral' && each.traddr === traddr);
}

function keptByMdns(say: SourcesSay, dc: DcSnapshot | undefined): boolean {
  if (dc?.sources.has(MDNS_SOURCE) !== true) return false;
  if (say.mdnsIncomplete || say.mute.includes(dc.tid.traddr)) return true;
  const { silentSince, unresponsiveSince } = dc;
  if (unresponsiveSince === undefined || silentSince === undefined) return true;
  if (say.persistence < 0) return true;
  return say.now < Math.max(silentSince, unresponsiveSince) + say.persistence * 1000;
}

export function bootSource(traddr: string): string {
  return `nbft:${traddr}`;
}

export function mdnsReport({ mdns, mdnsIncomplete, mute }: SourcesSay): MdnsReport {
  return {
    offered: mdns.map((traddr) => dcTid(traddr)),
    announced: new Set([...mdns, ...mute].map((traddr) => tidKey(dcTid(traddr)))),
    incomplete: mdnsIncomplete ? 'away' : undefined,
    missing: false,
  };
}

/** The addresses that must be there, and no others, if `before` is what was there. */
export function expectedDcs(
  say: SourcesSay,
  before: ReadonlyMap<string, DcSnapshot>,
): ReadonlySet<string> {
  const allowed = say.addresses.filter((traddr) => !say.excluded.includes(traddr));
  const standing = new Set<string>();
  const stands = (traddr: string): boolean => {
    const dc = before.get(traddr);
    if (say.configured.includes(traddr) || say.mdns.includes(traddr)) return true;
    if (say.boot.includes(traddr)) return true;
    if (say.bootDoubt && dc?.sources.has(bootSource(traddr)) === true) return true;
    const asked = (name: string): boolean => dc?.sources.has(`configured:${name}`) === true;
    if (say.unresolved.some(asked)) return true;
    for (const [name, now] of say.resolved) {
      const log = before.get(now)?.log ?? UNREAD;
      // Whether there is a DC where the name has moved is only known when its log was read there.
      if (asked(name) && !(log.kind === 'known' && log.value.fresh)) return true;
    }
    if (keptByMdns(say, dc)) return true;
    return [...standing].some((referrer) => {
      const log = before.get(referrer)?.log ?? UNREAD;
      if (refersTo(log, traddr)) return true;
      const silent = log.kind === 'known' && log.value.fresh;
      return !silent && dc?.sources.has(referralSource(tidKey(dcTid(referrer)))) === true;
    });
  };
  for (let size = -1; size !== standing.size;) {
    size = standing.size;
    for (const traddr of allowed) if (stands(traddr)) standing.add(traddr);
  }
  return standing;
}

/** How one of them came to be known, if anything asks for it now. */
export function expectedOrigin(say: SourcesSay, traddr: string): string {
  if (say.configured.includes(traddr) || say.boot.includes(traddr)) return 'configured';
  return say.mdns.includes(traddr) ? 'discovered' : 'referral';
}
