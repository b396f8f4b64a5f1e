import { describe, expect, test } from 'vitest';
import { PortError } from '../../../src/ports/errors.ts';
import { settle } from '../../fakes/clock.ts';
import { StafdBench, refer } from './bench.ts';

const A = '10.0.0.1';
const B = '10.0.0.2';
const C = '10.0.0.3';

function controllers(...traddrs: readonly string[]): string {
  const lines = traddrs.map((it) => `controller=transport=tcp;traddr=${it};nqn=nqn.dc\n`);
  return `[Controllers]\n${lines.join('')}`;
}

async function connectedTo(...traddrs: readonly string[]): Promise<StafdBench> {
  const bench = new StafdBench(controllers(...traddrs));
  for (const traddr of traddrs) bench.target(traddr);
  return bench.start();
}

describe('a configured DC', () => {
  test('is connected, read and announced when its log can be read', async () => {
    const bench = new StafdBench(controllers(A));
    bench.target(A, { entries: [{ traddr: '10.1.0.1', subnqn: 'nqn.sub' }] });
    await bench.start();
    expect(bench.connected).toEqual([A]);
    expect(bench.told).toEqual([`log ${A} nvme0: 1`]);
    expect(bench.service.settled).toBe(true);
  });

  test('that registers hosts is told of this one, once', async () => {
    const bench = new StafdBench(controllers(A));
    bench.target(A, { dctype: 'cdc' });
    await bench.start();
    bench.devices.emit({ kind: 'nvme-event', device: 'nvme0', event: 'connected' });
    await bench.clock.advance(1_000);
    expect(bench.fabrics.registrations).toHaveLength(1);
    expect(bench.fabrics.logs.calls).toHaveLength(1);
  });

  test('is read again on an AEN, and a storm of them costs two reads at most at a time', async () => {
    const bench = await connectedTo(A);
    bench.fabrics.logs.hold();
    for (let count = 0; count < 200; count += 1) {
      bench.devices.emit({ kind: 'aen', device: 'nvme0', aen: 0x70f002 });
    }
    await settle();
    expect(bench.fabrics.logs.calls).toHaveLength(2);
    bench.fabrics.logs.release();
    await settle();
    expect(bench.fabrics.logs.calls).toHaveLength(3);
  });

  test('has its readings in the journal that say something new', async () => {
    const bench = new StafdBench(controllers(A));
    const target = bench.target(A, { entries: [refer(B)] });
    await bench.start();
    const told = (): number =>
      bench.log.messages('info').filter((line) => line.includes('Received discovery log')).length;
    const read = async (): Promise<void> => {
      bench.service.readLogsAgain();
      await bench.clock.advance(1_000);
    };
    expect(told()).toBe(1);
    await read();
    expect(told()).toBe(1);
    expect(bench.fabrics.logs.calls).toHaveLength(2);
    target.entries = [refer(C)];
    await read();
    expect(told()).toBe(2);
  });

  test('is read again after events may have been lost', async () => {
    const bench = await connectedTo(A);
    bench.devices.emit({ kind: 'resync', why: 'overflow' });
    await bench.clock.advance(1_000);
    expect(bench.fabrics.logs.calls).toHaveLength(2);
  });

  test('keeps its log while its connection is lost, and is connected again', async () => {
    const bench = new StafdBench(controllers(A));
    bench.target(A, { entries: [{ traddr: '10.1.0.1', subnqn: 'nqn.sub' }] });
    await bench.start();
    bench.fabrics.connects.hold();
    bench.devices.remove('nvme0');
    await bench.clock.advance(2_000);
    expect(bench.record(A)?.extra.log).toMatchObject({ kind: 'known' });
    expect(bench.connected).toEqual([]);
    bench.fabrics.connects.release();
    await bench.clock.advance(2_000);
    expect(bench.connected).toEqual([A]);
  });

  test('whose log fails to be read is not taken for empty', async () => {
    const bench = new StafdBench(controllers(A));
    bench.target(A, { entries: [refer(B)] });
    bench.target(B);
    await bench.start();
    expect(bench.traddrs).toEqual([A, B]);
    const details = { code: 'EIO', errorClass: 'retry' } as const;
    bench.fabrics.logs.failAlways(new PortError('no answer', details));
    bench.devices.emit({ kind: 'aen', device: 'nvme0', aen: 0x70f002 });
    await bench.clock.advance(600_000);
    expect(bench.traddrs).toEqual([A, B]);
  });

  test('whose log holds nonsense refuses that, with one line, and uses the rest', async () => {
    const bench = new StafdBench(controllers(A));
    const forged = 'nqn.x\nstafd: forged line';
    bench.target(A, { entries: [{ traddr: '10.1.0.1', subnqn: forged }, refer(B)] });
    await bench.start();
    expect(bench.traddrs).toEqual([A, B]);
    bench.devices.emit({ kind: 'aen', device: 'nvme0', aen: 0x70f002 });
    await bench.clock.advance(1_000);
    const warnings = bench.log.messages('warning');
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).not.toContain('\n');
  });

  test('whose host name does not resolve disturbs no other and is tried again', async () => {
    const bench = new StafdBench(controllers('dc.example', A));
    bench.target(A);
    bench.target(B);
    await bench.start();
    expect(bench.connected).toEqual([A]);
    expect(bench.service.settled).toBe(false);
    bench.resolver.set('dc.example', B);
    await bench.clock.advance(60_000);
    expect(bench.connected).toEqual([A, B]);
    expect(bench.service.settled).toBe(true);
  });
});

describe('referrals', () => {
  test('are followed, and dropped with their root though they refer to each other', async () => {
    const bench = new StafdBench(controllers(A));
    bench.target(A, { entries: [refer(B)] });
    bench.target(B, { entries: [refer(C)] });
    bench.target(C, { entries: [refer(B)] });
    await bench.start();
    await bench.clock.advance(5_000);
    expect(bench.connected).toEqual([A, B, C]);
    await bench.reload('');
    await bench.clock.advance(5_000);
    expect(bench.connected).toEqual([]);
  });

  test('that move from one log to another are not dropped between the events of both', async () => {
    const bench = new StafdBench(controllers(A, B));
    const [from, to] = [bench.target(A, { entries: [refer(C)] }), bench.target(B)];
    bench.target(C);
    await bench.start();
    await bench.clock.advance(5_000);
    expect(bench.connected).toEqual([A, B, C]);
    [from.entries, to.entries] = [[], [refer(C)]];
    bench.devices.emit({ kind: 'aen', device: 'nvme0', aen: 0x70f002 });
    await bench.clock.advance(50);
    bench.devices.emit({ kind: 'aen', device: 'nvme1', aen: 0x70f002 });
    await bench.clock.advance(2_000);
    expect(bench.fabrics.disconnects.calls).toEqual([]);
    expect(bench.told.filter((what) => what.startsWith('removed'))).toEqual([]);
    to.entries = [];
    bench.devices.emit({ kind: 'aen', device: 'nvme1', aen: 0x70f002 });
    await bench.clock.advance(2_000);
    expect(bench.connected).toEqual([A, B]);
  });

  test('are announced as removed once they can no longer be read', async () => {
    const bench = new StafdBench(controllers(A));
    const root = bench.target(A, { entries: [refer(B)] });
    bench.target(B);
    await bench.start();
    root.entries = [];
    bench.devices.emit({ kind: 'aen', device: 'nvme0', aen: 0x70f002 });
    await bench.clock.advance(2_000);
    expect(bench.told.at(-1)).toBe(`removed: ${A}`);
  });
});

describe('settled', () => {
  test('is not said before the logs are read that may refer to others', async () => {
    const bench = new StafdBench(controllers(A));
    bench.target(A, { entries: [refer(B)] });
    bench.target(B);
    bench.fabrics.logs.hold();
    await bench.start();
    expect(bench.connected).toEqual([A]);
    expect(bench.service.settled).toBe(false);
    bench.fabrics.logs.release();
    await bench.clock.advance(5_000);
    expect(bench.traddrs).toEqual([A, B]);
    expect(bench.service.settled).toBe(true);
  });
});

describe('a reload', () => {
  test('reads the log of what stays, and begins nothing twice', async () => {
    const bench = await connectedTo(A);
    await bench.reload(controllers(A));
    expect(bench.fabrics.connects.calls).toHaveLength(1);
    expect(bench.fabrics.logs.calls).toHaveLength(2);
    expect(bench.fabrics.disconnects.calls).toEqual([]);
  });

  test('that excludes a DC while it is being connected leaves no connection', async () => {
    const bench = new StafdBench(controllers(A));
    bench.target(A);
    bench.fabrics.connects.hold();
    await bench.start();
    await bench.reload(`${controllers(A)}exclude=traddr=${A}\n`);
    bench.fabrics.connects.release();
    await bench.clock.advance(2_000);
    expect(bench.connected).toEqual([]);
    expect(bench.service.disposing()).toEqual([]);
  });
});

describe('the stop', () => {
  const DROP = '[Discovery controller connection management]\npersistent-connections=false\n';

  test.each([
    ['stay', '', [A]],
    ['are disconnected', DROP, []],
  ])('with a connect in flight waits for it; connections then %s', async (_, text, left) => {
    const bench = new StafdBench(text + controllers(A));
    bench.target(A);
    bench.fabrics.connects.hold();
    await bench.start();
    let stopped = false;
    const stop = bench.service.stop().then(() => (stopped = true));
    await bench.clock.advance(1_000);
    expect(stopped).toBe(false);
    bench.fabrics.connects.release();
    await stop;
    expect(bench.connected).toEqual(left);
    expect(bench.clock.pendingTimers).toBe(0);
    expect(bench.devices.listenerCount).toBe(0);
  });

  test.each([
    ['stay', '', [A]],
    ['are disconnected', DROP, []],
  ])('with a command in flight waits for it; connections then %s', async (_, text, left) => {
    const bench = new StafdBench(text + controllers(A));
    bench.target(A);
    bench.fabrics.logs.hold();
    await bench.start();
    const stop = bench.service.stop();
    await bench.clock.advance(1_000);
    expect(bench.connected).toEqual([A]);
    bench.fabrics.logs.release();
    await stop;
    expect(bench.connected).toEqual(left);
    expect(bench.told).toEqual([]);
  });

  test('does not look like the removal of all DCs', async () => {
    const bench = await connectedTo(A, B);
    const stop = bench.service.stop();
    await settle();
    expect(bench.traddrs).toEqual([A, B]);
    await stop;
    expect(bench.traddrs).toEqual([A, B]);
    expect(bench.told.filter((line) => line.startsWith('removed'))).toEqual([]);
  });
});

describe('after a restart', () => {
  test('DCs and their logs are there at once, the logs not as evidence', async () => {
    const bench = new StafdBench(controllers(A));
    bench.target(A, { entries: [refer(B)] });
    bench.target(B);
    await bench.start();
    await bench.service.stop();
    const next = new StafdBench(controllers(A), bench);
    next.fabrics.logs.hold();
    await next.start();
    expect(next.traddrs).toEqual([A, B]);
    expect(next.record(A)?.extra.log).toMatchObject({ kind: 'known', value: { fresh: false } });
    expect(next.service.settled).toBe(true);
    next.fabrics.logs.release();
    await next.clock.advance(2_000);
    expect(next.record(A)?.extra.log).toMatchObject({ kind: 'known', value: { fresh: true } });
    expect(next.fabrics.connects.calls).toHaveLength(2);
  });

  test('a list that was not complete is not taken for complete', async () => {
    const bench = new StafdBench(controllers(A));
    await bench.start();
    expect(bench.service.settled).toBe(false);
    await bench.service.stop();
    const next = await new StafdBench(controllers(A), bench).start();
    expect(next.service.settled).toBe(false);
  });

  test('a list that was not complete is not, by logs that were only remembered', async () => {
    const bench = new StafdBench(controllers(A, B));
    const target = bench.target(A);
    await bench.start();
    await bench.service.stop();
    bench.fabrics.removeTarget(target);
    for (const { device } of bench.devices.controllers) bench.devices.remove(device);
    const next = await new StafdBench(controllers(A), bench).start();
    expect(next.record(A)?.extra.log).toMatchObject({ kind: 'known', value: { fresh: false } });
    expect(next.service.settled).toBe(false);
  });

  test('a DC that is no longer configured is disconnected', async () => {
    const bench = await connectedTo(A);
    await bench.service.stop();
    const next = await new StafdBench('', bench).start();
    expect(next.connected).toEqual([]);
  });

  test('a lost DC is connected with the options of its line', async () => {
    const bench = await connectedTo(A);
    await bench.service.stop();
    bench.devices.remove('nvme0');
    const text = `[Global]\nreachability-check=disabled\n[Controllers]\ncontroller=transport=tcp;traddr=${A};nqn=nqn.dc;kato=77\n`;
    const next = await new StafdBench(text, bench).start();
    expect(next.fabrics.connects.requests.at(-1)?.options.kato).toBe(77);
    expect(next.connected).toEqual([A]);
  });

  test('a damaged memory is set aside and the sources are asked', async () => {
    const bench = new StafdBench(controllers(A));
    bench.target(A);
    bench.lkcFile.text =
      '{"daemon":"stafd","version":1,"content":{"settled":true,"controllers":[{}]}}';
    await bench.start();
    expect(bench.connected).toEqual([A]);
    expect(bench.lkcFile.setAsides).toHaveLength(1);
    expect(bench.log.messages('warning')).toHaveLength(1);
  });
});

describe("a DC that is not stafd's", () => {
  test('is left to nvme-cli when its log changes, and only then', async () => {
    const bench = await new StafdBench().start();
    bench.devices.add({ traddr: B, trsvcid: '8009', cntrltype: 'discovery' });
    bench.devices.emit({ kind: 'nvme-event', device: 'nvme0', event: 'connected' });
    await settle();
    expect(bench.leftToNvmeCli).toEqual([]);
    bench.devices.emit({ kind: 'aen', device: 'nvme0', aen: 0x70f002 });
    bench.devices.emit({ kind: 'aen', device: 'nvme0', aen: 0x10000 });
    await settle();
    expect(bench.leftToNvmeCli).toEqual(['nvme0']);
  });

  test('is none that is just being connected', async () => {
    const bench = new StafdBench(controllers(A));
    bench.fabrics.connects.hold();
    await bench.start();
    const subsysnqn = 'nqn.dc';
    const { hostnqn } = bench.service.settings.host;
    bench.devices.add({ traddr: A, trsvcid: '8009', cntrltype: 'discovery', subsysnqn, hostnqn });
    bench.devices.emit({ kind: 'aen', device: 'nvme0', aen: 0x70f002 });
    await settle();
    expect(bench.leftToNvmeCli).toEqual([]);
  });
});

test('one device that answers two TIDs brings its events to both', async () => {
  const wellKnown = 'nqn.2014-08.org.nvmexpress.discovery';
  const lines = `controller=transport=tcp;traddr=${A};nqn=${wellKnown}\n`;
  const bench = new StafdBench(controllers(A) + lines);
  bench.target(A);
  await bench.start();
  expect(bench.devices.controllers).toHaveLength(1);
  const before = bench.told.length;
  bench.devices.emit({ kind: 'aen', device: 'nvme0', aen: 0x70f002 });
  await bench.clock.advance(1_000);
  expect(bench.told.slice(before)).toHaveLength(2);
  await bench.reload(controllers(A));
  expect(bench.connected).toEqual([A]);
});
