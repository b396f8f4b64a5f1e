import { describe, expect, test } from 'vitest';
import { known, unknown } from '../../../src/core/answer.ts';
import type { DiscoveryEntry } from '../../../src/nvme/discovery-log.ts';
import { makeTid } from '../../../src/nvme/transport-id.ts';
import { PortError } from '../../../src/ports/errors.ts';
import type { DiscoveryState, ReportedDc } from '../../../src/stacd/plan.ts';
import { settle } from '../../fakes/clock.ts';
import { HOST, StacdBench } from './bench.ts';

const A = '10.1.0.1';
const B = '10.1.0.2';

function line(traddr: string): string {
  return `controller=transport=tcp;traddr=${traddr};trsvcid=4420;nqn=nqn.sub\n`;
}

function controllers(...traddrs: readonly string[]): string {
  return `[Controllers]\n${traddrs.map(line).join('')}`;
}

function entry(traddr: string, eflags = 0): DiscoveryEntry {
  return {
    ...{ trtype: 'tcp', adrfam: 'ipv4', subtype: 'nvme', treq: 0, portid: 1, trsvcid: '4420' },
    ...{ subnqn: 'nqn.sub', traddr, cntlid: 65535, asqsz: 32, eflags },
  };
}

function dc(entries: readonly DiscoveryEntry[], traddr = '10.0.0.1'): ReportedDc {
  const tid = makeTid({ transport: 'tcp', traddr, subsysnqn: 'nqn.dc', hostNqn: HOST });
  return { tid, hostId: '', log: known(entries), fresh: true, readAt: 0 };
}

function state(...list: readonly ReportedDc[]): { kind: 'known'; value: DiscoveryState } {
  return {
    kind: 'known',
    value: { settled: true, controllers: list, askedAt: 0, removed: new Map() },
  };
}

async function listing(...traddrs: readonly string[]): Promise<StacdBench> {
  const bench = new StacdBench();
  for (const traddr of traddrs) bench.target(traddr);
  await bench.start();
  await bench.says(state(dc(traddrs.map((traddr) => entry(traddr)))));
  return bench;
}

describe('I/O controllers', () => {
  test('are connected as configured and as the logs list them', async () => {
    const bench = new StacdBench(controllers(A));
    bench.target(A);
    bench.target(B);
    await bench.start();
    expect(bench.connected).toEqual([A]);
    await bench.says(state(dc([entry(B)])));
    expect(bench.connected).toEqual([A, B]);
  });

  test('are connected with the host NQN and host ID of the DC whose log lists them', async () => {
    const bench = new StacdBench();
    bench.target(A);
    bench.target(B);
    await bench.start();
    const ofA = dc([entry(A)]);
    const ofB = dc([entry(B)], '10.0.0.2');
    const hostId = '11111111-1111-4111-8111-111111111111';
    const tid = makeTid({ ...ofB.tid, hostNqn: 'nqn.other' });
    await bench.says(state(ofA, { ...ofB, tid, hostId }));
    const hosts = (): unknown =>
      bench.devices.controllers.map(({ hostid, hostnqn }) => [hostnqn, hostid]);
    const expected = [
      [HOST, 'id'],
      ['nqn.other', hostId],
    ];
    expect(hosts()).toEqual(expected);
    // Also while stafd is away, whatever becomes of the connection and of stacd.
    await bench.service.stop();
    const after = await new StacdBench('', bench).start();
    for (const { device } of after.devices.controllers) after.devices.remove(device);
    await after.clock.advance(60_000);
    expect(hosts()).toEqual(expected);
  });

  test('follow a log that changes', async () => {
    const bench = await listing(A);
    bench.target(B);
    await bench.says(state(dc([entry(B)])));
    expect(bench.connected).toEqual([B]);
  });

  test('that move from one log to another are not dropped between, with no limit either', async () => {
    const none = '[I/O controller connection management]\ndisconnect-limit=100\n';
    const bench = new StacdBench(none);
    bench.target(A);
    await bench.start();
    const other = '10.0.0.2';
    await bench.says(state(dc([entry(A)]), dc([], other)));
    await bench.clock.advance(10_000);
    bench.discovery = state(dc([]), dc([], other));
    bench.service.discoveryChanged();
    await bench.clock.advance(50);
    await bench.says(state(dc([]), dc([entry(A)], other)));
    expect(bench.fabrics.disconnects.calls).toEqual([]);
    await bench.says(state(dc([]), dc([], other)));
    expect(bench.connected).toEqual([]);
  });

  test('go when the log of their DC was read empty', async () => {
    const bench = await listing(A, B);
    await bench.says(state(dc([])));
    expect(bench.connected).toEqual([]);
    expect(bench.service.controllers()).toEqual([]);
  });

  test.each([
    ['stafd leaves the bus', unknown('stafd is not running')],
    [
      'stafd is back and has not found its DCs',
      { ...state(), value: { ...state().value, settled: false } },
    ],
    ['the log of their DC is unknown', state({ ...dc([]), log: unknown('it was not read yet') })],
    ['the log of their DC is only remembered', state({ ...dc([]), fresh: false })],
  ])('stay connected while %s', async (_, answer) => {
    const bench = await listing(A, B);
    await bench.says(answer);
    await bench.clock.advance(3_600_000);
    expect(bench.connected).toEqual([A, B]);
    expect(bench.service.controllers()).toHaveLength(2);
  });

  test('are connected again when the kernel removed them, though the event was lost', async () => {
    const bench = await listing(A);
    bench.devices.remove('nvme0', { silent: true });
    await bench.clock.advance(62_000);
    expect(bench.connected).toEqual([A]);
  });

  test('are not said to be lost because a picture of the kernel is older than they are', async () => {
    const bench = new StacdBench(controllers(A));
    bench.target(A);
    bench.fabrics.connects.hold();
    await bench.start();
    bench.devices.lists.hold();
    bench.service.discoveryChanged();
    await bench.clock.advance(500);
    const old = bench.devices.lists.pendingCall();
    bench.fabrics.connects.release();
    await settle();
    expect(bench.record(A)?.driver.model.phase.kind).toBe('connected');
    old.resolve([]);
    await settle();
    expect(bench.record(A)?.driver.model.phase.kind).toBe('connected');
    expect(bench.log.messages('warning')).toEqual([]);
  });

  test('that the kernel has already are taken over, not connected twice', async () => {
    const bench = new StacdBench(controllers(A));
    bench.target(A);
    const fields = { traddr: A, trsvcid: '4420', subsysnqn: 'nqn.sub', hostnqn: HOST };
    bench.devices.add({ ...fields, hasChildren: true });
    await bench.start();
    expect(bench.fabrics.connects.calls).toEqual([]);
    expect(bench.record(A)?.driver.kernel?.device).toBe('nvme0');
  });

  test('are tried in the kernel as their turn comes, few at a time', async () => {
    const many = Array.from({ length: 20 }, (_, index) => `10.2.0.${String(index + 1)}`);
    const bench = new StacdBench(controllers(...many));
    bench.fabrics.connects.hold();
    await bench.start();
    expect(bench.fabrics.connects.pending.length).toBeLessThanOrEqual(4);
  });
});

describe('a removal while the connect is in flight', () => {
  async function connecting(): Promise<StacdBench> {
    const bench = new StacdBench(controllers(A));
    bench.target(A);
    bench.fabrics.connects.hold();
    await bench.start();
    return bench;
  }

  test.each([
    ['by configuration', ''],
    ['by exclusion', `${controllers(A)}exclude=traddr=${A}\n`],
  ])('%s leaves no connection behind', async (_, text) => {
    const bench = await connecting();
    bench.reload(text);
    await bench.clock.advance(1_000);
    expect(bench.service.controllers()).toEqual([]);
    expect(bench.service.disposing()).toHaveLength(1);
    expect(bench.fabrics.disconnects.calls).toEqual([]);
    bench.fabrics.connects.release();
    await bench.clock.advance(1_000);
    expect(bench.connected).toEqual([]);
    expect(bench.service.disposing()).toEqual([]);
  });

  test('that is taken back ends in one connection', async () => {
    const bench = await connecting();
    bench.reload('');
    await bench.clock.advance(1_000);
    bench.reload(controllers(A));
    await bench.clock.advance(1_000);
    bench.fabrics.connects.release();
    await bench.clock.advance(5_000);
    expect(bench.connected).toEqual([A]);
    expect(bench.record(A)?.driver.model.phase.kind).toBe('connected');
  });

  test('by the stop of the daemon keeps the connection, and the stop waits for it', async () => {
    const bench = await connecting();
    let stopped = false;
    const stop = bench.service.stop().then(() => (stopped = true));
    await bench.clock.advance(1_000);
    expect(stopped).toBe(false);
    bench.fabrics.connects.release();
    await stop;
    expect(bench.connected).toEqual([A]);
    expect(bench.clock.pendingTimers).toBe(0);
    expect(bench.devices.listenerCount).toBe(0);
  });
});

describe('a reload', () => {
  test('drops nothing that stays configured', async () => {
    const bench = new StacdBench(controllers(A, B));
    bench.target(A);
    bench.target(B);
    await bench.start();
    bench.reload(controllers(A));
    await bench.clock.advance(1_000);
    expect(bench.connected).toEqual([A]);
    expect(bench.fabrics.disconnects.requests.map(({ traddr }) => traddr)).toEqual([B]);
  });

  test('tries at once what waits to be tried again', async () => {
    const bench = new StacdBench(controllers(A));
    await bench.start();
    await bench.clock.advance(120_000);
    bench.target(A);
    bench.reload(controllers(A));
    await bench.clock.advance(10);
    expect(bench.connected).toEqual([A]);
  });
});

describe('a reload that gives a controller up', () => {
  test('does not first take over the connection that somebody made meanwhile', async () => {
    const bench = await new StacdBench(controllers(A)).start();
    // Between two tries, and later than a picture of the kernel is used again.
    await bench.clock.advance(1_200);
    bench.devices.add(
      { traddr: A, trsvcid: '4420', subsysnqn: 'nqn.sub', hostnqn: HOST },
      { silent: true },
    );
    bench.reload('');
    await bench.clock.advance(1_000);
    expect(bench.connected).toEqual([A]);
    expect(bench.service.controllers()).toEqual([]);
  });
});

describe('the stop', () => {
  test('drops no connection and leaves nothing behind', async () => {
    const bench = await listing(A, B);
    await bench.service.stop();
    expect(bench.connected).toEqual([A, B]);
    expect(bench.clock.pendingTimers).toBe(0);
    expect(bench.devices.listenerCount).toBe(0);
  });

  test('ends although a disconnect fails for ever', async () => {
    const bench = await listing(A);
    const details = { code: 'EPERM', errorClass: 'final' } as const;
    bench.fabrics.disconnects.failAlways(new PortError('not permitted', details));
    await bench.says(state(dc([])));
    let stopped = false;
    void bench.service.stop().then(() => (stopped = true));
    await bench.clock.advance(70_000);
    expect(stopped).toBe(true);
    expect(bench.clock.pendingTimers).toBe(0);
  });

  test('during the start begins nothing', async () => {
    const bench = await listing(A);
    await bench.service.stop();
    const next = new StacdBench('', bench);
    next.lkcFile.reads.hold();
    const start = next.service.start();
    const stop = next.service.stop();
    next.lkcFile.reads.release();
    await Promise.all([start, stop]);
    await next.clock.advance(120_000);
    expect(next.clock.pendingTimers).toBe(0);
    expect(next.devices.listenerCount).toBe(0);
  });
});

describe('after a restart', () => {
  test('what was remembered stays until stafd says that it is not listed', async () => {
    const bench = await listing(A);
    await bench.service.stop();
    const next = await new StacdBench('', bench).start();
    await next.clock.advance(600_000);
    expect(next.record(A)?.driver.kernel?.device).toBe('nvme0');
    await next.says(state(dc([])));
    expect(next.connected).toEqual([]);
  });

  test('what was configured and is no longer is disconnected', async () => {
    const bench = new StacdBench(controllers(A));
    bench.target(A);
    await bench.start();
    await bench.service.stop();
    const next = await new StacdBench('', bench).start();
    expect(next.connected).toEqual([]);
  });

  test('only what the kernel still has counts', async () => {
    const bench = await listing(A, B);
    await bench.service.stop();
    bench.devices.remove('nvme1');
    const next = await new StacdBench('', bench).start();
    expect(next.service.controllers()).toHaveLength(1);
    expect(next.fabrics.connects.calls).toHaveLength(2);
  });

  test('a connection that nobody made or took over is left alone', async () => {
    const bench = new StacdBench();
    bench.devices.add({ traddr: A, trsvcid: '4420', subsysnqn: 'nqn.sub', hostnqn: HOST });
    await bench.start();
    await bench.says(state(dc([])));
    await bench.clock.advance(120_000);
    expect(bench.connected).toEqual([A]);
  });
});

describe('disconnect-scope', () => {
  const ALL =
    '[I/O controller connection management]\ndisconnect-scope=all-connections-matching-disconnect-trtypes\n';

  function foreign(bench: StacdBench, traddr = B): void {
    const fields = { traddr, trsvcid: '4420', subsysnqn: 'nqn.other', hostnqn: HOST };
    bench.devices.add({ ...fields, hasChildren: true });
  }

  test('"all" drops connections of others once everything is known, not before', async () => {
    const bench = new StacdBench(ALL);
    foreign(bench);
    await bench.start();
    await bench.says(state({ ...dc([]), log: unknown('it was not read yet') }));
    expect(bench.connected).toEqual([B]);
    await bench.says(state(dc([])));
    expect(bench.connected).toEqual([]);
  });

  test('"all" drops a connection that somebody makes later, a second after it', async () => {
    const bench = new StacdBench(ALL);
    await bench.start();
    await bench.says(state(dc([])));
    foreign(bench);
    await bench.clock.advance(900);
    expect(bench.connected).toEqual([B]);
    await bench.clock.advance(1_000);
    expect(bench.connected).toEqual([]);
  });

  test('"no-disconnect" lets even what is excluded stay connected', async () => {
    const text = '[I/O controller connection management]\ndisconnect-scope=no-disconnect\n';
    const bench = new StacdBench(text + controllers(A));
    bench.target(A);
    await bench.start();
    bench.reload(`${text}${controllers(A)}exclude=transport=tcp\n`);
    await bench.clock.advance(1_000);
    expect(bench.connected).toEqual([A]);
    expect(bench.service.controllers()).toEqual([]);
  });
});

describe('"not connected to CDC"', () => {
  const TWICE = '[I/O controller connection management]\nconnect-attempts-on-ncc=2\n';

  test('stops after the attempts that are allowed, and begins again when the bit clears', async () => {
    const bench = await new StacdBench(TWICE).start();
    await bench.says(state(dc([entry(A, 4)])));
    await bench.clock.advance(600_000);
    expect(bench.fabrics.connects.calls).toHaveLength(2);
    expect(bench.record(A)?.driver.model.phase.kind).toBe('held');
    bench.target(A);
    await bench.says(state(dc([entry(A)])));
    expect(bench.connected).toEqual([A]);
  });
});
