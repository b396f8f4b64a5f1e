/**
 * Machines that have booted, kept in the cache to go on from: a start in seconds.
 *
 * Invariants:
 * - a state in the cache is complete: it is written under another name and renamed;
 * - a state is used with the image, the hardware and the QEMU that it was made with, and no other;
 * - a state that does not come to life is removed, and the machine boots.
 */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cacheDirectory, cacheKey } from './cache.ts';
import { undoAtExit } from './cleanup.ts';
import { VmError } from './errors.ts';
import type { Image } from './image.ts';
import { tryLock } from './lock.ts';
import { type Hardware, hardwareArguments, type Qemu, type SavedState } from './qemu.ts';

/** States that are kept of one suite: of the present image, and of another or other hardware. */
const keptStates = 2;

/** Where the state of this image on this hardware is, or would be. */
export function stateDirectory(image: Image, hardware: Hardware): string {
  const version = execFileSync('qemu-system-x86_64', ['--version'], { encoding: 'utf8' });
  const key = cacheKey([image.key, version, ...hardwareArguments(image, hardware)]);
  return join(cacheDirectory(), 'states', `${image.suite}-${key}`);
}

/** The state in `directory`, if it is there. */
export function findState(directory: string): SavedState | undefined {
  return existsSync(directory) ? filesIn(directory) : undefined;
}

/** Removes a state that is of no use. */
export function dropState(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}

/**
 * Keeps the state of a running machine, which stops for it a few seconds and goes on afterwards.
 * Does nothing when another process is at it.
 */
export async function saveState(qemu: Qemu, image: Image, directory: string): Promise<void> {
  const states = join(directory, '..');
  mkdirSync(states, { recursive: true });
  const release = await tryLock(`states ${states}`);
  if (release === undefined) return;
  prune(states, image.suite);
  const work = mkdtempSync(join(states, 'work-'));
  const clean = undoAtExit(() => dropState(work));
  const monitor = await qemu.monitor();
  try {
    const { memory, disk } = filesIn(work);
    await monitor.request('stop');
    await monitor.request('migrate', { uri: `exec:cat >${memory}` });
    for (;;) {
      const reply = (await monitor.request('query-migrate')) as { readonly status: string };
      if (reply.status === 'completed') break;
      if (reply.status === 'failed') throw new VmError('refused', 'QEMU could not save its state');
      await sleep(50);
    }
    // With its state saved, QEMU has written all of the disk too, and lets go of it until `cont`.
    await copyFile(qemu.disk, disk);
    if (!existsSync(directory)) renameSync(work, directory);
  } finally {
    clean();
    await monitor.request('cont');
    monitor.close();
    await release();
  }
}

/** With the lock held: removes what interrupted saves have left, and the suite's oldest states. */
function prune(states: string, suite: string): void {
  const paths = readdirSync(states).map((name) => join(states, name));
  const [leftover, old] = [join(states, 'work-'), join(states, `${suite}-`)];
  const newestFirst = paths
    .filter((path) => path.startsWith(old))
    .map((path) => ({ path, saved: statSync(path).mtimeMs }))
    .sort((a, b) => b.saved - a.saved)
    .map(({ path }) => path);
  for (const path of newestFirst.slice(keptStates - 1)) dropState(path);
  for (const path of paths.filter((path) => path.startsWith(leftover))) dropState(path);
}

/** Lets a machine that was started with a saved state run, as soon as it is loaded. */
export async function resumeState(qemu: Qemu): Promise<void> {
  const monitor = await qemu.monitor();
  try {
    for (;;) {
      const reply = (await monitor.request('query-status')) as { readonly status: string };
      if (reply.status === 'running') return;
      if (reply.status === 'paused') await monitor.request('cont');
      else await sleep(20);
    }
  } finally {
    monitor.close();
  }
}

function filesIn(directory: string): SavedState {
  return { memory: join(directory, 'memory'), disk: join(directory, 'disk.qcow2') };
}
