import { expect, test } from 'vitest';
import { withoutVariants } from '../../../src/platform/dbus/values.ts';
import { FakeServiceBrowser } from '../../fakes/service-browser.ts';
import { refer, StafdBench } from './bench.ts';
import { dcTid, found } from './plan-samples.ts';

const A = '10.0.0.1';
const B = '10.0.0.2';
const C = '10.0.0.3';
const CONFIG = `[Service Discovery]
zeroconf=enabled
[Controllers]
controller=transport=tcp;traddr=${A};nqn=nqn.dc
exclude=traddr=${C}
`;

function explained(bench: StafdBench) {
  return withoutVariants({ ...bench.service.explain() }) as {
    readonly controllers: readonly Readonly<Record<string, unknown>>[];
    readonly absent: readonly Readonly<Record<string, unknown>>[];
    readonly notes: readonly string[];
  };
}

test('each discovery controller is told with who named it', async () => {
  const bench = new StafdBench(CONFIG);
  bench.target(A, { entries: [refer(B)] });
  bench.target(B);
  await bench.start();
  const rows = explained(bench).controllers;
  const sources: unknown = Object.fromEntries(rows.map(({ sources, traddr }) => [traddr, sources]));
  expect(sources).toEqual({
    [A]: [expect.stringMatching(/^configured by .*line 4$/) as string],
    [B]: [expect.stringMatching(/^referred to by \(tcp, 10\.0\.0\.1/) as string],
  });
  expect(rows.map(({ state }) => state)).toEqual(['connected', 'connected']);
});

test('what mDNS announces and what does not answer, or is excluded, is told with the reason', async () => {
  const bench = new StafdBench(CONFIG);
  bench.target(A, { entries: [refer(C)] });
  bench.unanswered = [
    { tid: dcTid(B), why: 'it does not answer: timed out' },
    { tid: dcTid(C), why: 'it was not tried yet' },
  ];
  await bench.start();
  const { absent } = explained(bench);
  expect(absent.map(({ rule, sources, traddr, why }) => ({ rule, sources, traddr, why }))).toEqual([
    {
      traddr: B,
      rule: 'unreachable',
      why: 'it does not answer: timed out',
      sources: ['announced by mDNS'],
    },
    {
      traddr: C,
      rule: 'refused',
      why: expect.stringMatching(/^excluded by .*line 5$/) as string,
      sources: ['announced by mDNS'],
    },
    {
      traddr: C,
      rule: 'refused',
      why: expect.stringMatching(/^excluded by .*line 5$/) as string,
      sources: [expect.stringContaining('referred to by')],
    },
  ]);
});

test('what mDNS announces in vain is told with since when, and when it is tried again', async () => {
  const services = new FakeServiceBrowser();
  const bench = new StafdBench(CONFIG, undefined, { services });
  bench.target(A);
  bench.prober.setUnreachable('192.0.2.7', '8009');
  bench.prober.probes.hold();
  services.announce({
    ...{ interfaceName: 'eth0', family: 'ipv4', name: 'silent', type: '_nvme-disc._tcp' },
    record: { address: '192.0.2.7', port: 8009, txt: [Buffer.from('p=tcp')] },
  });
  await bench.start();
  const [untried] = explained(bench).absent;
  expect(untried).toMatchObject({ rule: 'unreachable', why: 'it was not tried yet' });
  expect(untried).not.toHaveProperty('next');
  bench.prober.probes.release();
  await bench.clock.advance(1_000);
  expect(explained(bench).absent).toMatchObject([
    { next: 'it is tried again', 'next-in-ms': 1_000, 'out-of-reach-ms': 1_000 },
  ]);
  // Tried at 2 s, and again 5 s later.
  await bench.clock.advance(2_000);
  expect(explained(bench).absent).toMatchObject([
    { next: 'it is tried again', 'next-in-ms': 4_000, 'out-of-reach-ms': 3_000 },
  ]);
});

test('what of logs and of what mDNS announces cannot be used is told', async () => {
  const services = new FakeServiceBrowser();
  const bench = new StafdBench(CONFIG, undefined, { services });
  const log = bench.target(A, { entries: [refer(B), { ...refer(C), subtype: 9 }] });
  bench.target(B);
  const announcement = services.announce({
    ...{ interfaceName: 'eth0', family: 'ipv4', name: 'odd', type: '_nvme-disc._tcp' },
    record: { address: '192.0.2.7', port: 8009, txt: [Buffer.from('p=ftp')] },
  });
  await bench.start();
  expect(explained(bench).notes).toEqual([
    expect.stringMatching(
      /^An entry of the discovery log of \(tcp, 10\.0\.0\.1, .* is not used: the subtype 9 is not known: /,
    ),
    expect.stringMatching(/^mDNS service \(eth0, IPv4, odd\.local, .* is not used: .*"ftp"/),
  ]);
  log.entries = [refer(B)];
  announcement.withdraw();
  bench.service.readLogsAgain();
  await bench.clock.advance(2_000);
  expect(explained(bench).notes).toEqual([]);
});

test('what is not known yet is told', async () => {
  const bench = new StafdBench(CONFIG);
  bench.mdns = { ...found(), incomplete: 'avahi-daemon does not answer' };
  await bench.start();
  expect(explained(bench).notes).toEqual([
    'mDNS may announce more: avahi-daemon does not answer',
    expect.stringMatching(/^The discovery log of \(tcp, 10\.0\.0\.1, .* is not known: /),
  ]);
});

test('one who announces thousands of services that are not used does not fill the notes', async () => {
  const bench = await new StafdBench(CONFIG).start();
  bench.complaints = Array.from({ length: 30 }, (_, index) => `service ${String(index)}`);
  const { notes } = explained(bench);
  expect(notes.filter((note) => note.startsWith('service'))).toHaveLength(20);
  expect(notes.at(-1)).toBe('10 more mDNS services are not used');
});
