/** How long a DC stays that mDNS has announced and announces no longer. Pure. */
import type { ServiceConfig } from '../config/service-config.ts';
import type { DcSnapshot } from './plan.ts';

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
