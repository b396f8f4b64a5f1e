import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { at, look, put } from './gather-kit.ts';

const repository = dirname(dirname(dirname(dirname(import.meta.dirname))));
const LIB = '/usr/lib/nvme-stas-node';
const SNAPSHOT = `${LIB}/snapshots/stafd`;

/** The line that the shell's part writes and compares, of the host in the temporary directory. */
function madeOf(): string {
  const script = readFileSync(join(repository, 'tools', 'package', 'snapshot.sh'), 'utf8')
    .replaceAll(LIB, at(LIB))
    .replaceAll('/sys/', at('/sys/'));
  const run = spawnSync(
    '/bin/sh',
    ['-c', `${script}\nsnapshot_made_of stafd "$1"`, 'sh', at('/usr/bin/node')],
    {
      encoding: 'utf8',
    },
  );
  expect(run.status).toBe(0);
  return run.stdout;
}

function installed(): void {
  put(`${LIB}/make-snapshots`, '');
  put(`${LIB}/stafd.cjs`, 'the program');
  put('/usr/bin/node', 'Node');
  put('/sys/devices/system/cpu/modalias', 'cpu:type:x86,ven0000\n');
}

function snapped(): void {
  installed();
  put(SNAPSHOT, 'the snapshot');
  put(`${SNAPSHOT}.made-of`, `/usr/bin/node \n${madeOf()}`);
}

async function found() {
  return (await look()).daemons.stafd.snapshot;
}

describe("what the doctor finds out of a daemon's start-up snapshot", () => {
  it('that it fits, by the line that the start compares', async () => {
    snapped();
    expect(await found()).toEqual({ kind: 'known', value: 'fits' });
  });

  it.each([`${LIB}/stafd.cjs`, '/usr/bin/node', SNAPSHOT])(
    'that it is outdated when %s is another',
    async (path) => {
      snapped();
      put(path, 'a new one, larger than before');
      expect(await found()).toEqual({ kind: 'known', value: 'outdated' });
    },
  );

  it('that it is outdated on another processor', async () => {
    snapped();
    put('/sys/devices/system/cpu/modalias', 'cpu:type:x86,ven0001\n');
    expect(await found()).toEqual({ kind: 'known', value: 'outdated' });
  });

  it('that there is none, or only what it was made of', async () => {
    installed();
    expect(await found()).toEqual({ kind: 'known', value: 'missing' });
    put(`${SNAPSHOT}.made-of`, '/usr/bin/node\n');
    expect(await found()).toEqual({ kind: 'known', value: 'missing' });
  });

  it('that the last start from it did not succeed', async () => {
    snapped();
    put('/run/stafd/starting-from-snapshot', '');
    expect(await found()).toEqual({ kind: 'known', value: 'failed' });
  });

  it('that it cannot tell, where nobody lets it see how the last start went', async () => {
    snapped();
    mkdirSync(at('/run'), { recursive: true });
    symlinkSync('stafd', at('/run/stafd'));
    expect(await found()).toMatchObject({ kind: 'unknown' });
  });

  it('nothing where the package does not make any', async () => {
    expect(await found()).toEqual({ kind: 'known', value: undefined });
  });
});
