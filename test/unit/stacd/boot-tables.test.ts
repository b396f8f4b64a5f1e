import { describe, expect, test } from 'vitest';
import { known } from '../../../src/core/answer.ts';
import type { DiscoveryEntry } from '../../../src/nvme/discovery-log.ts';
import type { KernelController } from '../../../src/nvme/kernel-controller.ts';
import { makeTid } from '../../../src/nvme/transport-id.ts';
import type { DiscoveryState } from '../../../src/stacd/plan.ts';
import { encodeNbft, HOST_ID, HOST_NQN, type NbftDescription } from '../../nbft/encode.ts';
import { HOST, StacdBench } from './bench.ts';

const ROOT = 'nqn.root';
const DATA = 'nqn.data';
const A = '10.1.0.1';
const B = '10.1.0.2';
const ALL =
  '[I/O controller connection management]\ndisconnect-scope=all-connections-matching-disconnect-trtypes\n';
const EXCLUDE_ALL = '[Controllers]\nexclude=transport=tcp\n';

const BOOT = {
  hfis: [{ mac: '52:54:00:00:00:01', address: '10.1.0.9' }],
  subsystems: [{ nqn: ROOT, traddr: A }],
} as const satisfies NbftDescription;

const GOOD = encodeNbft(BOOT).bytes;
/** Its checksum is wrong. */
const DAMAGED = GOOD.with(9, (GOOD[9] ?? 0) ^ 1);

function entry(traddr: string, subnqn: string): DiscoveryEntry {
  return {
    ...{ trtype: 'tcp', adrfam: 'ipv4', subtype: 'nvme', treq: 0, portid: 1, trsvcid: '4420' },
    ...{ subnqn, traddr, cntlid: 65535, asqsz: 32, eflags: 0 },
  };
}

/** A DC that was reached with this host NQN lists these. */
function state(entries: readonly DiscoveryEntry[], hostNqn = HOST) {
  const tid = makeTid({ transport: 'tcp', traddr: '10.0.0.1', subsysnqn: 'nqn.dc', hostNqn });
  const value: DiscoveryState = {
    settled: true,
    controllers: [{ tid, hostId: '', log: known(entries), fresh: true, readAt: 0 }],
    askedAt: 0,
    removed: new Map(),
  };
  return known(value);
}

/** A host that was booted from {@link ROOT}, by a connection that somebody else made. */
function booted(bytes: Uint8Array = GOOD, text = ''): StacdBench {
  const bench = new StacdBench(text);
  bench.bootFirmware.set('NBFT', bytes);
  bench.target(B, DATA);
  connection(bench, A, ROOT);
  return bench;
}

function connection(bench: StacdBench, traddr: string, subsysnqn: string): KernelController {
  const fields = { traddr, trsvcid: '4420', subsysnqn, hostnqn: HOST, hasChildren: true };
  return bench.devices.add(fields);
}

const BOTH = state([entry(A, ROOT), entry(B, DATA)]);

describe('the boot path', () => {
  test('stays when its discovery controller no longer lists it', async () => {
    const bench = await booted().start();
    await bench.says(BOTH);
    expect(bench.record(A)?.driver.kernel?.device).toBe('nvme0');
    await bench.says(state([]));
    expect(bench.connected).toEqual([A]);
    expect(bench.service.controllers()).toEqual([]);
  });

  test('stays when it is excluded, and one line says why', async () => {
    const bench = await booted().start();
    await bench.says(BOTH);
    bench.reload(EXCLUDE_ALL);
    await bench.clock.advance(1_000);
    expect(bench.connected).toEqual([A]);
    const said = bench.log.messages().filter((line) => line.includes('stays'));
    expect(said).toEqual([
      `(tcp, ${A}, 4420, ${ROOT}) | nvme0 - The connection stays: it is the boot path (SSNS 1 of NBFT)`,
    ]);
    expect(
      bench.log.messages().filter((line) => line.includes('Disconnect initiated')),
    ).toHaveLength(1);
  });

  test('stays when all connections that nothing asks for are dropped', async () => {
    const bench = booted(GOOD, ALL);
    connection(bench, B, DATA);
    await bench.start();
    await bench.says(state([]));
    expect(bench.connected).toEqual([A]);
  });

  test('stays when only what was remembered had asked for it', async () => {
    const before = await booted().start();
    await before.says(BOTH);
    await before.service.stop();
    const bench = new StacdBench(EXCLUDE_ALL, before);
    await bench.start();
    expect(bench.connected).toEqual([A]);
    expect(bench.service.controllers()).toEqual([]);
  });

  test('stays when stacd itself had to connect it again, by another address', async () => {
    const bench = await booted().start();
    await bench.says(BOTH);
    bench.devices.remove('nvme0');
    bench.target('10.2.0.1', ROOT);
    await bench.says(state([entry('10.2.0.1', ROOT)]));
    expect(bench.connected).toEqual(['10.2.0.1']);
    bench.reload(EXCLUDE_ALL);
    await bench.clock.advance(1_000);
    expect(bench.connected).toEqual(['10.2.0.1']);
  });

  test('is named once in the log', async () => {
    const bench = await booted().start();
    bench.reload('');
    await bench.clock.advance(120_000);
    const said = bench.log.messages().filter((line) => line.includes('NBFT'));
    expect(said).toEqual([
      `Boot firmware table NBFT read. Never disconnected: connections to ${ROOT}`,
    ]);
  });
});

describe('a boot table that cannot be read', () => {
  test('keeps what was connected before, whatever asks to drop it', async () => {
    const bench = booted(DAMAGED, ALL);
    connection(bench, B, DATA);
    await bench.start();
    await bench.says(BOTH);
    await bench.says(state([]));
    bench.reload(`${ALL}${EXCLUDE_ALL}`);
    await bench.clock.advance(2_000);
    expect(bench.connected).toEqual([A, B]);
  });

  test('keeps what somebody else connects later', async () => {
    const bench = await booted(DAMAGED, ALL).start();
    await bench.says(state([]));
    connection(bench, B, DATA);
    await bench.clock.advance(2_000);
    expect(bench.connected).toEqual([A, B]);
  });

  test('does not keep what stacd connected itself', async () => {
    const bench = await booted(DAMAGED).start();
    await bench.says(BOTH);
    expect(bench.connected).toEqual([A, B]);
    bench.reload(EXCLUDE_ALL);
    await bench.clock.advance(1_000);
    expect(bench.connected).toEqual([A]);
  });

  test('keeps what stacd connected itself in place of what was connected before', async () => {
    const bench = await booted(DAMAGED).start();
    bench.target(A, ROOT);
    await bench.says(BOTH);
    bench.devices.remove('nvme0');
    await bench.clock.advance(2_000);
    expect(bench.connected).toEqual([A, B]);
    bench.reload(EXCLUDE_ALL);
    await bench.clock.advance(1_000);
    expect(bench.connected).toEqual([A]);
  });

  test('is warned of once', async () => {
    const bench = await booted(DAMAGED).start();
    bench.reload('');
    expect(bench.log.messages('warning')).toEqual([
      expect.stringMatching(/^Cannot read NBFT: its checksum is wrong\. What is the boot path/),
    ]);
  });

  test('after it had been read keeps what was read', async () => {
    const bench = await booted().start();
    bench.bootFirmware.set('NBFT', DAMAGED);
    bench.reload(EXCLUDE_ALL);
    await bench.says(BOTH);
    expect(bench.log.messages('warning')).toEqual([]);
    expect(bench.connected).toEqual([A]);
  });
});

test('a controller with the host NQN of a boot table is connected with its host ID', async () => {
  const bench = new StacdBench();
  // Another one than the NQN would suggest.
  const id = HOST_ID.replace('0', 'a');
  bench.bootFirmware.set('NBFT', encodeNbft({ ...BOOT, host: { id } }).bytes);
  bench.target(A, ROOT);
  await bench.start();
  await bench.says(state([entry(A, ROOT)], HOST_NQN));
  expect(bench.fabrics.connects.calls.map(({ request: { host } }) => host)).toMatchObject([
    { hostnqn: HOST_NQN, hostid: id },
  ]);
});
