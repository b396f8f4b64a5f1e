import { ipFamily, isDottedQuad, parseIpAddress, type IpFamily } from '../nvme/ip-address.ts';
import { foldTraddr } from '../nvme/transport-address.ts';
import type { TransportId } from '../nvme/transport-id.ts';

/** Why the address of a controller is not to be used, in words; undefined if it may be. */
export function addressRefusal(
  tid: TransportId,
  families: ReadonlySet<IpFamily>,
): string | undefined {
  if (tid.transport !== 'tcp' && tid.transport !== 'rdma') return undefined;
  const family = ipFamily(tid.traddr);
  if (family === undefined) return 'its address is not a valid IP address';
  return families.has(family) ? undefined : `${family} is disabled by ip-family`;
}

/**
 * A key that is equal for equal addresses in any spelling, so that the connections of an address
 * are found without comparing each: connections that match (connection-match.ts) share it.
 */
export function addressKey(transport: string, traddr: string): string {
  if (isDottedQuad(traddr)) return `${transport} ${traddr}`;
  const address = transport === 'tcp' || transport === 'rdma' ? parseIpAddress(traddr) : undefined;
  return `${transport} ${address === undefined ? foldTraddr(traddr) : address.bytes.join('.')}`;
}
