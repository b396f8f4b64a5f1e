/**
 * Before the scenarios: makes what all workers share, once. Each worker then has a machine of its
 * own, which goes on from the saved state.
 */
import type { TestProject } from 'vitest/node';
import { buildPackage } from '../../tools/package.ts';
import type { Suite } from '../vm/image.ts';
import { startMachine } from '../vm/machine.ts';

declare module 'vitest' {
  interface ProvidedContext {
    readonly debPath: string;
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

export default async function setup(project: TestProject): Promise<void> {
  const suite = (process.env['NVME_STAS_SUITE'] ?? 'trixie') as Suite;
  const { debPath } = await buildPackage({ suite, log: say });
  project.provide('debPath', debPath);
  const machine = await startMachine({ suite, log: say });
  await machine.stop();
}
