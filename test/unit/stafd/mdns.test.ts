import { describe, expect, test } from 'vitest';
import { parseServiceConfig } from '../../../src/config/service-config.ts';
import type { ServiceRecord } from '../../../src/nvme/mdns-service.ts';
import { makeTid, tidKey, WELL_KNOWN_DISCOVERY_NQN } from '../../../src/nvme/transport-id.ts';
import type { ServiceSettings } from '../../../src/runtime/service-core.ts';
import { MdnsDiscovery } from '../../../src/stafd/mdns.ts';
import { FakeClock, settle } from '../../fakes/clock.ts';
import { FakeDevices } from '../../fakes/devices.ts';
import { FakeFabrics } from '../../fakes/fabrics.ts';
import { FakeProber } from '../../fakes/host.ts';
import { MemoryLog } from '../../fakes/log.ts';
import { FakeServiceBrowser, type Announcement } from '../../fakes/service-browser.ts';

const A = '192.0.2.7';
const B = '192.0.2.8';

function record(address: string, ...txt: readonly string[]): ServiceRecord {
  const strings = txt.length === 0 ? ['p=tcp'] : txt;
  return { address, port: 8009, txt: strings.map((text) => Buffer.from(text)) };
}

function service(address: string, fields: Partial<Announcement> = {}): Announcement {
  return {
    ...{ interfaceName: 'eth0', family: 'ipv4', name: `dc at ${address}` },
    ...{ type: '_nvme-disc._tcp', record: record(address), ...fields },
  };
}

function settingsOf(text: string, hostnqn = 'nqn.host'): ServiceSettings {
  const { config } = parseServiceConfig('stafd', [{ file: 'stafd.conf', text }]);
  return { config, host: { hostnqn, hostid: 'id' } };
}

class Bench {
  readonly clock = new FakeClock();
  readonly browser = new FakeServiceBrowser();
  readonly fabrics = new FakeFabrics(new FakeDevices());
  readonly log = new MemoryLog();
  readonly prober = new FakeProber();
  changes = 0;
  readonly mdns = new MdnsDiscovery({
    ...{ browser: this.browser, clock: this.clock, fabrics: this.fabrics, log: this.log },
    prober: this.prober,
    changed: () => (this.changes += 1),
  });

  configure(text = '', hostnqn = 'nqn.host'): void {
    this.mdns.configure(settingsOf(text, hostnqn));
  }

  async start(text = ''): Promise<this> {
    this.configure(text);
    await settle();
    return this;
  }

  /** As the service's loop does after a change, until nothing changes any more. */
  async looks(): Promise<readonly string[]> {
    this.mdns.look();
    await settle();
    return this.offered;
  }

  get offered(): readonly string[] {
    return this.mdns.look().offered.map(({ hostIface, traddr }) => `${traddr} ${hostIface}`);
  }

  get probed(): readonly string[] {
    return this.prober.probes.requests.map(({ tid }) => tid.traddr);
  }
}

describe('a service that is announced', () => {
  test('is offered when it was found to answer, as it will be connected', async () => {
    const it = await new Bench().start();
    it.browser.announce(service(A));
    expect(it.offered).toEqual([]);
    expect(it.mdns.look().incomplete).toMatch(/tried/);
    expect(await it.looks()).toEqual([`${A} eth0`]);
    expect(it.mdns.look().incomplete).toBeUndefined();
    expect(it.prober.probes.requests).toMatchObject([
      { mode: 'nvme-tcp', tid: { hostIface: 'eth0' } },
    ]);
  });

  test('is not offered before its record is known', async () => {
    const it = await new Bench().start();
    const announced = it.browser.announce(service(A, { record: undefined }));
    expect(await it.looks()).toEqual([]);
    announced.change(record(A));
    expect(await it.looks()).toEqual([`${A} eth0`]);
  });

  test('over rdma is offered without a try', async () => {
    const it = await new Bench().start();
    it.prober.setUnreachable(A, '8009');
    it.browser.announce(service(A, { record: record(A, 'p=roce') }));
    expect(await it.looks()).toEqual([`${A} `]);
  });

  test('is one, however many announcements name it, and ends with the last', async () => {
    const it = await new Bench().start();
    const first = it.browser.announce(service(A));
    const second = it.browser.announce(service(A, { family: 'ipv6', name: 'again' }));
    expect(await it.looks()).toEqual([`${A} eth0`]);
    first.withdraw();
    expect(await it.looks()).toEqual([`${A} eth0`]);
    second.withdraw();
    expect(await it.looks()).toEqual([]);
    expect(it.mdns.look().announced.size).toBe(0);
    expect(it.probed).toEqual([A]);
  });

  test('that moves is offered where it is now', async () => {
    const it = await new Bench().start();
    const announced = it.browser.announce(service(A));
    await it.looks();
    announced.change(record(B));
    expect(await it.looks()).toEqual([`${B} eth0`]);
  });

  test('that disappears and returns begins anew', async () => {
    const it = await new Bench().start();
    const announced = it.browser.announce(service(A));
    await it.looks();
    announced.withdraw();
    await it.looks();
    it.prober.setUnreachable(A, '8009');
    it.browser.announce(service(A));
    expect(await it.looks()).toEqual([]);
    expect(it.probed).toEqual([A, A]);
  });

  test('before the kernel has told its options is not offered, and incomplete', async () => {
    const it = new Bench();
    it.configure();
    it.browser.announce(service(A, { record: record(A, 'p=tcp', 'nqn=nqn.own') }));
    expect(it.mdns.look()).toMatchObject({ offered: [], incomplete: /kernel/ });
    await settle();
    await it.looks();
    expect(it.mdns.look().offered).toMatchObject([{ subsysnqn: 'nqn.own' }]);
  });

  test('has the well-known NQN where the kernel knows no other', async () => {
    const it = new Bench();
    it.fabrics.setOptions('host_iface');
    await it.start();
    it.browser.announce(service(A, { record: record(A, 'p=tcp', 'nqn=nqn.own') }));
    await it.looks();
    expect(it.mdns.look().offered).toMatchObject([{ subsysnqn: WELL_KNOWN_DISCOVERY_NQN }]);
  });
});

describe('a service that does not answer', () => {
  test('counts as announced, and is tried again after 2, 5, 10, 30, 60, 300, 600, 600 s', async () => {
    const it = await new Bench().start();
    it.prober.setUnreachable(A, '8009');
    it.browser.announce(service(A));
    expect(await it.looks()).toEqual([]);
    const { announced, incomplete } = it.mdns.look();
    const tid = { transport: 'tcp', traddr: A, hostIface: 'eth0', hostNqn: 'nqn.host' } as const;
    const key = tidKey(makeTid({ ...tid, subsysnqn: WELL_KNOWN_DISCOVERY_NQN }));
    expect([...announced]).toEqual([key]);
    expect(incomplete).toBeUndefined();
    let tries = 1;
    for (const seconds of [2, 5, 10, 30, 60, 300, 600, 600]) {
      await it.clock.advance(seconds * 1000 - 1);
      expect(it.probed).toHaveLength(tries);
      await it.clock.advance(1);
      tries += 1;
      expect(it.probed).toHaveLength(tries);
    }
    expect(it.log.messages('info')).toHaveLength(1);
    it.prober.setReachable(A, '8009');
    await it.clock.advance(600_000);
    expect(it.offered).toEqual([`${A} eth0`]);
    expect(it.clock.pendingTimers).toBe(0);
  });

  test('is tried at once on reload', async () => {
    const it = await new Bench().start();
    it.prober.setUnreachable(A, '8009');
    it.browser.announce(service(A));
    await it.looks();
    it.prober.setReachable(A, '8009');
    await it.start();
    expect(await it.looks()).toEqual([`${A} eth0`]);
  });

  test('is tried no later for tries that it was not due for', async () => {
    const it = await new Bench().start();
    it.prober.setUnreachable(A, '8009');
    it.browser.announce(service(A));
    await it.looks();
    for (let count = 0; count < 10; count += 1) {
      it.mdns.retryNow();
      await settle();
    }
    const before = it.probed.length;
    await it.clock.advance(2_000);
    expect(it.probed).toHaveLength(before + 1);
    expect(it.log.messages('info')).toHaveLength(1);
  });

  test('is no longer tried when it is withdrawn, not even by a try that is under way', async () => {
    const it = await new Bench().start();
    it.prober.probes.hold();
    const announced = it.browser.announce(service(A));
    await it.looks();
    announced.withdraw();
    await it.looks();
    it.prober.probes.release();
    await settle();
    expect(it.offered).toEqual([]);
    expect(it.clock.pendingTimers).toBe(0);
  });

  test('is offered where reachability is not to be checked', async () => {
    const it = await new Bench().start('[Global]\nreachability-check=disabled\n');
    it.prober.setUnreachable(A, '8009');
    it.browser.announce(service(A));
    expect(await it.looks()).toEqual([`${A} eth0`]);
  });
});

describe('what the configuration refuses', () => {
  test.each([
    ['an excluded service', `[Controllers]\nexclude=traddr=${A}\n`],
    ['an address of a family that is disabled', '[Global]\nip-family=ipv6\n'],
  ])('is never tried: %s, until it is allowed', async (_, text) => {
    const it = await new Bench().start(text);
    it.browser.announce(service(A));
    expect(await it.looks()).toEqual([]);
    expect(it.probed).toEqual([]);
    expect(it.mdns.look().incomplete).toBeUndefined();
    it.configure();
    expect(await it.looks()).toEqual([`${A} eth0`]);
    it.configure(text);
    expect(await it.looks()).toEqual([]);
  });

  test('is asked of the browser by family', async () => {
    const it = await new Bench().start('[Global]\nip-family=ipv6\n');
    expect([...it.browser.query.families]).toEqual(['ipv6']);
  });

  test('ends with zeroconf: nothing is looked for, announced or tried, and that is complete', async () => {
    const it = await new Bench().start();
    it.prober.setUnreachable(A, '8009');
    it.browser.announce(service(A));
    await it.looks();
    it.configure('[Service Discovery]\nzeroconf=disabled\n');
    await it.looks();
    expect(it.browser.query.types).toEqual([]);
    const nothing = { offered: [], announced: new Set(), incomplete: undefined, missing: false };
    expect(it.mdns.look()).toEqual(nothing);
    expect(it.clock.pendingTimers).toBe(0);
    it.prober.setReachable(A, '8009');
    it.configure();
    expect(await it.looks()).toEqual([`${A} eth0`]);
  });

  test('drops interfaces with ignore-iface, so that two announcements become one', async () => {
    const it = await new Bench().start('[Global]\nignore-iface=true\n');
    it.browser.announce(service(A));
    it.browser.announce(service(A, { interfaceName: 'eth1' }));
    expect(await it.looks()).toEqual([`${A} `]);
  });
});

describe('complaints', () => {
  test('about a service that is not understood come once, in one line', async () => {
    const it = await new Bench().start();
    const name = 'evil\nstafd: forged \u202e';
    it.browser.announce(service(A, { name, record: record(A, 'p=fc') }));
    it.browser.announce(service(B));
    expect(await it.looks()).toEqual([`${B} eth0`]);
    for (let count = 0; count < 5; count += 1) {
      it.browser.incomplete = String(count);
      await it.looks();
    }
    const errors = it.log.messages('error');
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(/^[ -~]+$/);
    expect(errors[0]).toContain('"fc"');
  });

  test('about an address on two interfaces come once, and both are offered', async () => {
    const it = await new Bench().start();
    it.browser.announce(service(A));
    const other = it.browser.announce(service(A, { interfaceName: 'eth1' }));
    expect(await it.looks()).toEqual([`${A} eth0`, `${A} eth1`]);
    it.browser.announce(service(B));
    await it.looks();
    expect(it.log.messages('error')).toEqual([
      `mDNS finds the address ${A} on several interfaces: eth0, eth1`,
    ]);
    other.withdraw();
    expect(await it.looks()).toEqual([`${A} eth0`, `${B} eth0`]);
  });

  test('of thousands of strangers are few', async () => {
    const it = await new Bench().start();
    for (let count = 0; count < 2_000; count += 1) {
      const name = `x${String(count)}`;
      it.browser.announce(service(A, { name, record: record(A, 'p=no') }));
    }
    await it.looks();
    expect(it.log.lines.length).toBeLessThan(30);
  });
});

describe('the loss of avahi-daemon', () => {
  test('is said to leave what was found unknown', async () => {
    const it = await new Bench().start();
    it.browser.announce(service(A));
    await it.looks();
    it.browser.forget('avahi-daemon is not running');
    it.browser.missing = true;
    expect(it.mdns.look()).toMatchObject({ offered: [], incomplete: /not running/, missing: true });
  });
});

test('process_info shows timer, types and services as nvme-stas does', async () => {
  const it = await new Bench().start();
  it.browser.wakeUpIn = 1_800;
  it.browser.announce(service(A, { name: 'dc\n1' }));
  it.browser.announce(service(B, { name: 'unresolved', record: undefined, family: 'ipv6' }));
  await it.looks();
  expect(it.mdns.info()).toEqual({
    'avahi wake up timer': '60.0s [1.8s]',
    'service types': ['_nvme-disc._tcp', '_nvme-disc._udp'],
    services: {
      '(eth0, IPv4, dc\\x0a1.local, _nvme-disc._tcp)': {
        transport: 'tcp',
        traddr: A,
        trsvcid: '8009',
        'host-iface': 'eth0',
        subsysnqn: WELL_KNOWN_DISCOVERY_NQN,
        reachable: 'True',
      },
      '(eth0, IPv6, unresolved.local, _nvme-disc._tcp)': { reachable: 'False' },
    },
  });
});

test('nothing is left after the end', async () => {
  const it = await new Bench().start();
  it.prober.setUnreachable(A, '8009');
  it.browser.announce(service(A));
  await it.looks();
  it.mdns.dispose();
  expect(it.browser.disposed).toBe(true);
  expect(it.clock.pendingTimers).toBe(0);
});

describe('the preview of a configuration', () => {
  async function seen(): Promise<Bench> {
    const it = await new Bench().start();
    it.prober.setUnreachable(B, '8009');
    it.browser.announce(service(A));
    it.browser.announce(service(B));
    await it.looks();
    return it;
  }

  test.each([
    ['the same', '', 'nqn.host'],
    ['one that refuses a controller', `[Controllers]\nexclude=traddr=${A}`, 'nqn.host'],
    ['one without interfaces', '[Global]\nignore-iface=true', 'nqn.host'],
    ['one of another host', '', 'nqn.other'],
    ['one without mDNS', '[Service Discovery]\nzeroconf=disabled', 'nqn.host'],
  ])('says what is said right after %s was taken over, and tries nothing', async (_, text, nqn) => {
    const it = await seen();
    const [before, probes] = [it.mdns.look(), it.probed.length];
    const preview = it.mdns.preview(settingsOf(text, nqn));
    await settle();
    expect([it.mdns.look(), it.probed.length]).toEqual([before, probes]);
    it.configure(text, nqn);
    expect(preview).toEqual(it.mdns.look());
  });

  test('knows nothing of what has to be looked for first', async () => {
    const off = await new Bench().start('[Service Discovery]\nzeroconf=disabled');
    off.browser.announce(service(A));
    const nothing = { offered: [], announced: new Set() };
    expect(off.mdns.preview(settingsOf(''))).toMatchObject(nothing);
    expect(off.mdns.preview(settingsOf('')).incomplete).toMatch(/anew/);
    const on = await seen();
    const families = on.mdns.preview(settingsOf('[Global]\nip-family=ipv4'));
    expect(families).toMatchObject(nothing);
    expect(families.incomplete).toMatch(/anew/);
  });
});
