/**
 * Removing a controller, and no other.
 *
 * Device names are reused: between the decision to remove `nvme3` and the removal, `nvme3` may have
 * become another connection, perhaps one that holds a file system. libnvme's `nvme_disconnect_ctrl`
 * goes by the name. So the attribute that removes is opened first, then it is made sure whose it
 * is, and only then it is written to: an open attribute stays with its controller, and when that is
 * gone, writing to it fails (ENODEV) instead of reaching whatever has the name by now.
 *
 * Whose it is, is told by the inode of the controller's sysfs directory, which is never used twice:
 * the same inode after opening as in the caller's list means that the name has meant this controller
 * all the time in between. What names the connection is compared as well.
 */
import { constants } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { KernelController } from '../ports/devices.ts';
import { PortError } from '../ports/errors.ts';
import { parseAskedAddress } from '../nvme/controller-address.ts';
import { fsError } from './errors.ts';

const SYSFS_NVME = '/sys/class/nvme';

/** Errors of an attribute whose controller is gone, or going. */
function isGone(thrown: unknown): boolean {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  return code === 'ENOENT' || code === 'ENODEV' || code === 'ENXIO';
}

function changed(device: string, what: string): PortError {
  return new PortError(`disconnect ${device}: the name now belongs to another ${what}`, {
    code: 'DEVICE_CHANGED',
    errorClass: 'final',
  });
}

function notRemovable(device: string, why: string): PortError {
  return new PortError(`disconnect ${device}: ${why}`, {
    code: 'EOPNOTSUPP',
    errorClass: 'final',
    errno: 95,
  });
}

/** One attribute, trimmed; undefined if it or its controller is gone. */
async function attribute(directory: string, name: string): Promise<string | undefined> {
  try {
    return (await readFile(`${directory}/${name}`, 'utf8')).trim();
  } catch (error) {
    if (isGone(error)) return undefined;
    throw fsError(`read ${directory}/${name}`, error);
  }
}

async function instanceOf(directory: string): Promise<string | undefined> {
  try {
    return String((await stat(directory, { bigint: true })).ino);
  } catch (error) {
    if (isGone(error)) return undefined;
    throw fsError(`look at ${directory}`, error);
  }
}

/**
 * @returns `same`, or `gone`.
 * @throws PortError `DEVICE_CHANGED`.
 */
async function verify(directory: string, expected: KernelController): Promise<'same' | 'gone'> {
  const instance = await instanceOf(directory);
  if (instance === undefined) return 'gone';
  if (instance !== expected.instance) throw changed(expected.device, 'controller');
  const subsysnqn = await attribute(directory, 'subsysnqn');
  if (subsysnqn === undefined) return 'gone';
  // A connection that was never live has no subsystem: the kernel prints a placeholder.
  const named = subsysnqn === '(efault)' || subsysnqn === '(null)' ? '' : subsysnqn;
  // Nor does the caller know it of one that was looked at before: there the instance says it all.
  if (expected.subsysnqn !== '' && named !== expected.subsysnqn)
    throw changed(expected.device, 'subsystem');
  // Not of `address`: to read that may end the host (platform/sysfs-controllers.ts).
  const uevent = await attribute(directory, 'uevent');
  if (uevent === undefined) return 'gone';
  const asked = parseAskedAddress(uevent);
  // Where it is not told, as of one whose first connect has just failed, the instance says it all.
  if (asked === undefined) return 'same';
  if (asked.traddr !== expected.traddr || asked.trsvcid !== expected.trsvcid) {
    throw changed(expected.device, 'address');
  }
  return 'same';
}

/**
 * Removes exactly the controller that `expected` describes; resolves when the kernel has removed
 * it, or had before.
 *
 * @param sysfs where the controllers are, for tests.
 * @throws PortError `DEVICE_CHANGED` (final) if the name is another connection's; `EOPNOTSUPP`
 *   (final) for a local controller.
 */
export async function disconnectController(
  expected: KernelController,
  sysfs: string = SYSFS_NVME,
): Promise<void> {
  const { device } = expected;
  if (!/^nvme[0-9]+$/.test(device)) throw notRemovable(device, 'not the name of a controller');
  if (expected.transport === 'pcie') throw notRemovable(device, 'a local controller');
  const directory = `${sysfs}/${device}`;
  let file: FileHandle;
  try {
    // Neither created nor truncated: it is an attribute.
    file = await open(`${directory}/delete_controller`, constants.O_WRONLY);
  } catch (error) {
    if (!isGone(error)) throw fsError(`disconnect ${device}`, error);
    // The kernel takes the attribute away as the first step of a removal, whoever asked for it.
    await verify(directory, expected);
    return;
  }
  try {
    if ((await verify(directory, expected)) === 'gone') return;
    await file.write('1');
  } catch (error) {
    if (error instanceof PortError) throw error;
    if (!isGone(error)) throw fsError(`disconnect ${device}`, error);
  } finally {
    await file.close();
  }
}
