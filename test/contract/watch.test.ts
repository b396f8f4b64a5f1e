/** `stacctl watch` as a process: on a terminal, in a pipe, ended by signals, on a real bus. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stacctl } from '../../src/ctl/tools.ts';
import { createSystemBus, type SystemBus } from '../../src/platform/dbus/system-bus.ts';
import { row } from '../unit/ctl/rows.ts';
import { standIn, type StandInState } from '../unit/ctl/stand-in.ts';
import { startPrivateBus, whyNoPrivateBus, type PrivateBus } from './private-bus.ts';

const root = dirname(dirname(import.meta.dirname));
const COMMAND = [process.execPath, join(root, 'tools/run.mjs'), join(root, 'src/ctl/stacctl.ts')];
const ENTER = '\u001b[?1049h\u001b[?25l';
/** The terminal makes a CR and an LF of each LF. */
const LEAVE = '\u001b[?25h\u001b[999;1H\r\r\n\u001b[?1049l';

const missing = whyNoPrivateBus();
const skipped = missing === undefined ? '' : ` (skipped: ${missing})`;

/** A process with all that it has printed. */
class Running {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<number | string | null>;
  printed = '';
  errors = '';

  constructor([program = '', ...args]: readonly string[], address: string) {
    // `script` runs the shell that SHELL names. Another than bash ends at Ctrl-C, together with
    // what it runs, and never tells its status.
    const shell = { SHELL: '/bin/bash', TERM: 'xterm', NO_COLOR: '1' };
    const env = { ...process.env, ...shell, DBUS_SYSTEM_BUS_ADDRESS: address };
    this.child = spawn(program, args, { env });
    this.child.stdout.on('data', (data: Buffer) => (this.printed += data.toString()));
    this.child.stderr.on('data', (data: Buffer) => (this.errors += data.toString()));
    this.ended = new Promise((resolve) => {
      this.child.on('close', (status, signal) => resolve(status ?? signal));
    });
  }

  async until(text: string): Promise<void> {
    const deadline = Date.now() + 60_000;
    while (!this.printed.includes(text)) {
      if (Date.now() > deadline) throw new Error(`no ${text} in ${this.printed}${this.errors}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

describe.skipIf(missing !== undefined)(`stacctl watch${skipped}`, () => {
  let server: PrivateBus;
  let daemon: SystemBus;
  let state: StandInState;
  const running: Running[] = [];

  async function startDaemon(): Promise<void> {
    daemon = await createSystemBus({ address: server.address });
    await standIn(daemon, stacctl, state);
  }

  function start(command: readonly string[]): Running {
    const started = new Running(command, server.address);
    running.push(started);
    return started;
  }

  function change(controllers: readonly ReturnType<typeof row>[]): void {
    state.explanation = { controllers, absent: [], notes: [] };
    daemon.emitSignal(stacctl.path, stacctl.v1Interface, 'controllers_changed', []);
  }

  const first = row('192.0.2.1', { device: 'nvme3' });

  beforeEach(async () => {
    server = await startPrivateBus();
    const explanation = { controllers: [first], absent: [], notes: [] };
    state = { controllers: [], processInfo: {}, tron: false, explanation };
    await startDaemon();
  });
  afterEach(async () => {
    for (const { child } of running.splice(0)) child.kill('SIGKILL');
    daemon.close();
    await server.stop();
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGQUIT'] as const)(
    'prints lines into a pipe, over a restart of the daemon, until %s ends it with 0',
    async (signal) => {
      const watch = start([...COMMAND, 'watch']);
      await watch.until('192.0.2.1');
      daemon.close();
      await watch.until('stacd is not running');
      await startDaemon();
      await watch.until('stacd runs again');
      change([first, row('192.0.2.2', { state: 'probing' })]);
      await watch.until('192.0.2.2');
      watch.child.kill(signal);
      expect(await watch.ended).toBe(0);
      expect(watch.errors).toBe('');
      const lines = watch.printed.trimEnd().split('\n');
      expect(lines.map((line) => line.slice(21, 30).trim())).toEqual([
        'present',
        'stacd is',
        'stacd run',
        'added',
      ]);
    },
  );

  it('ends quietly when nobody reads it any more', async () => {
    const line = '"$@" | head -n 1; echo "and ${PIPESTATUS[0]}"';
    const watch = start(['bash', '-c', line, 'bash', ...COMMAND, 'watch']);
    await watch.until('192.0.2.1');
    // Its end is seen with the next line that it prints after `head` has ended.
    let round = 2;
    const lines = setInterval(() => {
      change([first, row(`192.0.2.${String(round++ % 250)}`, { state: 'probing' })]);
    }, 50);
    await watch.until('and 0').finally(() => {
      clearInterval(lines);
    });
    expect(await watch.ended).toBe(0);
    expect(watch.errors).toBe('');
  });

  it('has a terminal to itself, and gives it back at Ctrl-C', async () => {
    const words = [...COMMAND, 'watch'].map((word) => `'${word}'`).join(' ');
    const inside = `stty rows 12 cols 60; ${words}; echo "status $?"`;
    const watch = start(['script', '-qec', inside, '/dev/null']);
    await watch.until('192.0.2.1');
    change([{ ...first, state: 'reconnecting', why: 'the kernel lost the connection' }]);
    await watch.until('lost');
    watch.child.stdin.write('\u0003');
    await watch.until('status 0');
    const [before = '', ...rest] = watch.printed.split(ENTER);
    expect(before.trim()).toBe('');
    expect(rest).toHaveLength(1);
    const [view = '', after = ''] = (rest[0] ?? '').split(LEAVE);
    expect(view).toContain('1 reconnecting');
    expect(after.replace('^C', '').trim()).toBe('status 0');
    for (const line of view.replace('^C', '').replaceAll('\u001b[H', '\n').split(/\r*\n/)) {
      expect(line.replaceAll(/\p{Cc}\[[0-9;?]*[A-Z]/gu, '').length).toBeLessThan(60);
    }
  });

  it('gives the terminal back before it tells of a mishap of its own', async () => {
    // A picture has the time in it: a while after the first one none can be made.
    const mishap = `
      const { Date: Real } = globalThis;
      let first;
      globalThis.Date = class extends Real {
        getHours() {
          first ??= process.uptime();
          if (process.uptime() > first + 0.5) throw new Error("a mishap");
          return super.getHours();
        }
      };`;
    const node = [
      process.execPath,
      '--import',
      `data:text/javascript,${encodeURIComponent(mishap)}`,
    ];
    const words = [...node, ...COMMAND.slice(1), 'watch'].map((word) => `'${word}'`).join(' ');
    const watch = start(['script', '-qec', `${words}; echo "status $?"`, '/dev/null']);
    await watch.until('status ');
    const [view = '', after = ''] = watch.printed.split(LEAVE);
    expect(view).toContain('192.0.2.1');
    expect(view).not.toContain('a mishap');
    expect(after).toContain('a mishap');
    expect(after).toMatch(/^status [1-9]/m);
  });
});
