/**
 * The simulated discovery controller before the hosts that it is made for: Debian's kernel
 * (nvme-tcp), nvme-cli and udev. What other scenarios build on is shown here.
 */
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MachineControllers } from '../discovery-controller/in-machine.ts';
import { identity } from '../vm/image.ts';
import { startMachine } from '../vm/machine.ts';
import type { Machine } from '../vm/machine.ts';

const CDC = 'nqn.2024-01.org.example:cdc';
const TO_CDC = '-t tcp -a 127.0.0.1 -s 8009';
const TO_PLAIN = '-t tcp -a 127.0.0.1 -s 8010';

const subsystem = (id: string): object => ({
  id,
  traddr: '10.0.0.1',
  trsvcid: '4420',
  subnqn: `nqn.2024-01.org.example:${id}`,
});

const CONFIG = {
  controllers: [
    {
      name: 'cdc',
      dctype: 'cdc',
      subnqn: CDC,
      listen: [
        { address: '127.0.0.1', port: 8009 },
        { address: '::1', port: 8009 },
      ],
      entries: [
        subsystem('one'),
        { ...subsystem('two'), adrfam: 'ipv6', traddr: 'fd00::2', eflags: ['ncc'] },
        { id: 'three', subtype: 'referral', traddr: '10.0.0.3', trsvcid: '8009' },
      ],
    },
    {
      name: 'plain',
      listen: [{ address: '127.0.0.1', port: 8010 }],
      entries: Array.from({ length: 300 }, (_, i) => subsystem(`many-${i}`)),
    },
  ],
};

let machine: Machine;
let controllers: MachineControllers;

async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [new URL('../discovery-controller/main.ts', import.meta.url).pathname],
    bundle: true,
    platform: 'node',
    target: 'node18',
    format: 'cjs',
    write: false,
  });
  return outputFiles[0]?.text ?? '';
}

beforeAll(async () => {
  machine = await startMachine({ log: (line) => process.stderr.write(`${line}\n`) });
  // The autoconnect rule of nvme-cli would make connections of its own.
  await machine.writeFile('/run/udev/rules.d/70-nvmf-autoconnect.rules', '');
  await machine.sh('udevadm control --reload && modprobe nvme-tcp');
  const code = await bundle();
  controllers = await MachineControllers.start(machine, { bundle: code, config: CONFIG });
}, 900_000);

afterAll(async () => {
  await machine.stop();
});

beforeEach(async () => {
  const both = (request: object): object[] =>
    ['cdc', 'plain'].map((controller) => ({ ...request, controller }));
  await controllers.batch([
    ...both({ op: 'clear-faults' }),
    ...both({ op: 'get-commands' }),
  ] as Parameters<MachineControllers['batch']>[0]);
});

afterEach(async () => {
  await machine.sh('nvme disconnect-all');
});

async function discover(options: string): Promise<{ genctr: number; subnqns: string[] }> {
  const text = await machine.sh(`nvme discover ${options} -o json`);
  const log = JSON.parse(text) as { genctr: number; records: { subnqn: string }[] };
  return { genctr: log.genctr, subnqns: log.records.map(({ subnqn }) => subnqn) };
}

async function expectFaultsUsed(controller: string): Promise<void> {
  const { controllers: status } = await controllers.request('status', { controller });
  const [{ faults }] = status as [{ faults: { hits: number }[] }];
  expect(faults.map(({ hits }) => hits > 0)).not.toContain(false);
}

const attribute = async (device: string, name: string): Promise<string> =>
  (await machine.sh(`cat /sys/class/nvme/${device}/${name}`)).trim();

/** Makes a persistent connection and gives its device. */
async function connect(options: string): Promise<string> {
  await machine.sh(`nvme discover ${options} --persistent`);
  return (await machine.sh('ls /sys/class/nvme')).trim();
}

describe('nvme discover', () => {
  it.each([
    ['IPv4', '127.0.0.1'],
    ['IPv6', '::1'],
  ])('shows every entry over %s', async (_what, address) => {
    expect(await discover(`-t tcp -a ${address} -s 8009`)).toMatchObject({
      subnqns: ['nqn.2024-01.org.example:one', 'nqn.2024-01.org.example:two', ''],
    });
    expect(await controllers.commands({ controller: 'cdc', command: 'connect' })).toMatchObject([
      {
        hostnqn: identity.hostNqn,
        hostid: identity.hostId,
        subnqn: 'nqn.2014-08.org.nvmexpress.discovery',
        kato: 0,
        status: 'success',
      },
      // libnvme comes back under the unique NQN that Identify told it (TP8013).
      { subnqn: CDC },
    ]);
  });

  it('reads a log of 300 entries in several commands', async () => {
    const { subnqns } = await discover(TO_PLAIN);
    expect(subnqns).toHaveLength(300);
    expect(subnqns[299]).toBe('nqn.2024-01.org.example:many-299');
    const reads = await controllers.commands({ controller: 'plain', lid: 0x70 });
    const read = reads.reduce((sum, { lpo, length }) => sum + (lpo === 0 ? 0 : Number(length)), 0);
    expect(read).toBe(300 * 1024);
  });

  it('agrees on digests and gets data through with them', async () => {
    const { subnqns } = await discover(`${TO_PLAIN} --hdr-digest --data-digest`);
    expect(subnqns).toHaveLength(300);
    expect(await controllers.commands({ controller: 'plain', command: 'icreq' })).toMatchObject([
      { headerDigest: true, dataDigest: true },
    ]);
  });

  it('gets data without response capsules when it has no SQ flow control', async () => {
    await machine.sh(`nvme discover ${TO_PLAIN} --persistent --disable-sqflow`);
    const { controllers: status } = await controllers.request('status', { controller: 'plain' });
    expect(status).toMatchObject([{ connections: [{ sqFlowControl: false, ready: true }] }]);
    expect((await discover('-d /dev/nvme0')).subnqns).toHaveLength(300);
  });

  it('reads again when the generation counter moves under it', async () => {
    await controllers.request('set', { controller: 'cdc', settings: { bumpReads: 3 } });
    const { subnqns } = await discover(TO_CDC);
    expect(subnqns).toHaveLength(3);
    const heads = await controllers.commands({ controller: 'cdc', lid: 0x70 });
    expect(heads.filter(({ lpo }) => lpo === 0).length).toBeGreaterThan(2);
  });

  it.each([
    ['a refused connect', { command: 'connect', status: 'connect-invalid-host+dnr' }],
    ['a refused log', { command: 'get-log-page', status: 'internal-error+dnr' }],
    ['a connection that ends inside the data', { lid: 0x70, truncate: 10, drop: true }],
  ])('shows nothing after %s', async (_what, fault) => {
    await controllers.request('add-fault', { controller: 'plain', fault });
    // nvme-cli exits with 0 after some of these: what counts is what it believes.
    const { stdout } = await machine.exec(`nvme discover ${TO_PLAIN} -o json`);
    expect(stdout).not.toContain('subnqn');
    await expectFaultsUsed('plain');
  });

  it('shows nothing of a log that says it has 2^64 - 1 entries', async () => {
    const set = (numrec: string | null): Promise<unknown> =>
      controllers.request('set', { controller: 'plain', settings: { numrec } });
    await set('0xffffffffffffffff');
    const { stdout } = await machine.exec(`nvme discover ${TO_PLAIN} -o json`);
    await set(null);
    expect(stdout).not.toContain('subnqn');
  });

  it('waits for a late controller', async () => {
    const fault = { command: 'connect', delayMs: 4000 };
    await controllers.request('add-fault', { controller: 'plain', fault });
    expect((await discover(TO_PLAIN)).subnqns).toHaveLength(300);
  });

  it('gives up on a controller that accepts and says nothing', async () => {
    const fault = { command: 'icreq', never: true };
    await controllers.request('add-fault', { controller: 'plain', fault });
    const started = Date.now();
    const { status } = await machine.exec(`nvme discover ${TO_PLAIN}`, { timeoutMs: 120_000 });
    expect(status).not.toBe(0);
    expect(Date.now() - started).toBeGreaterThan(2000);
  });

  it('is refused a connection while the controller does not listen', async () => {
    await controllers.request('unlisten', { controller: 'plain' });
    expect((await machine.exec(`nvme discover ${TO_PLAIN}`)).status).not.toBe(0);
    await controllers.request('listen', { controller: 'plain' });
    expect((await discover(TO_PLAIN)).subnqns).toHaveLength(300);
  });
});

describe('a persistent connection', () => {
  it('is what the controller says of itself', async () => {
    const device = await connect(`${TO_CDC} --keep-alive-tmo 30`);
    expect(await attribute(device, 'cntrltype')).toBe('discovery');
    expect(await attribute(device, 'dctype')).toBe('cdc');
    expect(await attribute(device, 'subsysnqn')).toBe(CDC);
    expect(await attribute(device, 'kato')).toBe('30');
    expect(await attribute(device, 'model')).toBe('Simulated Discovery Controller');
    expect(await attribute(device, 'state')).toBe('live');
  });

  it('gets an event for a changed log as a uevent, and the next one after it read the log', async () => {
    const device = await connect(TO_CDC);
    await machine.sh(
      'systemd-run --quiet --unit monitor sh -c "udevadm monitor -k -p -s nvme >/run/monitor"; sleep 1',
    );
    const events = (count: number): Promise<string> =>
      machine.waitFor(`[ $(grep -c NVME_AEN=0x70f002 /run/monitor) = ${count} ]`);
    const add = (id: string): Promise<unknown> =>
      controllers.request('add-entries', { controller: 'cdc', entries: [subsystem(id)] });
    await add('late');
    await events(1);
    await add('later');
    expect((await discover(`-d /dev/${device}`)).subnqns).toHaveLength(5);
    await controllers.request('remove-entries', { controller: 'cdc', ids: ['late', 'later'] });
    await events(2);
    await controllers.request('send-aen', { controller: 'cdc', count: 3 });
    await events(5);
    await machine.sh('systemctl stop monitor');
  });

  it('takes the registration of the host', async () => {
    const device = await connect(TO_CDC);
    await machine.sh(`nvme dim --task register -d ${device}`);
    expect(await controllers.commands({ controller: 'cdc', command: 'dim' })).toMatchObject([
      {
        task: 0,
        status: 'success',
        entityId: identity.hostNqn,
        entityName: 'vm',
        entries: [{ trtype: 3, hostid: identity.hostId.replaceAll('-', '') }],
      },
    ]);
    const fault = { command: 'dim', status: 'insufficient-discovery-resources+dnr', count: 1 };
    await controllers.request('add-fault', { controller: 'cdc', fault });
    expect((await machine.exec(`nvme dim --task register -d ${device}`)).status).not.toBe(0);
  });

  it('lives on keep alives, and ends without them', async () => {
    const device = await connect(`${TO_CDC} --keep-alive-tmo 4`);
    await controllers.waitFor({
      controller: 'cdc',
      command: 'keep-alive',
      count: 6,
      timeoutMs: 30_000,
    });
    expect(
      await controllers.commands({ controller: 'cdc', command: 'keep-alive-expired' }),
    ).toEqual([]);
    expect(await attribute(device, 'state')).toBe('live');
    await controllers.request('add-fault', {
      controller: 'cdc',
      fault: { command: 'keep-alive', never: true },
    });
    await machine.waitFor(`[ $(cat /sys/class/nvme/${device}/state) != live ]`, {
      timeoutMs: 60_000,
    });
  });

  it.each(['fin', 'reset', 'term'])('is made anew after it was dropped (%s)', async (how) => {
    const device = await connect(`${TO_CDC} --reconnect-delay 1`);
    await controllers.commands({ controller: 'cdc' });
    await controllers.request('drop-connections', { controller: 'cdc', how });
    await controllers.waitFor({
      controller: 'cdc',
      command: 'async-event-request',
      timeoutMs: 30_000,
    });
    await machine.waitFor(`[ $(cat /sys/class/nvme/${device}/state) = live ]`);
    expect(await controllers.commands({ controller: 'cdc', command: 'connect' })).toMatchObject([
      { hostnqn: identity.hostNqn, status: 'success' },
    ]);
  });

  it('stands beside others, each with its own controller ID', async () => {
    await machine.sh(
      `nvme discover ${TO_CDC} --persistent; nvme discover ${TO_PLAIN} --persistent`,
    );
    const ids = (await machine.sh('cat /sys/class/nvme/*/cntlid')).trim().split('\n');
    expect(new Set(ids).size).toBe(2);
  });
});
