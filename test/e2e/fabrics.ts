/**
 * Fabrics other than TCP within the machine: Fibre Channel (nvme-fcloop) and RDMA (rdma_rxe on an
 * interface that leads nowhere). The kernel's drivers do not know the difference.
 */
import { readFile } from 'node:fs/promises';
import { GUEST } from './lab.ts';
import type { Machine } from '../vm/machine.ts';

/** Of the RDMA device. */
export const RDMA_ADDRESS = '10.9.0.1';
/** Of the host's port of the Fibre Channel fabric. */
export const FC_HOST_TRADDR = 'nn-0x10001100aa000001:pn-0x20001100aa000001';

/** Of a target's port of the Fibre Channel fabric. */
export function fcTraddr(port: 1 | 2): string {
  return `nn-0x10001100ab00000${String(port)}:pn-0x20001100ab00000${String(port)}`;
}

const SCRIPTS = { fc: 'fc-loop.sh', rdma: 'rdma-device.sh' } as const;

async function run(machine: Machine, fabric: keyof typeof SCRIPTS, command: string): Promise<void> {
  await machine.sh(`${GUEST}/${SCRIPTS[fabric]} ${command}`, { timeoutMs: 180_000 });
}

async function install(machine: Machine, fabric: keyof typeof SCRIPTS): Promise<void> {
  const script = await readFile(new URL(`guest/${SCRIPTS[fabric]}`, import.meta.url));
  await machine.writeFile(`${GUEST}/${SCRIPTS[fabric]}`, script, { mode: 0o755 });
}

/** Two ports of targets and one of the host that sees none of them yet. */
export async function openFibreChannel(machine: Machine): Promise<void> {
  await install(machine, 'fc');
  await run(machine, 'fc', 'up');
}

/** The host sees a target's port from now on: an event that nvme-cli's rules connect on. */
export async function linkFibreChannel(machine: Machine, port: 1 | 2): Promise<void> {
  await run(machine, 'fc', `link ${String(port)}`);
}

/** Connections and the targets' ports are gone before. */
export async function closeFibreChannel(machine: Machine): Promise<void> {
  await run(machine, 'fc', 'down');
}

/** An RDMA device with {@link RDMA_ADDRESS}. */
export async function openRdma(machine: Machine): Promise<void> {
  await install(machine, 'rdma');
  await run(machine, 'rdma', `up ${RDMA_ADDRESS}`);
}

/** Connections and the targets' ports are gone before. */
export async function closeRdma(machine: Machine): Promise<void> {
  await run(machine, 'rdma', 'down');
}
