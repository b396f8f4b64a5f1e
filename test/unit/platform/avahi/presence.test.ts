/** avahi-daemon absent, late, restarted, hanging, refusing. */
import { describe, expect, test } from 'vitest';
import { AvahiBrowser } from '../../../../src/platform/avahi/service-browser.ts';
import { FakeAvahi, type FakeAnnouncement } from '../../../fakes/fake-avahi.ts';
import { FakeBusDaemon } from '../../../fakes/fake-bus.ts';
import { FakeClock } from '../../../fakes/clock.ts';
import { MemoryLog } from '../../../fakes/log.ts';

const TCP = '_nvme-disc._tcp';
const UDP = '_nvme-disc._udp';
const NAME = 'org.freedesktop.Avahi';
const DC: FakeAnnouncement = { name: 'dc', type: TCP, addresses: ['192.0.2.7'] };

function bench() {
  const clock = new FakeClock();
  const daemon = new FakeBusDaemon(clock);
  const log = new MemoryLog();
  const avahi = new FakeAvahi(daemon, clock);
  avahi.announce(DC);
  const bus = daemon.connect();
  const browser = new AvahiBrowser({ bus, clock, log, interfaceName: () => 'eth0' });
  browser.browse({ types: [TCP, UDP], families: new Set(['ipv4', 'ipv6']) });
  return {
    ...{ avahi, browser, bus, clock, daemon, log },
    addresses: () => browser.seen().services.map(({ record }) => record?.address),
    incomplete: () => browser.seen().incomplete,
  };
}

async function found() {
  const it = bench();
  await it.avahi.start();
  await it.clock.advance(11_000);
  expect(it.addresses()).toEqual(['192.0.2.7']);
  expect(it.incomplete()).toBeUndefined();
  return it;
}

describe('an avahi-daemon', () => {
  test('that is absent leaves everything unknown, with one line', async () => {
    const it = bench();
    await it.clock.advance(600_000);
    expect(it.incomplete()).toMatch(/not running/);
    expect(it.log.lines).toHaveLength(1);
    expect(it.log.messages('warning')).toHaveLength(1);
  });

  test('that comes late is used at once', async () => {
    const it = bench();
    await it.clock.advance(90_000);
    await it.avahi.start();
    await it.clock.advance(100);
    expect(it.addresses()).toEqual(['192.0.2.7']);
    expect(it.browser.wakeUpIn).toBeUndefined();
    await it.clock.advance(11_000);
    expect(it.incomplete()).toBeUndefined();
  });

  test('that the bus can start is started at once, and after it ended within a minute', async () => {
    const it = bench();
    let starts = 0;
    it.daemon.activatable.set(NAME, async () => {
      starts += 1;
      await it.avahi.start();
    });
    await it.clock.advance(100);
    expect(it.addresses()).toEqual(['192.0.2.7']);
    it.avahi.stop();
    await it.clock.advance(59_000);
    expect(starts).toBe(1);
    expect(it.browser.wakeUpIn).toBe(1_000);
    await it.clock.advance(1_100);
    expect(starts).toBe(2);
    expect(it.addresses()).toEqual(['192.0.2.7']);
  });

  test('that leaves takes with it what was found, and nothing is complete any more', async () => {
    const it = await found();
    it.avahi.stop();
    await it.clock.advance(100);
    expect(it.browser.seen()).toEqual({
      services: [],
      incomplete: expect.any(String) as string,
      missing: true,
    });
    expect(it.log.messages('warning')).toHaveLength(1);
  });

  test('that is restarted is asked anew, however quickly', async () => {
    const it = await found();
    const [before] = it.browser.seen().services;
    it.avahi.stop();
    await it.avahi.start();
    await it.clock.advance(100);
    expect(it.addresses()).toEqual(['192.0.2.7']);
    expect(it.browser.seen().services[0]?.id).not.toBe(before?.id);
    expect(it.incomplete()).toBeDefined();
    await it.clock.advance(11_000);
    expect(it.incomplete()).toBeUndefined();
    expect(it.avahi.objects).toBe(3);
  });
});

describe('an avahi-daemon that hangs', () => {
  test('from the start is asked again without piling up objects, and used when it goes on', async () => {
    const it = bench();
    await it.avahi.start();
    it.avahi.hang();
    await it.clock.advance(3_600_000);
    expect(it.incomplete()).toMatch(/does not answer/);
    expect(it.log.messages('warning')).toHaveLength(1);
    const made = it.avahi.calls.filter((call) => call.endsWith('New'));
    expect(made).toHaveLength(2);
    it.avahi.resume();
    await it.clock.advance(15_000);
    expect(it.addresses()).toEqual(['192.0.2.7']);
    expect(it.incomplete()).toBeUndefined();
    // Those that were made by the calls that were given up are freed: two browsers, a resolver.
    expect(it.avahi.objects).toBe(3);
    expect(it.log.messages('info').at(-1)).toMatch(/is there/);
  });

  test('while it resolves leaves the service unknown, and resolves it when it goes on', async () => {
    const it = await found();
    it.avahi.hang();
    const late = { ...DC, name: 'late', addresses: ['192.0.2.8'] } as const;
    it.avahi.announce(late);
    await it.clock.advance(120_000);
    expect(it.addresses()).toEqual(['192.0.2.7']);
    it.avahi.resume();
    await it.clock.advance(100);
    expect(it.addresses()).toEqual(['192.0.2.7', '192.0.2.8']);
  });

  test('after an announcement is not asked for a resolver again and again', async () => {
    const it = await found();
    it.avahi.announce({ ...DC, name: 'late', addresses: ['192.0.2.8'] });
    it.avahi.hang();
    await it.clock.advance(600_000);
    expect(it.incomplete()).toMatch(/does not answer/);
    expect(it.addresses()).toEqual(['192.0.2.7', undefined]);
    expect(it.avahi.calls.filter((call) => call === 'ServiceResolverNew')).toHaveLength(2);
    it.avahi.resume();
    await it.clock.advance(1_000);
    expect(it.addresses()).toEqual(['192.0.2.7', '192.0.2.8']);
    expect(it.avahi.objects).toBe(4);
    expect(it.incomplete()).toBeUndefined();
  });
});

test('an avahi-daemon that hung while the configuration changed is used when it goes on', async () => {
  const it = await found();
  it.avahi.hang();
  it.browser.browse({ types: [], families: new Set() });
  await it.clock.advance(60_000);
  it.browser.browse({ types: [TCP], families: new Set(['ipv4']) });
  await it.clock.advance(60_000);
  expect(it.incomplete()).toMatch(/does not answer/);
  it.avahi.resume();
  await it.clock.advance(80_000);
  expect(it.addresses()).toEqual(['192.0.2.7']);
  expect(it.incomplete()).toBeUndefined();
  expect(it.avahi.objects).toBe(2);
});

describe('an avahi-daemon that refuses', () => {
  test('every resolver is not asked without end', async () => {
    const it = bench();
    it.avahi.maxObjects = 2;
    await it.avahi.start();
    await it.clock.advance(50_000);
    expect(it.avahi.calls.filter((call) => call === 'ServiceResolverNew')).toHaveLength(1);
    expect(it.incomplete()).toMatch(/resolved/);
    it.avahi.maxObjects = 3;
    await it.clock.advance(60_000);
    expect(it.addresses()).toEqual(['192.0.2.7']);
  });

  test('to browse is asked again every minute, with one line', async () => {
    const it = bench();
    it.avahi.refusal = `${NAME}.NotSupportedError`;
    await it.avahi.start();
    await it.clock.advance(200_000);
    expect(it.incomplete()).toMatch(/cannot browse/);
    expect(it.log.messages('error')).toHaveLength(2);
    it.avahi.refusal = undefined;
    await it.clock.advance(60_000);
    expect(it.addresses()).toEqual(['192.0.2.7']);
    expect(it.incomplete()).toBeUndefined();
    expect(it.browser.wakeUpIn).toBeUndefined();
  });

  test('a browser after it had worked loses its services alone, until it works again', async () => {
    const it = await found();
    it.avahi.announce({ ...DC, type: UDP, addresses: ['192.0.2.9'] });
    await it.clock.advance(100);
    it.avahi.fail(TCP);
    await it.clock.advance(100);
    expect(it.addresses()).toEqual(['192.0.2.9']);
    expect(it.incomplete()).toMatch(/cannot browse/);
    await it.clock.advance(62_000);
    expect(it.addresses().sort()).toEqual(['192.0.2.7', '192.0.2.9']);
    expect(it.incomplete()).toBeUndefined();
    expect(it.avahi.objects).toBe(4);
  });

  test('a name for good does not keep everything else unknown', async () => {
    const it = await found();
    it.avahi.refusal = `${NAME}.InvalidServiceNameError`;
    it.avahi.announce({ ...DC, name: 'strange' });
    await it.clock.advance(100);
    expect(it.incomplete()).toBeUndefined();
    expect(it.addresses()).toEqual(['192.0.2.7', undefined]);
  });

  test('a resolver for another reason is asked for it again', async () => {
    const it = await found();
    it.avahi.refusal = 'org.freedesktop.DBus.Error.LimitsExceeded';
    it.avahi.announce({ ...DC, name: 'late', addresses: ['192.0.2.8'] });
    await it.clock.advance(100);
    expect(it.incomplete()).toMatch(/resolved/);
    it.avahi.refusal = undefined;
    await it.clock.advance(60_100);
    expect(it.addresses()).toEqual(['192.0.2.7', '192.0.2.8']);
  });
});

test('signals of others than avahi-daemon are not listened to', async () => {
  const it = await found();
  const impostor = it.daemon.connect();
  impostor.export({
    path: '/Client0/ServiceBrowser1',
    introspectionXml: `<node><interface name="${NAME}.ServiceBrowser"><signal name="ItemRemove">
      <arg type="i" name="a"/><arg type="i" name="b"/><arg type="s" name="c"/><arg type="s" name="d"/>
      <arg type="s" name="e"/><arg type="u" name="f"/></signal></interface></node>`,
    methods: {},
    properties: {},
  });
  const args = [2, 0, 'dc', TCP, 'local', 0];
  impostor.emitSignal('/Client0/ServiceBrowser1', `${NAME}.ServiceBrowser`, 'ItemRemove', args);
  await it.clock.advance(100);
  expect(it.addresses()).toEqual(['192.0.2.7']);
});

test('nothing is left after the end', async () => {
  const it = await found();
  it.browser.dispose();
  await it.clock.advance(100);
  expect(it.avahi.objects).toBe(0);
  expect(it.clock.pendingTimers).toBe(0);
  expect(it.bus.failures).toEqual([]);
});
