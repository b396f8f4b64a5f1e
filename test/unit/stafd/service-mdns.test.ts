import { describe, expect, test } from 'vitest';
import { StafdBench } from './bench.ts';
import { announced, dcTid, foundSoFar } from './plan-samples.ts';

const A = '10.0.0.1';

describe('mDNS', () => {
  const PERSIST = '[Discovery controller connection management]\nzeroconf-connections-persistence=';

  test('falling silent leaves what is connected, and drops it when its time is over', async () => {
    const bench = await new StafdBench(`${PERSIST}5\n`).start();
    const target = bench.target(A);
    await bench.reports(dcTid(A));
    expect(bench.connected).toEqual([A]);
    await bench.reports();
    await bench.clock.advance(600_000);
    expect(bench.connected).toEqual([A]);
    bench.fabrics.removeTarget(target);
    bench.devices.remove('nvme0');
    await bench.clock.advance(4_000);
    expect(bench.traddrs).toEqual([A]);
    await bench.clock.advance(2_500);
    expect(bench.traddrs).toEqual([]);
  });

  test('coming back after days of absence begins the time anew', async () => {
    const bench = await new StafdBench(`${PERSIST}5\n`).start();
    await bench.reports(dcTid(A));
    bench.mdns = foundSoFar('avahi-daemon left the bus');
    bench.service.sourceChanged();
    await bench.clock.advance(600_000);
    await bench.reports();
    expect(bench.traddrs).toEqual([A]);
    await bench.clock.advance(5_000);
    expect(bench.traddrs).toEqual([]);
  });

  test('announcing it again ends the time, though it does not answer', async () => {
    const bench = await new StafdBench(`${PERSIST}5\n`).start();
    await bench.reports(dcTid(A));
    await bench.reports();
    bench.mdns = announced(dcTid(A));
    bench.service.sourceChanged();
    await bench.clock.advance(600_000);
    expect(bench.traddrs).toEqual([A]);
    await bench.reports();
    expect(bench.traddrs).toEqual([A]);
  });

  test('is tried again when the network comes up', async () => {
    const bench = new StafdBench('[Service Discovery]\nzeroconf = enabled\n');
    await bench.start();
    bench.network.emit({ kind: 'link', ifindex: 3 });
    await bench.clock.advance(300);
    expect(bench.retries).toBe(1);
  });

  test('is begun before the first pass, told of each reload, and ended with the service', async () => {
    const bench = await new StafdBench().start();
    expect(bench.browsed).toBe(1);
    await bench.reload('');
    expect(bench.browsed).toBe(2);
    await bench.service.stop();
    expect(bench.browserDisposed).toBe(true);
  });

  test('going away drops nothing', async () => {
    const bench = await new StafdBench(`${PERSIST}0\n`).start();
    await bench.reports(dcTid(A));
    bench.mdns = foundSoFar('avahi-daemon left the bus');
    bench.service.sourceChanged();
    await bench.clock.advance(600_000);
    expect(bench.traddrs).toEqual([A]);
  });

  test('excluded, it goes at once', async () => {
    const bench = await new StafdBench(`${PERSIST}-1\n`).start();
    bench.target(A);
    await bench.reports(dcTid(A));
    await bench.reload(`${PERSIST}-1\n[Controllers]\nexclude=traddr=${A}\n`);
    expect(bench.connected).toEqual([]);
    expect(bench.traddrs).toEqual([]);
  });
});

describe('settled', () => {
  test('is not said while mDNS is unknown', async () => {
    const bench = new StafdBench();
    bench.mdns = foundSoFar('avahi-daemon is not running');
    await bench.start();
    expect(bench.service.settled).toBe(false);
    await bench.reports();
    expect(bench.service.settled).toBe(true);
  });

  test('is not withheld for ever by an avahi-daemon that is not there', async () => {
    const bench = new StafdBench();
    bench.mdns = { ...foundSoFar('avahi-daemon is not running'), missing: true };
    await bench.start();
    await bench.clock.advance(145_000);
    expect(bench.service.settled).toBe(false);
    await bench.clock.advance(65_000);
    expect(bench.service.settled).toBe(true);
  });

  test('is withheld as long as one that is there does not answer', async () => {
    const bench = new StafdBench();
    bench.mdns = foundSoFar('avahi-daemon does not answer');
    await bench.start();
    await bench.clock.advance(3_600_000);
    expect(bench.service.settled).toBe(false);
    await bench.reports();
    expect(bench.service.settled).toBe(true);
  });

  test('is withheld while one that did not answer is being restarted', async () => {
    const bench = new StafdBench();
    bench.mdns = foundSoFar('avahi-daemon does not answer');
    await bench.start();
    await bench.clock.advance(600_000);
    bench.mdns = { ...foundSoFar('avahi-daemon is not running'), missing: true };
    bench.service.sourceChanged();
    await bench.clock.advance(145_000);
    expect(bench.service.settled).toBe(false);
    await bench.clock.advance(65_000);
    expect(bench.service.settled).toBe(true);
  });
});
