import { PortError } from '../ports/errors.ts';
import type { NativeApi } from './connect.ts';
import { commandError, statusError } from './errors.ts';
import { withRoot } from './log-root.ts';
import { callAsync, lastErrno } from './native.ts';

/** DIM task 0 (NVMe base 2.1, 5.1.8): register. */
const TASK_REGISTER = 0;

/**
 * Registers with a DC. libnvme makes the entry from the connection's own host NQN and host ID as
 * sysfs has them, and an empty address, by which the DC takes the connection's source address.
 *
 * @throws PortError: `EOPNOTSUPP` (final) if the DC does not take registrations, `NVME_STATUS`
 *   (final) if it refused this one; `retry` if the connection failed.
 */
export function registerHost(
  api: NativeApi,
  device: string,
  symname: string | undefined,
): Promise<void> {
  const { libnvme } = api;
  const doing = `register with ${device}`;
  const { register, setSymbolicName } = libnvme.optional;
  if (register === undefined) {
    return Promise.reject(
      new PortError(`${doing}: libnvme ${libnvme.version} cannot register`, {
        code: 'EOPNOTSUPP',
        errorClass: 'final',
      }),
    );
  }
  return withRoot(api, doing, async (root) => {
    // The tree owns a controller that was scanned.
    const scanned = await callAsync(libnvme.scanCtrl, root.pointer, device);
    if (scanned.result === null) throw commandError(doing, scanned.errno);
    if (symname !== undefined && symname !== '' && setSymbolicName !== undefined) {
      const subsystem = libnvme.ctrlSubsystem(scanned.result);
      const host = subsystem === null ? null : libnvme.subsystemHost(subsystem);
      if (host === null) throw commandError(doing, lastErrno());
      setSymbolicName(host, symname);
    }
    const { result, errno } = await callAsync(register, scanned.result, TASK_REGISTER, null);
    if (result > 0) throw statusError(doing, result);
    if (result < 0) throw commandError(doing, errno);
  });
}
