import { describe, expect, it } from 'vitest';
import { stateOf } from '../../../src/ctl/render.ts';
import { stacctl, stafctl } from '../../../src/ctl/tools.ts';
import { controller, pipe, run, state } from './harness.ts';

const NQN = 'nqn.2014-08.org.nvmexpress.discovery';
const terminal = (width: number) => ({ colour: false, width });

/** One controller of each kind that a list can show, not in the order of the list. */
const several = state([
  controller({ traddr: '192.168.1.10', device: 'nvme10' }),
  controller(
    { traddr: '192.168.1.9', device: 'nvme?' },
    { details: { connected: 'False', 'retry connect timer': '5.0s [1.8s]' } },
  ),
  controller(
    { transport: 'rdma', traddr: 'fe80::1%eth0', trsvcid: '4420', device: 'nvme?' },
    { details: { connected: 'False', 'connect operation': "{'completed': False}" } },
  ),
  controller(
    { transport: 'fc', traddr: 'nn-0x201700a09890f5bf:pn-0x201900a09890f5bf', trsvcid: '' },
    { details: { connected: 'False', state: 'queued' } },
  ),
]);

describe('ls', () => {
  it('says so when there is no controller', async () => {
    const staf = await run(stafctl, ['ls'], { state: state([]) });
    expect(staf).toEqual({ status: 0, stdout: 'no discovery controllers\n', stderr: '' });
    const stac = await run(stacctl, ['ls'], { state: state([]) });
    expect(stac).toEqual({ status: 0, stdout: 'no I/O controllers\n', stderr: '' });
  });

  it('shows one controller under its titles', async () => {
    const { stdout } = await run(stafctl, ['ls'], { state: state([controller({})]) });
    expect(stdout.split('\n')).toEqual([
      'DEVICE  STATE      TRANSPORT  TRADDR        TRSVCID  SUBSYSNQN',
      `nvme0   connected  tcp        192.168.1.10  8009     ${NQN}`,
      '',
    ]);
  });

  it('aligns and sorts controllers of every state', async () => {
    const { stdout } = await run(stafctl, ['ls'], { state: several });
    expect(stdout.split('\n')).toEqual([
      'DEVICE  STATE           TRANSPORT  TRADDR                                       TRSVCID  SUBSYSNQN',
      `nvme0   queued          fc         nn-0x201700a09890f5bf:pn-0x201900a09890f5bf  -        ${NQN}`,
      `-       connecting      rdma       fe80::1%eth0                                 4420     ${NQN}`,
      `-       retries in 2 s  tcp        192.168.1.9                                  8009     ${NQN}`,
      `nvme10  connected       tcp        192.168.1.10                                 8009     ${NQN}`,
      '',
    ]);
  });

  it('tells connections apart that differ by their side of this host only', async () => {
    const stdoutOf = async (...fields: readonly Readonly<Record<string, string>>[]) => {
      const list = fields.map((each) => controller(each));
      const { stdout } = await run(stacctl, ['ls'], { state: state(list) });
      return stdout.split('\n').map((line) => line.replace(/^.*8009 +|^.*TRSVCID +/, ''));
    };
    expect(await stdoutOf({ 'host-iface': 'eth1' }, { 'host-traddr': '192.168.1.1' })).toEqual([
      'SUBSYSNQN                             HOST-IFACE',
      `${NQN}  -`,
      `${NQN}  eth1`,
      '',
    ]);
    expect(await stdoutOf({ 'host-traddr': '10.0.0.1' }, { 'host-traddr': '10.0.0.2' })).toEqual([
      'SUBSYSNQN                             HOST-TRADDR',
      `${NQN}  10.0.0.1`,
      `${NQN}  10.0.0.2`,
      '',
    ]);
    expect(await stdoutOf({ 'host-nqn': 'nqn.a' }, { 'host-nqn': 'nqn.b' })).toEqual([
      'SUBSYSNQN                             HOST-NQN',
      `${NQN}  nqn.a`,
      `${NQN}  nqn.b`,
      '',
    ]);
  });

  it('has such connections in headings of their own', async () => {
    const list = ['eth0', 'eth1'].map((name) => controller({ 'host-iface': name }));
    for (const command of ['adlp', 'status', 'ls -d']) {
      const { stdout } = await run(stafctl, command.split(' '), { state: state(list) });
      expect(stdout.split('\n')).toEqual(
        expect.arrayContaining(
          ['eth0', 'eth1'].map((name) => `tcp 192.168.1.10 8009 ${NQN} ${name}`),
        ),
      );
    }
  });

  it('shows 64 controllers as recorded', async () => {
    const many = Array.from({ length: 64 }, (_, index) =>
      controller({
        traddr: `10.0.${index % 8}.${index}`,
        trsvcid: '4420',
        subsysnqn: `nqn.2014-08.org.example:subsystem${index}`,
        device: `nvme${index}`,
      }),
    );
    const { stdout } = await run(stacctl, ['ls'], { state: state(many) });
    await expect(stdout).toMatchFileSnapshot('golden/ls-64.txt');
  });

  it('moves the NQN below the rest, whole, where the terminal is too narrow', async () => {
    const options = { state: state([controller({})]), screen: terminal(80) };
    const { stdout } = await run(stafctl, ['ls'], options);
    expect(stdout.split('\n')).toEqual([
      'DEVICE  STATE      TRANSPORT  TRADDR        TRSVCID',
      '  SUBSYSNQN',
      'nvme0   connected  tcp        192.168.1.10  8009',
      `  ${NQN}`,
      '',
    ]);
    const wide = await run(stafctl, ['ls'], { ...options, screen: terminal(89) });
    expect(wide.stdout).toContain(`8009     ${NQN}\n`);
  });

  it('colours titles and states on a terminal that has colour', async () => {
    const screen = { colour: true, width: 200 };
    const { stdout } = await run(stafctl, ['ls'], { state: several, screen });
    expect(stdout).toContain('\u001b[1mDEVICE\u001b[0m');
    expect(stdout).toContain('\u001b[32mconnected\u001b[0m       tcp');
    expect(stdout).toContain('\u001b[33mretries in 2 s\u001b[0m  tcp');
    expect(stdout).toContain('\u001b[31mqueued\u001b[0m          fc');
  });

  it('escapes what a network could have put in', async () => {
    const odd = state([
      controller({
        traddr: '1.2.3.4\u001b[2J',
        subsysnqn: 'nqn.a\nDEVICE  forged\u202e\u0000',
        device: 'nvme0\r',
        'host-iface': '<&"',
      }),
    ]);
    const { stdout } = await run(stafctl, ['ls'], { state: odd });
    expect(stdout.split('\n')[1]).toBe(
      'nvme0\\x0d  connected  tcp        1.2.3.4\\x1b[2J  8009     ' +
        'nqn.a\\x0aDEVICE  forged\\xe2\\x80\\xae\ufffd  <&"',
    );
    expect(stdout.split('\n')).toHaveLength(3);
    for (const command of [['ls', '-d'], ['status'], ['adlp'], ['adlp', '-d']]) {
      const { stdout: text } = await run(stafctl, command, { state: odd });
      expect(text).not.toMatch(/[^\P{C}\n]/u);
    }
    const { stdout: text } = await run(stafctl, ['ls', '-o', 'json'], { state: odd });
    expect(text).not.toMatch(/[^\P{C}\n]/u);
    expect(JSON.parse(text)).toMatchObject([
      { traddr: '1.2.3.4\u001b[2J', subsysnqn: 'nqn.a\nDEVICE  forged\u202e\ufffd' },
    ]);
  });

  it('counts the columns of wide characters', async () => {
    const wide = state([
      controller({ traddr: '存储', device: 'nvme1' }),
      controller({ traddr: 'e\u0301', device: 'nvme2' }),
    ]);
    const { stdout } = await run(stafctl, ['ls'], { state: wide });
    const [, first, second] = stdout.split('\n');
    expect([first, second].sort()).toEqual(
      [
        `nvme1   connected  tcp        存储    8009     ${NQN}`,
        `nvme2   connected  tcp        e\u0301       8009     ${NQN}`,
      ].sort(),
    );
  });

  it('shows everything that is known with -d', async () => {
    const one = state([
      controller({ kato: '30' }, { details: { connected: 'True', model: 'Linux' } }),
    ]);
    const { stdout } = await run(stafctl, ['ls', '-d'], { state: one });
    expect(stdout.split('\n')).toEqual([
      `tcp 192.168.1.10 8009 ${NQN}`,
      '  transport:   tcp',
      '  traddr:      192.168.1.10',
      '  trsvcid:     8009',
      `  subsysnqn:   ${NQN}`,
      '  host-traddr:',
      '  host-iface:',
      '  host-nqn:    nqn.2014-08.org.nvmexpress:uuid:f2782346-4809-484a-9a8b-952a04b57ba4',
      '  device:      nvme0',
      '  kato:        30',
      '  connected:   True',
      '  model:       Linux',
      '',
    ]);
  });

  it("prints the daemon's dictionaries as JSON, -o before or after the command", async () => {
    const { controllers } = several;
    const plain = controllers.map((each) => each.plain);
    const detailed = controllers.map((each) => ({ ...each.plain, ...each.details }));
    const parse = async (...args: string[]): Promise<unknown> =>
      JSON.parse((await run(stafctl, args, { state: several, screen: pipe })).stdout);
    expect(await parse('ls', '-o', 'json')).toEqual(plain);
    expect(await parse('-o', 'json', 'ls')).toEqual(plain);
    expect(await parse('ls', '-d', '--output=json')).toEqual(detailed);
    const empty = await run(stafctl, ['ls', '-o', 'json'], { state: state([]) });
    expect(empty.stdout).toBe('[]\n');
  });
});

describe('the state of a controller', () => {
  it.each([
    [{ device: 'nvme1' }, 'connected'],
    [{ device: 'nvme?' }, 'not connected'],
    [{}, 'not connected'],
    [{ device: 'nvme1', connected: 'False' }, 'not connected'],
    [{ connected: 'True', 'kernel state': 'live' }, 'connected'],
    [{ connected: 'True', 'kernel state': 'connecting' }, 'reconnecting'],
    [{ connected: 'True', 'kernel state': 'resetting' }, 'resetting'],
    [{ connected: 'False', 'retry connect timer': '60.0s [off]' }, 'not connected'],
    [{ connected: 'False', 'retry connect timer': '60.0s [59.1s]' }, 'retries in 59 s'],
    [{ connected: 'False', 'retry connect timer': 'nonsense' }, 'not connected'],
    [{ connected: 'False', state: 'probing' }, 'probing'],
    [
      {
        connected: 'False',
        'retry connect timer': '60.0s [off]',
        'poll timer': '900.0s [512.3s]',
        state: 'disconnected until the next poll',
      },
      'next poll in 8 min 32 s',
    ],
  ])('%o reads as %s', (dictionary, text) => {
    expect(stateOf(dictionary).text).toBe(text);
  });
});
