/**
 * The simulated discovery controller before the hosts that it is made for: Debian's kernel
 * (nvme-tcp), nvme-cli and udev. What other scenarios build on is shown here.
 */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { identity } from '../vm/image.ts';
import type { Machine } from '../vm/machine.ts';
import type { Lab } from './lab.ts';
import { lab } from './vitest-lab.ts';

type Json = Readonly<Record<string, unknown>>;

const CDC = 'nqn.2024-01.org.example:cdc';
const TO_CDC = '-t tcp -a 127.0.0.1 -s 8009';
const TO_PLAIN = '-t tcp -a 127.0.0.1 -s 8010';

const subsystem = (id: string): Json => ({
  id,
  traddr: '10.0.0.1',
  trsvcid: '4420',
  subnqn: `nqn.2024-01.org.example:${id}`,
});

const CONTROLLERS: readonly Json[] = [
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
];

/** In the place of nvme-cli's rule, which would make connections of its own. */
const NO_AUTOCONNECT = '/run/udev/rules.d/70-nvmf-autoconnect.rules';

let here: Lab;
let machine: Machine;

beforeAll(async () => {
  here = await lab();
  machine = here.machine;
  await here.reset();
  await machine.writeFile(NO_AUTOCONNECT, '');
  await machine.sh('udevadm control --reload');
  return async () => {
    await machine.sh(`rm -f ${NO_AUTOCONNECT} && udevadm control --reload`);
  };
});

beforeEach(async () => {
  await machine.sh('nvme disconnect-all');
  await here.clearDcs();
  for (const config of CONTROLLERS) await here.dc({ op: 'add-controller', config });
});

/** The recorded commands that match, which are then gone from the record. */
async function commands(filter: Json): Promise<readonly Json[]> {
  return (await here.dc({ op: 'get-commands', ...filter }))['commands'] as readonly Json[];
}

async function addFault(controller: string, fault: Json): Promise<void> {
  await here.dc({ op: 'add-fault', controller, fault });
}

async function status(controller: string): Promise<Json> {
  const { controllers } = await here.dc({ op: 'status', controller });
  return (controllers as readonly Json[])[0] ?? {};
}

async function discover(options: string): Promise<{ genctr: number; subnqns: string[] }> {
  const text = await machine.sh(`nvme discover ${options} -o json`);
  const log = JSON.parse(text) as { genctr: number; records: { subnqn: string }[] };
  return { genctr: log.genctr, subnqns: log.records.map(({ subnqn }) => subnqn) };
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
    expect(await commands({ controller: 'cdc', command: 'connect' })).toMatchObject([
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
    const reads = await commands({ controller: 'plain', lid: 0x70 });
    const read = reads.reduce((sum, { lpo, length }) => sum + (lpo === 0 ? 0 : Number(length)), 0);
    expect(read).toBe(300 * 1024);
  });

  it('agrees on digests and gets data through with them', async () => {
    const { subnqns } = await discover(`${TO_PLAIN} --hdr-digest --data-digest`);
    expect(subnqns).toHaveLength(300);
    expect(await commands({ controller: 'plain', command: 'icreq' })).toMatchObject([
      { headerDigest: true, dataDigest: true },
    ]);
  });

  it('gets data without response capsules when it has no SQ flow control', async () => {
    await machine.sh(`nvme discover ${TO_PLAIN} --persistent --disable-sqflow`);
    expect(await status('plain')).toMatchObject({
      connections: [{ sqFlowControl: false, ready: true }],
    });
    expect((await discover('-d /dev/nvme0')).subnqns).toHaveLength(300);
  });

  it('reads again when the generation counter moves under it', async () => {
    await here.dc({ op: 'set', controller: 'cdc', settings: { bumpReads: 3 } });
    const { subnqns } = await discover(TO_CDC);
    expect(subnqns).toHaveLength(3);
    const heads = await commands({ controller: 'cdc', lid: 0x70 });
    expect(heads.filter(({ lpo }) => lpo === 0).length).toBeGreaterThan(2);
  });

  it.each([
    ['a refused connect', { command: 'connect', status: 'connect-invalid-host+dnr' }],
    ['a refused log', { command: 'get-log-page', status: 'internal-error+dnr' }],
    ['a connection that ends inside the data', { lid: 0x70, truncate: 10, drop: true }],
  ])('shows nothing after %s', async (_what, fault) => {
    await addFault('plain', fault);
    // nvme-cli exits with 0 after some of these: what counts is what it believes.
    const { stdout } = await machine.exec(`nvme discover ${TO_PLAIN} -o json`);
    expect(stdout).not.toContain('subnqn');
    expect(await status('plain')).not.toMatchObject({ faults: [{ hits: 0 }] });
  });

  it('shows nothing of a log that says it has 2^64 - 1 entries', async () => {
    const set = (numrec: string | null): Promise<unknown> =>
      here.dc({ op: 'set', controller: 'plain', settings: { numrec } });
    await set('0xffffffffffffffff');
    const { stdout } = await machine.exec(`nvme discover ${TO_PLAIN} -o json`);
    await set(null);
    expect(stdout).not.toContain('subnqn');
  });

  it('waits for a late controller', async () => {
    const fault = { command: 'connect', delayMs: 4000 };
    await addFault('plain', fault);
    expect((await discover(TO_PLAIN)).subnqns).toHaveLength(300);
  });

  it('gives up on a controller that accepts and says nothing', async () => {
    const fault = { command: 'icreq', never: true };
    await addFault('plain', fault);
    const started = Date.now();
    const { status } = await machine.exec(`nvme discover ${TO_PLAIN}`, { timeoutMs: 120_000 });
    expect(status).not.toBe(0);
    expect(Date.now() - started).toBeGreaterThan(2000);
  });

  it('is refused a connection while the controller does not listen', async () => {
    await here.dc({ op: 'unlisten', controller: 'plain' });
    expect((await machine.exec(`nvme discover ${TO_PLAIN}`)).status).not.toBe(0);
    await here.dc({ op: 'listen', controller: 'plain' });
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
      here.dc({ op: 'add-entries', controller: 'cdc', entries: [subsystem(id)] });
    await add('late');
    await events(1);
    await add('later');
    expect((await discover(`-d /dev/${device}`)).subnqns).toHaveLength(5);
    await here.dc({ op: 'remove-entries', controller: 'cdc', ids: ['late', 'later'] });
    await events(2);
    await here.dc({ op: 'send-aen', controller: 'cdc', count: 3 });
    await events(5);
    await machine.sh('systemctl stop monitor');
  });

  it('takes the registration of the host', async () => {
    const device = await connect(TO_CDC);
    await machine.sh(`nvme dim --task register -d ${device}`);
    expect(await commands({ controller: 'cdc', command: 'dim' })).toMatchObject([
      {
        task: 0,
        status: 'success',
        entityId: identity.hostNqn,
        entityName: 'vm',
        entries: [{ trtype: 3, hostid: identity.hostId.replaceAll('-', '') }],
      },
    ]);
    const fault = { command: 'dim', status: 'insufficient-discovery-resources+dnr', count: 1 };
    await addFault('cdc', fault);
    expect((await machine.exec(`nvme dim --task register -d ${device}`)).status).not.toBe(0);
  });

  it('lives on keep alives, and ends without them', async () => {
    const device = await connect(`${TO_CDC} --keep-alive-tmo 4`);
    await here.dc({
      op: 'wait-commands',
      controller: 'cdc',
      command: 'keep-alive',
      count: 6,
      timeoutMs: 30_000,
    });
    expect(await commands({ controller: 'cdc', command: 'keep-alive-expired' })).toEqual([]);
    expect(await attribute(device, 'state')).toBe('live');
    await here.dc({
      op: 'add-fault',
      controller: 'cdc',
      fault: { command: 'keep-alive', never: true },
    });
    await machine.waitFor(`[ $(cat /sys/class/nvme/${device}/state) != live ]`, {
      timeoutMs: 60_000,
    });
  });

  it.each(['fin', 'reset', 'term'])('is made anew after it was dropped (%s)', async (how) => {
    const device = await connect(`${TO_CDC} --reconnect-delay 1`);
    await commands({ controller: 'cdc' });
    await here.dc({ op: 'drop-connections', controller: 'cdc', how });
    await here.dc({
      op: 'wait-commands',
      controller: 'cdc',
      command: 'async-event-request',
      timeoutMs: 30_000,
    });
    await machine.waitFor(`[ $(cat /sys/class/nvme/${device}/state) = live ]`);
    expect(await commands({ controller: 'cdc', command: 'connect' })).toMatchObject([
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
