import { describe, expect, test } from 'vitest';
import { PortError } from '../../../src/ports/errors.ts';
import type { ConnectRequest } from '../../../src/ports/fabrics.ts';
import { encodeNbft, HOST_ID, HOST_NQN, type NbftDescription } from '../../nbft/encode.ts';
import { StafdBench } from './bench.ts';
import { HOST } from './plan-samples.ts';

const A = '10.0.0.1';
const MAC = '52:54:00:00:00:01';
const DROP = '[Discovery controller connection management]\npersistent-connections=false\n';

const BOOT: NbftDescription = {
  hfis: [{ mac: MAC, address: '10.0.0.9' }],
  discoveries: [{ uri: `nvme+tcp://${A}:8009/`, nqn: 'nqn.dc' }],
};
const GOOD = encodeNbft(BOOT).bytes;
const DAMAGED = GOOD.with(9, (GOOD[9] ?? 0) ^ 1);
const ETH0 = { name: 'eth0', address: '10.0.0.9', family: 'ipv4', mac: MAC } as const;

function bench(bytes: Uint8Array, text = '', before?: StafdBench): StafdBench {
  const made = new StafdBench(text, before);
  made.bootFirmware.set('NBFT', bytes);
  made.interfaces.set(ETH0);
  if (before === undefined) made.target(A);
  return made;
}

function requests(here: StafdBench): readonly ConnectRequest[] {
  return here.fabrics.connects.calls.map(({ request }) => request);
}

describe('a discovery controller of a boot table', () => {
  test('is connected with the host NQN, the host ID and by the interface of the table', async () => {
    const here = await bench(GOOD).start();
    expect(requests(here)).toMatchObject([
      {
        tid: { traddr: A, trsvcid: '8009', hostIface: 'eth0', hostTraddr: '', hostNqn: HOST_NQN },
        host: { hostnqn: HOST_NQN, hostid: HOST_ID },
        discovery: true,
      },
    ]);
    expect(here.record(A)?.extra.origin).toBe('configured');
    expect(here.service.settled).toBe(true);
  });

  test('waits for its interface, and what is complete waits with it', async () => {
    const here = bench(GOOD);
    here.interfaces.set();
    await here.start();
    expect(here.connected).toEqual([]);
    expect(here.service.settled).toBe(false);
    expect(here.log.messages().filter((line) => line.includes('Waits'))).toEqual([
      `(tcp, ${A}, 8009, nqn.dc) - Waits: no interface with the MAC address ${MAC} has an address`,
    ]);
    here.interfaces.set(ETH0);
    await here.clock.advance(62_000);
    expect(here.connected).toEqual([A]);
    expect(here.service.settled).toBe(true);
  });

  test('stays while its interface is away', async () => {
    const here = await bench(GOOD).start();
    here.interfaces.set();
    await here.clock.advance(300_000);
    expect(here.traddrs).toEqual([A]);
    expect(here.record(A)?.keptBecause).toMatch(/no interface with the MAC address/);
  });

  test('keeps its connection when the interface gets another name', async () => {
    const here = await bench(GOOD).start();
    const [before] = here.devices.controllers;
    here.devices.update('nvme0', { srcAddr: ETH0.address });
    here.interfaces.set({ ...ETH0, name: 'nbft0' });
    await here.clock.advance(62_000);
    expect(here.record(A)?.driver.tid.hostIface).toBe('nbft0');
    expect(here.devices.controllers.map(({ instance }) => instance)).toEqual([before?.instance]);
  });

  test('is the one of the configuration if that names the same', async () => {
    const same = `controller=transport=tcp;traddr=${A};nqn=nqn.dc;host-iface=eth0;host-nqn=${HOST_NQN};kato=7\n`;
    const here = await bench(GOOD, `[Controllers]\n${same}`).start();
    expect(requests(here)).toMatchObject([{ options: { kato: 7 } }]);
    await here.reload('');
    expect(here.traddrs).toEqual([A]);
  });

  test('has this host as others do where the table has only a default', async () => {
    const table = encodeNbft({ ...BOOT, host: { nqnConfigured: false } });
    const here = await bench(table.bytes).start();
    expect(requests(here)).toMatchObject([{ host: { hostnqn: HOST, hostid: 'id' } }]);
  });

  test('is given up when it is excluded; its connection stays', async () => {
    const here = await bench(GOOD).start();
    await here.reload('[Controllers]\nexclude=transport=tcp\n');
    expect(here.traddrs).toEqual([]);
    expect(here.connected).toEqual([A]);
    expect(here.log.messages().filter((line) => line.includes('stays'))).toEqual([
      expect.stringContaining('it is the boot path (discovery controller 1 of NBFT)'),
    ]);
  });

  test('stays connected when stafd ends and drops the others', async () => {
    const other = '[Controllers]\ncontroller=transport=tcp;traddr=10.0.0.2;nqn=nqn.other\n';
    const here = bench(GOOD, DROP + other);
    here.target('10.0.0.2', { subsysnqn: 'nqn.other' });
    await here.start();
    expect(here.connected).toEqual([A, '10.0.0.2']);
    await here.service.stop();
    expect(here.connected).toEqual([A]);
  });
});

describe('a boot table that cannot be read', () => {
  test('keeps discovery controllers that others connected, and not those of stafd', async () => {
    const lines = '[Controllers]\ncontroller=transport=tcp;traddr=10.0.0.2;nqn=nqn.dc\n';
    const here = bench(DAMAGED, DROP + lines);
    here.target('10.0.0.2');
    const kind = { cntrltype: 'discovery', subsysnqn: 'nqn.dc', hostnqn: HOST, trsvcid: '8009' };
    here.devices.add({ ...kind, traddr: A });
    await here.start();
    await here.service.stop();
    expect(here.connected).toEqual([A]);
  });

  test('removes none that was remembered of it', async () => {
    const before = await bench(GOOD).start();
    await before.service.stop();
    const here = await bench(DAMAGED, '', before).start();
    expect(here.traddrs).toEqual([A]);
    expect(here.record(A)?.keptBecause).toBe('NBFT cannot be read');
  });

  test('while it cannot be told whether there are any, is one', async () => {
    const here = bench(GOOD, DROP);
    const details = { code: 'EACCES', errorClass: 'final' } as const;
    here.bootFirmware.failure = new PortError('cannot read /sys: EACCES', details);
    here.devices.add({ cntrltype: 'discovery', subsysnqn: 'nqn.x', trsvcid: '8009', traddr: A });
    await here.start();
    expect(here.log.messages('warning')).toEqual([expect.stringContaining('EACCES')]);
    expect(here.traddrs).toEqual([]);
    here.bootFirmware.failure = undefined;
    await here.reload(DROP);
    expect(here.traddrs).toEqual([A]);
    expect(here.service.bootTables()).toMatchObject({ NBFT: { 'host nqn': HOST_NQN } });
  });
});

test('a table whose host ID the kernel would not take beside that of this host is warned of', async () => {
  const table = encodeNbft({ ...BOOT, host: { nqn: HOST } });
  const here = await bench(table.bytes).start();
  expect(here.log.messages('warning')).toEqual([
    expect.stringMatching(`^NBFT has the host ID ${HOST_ID} with this host's NQN`),
  ]);
});

test('what is not used of a table is said, and told in process_info', async () => {
  const table = encodeNbft({ ...BOOT, discoveries: [{ uri: 'nvme+tcp://dc.example/' }] });
  const here = await bench(table.bytes).start();
  const problems = [
    'discovery 1: its URI has an address that is not an IP address',
    'discovery 1: it has no address',
  ];
  expect(here.log.messages('warning')).toEqual([`NBFT is used in part: ${problems.join('; ')}`]);
  expect(here.service.bootTables()).toMatchObject({ NBFT: { skipped: problems } });
});
