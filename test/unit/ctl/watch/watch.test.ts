import { beforeAll, describe, expect, it } from 'vitest';
import { stacctl, stafctl } from '../../../../src/ctl/tools.ts';
import { clipped, widthOf } from '../../../../src/ctl/text.ts';
import { BusError } from '../../../../src/ports/bus.ts';
import { FakeBusDaemon } from '../../../fakes/fake-bus.ts';
import { run, state, type RunOptions, type WatchWorld } from '../harness.ts';
import { row } from '../rows.ts';
import { standIn, type StandInState } from '../stand-in.ts';

type Row = ReturnType<typeof row>;

const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[999;1H\r\n\u001b[?1049l';
const GONE = ['org.freedesktop.DBus.Error.NoReply', 'gone'] as const;

const first = row('192.168.1.20', { device: 'nvme3', sources: ['configured'] });
const second = row('192.168.1.21', {
  ...{ state: 'waiting', why: 'connect: connection refused (ECONNREFUSED)', attempts: 3 },
  ...{ next: 'it is tried again', 'next-in-ms': 12_400, 'out-of-reach-ms': 60_000 },
});

function stateOf(controllers: readonly Row[]): StandInState {
  return { ...state([]), explanation: { controllers, absent: [], notes: [] } };
}

/** Runs `stacctl watch`, and has the daemon tell of these lists, one after the other. */
async function watch(
  args: readonly string[],
  lists: readonly (readonly Row[])[],
  rest: RunOptions = {},
) {
  const daemon = stateOf(lists[0] ?? []);
  return run(stacctl, ['watch', ...args], {
    state: daemon,
    meanwhile: async (world) => {
      for (const controllers of lists.slice(1)) {
        await world.clock.advance(1000);
        daemon.explanation = { controllers, absent: [], notes: [] };
        await world.changed();
      }
    },
    ...rest,
  });
}

beforeAll(() => {
  process.env['TZ'] = 'UTC';
});

describe('watch, not on a terminal', () => {
  it('prints a line for what is there, and one for each event', async () => {
    const up = { ...second, state: 'connected', device: 'nvme4', why: '' };
    const { status, stderr, stdout } = await watch([], [[first, second], [first, up], [up]]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout.split('\n')).toEqual([
      '2026-01-02 03:04:05  present    tcp 192.168.1.20 4420  connected as nvme3: configured  nqn.of-192.168.1.20',
      '2026-01-02 03:04:05  present    tcp 192.168.1.21 4420  waiting: connect: connection refused (ECONNREFUSED)  nqn.of-192.168.1.21',
      '2026-01-02 03:04:06  connected  tcp 192.168.1.21 4420  as nvme4  nqn.of-192.168.1.21',
      '2026-01-02 03:04:07  removed    tcp 192.168.1.20 4420  was connected as nvme3  nqn.of-192.168.1.20',
      '',
    ]);
  });

  it('prints one JSON object a line with -o json, on a terminal too', async () => {
    const { stdout } = await watch(['-o', 'json'], [[first], []], {
      size: { columns: 80, rows: 24 },
    });
    const lines = stdout.trimEnd().split('\n');
    expect(lines.map((line): unknown => JSON.parse(line))).toEqual([
      {
        ...{ time: '2026-01-02T03:04:05.000Z', event: 'present', reason: 'configured' },
        ...{ controller: first, before: null },
      },
      {
        ...{ time: '2026-01-02T03:04:06.000Z', event: 'removed', reason: '' },
        ...{ controller: first, before: first },
      },
    ]);
  });

  it('cannot be made to forge a line or move the cursor', async () => {
    const odd = row('192.168.1.22', { subsysnqn: 'nqn.a\n2026\u001b[2J', why: 'x\r\u202e' });
    for (const args of [[], ['-o', 'json']]) {
      const { stdout } = await watch(args, [[odd]]);
      expect(stdout).not.toMatch(/[^\P{C}\n]/u);
      expect(stdout.split('\n')).toHaveLength(2);
    }
  });

  it('has one question open at most, and asks again after the last signal', async () => {
    const daemon = stateOf([first]);
    const server = new FakeBusDaemon();
    const there = server.connect();
    await standIn(there, stacctl, daemon);
    const bus = server.connect();
    const call = bus.call.bind(bus);
    let [asked, open, most] = [0, 0, 0];
    bus.call = (request) => {
      asked += 1;
      open += 1;
      most = Math.max(most, open);
      return call(request).finally(() => (open -= 1));
    };
    const { stdout } = await run(stacctl, ['watch'], {
      openBus: () => Promise.resolve(bus),
      meanwhile: async ({ clock }) => {
        expect(asked).toBe(1);
        for (let count = 0; count < 50; count += 1) {
          there.emitSignal(stacctl.path, stacctl.v1Interface, 'controllers_changed', []);
        }
        daemon.explanation = { controllers: [first, second], absent: [], notes: [] };
        await clock.advance(0);
        const after = asked;
        expect(after).toBeLessThan(50);
        await clock.advance(3_600_000);
        expect(asked).toBe(after);
      },
    });
    expect(most).toBe(1);
    expect(stdout).toContain('added');
  });
});

describe('watch, over a restart of the daemon', () => {
  const restart = async (world: WatchWorld, daemon: StandInState): Promise<void> => {
    world.bus.close();
    await world.clock.advance(3000);
    await standIn(world.daemon.connect(), stacctl, daemon);
    await world.clock.advance(0);
  };

  it('says so, goes on, and tells what is different afterwards alone', async () => {
    const daemon = stateOf([first]);
    const { status, stdout } = await run(stacctl, ['watch'], {
      state: daemon,
      meanwhile: async (world) => {
        daemon.explanation = { controllers: [first, second], absent: [], notes: [] };
        await restart(world, daemon);
      },
    });
    expect(status).toBe(0);
    expect(stdout.split('\n').map((line) => line.slice(20, 60).trim())).toEqual([
      'present    tcp 192.168.1.20 4420  conne',
      'stacd is not running: waiting for it',
      'stacd runs again',
      'added      tcp 192.168.1.21 4420  waiti',
      '',
    ]);
  });

  it('takes no answer that was under way for an error', async () => {
    const daemon = stateOf([first]);
    const { status, stderr, stdout } = await run(stacctl, ['watch', '-o', 'json'], {
      state: daemon,
      meanwhile: async (world) => {
        world.bus.emitSignal(stacctl.path, stacctl.v1Interface, 'controllers_changed', []);
        await restart(world, daemon);
      },
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const events = stdout.trimEnd().split('\n');
    expect(events.map((line) => (JSON.parse(line) as { event: string }).event)).toEqual([
      'present',
      'daemon-stopped',
      'daemon-started',
    ]);
  });
});

describe('watch ends', () => {
  it('with 1 and what to do when the daemon does not run', async () => {
    expect(await run(stafctl, ['watch'])).toEqual({
      ...{ status: 1, stdout: '' },
      stderr: 'stafctl: stafd is not running; start it with: systemctl start stafd\n',
    });
  });

  it('with 1 when a daemon that runs refuses, or does not answer', async () => {
    const daemon = new FakeBusDaemon();
    await standIn(daemon.connect(), stacctl, stateOf([]));
    const bus = daemon.connect();
    const call = bus.call.bind(bus);
    bus.call = (request) =>
      request.member === 'list_controllers' ? Promise.reject(new BusError(...GONE)) : call(request);
    const { status, stderr } = await run(stacctl, ['watch'], {
      openBus: () => Promise.resolve(bus),
    });
    expect([status, stderr]).toEqual([
      1,
      'stacctl: stacd does not answer (gone); see: systemctl status stacd\n',
    ]);
  });

  it('with 1 when the bus is lost, the terminal restored', async () => {
    const daemon = new FakeBusDaemon();
    await standIn(daemon.connect(), stacctl, stateOf([first]));
    const bus = daemon.connect();
    const { status, stderr, stdout } = await run(stacctl, ['watch'], {
      openBus: () => Promise.resolve(bus),
      size: { columns: 80, rows: 24 },
      meanwhile: async ({ clock }) => {
        bus.fail('the bus ended');
        await clock.advance(0);
      },
    });
    expect(status).toBe(1);
    expect(stderr).toContain('the bus ended');
    expect(stdout.endsWith(LEAVE)).toBe(true);
  });
});

/** What a terminal shows after all that was printed: the last picture, its lines. */
function picture(printed: string): readonly string[] {
  const last = printed.split('\u001b[H').at(-1) ?? '';
  return (last.split('\u001b[J')[0] ?? '')
    .split('\r\n')
    .map((line) => line.replace('\u001b[K', ''));
}

describe('watch, on a terminal', () => {
  const size = { columns: 80, rows: 24 };

  it('shows the controllers and the last events, and restores the terminal', async () => {
    const lost = { ...first, state: 'reconnecting', why: 'the kernel lost the connection' };
    const { status, stdout } = await watch(
      [],
      [
        [first, second],
        [lost, second],
      ],
      { size },
    );
    expect(status).toBe(0);
    expect(stdout.startsWith(ENTER)).toBe(true);
    expect(stdout.endsWith(LEAVE)).toBe(true);
    expect(stdout.split(ENTER)).toHaveLength(2);
    expect(picture(stdout)).toEqual([
      'stacd: 2 in all, 1 reconnecting, 1 waiting  03:04:06',
      '',
      'DEVICE  STATE            TRANSPORT  TRADDR        TRSVCID  SUBSYSNQN',
      'nvme3   reconnecting     tcp        192.168.1.20  4420     nqn.of-192.168.1.20',
      '-       retries in 12 s  tcp        192.168.1.21  4420     nqn.of-192.168.1.21',
      '',
      'Events (Ctrl-C ends)',
      '03:04:06  lost       tcp 192.168.1.20 4420  was nvme3; reconnecting: the kerne…',
    ]);
  });

  it('leaves the last column free: to erase after it would erase what it has', async () => {
    const why = '存储'.repeat(100);
    for (const columns of [79, 80]) {
      const { stdout } = await watch([], [[first], [{ ...first, state: 'waiting', why }]], {
        size: { columns, rows: 24 },
        screen: { colour: true, width: columns },
      });
      const widths = picture(stdout).map((line) =>
        widthOf(line.replaceAll(/\p{Cc}\[[0-9;]*m/gu, '')),
      );
      expect(Math.max(...widths)).toBeLessThan(columns);
      expect(Math.max(...widths)).toBeGreaterThan(columns - 4);
    }
  });

  it('restores the terminal when the process ends by a mishap', async () => {
    await watch([], [[first]], {
      size,
      meanwhile: (world) => {
        world.exit();
        expect(world.printed().endsWith(LEAVE)).toBe(true);
        world.exit();
        expect(world.printed().split(LEAVE)).toHaveLength(2);
        return Promise.resolve();
      },
    });
  });

  it('tells connections apart that differ by their interface only', async () => {
    const twins = ['eth0', 'eth1'].map((name) => ({ ...first, 'host-iface': name }));
    const { stdout } = await watch([], [twins], { size: { columns: 120, rows: 24 } });
    expect(picture(stdout).slice(2, 5)).toEqual([
      'DEVICE  STATE      TRANSPORT  TRADDR        TRSVCID  SUBSYSNQN            HOST-IFACE',
      'nvme3   connected  tcp        192.168.1.20  4420     nqn.of-192.168.1.20  eth0',
      'nvme3   connected  tcp        192.168.1.20  4420     nqn.of-192.168.1.20  eth1',
    ]);
  });

  it('counts times down each second, and asks the daemon nothing for it', async () => {
    const daemon = stateOf([second]);
    await run(stacctl, ['watch'], {
      ...{ state: daemon, size },
      meanwhile: async ({ clock, printed }) => {
        daemon.explanation = { controllers: [], absent: [], notes: [] };
        await clock.advance(5000);
        expect(picture(printed())[3]).toContain('retries in 7 s');
        await clock.advance(60_000);
        expect(picture(printed())[3]).toContain('retries in 0 s');
      },
    });
  });

  it('says that the daemon is gone, and shows what it had', async () => {
    await run(stacctl, ['watch'], {
      ...{ state: stateOf([first]), size },
      meanwhile: async ({ bus, clock, printed }) => {
        bus.close();
        await clock.advance(2000);
        const lines = picture(printed());
        expect(lines[0]).toBe(
          'stacd is not running since 03:04:05; it had: 1 in all, 1 connected  03:04:07',
        );
        expect(lines[3]).toContain('192.168.1.20');
      },
    });
  });

  it('follows the size of the terminal, and enters it again after others had it', async () => {
    const { stdout } = await watch([], [[first]], {
      size,
      meanwhile: async (world) => {
        await world.suspend();
        expect(world.printed().endsWith(LEAVE)).toBe(true);
        await world.clock.advance(60_000);
        expect(world.printed().endsWith(LEAVE)).toBe(true);
        await world.resize({ columns: 40, rows: 9 });
        const lines = picture(world.printed());
        expect(world.printed().split(ENTER)).toHaveLength(3);
        expect(lines.length).toBeLessThanOrEqual(9);
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(40);
        // One loop of redraws, not one more with each of these.
        const before = world.printed().split('\u001b[H').length;
        await world.clock.advance(10_000);
        expect(world.printed().split('\u001b[H').length - before).toBe(10);
      },
    });
    expect(stdout.endsWith(LEAVE)).toBe(true);
  });

  it('shows what is not connected first where there is no room for all', async () => {
    const many = Array.from({ length: 1000 }, (_, index) =>
      row(`10.0.${String(index >> 8)}.${String(index & 255)}`, {
        ...(index === 777 ? { state: 'held' } : { device: `nvme${String(index)}` }),
        subsysnqn: 'nqn.2014-08.org.nvmexpress:uuid:f2782346-4809-484a-9a8b-952a04b57ba4',
      }),
    );
    const { stdout } = await watch([], [many, many.slice(1)], { size: { columns: 100, rows: 20 } });
    const lines = picture(stdout);
    expect(lines).toHaveLength(20);
    expect(lines[0]).toContain('999 in all, 998 connected, 1 held');
    expect(lines[4]).toMatch(/^- +held +tcp +10\.0\.3\.9 /);
    expect(lines.join('\n')).toContain('… 993 more');
    expect(lines.at(-1)).toContain('removed');
  });
});

describe('a line that is too long', () => {
  it('is cut at the edge of the terminal, its colour ended', () => {
    expect(clipped('abcdef', 6)).toBe('abcdef');
    expect(clipped('abcdefg', 6)).toBe('abcde…');
    expect(clipped('\u001b[32mabcdefg\u001b[0m', 6)).toBe('\u001b[32mabcde…\u001b[0m');
    expect(clipped('\u001b[32mab\u001b[0mcdefg', 6)).toBe('\u001b[32mab\u001b[0mcde…');
    expect(clipped('存储存储', 6)).toBe('存储…');
  });
});
