/** A namespace that keeps what is written to it, unlike those of the laboratory's targets. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Machine } from '../vm/machine.ts';
import { subsystemNqn } from './lab.ts';

/** Gives the first subsystem of the targets a second namespace, of 32 MB. */
export async function addKeptNamespace(machine: Machine): Promise<void> {
  const directory = `/sys/kernel/config/nvmet/subsystems/${subsystemNqn(0)}/namespaces/2`;
  await machine.sh(`
mkdir /sys/kernel/config/nullb/kept
cd /sys/kernel/config/nullb/kept
echo 32 > size; echo 1 > memory_backed; echo 1 > power
mkdir ${directory}
cd ${directory}
echo -n /dev/kept > device_path; echo 1 > enable
`);
}

/** Its block device as this controller leads to it (`nvme1n2`), when there is one. */
export async function keptBlock(machine: Machine, controller: string): Promise<string> {
  // By its number on the target: the kernel looks at namespaces side by side, and names them so.
  const found = await machine.waitFor(`grep -lx 2 /sys/class/nvme/${controller}/nvme*n*/nsid`);
  const path = found.trim().split('/').at(-2) ?? '';
  const block = path.replace(/c[0-9]+/, '');
  await machine.waitFor(`test -b /dev/${block}`);
  return block;
}

/** Makes an ext4 on it, and mounts it; as small as it can be. */
export async function mountKept(machine: Machine, block: string, at: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'kept-'));
  try {
    const file = join(directory, 'kept.ext4');
    // The machine has no program to make one.
    execFileSync('mke2fs', ['-q', '-t', 'ext4', '-O', '^has_journal', file, '256k']);
    await machine.writeFile('/run/kept.ext4', readFileSync(file));
  } finally {
    rmSync(directory, { recursive: true });
  }
  await machine.sh(
    `cat /run/kept.ext4 > /dev/${block} && mkdir -p '${at}' && mount /dev/${block} '${at}'`,
  );
}
