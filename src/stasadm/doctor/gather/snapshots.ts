/** Whether a daemon would start from its snapshot: by the rules of tools/package/snapshot.sh. */
import { statSync } from 'node:fs';
import { known, unknown, type Answer } from '../../../core/answer.ts';
import { hasCode } from '../../../platform/system-error.ts';
import type { DaemonName, Snapshot } from '../facts.ts';
import { exists, textOf, whyNot } from './files.ts';
import type { World } from './world.ts';

const LIB = '/usr/lib/nvme-stas-node';
const MAKE_SNAPSHOTS = `${LIB}/make-snapshots`;

/** As `stat -Lc %i:%s:%Y:%Z` prints it. */
function stamp({ root }: World, path: string): string {
  const { ctimeNs, ino, mtimeNs, size } = statSync(root + path, { bigint: true });
  const seconds = (ns: bigint): string => String(ns / 1_000_000_000n);
  return [ino, size, seconds(mtimeNs), seconds(ctimeNs)].map(String).join(':');
}

/** Undefined: the daemon was not installed with what makes them. */
export function gatherSnapshot(world: World, daemon: DaemonName): Answer<Snapshot | undefined> {
  const program = `${LIB}/${daemon}.cjs`;
  const snapshot = `${LIB}/snapshots/${daemon}`;
  if (!exists(world, MAKE_SNAPSHOTS) || !exists(world, program)) return known(undefined);
  try {
    statSync(`${world.root}/run/${daemon}/starting-from-snapshot`);
    return known('failed');
  } catch (thrown) {
    // The directory is the daemon's own: nobody but root sees into it.
    if (!hasCode(thrown, 'ENOENT', 'ENOTDIR')) return unknown(whyNot(`/run/${daemon}`, thrown));
  }
  const noted = textOf(world, `${snapshot}.made-of`);
  if (noted.kind === 'unknown') return noted;
  if (noted.value === undefined || !exists(world, snapshot)) return known('missing');
  const processor = textOf(world, '/sys/devices/system/cpu/modalias');
  if (processor.kind === 'unknown') return processor;
  const [files = '', madeOf] = noted.value.split('\n');
  const node = files.split(' ').filter((path) => path !== '');
  try {
    const stamps = [snapshot, program, ...node].map((path) => stamp(world, path));
    const now = [processor.value?.trim() ?? '', ...stamps].join(' ');
    return known(now === madeOf ? 'fits' : 'outdated');
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT', 'ENOTDIR')) return known('outdated');
    return unknown(whyNot(snapshot, thrown));
  }
}
