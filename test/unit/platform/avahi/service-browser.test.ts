import { describe, expect, test } from 'vitest';
import { AvahiBrowser } from '../../../../src/platform/avahi/service-browser.ts';
import type { IpFamily } from '../../../../src/nvme/ip-address.ts';
import { FakeAvahi, type FakeAnnouncement } from '../../../fakes/fake-avahi.ts';
import { FakeBusDaemon } from '../../../fakes/fake-bus.ts';
import { FakeClock } from '../../../fakes/clock.ts';
import { MemoryLog } from '../../../fakes/log.ts';

const TCP = '_nvme-disc._tcp';
const UDP = '_nvme-disc._udp';
const BOTH: ReadonlySet<IpFamily> = new Set(['ipv4', 'ipv6']);
const INTERFACES: Readonly<Record<number, string>> = { 2: 'eth0', 3: 'eth1' };

function bench() {
  const clock = new FakeClock();
  const daemon = new FakeBusDaemon(clock);
  const log = new MemoryLog();
  const bus = daemon.connect();
  const avahi = new FakeAvahi(daemon, clock);
  const browser = new AvahiBrowser({
    ...{ bus, clock, log },
    interfaceName: (index) => INTERFACES[index],
  });
  let changes = 0;
  browser.onChange(() => (changes += 1));
  return {
    ...{ avahi, browser, bus, clock, daemon, log },
    changes: () => changes,
    browse: async (...families: readonly IpFamily[]) => {
      const wanted = families.length === 0 ? BOTH : new Set(families);
      browser.browse({ types: [TCP, UDP], families: wanted });
      await clock.advance(100);
    },
    names: () => browser.seen().services.map(({ name }) => name),
    addresses: () => browser.seen().services.map(({ record }) => record?.address),
  };
}

type Bench = ReturnType<typeof bench>;

async function browsing(...announced: readonly FakeAnnouncement[]): Promise<Bench> {
  const it = bench();
  await it.avahi.start();
  for (const announcement of announced) it.avahi.announce(announcement);
  await it.browse();
  return it;
}

function service(name: string, fields: Partial<FakeAnnouncement> = {}): FakeAnnouncement {
  return { name, type: TCP, addresses: ['192.0.2.7'], txt: ['p=tcp'], ...fields };
}

/** More than was answered before, but no more than are let run side by side. */
const TIME_FOR_ALL = 5_000;

describe('a service', () => {
  test('is seen with where it was heard and what its record says', async () => {
    const it = await browsing(service('dc', { port: 4711, txt: ['p=tcp', 'NQN=nqn.x'] }));
    expect(it.browser.seen().services).toEqual([
      {
        id: 1,
        interfaceName: 'eth0',
        family: 'ipv4',
        name: 'dc',
        type: TCP,
        record: { address: '192.0.2.7', port: 4711, txt: ['p=tcp', 'NQN=nqn.x'].map(bytes) },
      },
    ]);
  });

  test('is seen although avahi-daemon says everything before it answers', async () => {
    const it = bench();
    it.avahi.early = true;
    await it.avahi.start();
    it.avahi.announce(service('dc'));
    await it.browse();
    expect(it.addresses()).toEqual(['192.0.2.7']);
    expect(it.avahi.objects).toBe(3);
  });

  test('is gone when it is withdrawn, its resolver freed, and is another when it returns', async () => {
    const it = await browsing();
    const first = it.avahi.announce(service('dc'));
    await it.clock.advance(100);
    const [before] = it.browser.seen().services;
    first.withdraw();
    await it.clock.advance(100);
    expect(it.names()).toEqual([]);
    expect(it.avahi.resolvers).toBe(0);
    it.avahi.announce(service('dc'));
    await it.clock.advance(100);
    const [after] = it.browser.seen().services;
    expect(after?.record).toBeDefined();
    expect(after?.id).not.toBe(before?.id);
  });

  test('that is withdrawn while it is being resolved leaves no resolver behind', async () => {
    const it = await browsing();
    const announced = it.avahi.announce(service('dc'));
    announced.withdraw();
    await it.clock.advance(100);
    expect(it.names()).toEqual([]);
    expect(it.avahi.resolvers).toBe(0);
    expect(it.avahi.calls.filter((call) => call === 'Free')).toHaveLength(1);
  });

  test('that changes its record keeps its identity', async () => {
    const it = await browsing(service('dc'));
    const [first] = it.browser.seen().services;
    const changes = it.changes();
    it.avahi.change(service('dc', { addresses: ['192.0.2.8'] }));
    await it.clock.advance(100);
    const [second] = it.browser.seen().services;
    expect(second?.id).toBe(first?.id);
    expect(second?.record?.address).toBe('192.0.2.8');
    expect(it.changes()).toBeGreaterThan(changes);
  });

  test('that is told again unchanged keeps its record', async () => {
    const announced = service('dc');
    const it = await browsing(announced);
    const [first] = it.browser.seen().services;
    it.avahi.change({ ...announced });
    await it.clock.advance(100);
    expect(it.browser.seen().services[0]?.record).toBe(first?.record);
  });

  test('counts on each interface and protocol', async () => {
    const it = await browsing(
      service('dc'),
      service('dc', { protocol: 1, addresses: [undefined, 'fe80::7'] }),
      service('dc', { interfaceIndex: 3 }),
    );
    expect(
      it.browser
        .seen()
        .services.map(({ family, interfaceName }) => `${interfaceName} ${family}`)
        .sort(),
    ).toEqual(['eth0 ipv4', 'eth0 ipv6', 'eth1 ipv4']);
  });

  test('on an interface that is gone is not seen', async () => {
    expect((await browsing(service('dc', { interfaceIndex: 9 }))).names()).toEqual([]);
  });

  test.each(['a\nb\u001b[31m', 'quote " \\ \u202e %s', '\u{1f4be}'.repeat(15), ''])(
    'may have any name: %j',
    async (name) => {
      const it = await browsing(service(name));
      expect(it.names()).toEqual([name]);
      expect(it.addresses()).toEqual(['192.0.2.7']);
    },
  );
});

describe('the address of a service', () => {
  const dual = service('dc', { addresses: ['192.0.2.7', 'fe80::7'] });

  test('is of the protocol that it was heard by', async () => {
    const it = await browsing(dual, { ...dual, protocol: 1 });
    expect(it.addresses()).toEqual(['192.0.2.7', 'fe80::7']);
  });

  test('is of the other one where it has no such address', async () => {
    const it = await browsing(service('dc', { addresses: [undefined, 'fe80::7'] }));
    expect(it.addresses()).toEqual([undefined]);
    await it.clock.advance(10_000);
    expect(it.addresses()).toEqual(['fe80::7']);
    expect(it.avahi.resolvers).toBe(1);
  });

  test('is never of a protocol that is not wanted', async () => {
    const it = bench();
    await it.avahi.start();
    it.avahi.announce({ ...dual, protocol: 1 });
    await it.browse('ipv4');
    expect(it.addresses()).toEqual(['192.0.2.7']);
  });
});

describe('what was found', () => {
  test('is complete when everything was asked for several times and resolved', async () => {
    const it = await browsing(service('dc'));
    await it.clock.advance(9_000);
    expect(it.browser.seen().incomplete).toMatch(/looked for/);
    await it.clock.advance(1_000);
    expect(it.browser.seen().incomplete).toBeUndefined();
  });

  test('is incomplete while a service is being resolved, not for ever if nobody answers', async () => {
    const it = await browsing();
    await it.clock.advance(10_000);
    expect(it.browser.seen().incomplete).toBeUndefined();
    it.avahi.announce(service('dc', { addresses: [undefined] }));
    await it.clock.advance(100);
    expect(it.browser.seen().incomplete).toMatch(/resolved/);
    await it.clock.advance(10_500);
    expect(it.browser.seen().incomplete).toBeUndefined();
    expect(it.addresses()).toEqual([undefined]);
  });

  test('is complete and empty where nothing is looked for', async () => {
    const it = await browsing(service('dc'));
    it.browser.browse({ types: [], families: BOTH });
    await it.clock.advance(2_000);
    expect(it.browser.seen()).toEqual({ services: [], incomplete: undefined, missing: false });
    expect(it.avahi.objects).toBe(0);
    expect(it.clock.pendingTimers).toBe(0);
    await it.browse();
    expect(it.addresses()).toEqual(['192.0.2.7']);
  });

  test('stays as it is when the same is looked for again', async () => {
    const it = await browsing(service('dc'));
    const calls = it.avahi.calls.length;
    it.browser.browse({ types: [TCP, UDP], families: new Set(BOTH) });
    await it.clock.advance(100);
    expect(it.avahi.calls).toHaveLength(calls);
  });
});

describe('thousands of services', () => {
  const many = Array.from({ length: 3_000 }, (_, index) =>
    service(`dc${String(index)}`, {
      addresses: [`10.0.${String(index >> 8)}.${String(index & 255)}`],
    }),
  );

  test('are all resolved, with bounded objects and calls', async () => {
    const it = await browsing(...many);
    await it.clock.advance(TIME_FOR_ALL);
    expect(it.addresses().filter((address) => address !== undefined)).toHaveLength(3_000);
    expect(it.avahi.mostObjects).toBeLessThan(600);
  });

  test('of which nobody answers for most do not keep the others from being resolved', async () => {
    const dead = many.map((announced) => ({ ...announced, addresses: [undefined] as const }));
    const it = await browsing(...dead, service('alive'));
    await it.clock.advance(120_000);
    expect(it.addresses().filter((address) => address !== undefined)).toEqual(['192.0.2.7']);
    expect(it.browser.seen().incomplete).toBeUndefined();
  });

  test('are resolved too where avahi-daemon grants fewer objects', async () => {
    const it = bench();
    it.avahi.maxObjects = 50;
    await it.avahi.start();
    for (const announced of many.slice(0, 300)) it.avahi.announce(announced);
    await it.browse();
    await it.clock.advance(TIME_FOR_ALL);
    expect(it.addresses().filter((address) => address !== undefined)).toHaveLength(300);
    expect(it.avahi.mostObjects).toBe(50);
  });

  test('are asked about again where they have no resolver, so that changes are seen', async () => {
    const it = await browsing(...many.slice(0, 600));
    await it.clock.advance(TIME_FOR_ALL);
    for (const announced of many.slice(0, 600)) {
      it.avahi.change({ ...announced, addresses: ['192.0.2.99'] });
    }
    await it.clock.advance(310_000);
    expect(new Set(it.addresses())).toEqual(new Set(['192.0.2.99']));
  });

  test('beyond what avahi-daemon itself keeps are left out, and said to be', async () => {
    const flood = Array.from({ length: 4_200 }, (_, index) => service(`x${String(index)}`));
    const it = bench();
    await it.avahi.start();
    const announced = flood.map((announcement) => it.avahi.announce(announcement));
    await it.browse();
    await it.clock.advance(20_000);
    expect(it.names()).toHaveLength(4_096);
    expect(it.browser.seen().incomplete).toMatch(/more services/);
    expect(it.log.messages('warning')).toHaveLength(1);
    for (const announcement of announced.slice(0, 4_000)) announcement.withdraw();
    await it.clock.advance(20_000);
    expect(it.names()).toHaveLength(200);
    expect(it.browser.seen().incomplete).toBeUndefined();
  });
});

function bytes(text: string): Buffer {
  return Buffer.from(text);
}
