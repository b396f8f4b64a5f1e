import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VmError } from '../../vm/errors.ts';
import { GuestAgent, shellQuote } from '../../vm/guest-agent.ts';

/** The machine's agent itself, running as a child of this process on a socket pair. */
describe('the agent of the machine', () => {
  let child: ChildProcess;
  let agent: GuestAgent;
  let directory = '';

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'nvme-stas-agent-'));
    const script = new URL('../../vm/image/agent.pl', import.meta.url).pathname;
    child = spawn('perl', [script, '3'], { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] });
    agent = await GuestAgent.over(child.stdio[3] as Socket);
  });

  afterEach(() => {
    agent.close();
    child.kill();
    rmSync(directory, { recursive: true });
  });

  it('gives status and both outputs of a command', async () => {
    const result = await agent.exec('echo out; echo err >&2; exit 7');
    expect(result).toEqual({ status: 7, stdout: 'out\n', stderr: 'err\n' });
  });

  it('gives 128 and the number of the signal that ended a command', async () => {
    expect((await agent.exec('kill -TERM $$')).status).toBe(143);
  });

  it('passes variables and input whatever is in them', async () => {
    const odd = `it's "$HOME" \\ *\n`;
    const result = await agent.exec('printf %s "$A"; cat', { env: { A: odd }, stdin: odd });
    expect(result.stdout).toBe(odd + odd);
  });

  it('runs many commands with much input side by side', async () => {
    const sizes = Array.from({ length: 20 }, (_, index) => index * 100_000);
    const results = await Promise.all(
      sizes.map((size) => agent.exec('cat', { stdin: 'x'.repeat(size) })),
    );
    expect(results.map(({ stdout }) => stdout.length)).toEqual(sizes);
  });

  it('carries megabytes of output without loss', async () => {
    const { stdout } = await agent.exec('seq 1 1000000');
    expect(stdout).toBe(Array.from({ length: 1_000_000 }, (_, index) => `${index + 1}\n`).join(''));
  });

  it('is not held up by a command that does not read its input', async () => {
    const result = await agent.exec('exec <&-; echo done', { stdin: 'x'.repeat(1_000_000) });
    expect(result).toEqual({ status: 0, stdout: 'done\n', stderr: '' });
  });

  it('does not wait for a process that a command leaves behind', async () => {
    const result = await agent.exec('sleep 60 & echo $!');
    process.kill(Number(result.stdout));
    expect(result.status).toBe(0);
  });

  it('kills a command that takes too long, with its children, and tells what it had printed', async () => {
    const slow = agent.exec('echo begin; sleep 61 & echo $! >&2; wait', { timeoutMs: 300 });
    const error = await slow.catch((reason: unknown) => reason);
    if (!(error instanceof VmError)) throw new Error('it did not fail');
    expect(error.code).toBe('timeout');
    expect(error.message).toContain('begin');
    const pid = /^\d+$/m.exec(error.message)?.[0];
    const { status } = await agent.exec(`grep -q '^State:.[RSD]' /proc/${pid ?? ''}/status`);
    expect(status).not.toBe(0);
  });

  it('writes and reads files of any content, with their mode and directory', async () => {
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7) & 0xff));
    const path = join(directory, `new/it's a file`);
    await agent.writeFile(path, bytes, 0o640);
    expect((await agent.readFile(path)).equals(bytes)).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o640);
  });

  it('says that a file cannot be read', async () => {
    await expect(agent.readFile('/nonexistent')).rejects.toMatchObject({ code: 'command-failed' });
  });

  it('fails what runs, and what is asked later, once the machine has ended', async () => {
    const running = agent.exec('sleep 60');
    child.kill('SIGKILL');
    await expect(running).rejects.toMatchObject({ code: 'died' });
    await expect(agent.exec('true')).rejects.toMatchObject({ code: 'died' });
  });
});

describe('a word for the shell', () => {
  it('is left alone if it is plain, and quoted otherwise', () => {
    expect(shellQuote('/a/b.c-1')).toBe('/a/b.c-1');
    expect(shellQuote(`it's`)).toBe(String.raw`'it'\''s'`);
    expect(shellQuote('')).toBe(`''`);
  });
});
