import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Initiator } from './initiator.ts';

const folder = mkdtempSync(join(tmpdir(), 'dc-programs-'));
const config = join(folder, 'config.json');
const socket = join(folder, 'control');
const running: ChildProcess[] = [];

beforeAll(async () => {
  await build({
    entryPoints: ['main', 'control'].map(
      (name) => new URL(`../../discovery-controller/${name}.ts`, import.meta.url).pathname,
    ),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    outdir: folder,
    outExtension: { '.js': '.cjs' },
    logLevel: 'silent',
  });
});

afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL');
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts a program; `line` is its first line of output, `ended` how it went. */
function start(
  name: string,
  ...words: readonly string[]
): { child: ChildProcess; line: Promise<string>; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [join(folder, `${name}.cjs`), ...words]);
  running.push(child);
  let stdout = '';
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
  const line = new Promise<string>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      const end = stdout.indexOf('\n');
      if (end >= 0) resolve(stdout.slice(0, end));
    });
    child.on('close', () => resolve(''));
  });
  return { child, line, ended };
}

const control = (...words: readonly string[]): Promise<Ended> =>
  start('control', socket, ...words).ended;

function serve(): ReturnType<typeof start> {
  const listen = [{ address: '127.0.0.1', port: 0 }];
  writeFileSync(config, JSON.stringify({ controllers: [{ name: 'dc', listen }] }));
  return start('main', '--config', config, '--control', socket);
}

describe('the program', { timeout: 30_000 }, () => {
  it('says where it listens, serves hosts, and ends on SIGTERM with them connected', async () => {
    const { child, line, ended } = serve();
    const ready = JSON.parse(await line) as {
      ready: boolean;
      controllers: { name: string; listen: { port: number }[] }[];
    };
    expect(ready).toMatchObject({ ready: true, controllers: [{ name: 'dc' }] });
    const host = await Initiator.host(ready.controllers[0]?.listen[0]?.port ?? 0);
    expect((await host.identify()).status).toBe(0);
    child.kill('SIGTERM');
    expect((await ended).code).toBe(0);
    await host.closed;
    expect(existsSync(socket)).toBe(false);
  });

  it('is scripted by the control program, in each of its forms', async () => {
    const { line, ended } = serve();
    await line;
    const whole = await control('{"op":"add-entries","entries":[{"id":"a"}]}');
    expect(whole).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(whole.stdout)).toEqual({ ok: true, ids: ['a'], generation: 2, entries: 1 });
    const words = await control('change-entry', 'entry=a', 'fields={"portid":7}', 'aen=false');
    expect(words.code).toBe(0);
    const refused = await control('remove-entries', 'ids=["z"]');
    expect(refused).toMatchObject({ code: 1 });
    expect(JSON.parse(refused.stdout)).toMatchObject({ ok: false, error: { code: 'not-found' } });
    expect((await control('bump', 'nonsense')).code).toBe(2);
    expect((await control('shutdown')).code).toBe(0);
    expect((await ended).code).toBe(0);
    expect((await control('ping')).code).toBe(2);
  });

  it('explains a configuration that it cannot use in one line', async () => {
    writeFileSync(config, '{"controllers":[{"name":"dc","listen":[],"dctyp":"cdc"}]}');
    const wrong = await start('main', '--config', config, '--control', socket).ended;
    expect(wrong).toMatchObject({
      code: 1,
      stderr: 'controllers[0].dctyp: is not a known member\n',
    });
    expect((await start('main', '--config', config).ended).code).toBe(2);
  });
});
