/** What the kernel has, for `stacctl tree`: connections, what is in use, sizes. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isIoController } from '../nvme/connection-match.ts';
import type { NamespaceUse } from '../nvme/block-use.ts';
import type { KernelController } from '../nvme/kernel-controller.ts';
import { SystemBlockUses } from '../platform/block-use.ts';
import { SysfsControllers } from '../platform/sysfs-controllers.ts';

export interface KernelView {
  readonly controllers: readonly KernelController[];
  /** By controller. */
  readonly uses: ReadonlyMap<string, readonly NamespaceUse[]>;
  /** By block device. */
  readonly bytes: ReadonlyMap<string, number>;
}

/** sysfs counts in these, whatever the device's own block size is. */
const SECTOR = 512;

/** Rejects with PortError. */
export async function readKernelView(sys = '/sys', proc = '/proc'): Promise<KernelView> {
  const controllers = await new SysfsControllers(sys).list();
  const devices = controllers.filter(isIoController).map(({ device }) => device);
  const uses = await new SystemBlockUses(sys, proc).read(devices);
  const blocks = new Set([...uses.values()].flat().map(({ block }) => block));
  const bytes = new Map<string, number>();
  for (const block of blocks) {
    try {
      const text = await readFile(join(sys, 'class', 'block', block, 'size'), 'utf8');
      if (/^[0-9]+\n?$/.test(text)) bytes.set(block, Number(text) * SECTOR);
    } catch {
      // It went meanwhile, and its size with it.
    }
  }
  return { controllers, uses, bytes };
}
