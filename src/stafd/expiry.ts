/** How long a DC stays that mDNS has announced and announces no longer. Pure. */
import type { ServiceConfig } from '../config/service-config.ts';
import { MDNS_SOURCE, type DcSnapshot, type StafdSnapshot } from './plan.ts';

/** When its time is over; undefined while mDNS is not silent about it, or it is connected. */
export function expiry(
  config: ServiceConfig,
  dc: Pick<DcSnapshot, 'silentSince' | 'unresponsiveSince'>,
): number | undefined {
  const { silentSince, unresponsiveSince } = dc;
  if (silentSince === undefined || unresponsiveSince === undefined) return undefined;
  if (config.zeroconfPersistence < 0) return undefined;
  return Math.max(silentSince, unresponsiveSince) + config.zeroconfPersistence * 1000;
}

/** When the time of the next DC is over that mDNS named and that is not connected. */
export function nextExpiry({
  config,
  controllers,
  now,
}: Pick<StafdSnapshot, 'config' | 'now'> & {
  readonly controllers: readonly Pick<
    DcSnapshot,
    'silentSince' | 'sources' | 'unresponsiveSince'
  >[];
}): number {
  let next = Infinity;
  for (const dc of controllers) {
    const due = dc.sources.has(MDNS_SOURCE) ? expiry(config, dc) : undefined;
    if (due !== undefined && due > now) next = Math.min(next, due);
  }
  return next;
}
