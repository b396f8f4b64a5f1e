import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const RUN = fileURLToPath(new URL('../../../tools/run.mjs', import.meta.url));
const COMMANDS: readonly (readonly [string, string])[] = [
  ['stasadm', 'src/stasadm/main.ts'],
  ['stafctl', 'src/ctl/stafctl.ts'],
];

/** Runs a command whose output goes to `stdout`; what it says on stderr, and its exit status. */
async function run(program: string, stdout: number | 'pipe') {
  const main = fileURLToPath(new URL(`../../../${program}`, import.meta.url));
  const child = spawn(process.execPath, [RUN, main, '--help'], {
    stdio: ['ignore', stdout, 'pipe'],
    env: { PATH: process.env['PATH'] },
  });
  child.stdout?.destroy();
  if (child.stderr === null) throw new TypeError('a pipe was asked for');
  const [err] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  return { err, status: child.exitCode };
}

describe.each(COMMANDS)('%s', (name, program) => {
  it('says in one line that its output cannot be written, and ends with 1', async () => {
    const full = openSync('/dev/full', 'w');
    try {
      const { err, status } = await run(program, full);
      expect(err).toMatch(new RegExp(`^${name}: cannot write the output: ENOSPC.*\\n$`));
      expect(status).toBe(1);
    } finally {
      closeSync(full);
    }
  });

  it('says nothing where the one who reads it had enough', async () => {
    expect(await run(program, 'pipe')).toEqual({ err: '', status: 0 });
  });
});
