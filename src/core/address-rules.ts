import { ipFamily, type IpFamily } from '../nvme/ip-address.ts';
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
