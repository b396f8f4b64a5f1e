import { isDiscoveryController, matchesConnection } from '../nvme/connection-match.ts';
import type { InterfaceAddressLike } from '../nvme/connection-match.ts';
import type { KernelController } from '../nvme/kernel-controller.ts';
import type { DcRecord, NvmeCli } from './service-types.ts';

/**
 * nvme-cli's udev rule is overridden while stafd runs: for discovery controllers that are not
 * stafd's, what the rule would do is done.
 */
export function leaveToNvmeCli(
  nvmeCli: NvmeCli,
  kernel: KernelController,
  live: readonly DcRecord[],
  interfaces: readonly InterfaceAddressLike[],
): void {
  if (!isDiscoveryController(kernel)) return;
  // It may have become ours meanwhile, or be about to: its connect has not answered yet.
  const ours = ({ driver }: DcRecord): boolean =>
    matchesConnection(driver.tid, 'discovery', kernel, interfaces);
  if (live.some(ours)) return;
  nvmeCli.connectAll(kernel.device, kernel.hostTraddr, kernel.hostIface);
}
