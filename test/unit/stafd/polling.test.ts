import { describe, expect, test } from 'vitest';
import { controllerInfo } from '../../../src/runtime/describe.ts';
import { StafdBench, refer } from './bench.ts';
import { dcTid } from './plan-samples.ts';

const A = '10.0.0.1';
const B = '10.0.0.2';
const MANAGEMENT = '[Discovery controller connection management]\n';
const AUTO = `${MANAGEMENT}persistent-connections=auto\n`;
const LINE = `[Controllers]\ncontroller=transport=tcp;traddr=${A};nqn=nqn.dc\n`;
const INTERVAL = 900_000;

/** The DC's entry about itself. */
function own(eflags: number) {
  return { subtype: 3, traddr: A, trsvcid: '8009', subnqn: 'nqn.dc', eflags } as const;
}
const UNKEPT = own(0);
const KEPT = own(2);

async function polled(text = AUTO + LINE): Promise<StafdBench> {
  const bench = new StafdBench(text);
  bench.target(A, { entries: [UNKEPT, { traddr: '10.1.0.1', subnqn: 'nqn.sub' }] });
  return bench.start();
}

function connectsTo(bench: StafdBench, traddr: string): number {
  const { requests } = bench.fabrics.connects;
  return requests.filter(({ tid }) => tid.traddr === traddr).length;
}

function info(bench: StafdBench): Readonly<Record<string, string>> {
  const record = bench.record(A);
  return record === undefined ? {} : controllerInfo(record.driver, {}, bench.clock.now());
}

describe('a DC that says that it keeps no persistent connections', () => {
  test('is disconnected when its log is read, and its log stays known and fresh', async () => {
    const bench = await polled();
    expect(bench.connected).toEqual([]);
    expect(bench.told).toEqual([`log ${A} nvme0: 2`]);
    expect(bench.record(A)?.extra.log).toMatchObject({ kind: 'known', value: { fresh: true } });
    expect(bench.service.settled).toBe(true);
    await bench.clock.advance(INTERVAL - 60_000);
    expect(bench.fabrics.connects.calls).toHaveLength(1);
    expect(info(bench)).toMatchObject({
      device: 'nvme?',
      state: 'disconnected until the next poll',
      'poll timer': expect.stringMatching(/^900\.0s \[5[0-9]\.[0-9]s\]$/) as string,
    });
  });

  test('is connected, registered with and read again when its time has come', async () => {
    const bench = new StafdBench(AUTO + LINE);
    const target = bench.target(A, { dctype: 'cdc', entries: [UNKEPT] });
    await bench.start();
    target.entries = [UNKEPT, refer(B)];
    await bench.clock.advance(INTERVAL);
    expect(connectsTo(bench, A)).toBe(2);
    expect(bench.fabrics.registrations).toHaveLength(2);
    expect(bench.traddrs).toEqual([A, B]);
    expect(bench.connected).toEqual([]);
    await bench.clock.advance(INTERVAL);
    expect(bench.fabrics.registrations).toHaveLength(3);
  });

  test('is polled as often as the configuration says', async () => {
    const bench = await polled(`${AUTO}poll-interval=30\n${LINE}`);
    await bench.clock.advance(95_000);
    expect(bench.fabrics.logs.calls).toHaveLength(4);
  });

  test('is polled at once by a reload', async () => {
    const bench = await polled();
    await bench.reload(AUTO + LINE);
    expect(bench.fabrics.logs.calls).toHaveLength(2);
    expect(bench.connected).toEqual([]);
  });

  test('is held when the configuration says so, and polled when it does so again', async () => {
    const bench = await polled();
    await bench.reload(LINE);
    expect(bench.connected).toEqual([A]);
    await bench.clock.advance(10 * INTERVAL);
    expect(bench.fabrics.logs.calls).toHaveLength(2);
    await bench.reload(AUTO + LINE);
    expect(bench.connected).toEqual([]);
  });

  test('is held once it says that it keeps persistent connections', async () => {
    const bench = new StafdBench(AUTO + LINE);
    const target = bench.target(A, { entries: [UNKEPT] });
    await bench.start();
    target.entries = [KEPT];
    await bench.clock.advance(INTERVAL + 2_000);
    expect(bench.connected).toEqual([A]);
  });

  test('keeps its last log while polls fail, which are tried again as any connect', async () => {
    const bench = new StafdBench(AUTO + LINE);
    const target = bench.target(A, { entries: [UNKEPT] });
    await bench.start();
    bench.fabrics.removeTarget(target);
    await bench.clock.advance(INTERVAL + 120_000);
    expect(bench.record(A)?.extra.log).toMatchObject({ kind: 'known', value: { fresh: true } });
    expect(bench.record(A)?.driver.model.attempts).toBeGreaterThan(4);
  });

  test('is read once more when its log changes while it is read', async () => {
    const bench = new StafdBench(AUTO + LINE);
    bench.target(A, { entries: [UNKEPT] });
    bench.fabrics.logs.hold();
    await bench.start();
    bench.devices.emit({ kind: 'aen', device: 'nvme0', aen: 0x70f002 });
    bench.fabrics.logs.release();
    await bench.clock.advance(2_000);
    expect(bench.fabrics.logs.calls).toHaveLength(2);
    expect(bench.connected).toEqual([]);
  });

  test('is polled at once when its log changes while it is being disconnected', async () => {
    const bench = new StafdBench(AUTO + LINE);
    bench.target(A, { entries: [UNKEPT] });
    bench.fabrics.disconnects.hold();
    await bench.start();
    bench.devices.emit({ kind: 'aen', device: 'nvme0', aen: 0x70f002 });
    bench.fabrics.disconnects.release();
    await bench.clock.advance(2_000);
    expect(bench.fabrics.logs.calls).toHaveLength(2);
  });

  test('stays although mDNS is silent about it, until a poll fails', async () => {
    const bench = await new StafdBench(`${AUTO}zeroconf-connections-persistence=0\n`).start();
    bench.target(A, { entries: [UNKEPT] });
    await bench.reports(dcTid(A));
    await bench.reports();
    await bench.clock.advance(3 * INTERVAL);
    expect(bench.traddrs).toEqual([A]);
    bench.prober.setUnreachable(A, '8009');
    await bench.clock.advance(INTERVAL + 2_000);
    expect(bench.traddrs).toEqual([]);
  });

  test('is polled after a restart, and not taken for lost', async () => {
    const text = `${AUTO}zeroconf-connections-persistence=0\n`;
    const bench = await new StafdBench(text).start();
    bench.target(A, { entries: [UNKEPT] });
    await bench.reports(dcTid(A));
    await bench.service.stop();
    const next = await new StafdBench(text, bench).start();
    expect(next.traddrs).toEqual([A]);
    expect(next.told).toEqual([`log ${A} nvme0: 1`]);
    expect(next.connected).toEqual([]);
  });

  test.each([
    ['is left unconnected', [UNKEPT], []],
    ['that keeps them is left connected', [KEPT], [A]],
  ])('%s by a stop', async (_, entries, left) => {
    const bench = new StafdBench(AUTO + LINE);
    bench.target(A, { entries });
    await bench.start();
    await bench.reload(AUTO + LINE);
    bench.fabrics.logs.hold();
    bench.devices.emit({ kind: 'aen', device: 'nvme0', aen: 0x70f002 });
    const stop = bench.service.stop();
    bench.fabrics.logs.release();
    await stop;
    expect(bench.connected).toEqual(left);
    expect(bench.clock.pendingTimers).toBe(0);
  });
});

test.each([
  ['it says that it keeps them', [KEPT], AUTO],
  ['one of its own entries says so', [UNKEPT, KEPT], AUTO],
  ['it says nothing of itself', [refer(B)], AUTO],
  ['its referral says so, not itself', [{ ...refer(B), eflags: 0 }], AUTO],
  ['every connection is to be kept', [UNKEPT], ''],
  ['connections are dropped at the stop', [UNKEPT], `${MANAGEMENT}persistent-connections=false\n`],
])('the connection is held where %s', async (_, entries, text) => {
  const bench = new StafdBench(text + LINE);
  bench.target(A, { entries });
  await bench.start();
  await bench.clock.advance(2 * INTERVAL);
  expect(bench.connected).toEqual([A]);
  expect(connectsTo(bench, A)).toBe(1);
});
