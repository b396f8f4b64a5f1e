import { describe, expect, test, vi } from 'vitest';
import { makeTid, tidKey, WELL_KNOWN_DISCOVERY_NQN } from '../../../src/nvme/transport-id.ts';
import { PortError } from '../../../src/ports/errors.ts';
import { ControllerDriver } from '../../../src/runtime/controller-driver.ts';
import { ConnectQueue } from '../../../src/runtime/connect-queue.ts';
import { ControllerSet } from '../../../src/runtime/controller-set.ts';
import { KernelIndex } from '../../../src/runtime/kernel-index.ts';
import { FakeClock, settle } from '../../fakes/clock.ts';
import { FakeDevices } from '../../fakes/devices.ts';
import { FakeFabrics } from '../../fakes/fabrics.ts';
import { FakeInterfaces, FakeProber } from '../../fakes/host.ts';

const HOST = { hostnqn: 'nqn.host', hostid: 'id' };
const A = '10.0.0.1';

function tid(subsysnqn = 'nqn.dc', traddr = A) {
  return makeTid({ transport: 'tcp', traddr, subsysnqn, hostNqn: HOST.hostnqn });
}

class Bench {
  readonly clock = new FakeClock();
  readonly devices = new FakeDevices();
  readonly fabrics = new FakeFabrics(this.devices);
  readonly prober = new FakeProber();
  readonly index = new KernelIndex(this.devices, this.clock);
  readonly happened: string[] = [];
  readonly set: ControllerSet<undefined>;

  constructor(kind: 'discovery' | 'io' = 'discovery') {
    const { clock, fabrics, index, prober } = this;
    const interfaces = new FakeInterfaces();
    const queue = new ConnectQueue(clock);
    this.set = new ControllerSet(
      kind,
      { ...{ clock, fabrics, index, interfaces, prober, queue }, random: () => 0.5 },
      {
        settings: () => ({
          host: HOST,
          options: {},
          policy: { pleo: false, maxAttempts: 0, pollMs: undefined },
          probeMode: 'nvme-tcp',
        }),
        changed: () => undefined,
        report: (_, { kind: what }) => void this.happened.push(what),
        logRead: ({ driver }) => {
          this.happened.push(`log of ${driver.tid.subsysnqn}`);
          return { persistent: true };
        },
        untouchable: ({ transport }) => (transport === 'pcie' ? 'local' : undefined),
        gone: ({ driver }) => void this.happened.push(`gone ${driver.tid.subsysnqn}`),
      },
    );
    this.fabrics.addTarget({ kind, traddr: A, trsvcid: '8009', subsysnqn: 'nqn.dc' });
  }

  add(which = tid()): void {
    if (this.set.add(which, new Set(['test']), undefined)) this.set.start(tidKey(which));
  }

  async connected(...which: readonly ReturnType<typeof tid>[]): Promise<this> {
    for (const one of which) this.add(one);
    await this.clock.advance(100);
    return this;
  }

  phase(which = tid()): string | undefined {
    return this.set.get(tidKey(which))?.driver.model.phase.kind;
  }
}

describe('a connection that the kernel has', () => {
  test('is taken over before the address is probed', async () => {
    const bench = new Bench();
    bench.devices.add({
      ...{ traddr: A, trsvcid: '8009', subsysnqn: 'nqn.dc', hostnqn: HOST.hostnqn },
      cntrltype: 'discovery',
    });
    await bench.connected(tid());
    expect(bench.phase()).toBe('connected');
    expect(bench.prober.probes.calls).toEqual([]);
    expect(bench.fabrics.connects.calls).toEqual([]);
  });

  test('is not taken over when it went after the picture was made', async () => {
    const bench = new Bench();
    const fields = { traddr: A, trsvcid: '8009', subsysnqn: 'nqn.dc', hostnqn: HOST.hostnqn };
    const old = bench.devices.add({ ...fields, cntrltype: 'discovery' });
    await bench.index.get();
    bench.devices.remove(old.device);
    await bench.connected(tid());
    expect(bench.fabrics.connects.calls).toHaveLength(1);
    expect(bench.set.get(tidKey(tid()))?.driver.kernel?.instance).not.toBe(old.instance);
  });

  test('is not taken over while it is on its way out', async () => {
    const bench = new Bench();
    const fields = { traddr: A, trsvcid: '8009', subsysnqn: 'nqn.dc', hostnqn: HOST.hostnqn };
    bench.devices.add({ ...fields, cntrltype: 'discovery', state: 'deleting' });
    bench.fabrics.connects.hold();
    await bench.connected(tid());
    expect(bench.fabrics.connects.calls).toHaveLength(1);
  });

  test('and that somebody made in the meantime is taken over on EALREADY', async () => {
    const bench = new Bench();
    bench.fabrics.connects.hold();
    await bench.connected(tid());
    const fields = { traddr: A, trsvcid: '8009', subsysnqn: 'nqn.dc', hostnqn: HOST.hostnqn };
    bench.devices.add({ ...fields, cntrltype: 'discovery' });
    bench.fabrics.connects.release();
    await settle();
    expect(bench.phase()).toBe('connected');
    expect(bench.devices.controllers).toHaveLength(1);
  });

  test('EALREADY without a connection to find is a failure like others', async () => {
    const bench = new Bench();
    const details = { code: 'EALREADY', errorClass: 'retry' } as const;
    bench.fabrics.connects.failNext(new PortError('there is one', details));
    await bench.connected(tid());
    expect(bench.phase()).toBe('waiting-retry');
  });

  test("and that turns out to be somebody else's under the name that ours had is not held", async () => {
    const bench = new Bench();
    bench.fabrics.connects.hold();
    await bench.connected(tid());
    const fields = { traddr: '192.0.2.99', trsvcid: '8009', subsysnqn: 'nqn.dc' };
    const foreign = bench.devices.add({ ...fields, cntrltype: 'discovery' });
    bench.fabrics.connects.pendingCall().resolve(foreign.device);
    await settle();
    expect(bench.phase()).toBe('waiting-retry');
    expect(bench.set.holding(foreign.device)).toEqual([]);
  });

  test('and that vanished right after it was made is a failure', async () => {
    const bench = new Bench();
    bench.fabrics.connects.hold();
    await bench.connected(tid());
    bench.fabrics.connects.pendingCall().resolve('nvme7');
    await settle();
    expect(bench.phase()).toBe('waiting-retry');
  });
});

describe('an answer of an earlier life of the connection', () => {
  test('is dropped when the device went meanwhile', async () => {
    const bench = new Bench();
    bench.fabrics.logs.hold();
    await bench.connected(tid());
    const stale = bench.fabrics.logs.pendingCall();
    bench.devices.remove('nvme0');
    bench.set.observe(await bench.index.get());
    await settle();
    bench.fabrics.connects.hold();
    stale.complete();
    await settle();
    expect(bench.happened.filter((what) => what.startsWith('log'))).toEqual([]);
  });

  test('is not taken for the log of another device of the same name', async () => {
    const bench = new Bench();
    bench.fabrics.logs.hold();
    await bench.connected(tid());
    const read = bench.fabrics.logs.pendingCall();
    bench.devices.remove('nvme0', { silent: true });
    const fields = { traddr: A, trsvcid: '8009', subsysnqn: 'nqn.dc', hostnqn: HOST.hostnqn };
    bench.devices.add({ ...fields, cntrltype: 'discovery' }, { silent: true });
    read.complete();
    await settle();
    expect(bench.happened.filter((what) => what.startsWith('log'))).toEqual([]);
    expect(bench.set.get(tidKey(tid()))?.driver.model.phase).toMatchObject({
      work: { kind: 'waiting' },
    });
    bench.set.observe(await bench.index.get());
    await settle();
    expect(bench.happened).toContain('lost');
  });
});

describe('a removal', () => {
  test('of one of two that share a connection leaves it, of both ends it', async () => {
    const other = tid(WELL_KNOWN_DISCOVERY_NQN);
    const bench = await new Bench().connected(tid(), other);
    await bench.clock.advance(100);
    expect(bench.devices.controllers).toHaveLength(1);
    expect(bench.set.holding('nvme0')).toHaveLength(2);
    bench.set.remove(tidKey(tid()), false);
    await settle();
    expect(bench.devices.controllers).toHaveLength(1);
    bench.set.remove(tidKey(other), false);
    await settle();
    expect(bench.devices.controllers).toEqual([]);
    expect(bench.set.all()).toEqual([]);
  });

  test('holds its TID until it is done', async () => {
    const bench = await new Bench().connected(tid());
    bench.fabrics.disconnects.hold();
    bench.set.remove(tidKey(tid()), false);
    expect(bench.set.add(tid(), new Set(['test']), undefined)).toBe(false);
    expect(bench.set.live()).toEqual([]);
    bench.fabrics.disconnects.release();
    await settle();
    expect(bench.set.add(tid(), new Set(['test']), undefined)).toBe(true);
  });

  test('never disconnects another connection that has taken the name', async () => {
    const bench = await new Bench().connected(tid());
    bench.devices.remove('nvme0', { silent: true });
    bench.devices.add({ traddr: '10.9.9.9' }, { silent: true });
    bench.set.remove(tidKey(tid()), false);
    await settle();
    expect(bench.devices.controllers.map(({ traddr }) => traddr)).toEqual(['10.9.9.9']);
    expect(bench.set.all()).toEqual([]);
  });

  test('ends a probe, and its late answer does nothing', async () => {
    const bench = new Bench();
    bench.prober.probes.hold();
    await bench.connected(tid());
    bench.set.remove(tidKey(tid()), false);
    bench.prober.probes.release();
    await bench.clock.advance(60_000);
    expect(bench.happened).toEqual(['gone nqn.dc']);
    expect(bench.clock.pendingTimers).toBe(0);
    expect(bench.fabrics.connects.calls).toEqual([]);
  });

  test('is not led astray by a picture from before the connection was up', async () => {
    const bench = await new Bench().connected(tid());
    const [now] = bench.devices.controllers;
    if (now === undefined) throw new Error('nothing is connected');
    const early = { ...now, state: 'connecting', subsysnqn: '', cntrltype: '', dctype: '' };
    bench.set.observe(new Map([[now.device, early]]));
    await settle();
    expect(bench.set.get(tidKey(tid()))?.driver.kernel).toEqual(now);
    bench.set.remove(tidKey(tid()), false);
    await settle();
    expect(bench.devices.controllers).toEqual([]);
  });

  test('is over for who waits for it when the last one is gone, or its time is up', async () => {
    const bench = await new Bench().connected(tid());
    bench.fabrics.disconnects.hold();
    bench.set.remove(tidKey(tid()), false);
    const over: string[] = [];
    void bench.set.emptyWithin(1_000).then(() => over.push('short'));
    void bench.set.emptyWithin(100_000).then(() => over.push('long'));
    await bench.clock.advance(1_000);
    expect(over).toEqual(['short']);
    bench.fabrics.disconnects.release();
    await settle();
    expect(over).toEqual(['short', 'long']);
    expect(bench.clock.pendingTimers).toBe(0);
  });
});

test('an address that does not answer the probe reaches the kernel after a minute', async () => {
  const bench = new Bench('io');
  bench.prober.setUnreachable(A, '8009');
  await bench.connected(tid());
  await bench.clock.advance(50_000);
  expect(bench.fabrics.connects.calls).toEqual([]);
  await bench.clock.advance(60_000);
  expect(bench.phase()).toBe('connected');
});

test('a thousand controllers of a dead fabric cost one scan of sysfs a second at most', async () => {
  const bench = new Bench('io');
  for (let count = 0; count < 1_000; count += 1) {
    const traddr = `10.7.${String(count >> 8)}.${String(count & 255)}`;
    bench.prober.setUnreachable(traddr, '8009', 'ECONNREFUSED');
    bench.add(tid('nqn.dc', traddr));
  }
  await bench.clock.advance(10_000);
  expect(bench.devices.lists.calls.length).toBeLessThanOrEqual(11);
});

test('looks at nobody else when a device of one of many is in question', async () => {
  const bench = new Bench();
  const all = Array.from({ length: 100 }, (_, index) => tid(`nqn.dc${String(index)}`));
  for (const { subsysnqn } of all) {
    bench.fabrics.addTarget({ kind: 'discovery', traddr: A, trsvcid: '8009', subsysnqn });
  }
  await bench.connected(...all);
  const [first] = bench.devices.controllers;
  const looks = vi.spyOn(ControllerDriver.prototype, 'model', 'get');
  const kernels = vi.spyOn(ControllerDriver.prototype, 'kernel', 'get');
  const holding = bench.set.holding(first?.device ?? '');
  expect(holding.map(({ driver }) => driver.tid.subsysnqn)).toEqual([first?.subsysnqn]);
  bench.set.remove(tidKey(tid(first?.subsysnqn)), false);
  await settle();
  expect(bench.devices.controllers).toHaveLength(99);
  expect(looks.mock.calls.length + kernels.mock.calls.length).toBeLessThan(20);
  vi.restoreAllMocks();
});

test('asks for the interfaces of the host once, however many controllers are at an address', async () => {
  const bench = new Bench();
  for (let count = 0; count < 50; count += 1) {
    bench.devices.add({ traddr: A, subsysnqn: `nqn.io${String(count)}`, cntrltype: 'io' });
  }
  const lists = vi.spyOn(FakeInterfaces.prototype, 'list');
  await bench.connected(tid(WELL_KNOWN_DISCOVERY_NQN));
  // When it is probed, and when it is its turn.
  expect(lists.mock.calls.length).toBeLessThan(5);
  vi.restoreAllMocks();
});

test('knows the one that holds a device through changes of both', async () => {
  const bench = await new Bench().connected(tid());
  expect(bench.set.holding('nvme0')).toHaveLength(1);
  bench.devices.remove('nvme0');
  // Somebody else's, of the same name.
  bench.devices.add();
  bench.set.observe(await bench.index.get());
  await bench.clock.advance(2_000);
  expect(bench.set.holding('nvme0')).toEqual([]);
  expect(bench.devices.controllers.map(({ device }) => device)).toEqual(['nvme0', 'nvme1']);
  expect(bench.set.holding('nvme1').map(({ driver }) => driver.key)).toEqual([tidKey(tid())]);
  bench.set.remove(tidKey(tid()), true);
  expect(bench.set.holding('nvme1')).toEqual([]);
});

test('does not take a connection for its own that has turned out to be of another kind', async () => {
  const bench = new Bench();
  const fields = { traddr: A, trsvcid: '8009', subsysnqn: 'nqn.io', hostnqn: HOST.hostnqn };
  bench.devices.add({ ...fields, cntrltype: '' });
  await bench.index.get();
  // Its namespaces have come since.
  bench.devices.update('nvme0', { hasChildren: true });
  await bench.connected(tid(WELL_KNOWN_DISCOVERY_NQN));
  expect(bench.set.holding('nvme0')).toEqual([]);
  expect(bench.set.holding('nvme1')).toHaveLength(1);
});

test('sees that the device that came is another one than it holds', async () => {
  const bench = await new Bench().connected(tid());
  bench.set.look('nvme0');
  bench.set.look('nvme9');
  await settle();
  expect(bench.happened).not.toContain('lost');
  bench.devices.remove('nvme0', { silent: true });
  bench.devices.add({}, { silent: true });
  bench.set.look('nvme0');
  await settle();
  expect(bench.happened).toContain('lost');
});

test('an observation that shows nothing new is none', async () => {
  const bench = await new Bench().connected(tid());
  const feeds = vi.spyOn(ControllerDriver.prototype, 'feed');
  bench.set.observe(await bench.index.get());
  bench.set.start(tidKey(tid()));
  await settle();
  expect(feeds).not.toHaveBeenCalled();
  bench.devices.update('nvme0', { srcAddr: '10.0.0.9' });
  bench.set.observe(await bench.index.get());
  expect(feeds).toHaveBeenCalledTimes(1);
  expect(bench.set.get(tidKey(tid()))?.driver.kernel?.srcAddr).toBe('10.0.0.9');
  vi.restoreAllMocks();
});
