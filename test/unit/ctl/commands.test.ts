import { describe, expect, it } from 'vitest';
import { stacctl, stafctl } from '../../../src/ctl/tools.ts';
import type { Tool } from '../../../src/ctl/tools.ts';
import { BusError } from '../../../src/ports/bus.ts';
import type { Bus } from '../../../src/ports/bus.ts';
import { FakeBusDaemon } from '../../fakes/fake-bus.ts';
import { HOST_NQN, controller, entry, run, state } from './harness.ts';
import { standIn } from './stand-in.ts';

const NQN = 'nqn.2014-08.org.nvmexpress.discovery';
const UNIQUE = 'nqn.2014-08.org.example:discovery';

const referral = entry({
  subtype: 'referral',
  traddr: '192.168.1.30',
  trsvcid: '8009',
  subnqn: NQN,
});
const subsystem = entry({});

const discovery = state([
  controller({}, { logPages: [referral, subsystem] }),
  controller({ traddr: '2001:db8::1', 'host-iface': 'eth0', device: 'nvme1' }),
  controller({ traddr: '2001:db8::1', 'host-iface': 'eth1' }, { logPages: [subsystem] }),
  controller({ traddr: '10.0.0.1', subsysnqn: UNIQUE }, { logPages: [referral] }),
]);

describe('dlp', () => {
  const dlp = (...args: string[]) => run(stafctl, ['dlp', ...args], { state: discovery });

  it('shows the entries of one discovery controller', async () => {
    const { status, stdout } = await dlp('-a', '192.168.1.10', '-s', '8009');
    expect(status).toBe(0);
    expect(stdout.split('\n')).toEqual([
      'SUBTYPE   TRTYPE  TRADDR        TRSVCID  PORTID  SUBNQN',
      'nvme      tcp     192.168.1.20  4420     1       nqn.2014-08.org.example:subsystem1',
      `referral  tcp     192.168.1.30  8009     1       ${NQN}`,
      '',
    ]);
  });

  it('prints the entries as JSON, in the order of the log', async () => {
    const { stdout } = await dlp('-a', '192.168.1.10', '-s', '8009', '-o', 'json');
    expect(JSON.parse(stdout)).toEqual([referral, subsystem]);
  });

  it('finds the controller by any spelling of its address, and by its interface', async () => {
    const address = ['-a', '2001:DB8:0:0::1', '-s', '8009'];
    const { stdout } = await dlp(...address, '-f', 'eth1', '-o', 'json');
    expect(JSON.parse(stdout)).toEqual([subsystem]);
    expect(await dlp(...address, '-f', 'eth0')).toMatchObject({
      status: 0,
      stdout: 'log not known: it was not read yet\n',
    });
  });

  it('takes every other field from the controller, or as it is given', async () => {
    const address = ['-a', '10.0.0.1', '-s', '8009', '-o', 'json'];
    expect((await dlp(...address)).stdout).toContain('referral');
    const all = ['-t', 'tcp', '-w', '', '-f', '', '-q', HOST_NQN, '-n', UNIQUE];
    expect((await dlp(...address, ...all)).stdout).toContain('referral');
  });

  it('says what is wrong when no controller matches, or more than one', async () => {
    expect(await dlp('-a', '10.0.0.2', '-s', '8009')).toEqual({
      status: 1,
      stdout: '',
      stderr: 'stafctl: stafd has no such controller: tcp 10.0.0.2 8009; see: stafctl ls\n',
    });
    expect(await dlp('-a', '10.0.0.1', '-s', '8009', '-n', NQN)).toMatchObject({ status: 1 });
    expect(await dlp('-a', '2001:db8::1', '-s', '8009')).toEqual({
      status: 1,
      stdout: '',
      stderr:
        'stafctl: 2 controllers match tcp 2001:db8::1 8009: ' +
        'add --nqn, --host-iface, --host-traddr or --host-nqn\n',
    });
  });

  it('prefers the well-known NQN where none is named', async () => {
    const both = state([
      controller({ subsysnqn: UNIQUE }),
      controller({}, { logPages: [subsystem] }),
    ]);
    const { stdout } = await run(
      stafctl,
      ['dlp', '-a', '192.168.1.10', '-s', '8009', '-o', 'json'],
      {
        state: both,
      },
    );
    expect(JSON.parse(stdout)).toEqual([subsystem]);
  });
});

describe('adlp', () => {
  it('shows the entries of every discovery controller under its name', async () => {
    const two = state([
      controller({ traddr: '192.168.1.11' }),
      controller({}, { logPages: [subsystem] }),
    ]);
    const { stdout } = await run(stafctl, ['adlp'], { state: two });
    expect(stdout.split('\n')).toEqual([
      `tcp 192.168.1.10 8009 ${NQN}`,
      '  SUBTYPE  TRTYPE  TRADDR        TRSVCID  PORTID  SUBNQN',
      '  nvme     tcp     192.168.1.20  4420     1       nqn.2014-08.org.example:subsystem1',
      '',
      `tcp 192.168.1.11 8009 ${NQN}`,
      '  log not known: it was not read yet',
      '',
    ]);
    const none = await run(stafctl, ['adlp'], { state: state([]) });
    expect(none.stdout).toBe('no discovery controllers\n');
  });

  it('tells an empty log from one that is not known, as far as the daemon does', async () => {
    const controllers = [controller({}, { logPages: [] }), controller({ traddr: '192.168.1.11' })];
    for (const command of ['adlp', 'status']) {
      const { stdout } = await run(stafctl, [command], { state: state(controllers) });
      expect(stdout).toMatch(/^ {2}no entries$/m);
      expect(stdout).toMatch(/^ {2}log not known: it was not read yet$/m);
      const other = { ...state(controllers), stateless: true };
      const { status, stdout: doubtful } = await run(stafctl, [command], { state: other });
      expect(status).toBe(0);
      expect(doubtful.match(/^ {2}no entries known$/gm)).toHaveLength(2);
    }
  });

  it('prints the JSON of the daemon, and more of each controller with -d', async () => {
    const { stdout } = await run(stafctl, ['adlp', '-o', 'json'], { state: discovery });
    expect(JSON.parse(stdout)).toEqual(
      discovery.controllers.map(({ plain, logPages }) => ({
        'discovery-controller': plain,
        'log-pages': logPages ?? [],
      })),
    );
    const detailed = await run(stafctl, ['adlp', '-d', '-o', 'json'], { state: discovery });
    expect(detailed.stdout).toContain('"connected": "True"');
    const text = await run(stafctl, ['adlp', '-d'], { state: discovery });
    expect(text.stdout).toMatch(/^ {2}connected: +True$/m);
  });
});

describe('status', () => {
  const facts = {
    tron: false,
    hostkey: 'is set',
    avahi: { 'service types': ['_nvme-disc._tcp'], services: {} },
    'terminator.audit timer': '60.0s [off]',
  };
  const one = state(
    [
      controller(
        {},
        {
          logPages: [subsystem],
          details: {
            connected: 'True',
            'retry connect timer': '60.0s [off]',
            'connect attempts': '2',
            origin: 'mdns',
          },
        },
      ),
    ],
    facts,
  );

  it('shows the daemon, its controllers and their logs', async () => {
    const { stdout } = await run(stafctl, ['status'], { state: one });
    await expect(stdout).toMatchFileSnapshot('golden/status.txt');
    const stac = await run(stacctl, ['status'], { state: state([], { tron: true }) });
    expect(stac.stdout).toBe('stacd\n  tron: true\n\nno I/O controllers\n');
  });

  it('prints one JSON object with everything in it', async () => {
    const { stdout } = await run(stafctl, ['status', '-o', 'json'], { state: one });
    const [only] = one.controllers;
    expect(JSON.parse(stdout)).toEqual({
      ...facts,
      controllers: [
        {
          ...only?.plain,
          ...only?.details,
          log_pages: [subsystem],
        },
      ],
    });
    const stac = await run(stacctl, ['status', '-o', 'json'], { state: one });
    expect(stac.stdout).not.toContain('log_pages');
  });
});

describe('status of hundreds of controllers', () => {
  const many = state(
    Array.from({ length: 200 }, (_, index) =>
      controller({ traddr: `10.0.0.${String(index)}` }, { logPages: [subsystem] }),
    ),
  );

  it.each([stafctl, stacctl])('asks as often as of one: $name', async (tool) => {
    const daemon = new FakeBusDaemon();
    await standIn(daemon.connect(), tool, many);
    const bus = daemon.connect();
    const call = bus.call.bind(bus);
    let calls = 0;
    bus.call = (request) => {
      calls += 1;
      return call(request);
    };
    const openBus = (): Promise<Bus> => Promise.resolve(bus);
    const { stdout } = await run(tool, ['status', '-o', 'json'], { openBus });
    expect((JSON.parse(stdout) as { controllers: unknown[] }).controllers).toHaveLength(200);
    expect(calls).toBe(2);
  });
});

describe('tron and troff', () => {
  it('switch tracing and say what it is now', async () => {
    const daemon = state([]);
    const on = await run(stacctl, ['tron'], { state: daemon });
    expect([on.status, on.stdout, daemon.tron]).toEqual([0, 'tron = true\n', true]);
    const off = await run(stacctl, ['troff', '-o', 'json'], { state: daemon });
    expect([JSON.parse(off.stdout), daemon.tron]).toEqual([{ tron: false }, false]);
  });
});

describe.each([stafctl, stacctl])('$name', (tool: Tool) => {
  const { name, daemon } = tool;
  const failing = (errorName: string): (() => Promise<Bus>) => {
    const bus = new FakeBusDaemon().connect();
    bus.call = () => Promise.reject(new BusError(errorName, 'first line\nsecond'));
    return () => Promise.resolve(bus);
  };

  it('names the unit to start when the daemon is not running', async () => {
    const message = `${name}: ${daemon} is not running; start it with: systemctl start ${daemon}\n`;
    for (const command of ['ls', 'status', 'tron', 'troff']) {
      expect(await run(tool, [command])).toEqual({ status: 1, stdout: '', stderr: message });
    }
  });

  it.each([
    ['NoServer', 'systemctl start dbus'],
    ['NoReply', `systemctl status ${daemon}`],
    ['Disconnected', `systemctl status ${daemon}`],
    ['AccessDenied', 'as root'],
    ['Failed', 'org.freedesktop.DBus.Error.Failed'],
  ])('says in one line what to do about %s', async (errorName, advice) => {
    const openBus = failing(`org.freedesktop.DBus.Error.${errorName}`);
    const { status, stdout, stderr } = await run(tool, ['ls'], { openBus });
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toContain(advice);
    expect(stderr).toMatch(/^[^\n]+\n$/);
  });

  it('reports a bus that cannot be reached', async () => {
    const refused = new BusError('org.freedesktop.DBus.Error.NoServer', 'connect ENOENT /run/x');
    const openBus = (): Promise<Bus> => Promise.reject(refused);
    const { status, stderr } = await run(tool, ['ls'], { openBus });
    expect(status).toBe(1);
    expect(stderr).toBe(
      `${name}: cannot reach ${daemon}: connect ENOENT /run/x; ` +
        `start it with: systemctl start dbus ${daemon}\n`,
    );
  });

  it('reports an answer that is not what the interface says', async () => {
    for (const answer of [['x'], [['x']], []]) {
      const bus = new FakeBusDaemon().connect();
      bus.call = () => Promise.resolve(answer);
      const { status, stderr } = await run(tool, ['ls'], { openBus: () => Promise.resolve(bus) });
      expect(status).toBe(1);
      expect(stderr).toMatch(/cannot be understood/);
    }
  });

  it('ends with 2 and usage on stderr without a command', async () => {
    const { status, stdout, stderr } = await run(tool, []);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(new RegExp(`^Usage: ${name} `));
  });

  it.each([
    [['nonsense']],
    [['ls', '--nonsense']],
    [['ls', 'extra']],
    [['ls', '-o', 'yaml']],
    [['-o', 'json']],
  ])('ends with 2 for %j, without asking the daemon', async (args) => {
    const openBus = (): Promise<Bus> => Promise.reject(new Error('asked'));
    const { status, stdout, stderr } = await run(tool, args, { openBus });
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).not.toBe('');
  });

  it('prints version and help on stdout', async () => {
    for (const flag of ['-v', '--version']) {
      expect(await run(tool, [flag])).toEqual({
        status: 0,
        stdout: 'nvme-stas 1.2.3\n',
        stderr: '',
      });
    }
    for (const args of [['-h'], ['--help'], ['help'], ['ls', '--help'], ['help', 'ls']]) {
      const { status, stdout, stderr } = await run(tool, args);
      expect([status, stderr]).toEqual([0, '']);
      expect(stdout).toMatch(/^Usage: /);
    }
  });
});

describe('the command line of stafctl', () => {
  it.each([
    [['dlp']],
    [['dlp', '-a', '1.2.3.4']],
    [['dlp', '-s', '8009']],
    [['dlp', '-a', '1.2.3.4', '-s', '8009', '-t', 'pcie']],
  ])('ends with 2 for %j', async (args) => {
    expect(await run(stafctl, args)).toMatchObject({ status: 2, stdout: '' });
  });

  it('has commands that stacctl has not', async () => {
    expect(await run(stacctl, ['dlp', '-a', '1.2.3.4', '-s', '8009'])).toMatchObject({ status: 2 });
    expect(await run(stacctl, ['adlp'])).toMatchObject({ status: 2 });
  });
});
