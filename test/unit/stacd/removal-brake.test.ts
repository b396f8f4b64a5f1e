/** How stacd as a whole holds removals back that would hurt if they were asked for by mistake. */
import { describe, expect, test } from 'vitest';
import { BY_SETTING } from '../../../src/core/removal-brake.ts';
import { known, unknown } from '../../../src/core/answer.ts';
import type { DiscoveryEntry } from '../../../src/nvme/discovery-log.ts';
import { makeTid, tidKey } from '../../../src/nvme/transport-id.ts';
import type { DiscoveryState } from '../../../src/stacd/plan.ts';
import { PortError } from '../../../src/ports/errors.ts';
import { HOST, StacdBench } from './bench.ts';

const ADDRESSES = Array.from({ length: 8 }, (_, index) => `10.1.0.${index + 1}`);
const DC = makeTid({ transport: 'tcp', traddr: '10.0.0.1', subsysnqn: 'nqn.dc', hostNqn: HOST });

function entry(traddr: string): DiscoveryEntry {
  return {
    ...{ trtype: 'tcp', adrfam: 'ipv4', subtype: 'nvme', treq: 0, portid: 1, trsvcid: '4420' },
    ...{ subnqn: 'nqn.sub', traddr, cntlid: 65535, asqsz: 32, eflags: 0 },
  };
}

class Bench extends StacdBench {
  /** stafd reads the log now, which lists these. */
  async lists(...traddrs: readonly string[]): Promise<void> {
    await this.says(known(this.state(traddrs)));
  }

  state(traddrs: readonly string[]): DiscoveryState {
    const now = this.clock.now();
    const dc = { tid: DC, hostId: '', log: known(traddrs.map(entry)), fresh: true, readAt: now };
    return { settled: true, controllers: [dc], askedAt: now, removed: new Map() };
  }

  /** stafd has removed the DC. */
  async removedDc(bySetting: boolean): Promise<void> {
    const askedAt = this.clock.now();
    const removed = new Map([[tidKey(DC), bySetting ? BY_SETTING : askedAt]]);
    await this.says(known({ settled: true, controllers: [], askedAt, removed }));
  }

  errors(): readonly string[] {
    return this.log.messages('error');
  }
}

async function connected(text = ''): Promise<Bench> {
  const bench = new Bench(text);
  for (const traddr of ADDRESSES) bench.target(traddr);
  await bench.start();
  await bench.lists(...ADDRESSES);
  expect(bench.connected).toEqual(ADDRESSES);
  return bench;
}

describe('a log that is suddenly empty', () => {
  test('drops nothing at first, and everything when it was read so again after 30 s', async () => {
    const bench = await connected();
    await bench.lists();
    expect(bench.connected).toEqual(ADDRESSES);
    expect(bench.errors()[0]).toContain('8 of 8 connections');
    await bench.clock.advance(20_000);
    expect(bench.confirmations).toBe(0);
    await bench.clock.advance(20_000);
    expect(bench.confirmations).toBe(1);
    expect(bench.connected).toEqual(ADDRESSES);
    await bench.lists();
    expect(bench.connected).toEqual([]);
    expect(bench.service.heldBack()).toEqual({});
  });

  test('drops nothing if it lists them again', async () => {
    const bench = await connected();
    const before = bench.devices.controllers;
    await bench.lists();
    await bench.clock.advance(10_000);
    await bench.lists(...ADDRESSES);
    await bench.clock.advance(3_600_000);
    expect(bench.devices.controllers).toEqual(before);
    expect(bench.service.heldBack()).toEqual({});
    expect(bench.confirmations).toBe(0);
  });

  test('is asked for ever more rarely while it cannot be read, and drops nothing', async () => {
    const bench = await connected();
    await bench.lists();
    await bench.clock.advance(3_600_000);
    expect(bench.connected).toEqual(ADDRESSES);
    expect(bench.confirmations).toBeGreaterThan(5);
    expect(bench.confirmations).toBeLessThan(15);
    expect(bench.errors().length).toBeLessThan(10);
    // The next that is held is asked for as soon as the first was.
    await bench.lists(...ADDRESSES);
    await bench.lists();
    const asked = bench.confirmations;
    await bench.clock.advance(40_000);
    expect(bench.confirmations).toBe(asked + 1);
  });

  test('does not keep one from being connected again that is lost meanwhile', async () => {
    const bench = await connected();
    await bench.lists();
    const [first] = bench.devices.controllers;
    bench.devices.remove(first?.device ?? '');
    await bench.clock.advance(20_000);
    expect(bench.connected).toEqual(ADDRESSES);
  });

  test('drops everything at once where the limit is off', async () => {
    const bench = await connected(
      '[I/O controller connection management]\ndisconnect-limit=100%\n',
    );
    await bench.lists();
    expect(bench.connected).toEqual([]);
  });
});

test('a log that loses half of what it lists drops that at once', async () => {
  const bench = await connected();
  await bench.lists(...ADDRESSES.slice(4));
  expect(bench.connected).toEqual(ADDRESSES.slice(4));
  expect(bench.errors()).toEqual([]);
});

test('an exclude, or a discovery controller that is configured no longer, drops all at once', async () => {
  const excluded = await connected();
  excluded.reload('[Controllers]\nexclude = transport=tcp\n');
  await excluded.clock.advance(1_000);
  expect(excluded.connected).toEqual([]);
  const bench = await connected();
  await bench.removedDc(true);
  expect(bench.connected).toEqual([]);
});

test('a discovery controller that vanished otherwise drops all when stafd still says so', async () => {
  const bench = await connected();
  await bench.removedDc(false);
  await bench.clock.advance(40_000);
  expect(bench.connected).toEqual(ADDRESSES);
  await bench.removedDc(false);
  expect(bench.connected).toEqual([]);
});

describe('a connection that is the last path to something', () => {
  const [used = '', ...others] = ADDRESSES;

  async function inUse(): Promise<Bench> {
    const bench = await connected();
    const device = bench.record(used)?.driver.kernel?.device ?? '';
    const mount = { kind: 'mount', device: 'nvme0n1', at: '/data', fileSystem: 'ext4' } as const;
    bench.blockUses.uses.set(device, [{ block: 'nvme0n1', uses: [mount], otherPaths: [] }]);
    return bench;
  }

  test('stays until it is confirmed, and the others go', async () => {
    const bench = await inUse();
    await bench.lists(...others.slice(1));
    expect(bench.connected).toEqual([used, ...others.slice(1)]);
    expect(bench.errors().join()).toContain('/data');
    await bench.clock.advance(40_000);
    await bench.lists(...others.slice(1));
    expect(bench.connected).toEqual(others.slice(1));
  });

  test('stays, too, if it cannot be found out what is in use', async () => {
    const bench = await inUse();
    bench.blockUses.reads.failNext(new PortError('no', { code: 'EIO', errorClass: 'retry' }));
    await bench.lists(...others);
    expect(bench.connected).toEqual(ADDRESSES);
  });

  test('goes at once by an exclude', async () => {
    const bench = await inUse();
    bench.reload(`[Controllers]\nexclude = traddr=${used}\n`);
    await bench.clock.advance(1_000);
    expect(bench.connected).toEqual(others);
  });
});

describe('two paths to what is in use, the last ones', () => {
  const MOUNT = { kind: 'mount', device: 'nvme0n1', at: '/data', fileSystem: 'ext4' } as const;

  /** The namespace leads through every device that is there, as sysfs would show it. */
  function shared(bench: Bench, traddrs: readonly string[]): void {
    bench.blockUses.others = (controller) => {
      const there = bench.devices.controllers.filter(({ traddr }) => traddrs.includes(traddr));
      const otherPaths = there.map(({ device }) => device).filter((it) => it !== controller);
      return there.some(({ device }) => device === controller)
        ? [{ block: 'nvme0n1', uses: [MOUNT], otherPaths }]
        : [];
    };
  }

  test('do not both go, one after the other, while the first is still being disconnected', async () => {
    const bench = await connected();
    const [first = '', second = '', ...others] = ADDRESSES;
    shared(bench, [first, second]);
    bench.fabrics.disconnects.hold();
    await bench.lists(second, ...others);
    expect(bench.fabrics.disconnects.requests).toHaveLength(1);
    await bench.lists(...others);
    await bench.clock.advance(20_000);
    expect(bench.fabrics.disconnects.requests).toHaveLength(1);
    expect(bench.errors().join()).toContain('/data');
    bench.fabrics.disconnects.release();
    await bench.clock.advance(20_000);
    expect(bench.connected).toEqual([second, ...others]);
  });

  test("do not both go, one by a log and one by the audit of others' connections", async () => {
    const bench = new Bench();
    const [own = '', other = ''] = ADDRESSES;
    bench.target(own);
    bench.devices.add({ traddr: other, trsvcid: '4420', subsysnqn: 'nqn.sub', hostnqn: HOST });
    shared(bench, [own, other]);
    await bench.start();
    await bench.lists(own);
    expect(bench.connected).toEqual([own, other]);
    bench.discovery = known(bench.state([]));
    bench.reload(
      '[I/O controller connection management]\ndisconnect-scope=all-connections-matching-disconnect-trtypes\n',
    );
    await bench.clock.advance(20_000);
    expect(bench.connected).toHaveLength(1);
    expect(bench.errors().join()).toContain('/data');
  });
});

test('that a removal is held is news', async () => {
  const bench = await connected();
  await bench.clock.advance(10_000);
  const before = bench.changes;
  await bench.lists();
  expect(bench.changes).toBeGreaterThan(before);
  const told = bench.changes;
  await bench.clock.advance(20_000);
  expect(bench.changes).toBe(told);
});

test('the stop of stacd while something is held leaves every connection', async () => {
  const bench = await connected();
  await bench.lists();
  await bench.service.stop();
  await bench.clock.advance(3_600_000);
  expect(bench.connected).toEqual(ADDRESSES);
});

describe('connections that nothing asks for, with the scope that drops those of others', () => {
  const SCOPE =
    '[I/O controller connection management]\ndisconnect-scope=all-connections-matching-disconnect-trtypes\n';

  /** Made by somebody else; stafd's log lists none of them. */
  async function foreign(count: number, text = SCOPE): Promise<Bench> {
    const bench = new Bench(text);
    for (const traddr of ADDRESSES.slice(0, count)) {
      bench.devices.add({ traddr, trsvcid: '4420', subsysnqn: 'nqn.sub', hostnqn: HOST });
    }
    await bench.start();
    await bench.lists();
    return bench;
  }

  test('go at once if they are few', async () => {
    const bench = await foreign(4);
    expect(bench.connected).toEqual([]);
    expect(bench.errors()).toEqual([]);
  });

  test('stay, if they are many, until the logs were read so again, and are dropped once', async () => {
    const bench = await foreign(8);
    await bench.clock.advance(20_000);
    expect(bench.connected).toEqual(ADDRESSES);
    expect(bench.errors()[0]).toContain('8 of 8 connections');
    expect(Object.keys(bench.service.heldBack())).toHaveLength(8);
    await bench.clock.advance(20_000);
    expect(bench.connected).toEqual(ADDRESSES);
    expect(bench.confirmations).toBe(1);
    await bench.lists();
    expect(bench.connected).toEqual([]);
    await bench.clock.advance(600_000);
    expect(bench.fabrics.disconnects.requests).toHaveLength(8);
    expect(bench.service.heldBack()).toEqual({});
  });

  test('stay if a log lists them meanwhile', async () => {
    const bench = await foreign(8);
    for (const traddr of ADDRESSES) bench.target(traddr);
    const before = bench.devices.controllers;
    await bench.clock.advance(20_000);
    await bench.lists(...ADDRESSES);
    await bench.clock.advance(600_000);
    expect(bench.devices.controllers).toEqual(before);
    expect(bench.service.heldBack()).toEqual({});
  });

  test('stay, too, if one is in use, and go by an exclude', async () => {
    const bench = new Bench(SCOPE);
    const { device } = bench.devices.add({
      ...{ traddr: ADDRESSES[0] ?? '', trsvcid: '4420', subsysnqn: 'nqn.sub', hostnqn: HOST },
    });
    const use = { kind: 'swap', device: 'nvme0n1' } as const;
    bench.blockUses.uses.set(device, [{ block: 'nvme0n1', uses: [use], otherPaths: [] }]);
    await bench.start();
    await bench.lists();
    await bench.clock.advance(600_000);
    expect(bench.connected).toEqual(ADDRESSES.slice(0, 1));
    bench.reload(`${SCOPE}[Controllers]\nexclude = transport=tcp\n`);
    await bench.clock.advance(1_000);
    expect(bench.connected).toEqual([]);
  });
});

describe('the preview of a reload', () => {
  test('tells what stays held, and what goes by a setting', async () => {
    const bench = await connected();
    await bench.lists();
    const ends = async (text: string): Promise<readonly unknown[]> => {
      const { remove } = await bench.preview(text);
      return remove.map(({ connection, spared }) => [connection, spared?.split(':', 1)[0]]);
    };
    const held = ['stays', 'held back until it is confirmed'];
    expect(await ends('')).toEqual(ADDRESSES.map(() => held));
    const gone = ADDRESSES.map(() => ['disconnected', undefined]);
    expect(await ends('[I/O controller connection management]\ndisconnect-limit=100\n')).toEqual(
      gone,
    );
    expect(await ends('[Controllers]\nexclude = transport=tcp\n')).toEqual(gone);
    expect(bench.connected).toEqual(ADDRESSES);
  });
});

test('what is in use that cannot be found out in time counts as use, and ends nothing for ever', async () => {
  const bench = await connected();
  bench.blockUses.reads.hold();
  await bench.lists(...ADDRESSES.slice(1));
  await bench.clock.advance(5_000);
  expect(bench.errors()).toEqual([]);
  await bench.clock.advance(10_000);
  expect(bench.errors()[1]).toContain('no answer in time');
  expect(bench.connected).toEqual(ADDRESSES);
  await bench.clock.advance(40_000);
  await bench.lists(...ADDRESSES.slice(1));
  expect(bench.connected).toEqual(ADDRESSES.slice(1));
});

test('a restart of stacd, and an absence of stafd, begin the doubt anew', async () => {
  const before = await connected();
  await before.lists();
  await before.clock.advance(25_000);
  await before.service.stop();
  const bench = new Bench('', before);
  await bench.start();
  await bench.clock.advance(1_000);
  await bench.lists();
  await bench.clock.advance(10_000);
  await bench.lists();
  await bench.clock.advance(15_000);
  await bench.says(unknown('stafd is away'));
  await bench.clock.advance(600_000);
  expect(bench.connected).toEqual(ADDRESSES);
  expect(bench.service.heldBack()).toEqual({});
  await bench.lists();
  await bench.clock.advance(20_000);
  expect(bench.connected).toEqual(ADDRESSES);
  await bench.clock.advance(20_000);
  await bench.lists();
  expect(bench.connected).toEqual([]);
});

test('a reload does not shorten the doubt, and one without a limit ends it', async () => {
  const bench = await connected();
  await bench.lists();
  bench.reload('[Global]\ntron = true\n');
  await bench.clock.advance(20_000);
  expect(bench.connected).toEqual(ADDRESSES);
  expect(bench.errors().filter((line) => line.startsWith('Held back: 8'))).toHaveLength(1);
  bench.reload('[I/O controller connection management]\ndisconnect-limit=100\n');
  await bench.clock.advance(1_000);
  expect(bench.connected).toEqual([]);
  expect(bench.log.messages('notice').join()).toContain('By a setting: 8');
});
