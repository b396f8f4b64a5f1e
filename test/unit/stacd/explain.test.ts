import { describe, expect, test } from 'vitest';
import { known, unknown } from '../../../src/core/answer.ts';
import { withoutVariants } from '../../../src/platform/dbus/values.ts';
import type { DiscoveryEntry } from '../../../src/nvme/discovery-log.ts';
import { makeTid } from '../../../src/nvme/transport-id.ts';
import type { DiscoveryState } from '../../../src/stacd/plan.ts';
import { HOST, StacdBench } from './bench.ts';

const A = '10.1.0.1';
const B = '10.1.0.2';
const DC = makeTid({ transport: 'tcp', traddr: '10.0.0.1', subsysnqn: 'nqn.dc', hostNqn: HOST });

function line(traddr: string): string {
  return `controller=transport=tcp;traddr=${traddr};trsvcid=4420;nqn=nqn.sub\n`;
}

function entry(traddr: string): DiscoveryEntry {
  return {
    ...{ trtype: 'tcp', adrfam: 'ipv4', subtype: 'nvme', treq: 0, portid: 1, trsvcid: '4420' },
    ...{ subnqn: 'nqn.sub', traddr, cntlid: 65535, asqsz: 32, eflags: 0 },
  };
}

function listed(...traddrs: readonly string[]): { kind: 'known'; value: DiscoveryState } {
  const log = known(traddrs.map(entry));
  return known({
    settled: true,
    askedAt: 0,
    removed: new Map(),
    controllers: [{ tid: DC, hostId: '', log, fresh: true, readAt: 0 }],
  }) as { kind: 'known'; value: DiscoveryState };
}

/** As it comes out of the bus. */
function explained(bench: StacdBench) {
  return withoutVariants({ ...bench.service.explain() }) as {
    readonly controllers: readonly Readonly<Record<string, unknown>>[];
    readonly absent: readonly Readonly<Record<string, unknown>>[];
    readonly notes: readonly string[];
  };
}

describe('an I/O controller', () => {
  test('that is connected is told with its device and who asks for it', async () => {
    const bench = new StacdBench(`[Controllers]\n${line(A)}`);
    bench.target(A);
    await bench.start();
    await bench.says(listed(A));
    const { absent, controllers, notes } = explained(bench);
    expect(controllers).toHaveLength(1);
    expect(controllers[0]).toMatchObject({
      transport: 'tcp',
      traddr: A,
      subsysnqn: 'nqn.sub',
      device: 'nvme0',
      state: 'connected',
      attempts: 0,
      'last-error': '',
      sources: [
        expect.stringMatching(/^configured by .*line 2$/),
        expect.stringMatching(/^listed by the discovery log of \(tcp, 10\.0\.0\.1, 8009, nqn\.dc/),
      ],
    });
    expect([absent, notes]).toEqual([[], []]);
  });

  test('that cannot be reached is told with the reason and the time of the next try', async () => {
    const bench = new StacdBench(`[Controllers]\n${line(A)}`);
    bench.prober.setUnreachable(A, '4420', 'ECONNREFUSED');
    await bench.start();
    const [row] = explained(bench).controllers;
    expect(row).toMatchObject({ device: '', state: 'waiting', 'last-error-code': 'ECONNREFUSED' });
    expect(row?.['why']).toBe(row?.['last-error']);
    expect(row?.['next-in-ms']).toBeGreaterThan(0);
    expect(row?.['out-of-reach-ms']).toBeGreaterThan(0);
  });

  test('that the kernel connects anew is told with since when, without news while that goes on', async () => {
    const bench = new StacdBench(`[Controllers]\n${line(A)}`);
    bench.target(A);
    await bench.start();
    bench.devices.update('nvme0', { state: 'connecting' });
    await bench.clock.advance(60_000);
    const told = bench.changes;
    const [row] = explained(bench).controllers;
    expect(row).toMatchObject({ device: 'nvme0', state: 'reconnecting' });
    await bench.clock.advance(240_000);
    expect(bench.changes).toBe(told);
    const [later] = explained(bench).controllers;
    expect(later?.['out-of-reach-ms']).toBe(Number(row?.['out-of-reach-ms']) + 240_000);
    expect(later?.['out-of-reach-ms']).toBeGreaterThan(240_000);
    bench.devices.update('nvme0', { state: 'live' });
    await bench.clock.advance(60_000);
    expect(explained(bench).controllers[0]).not.toHaveProperty('out-of-reach-ms');
  });

  test('that is kept for want of evidence is told with the reason', async () => {
    const bench = new StacdBench();
    bench.target(A);
    await bench.start();
    await bench.says(listed(A));
    await bench.says(unknown('stafd does not answer'));
    expect(explained(bench)).toMatchObject({
      controllers: [
        {
          'kept-because': 'stafd does not answer',
          sources: ['listed before by a discovery log that stafd does not have now'],
        },
      ],
      notes: ['What discovery logs list is not known: stafd does not answer'],
    });
  });
});

describe('what is not connected', () => {
  test('is told with the line that excludes it', async () => {
    const bench = new StacdBench(`[Controllers]\nexclude=traddr=${B}\n`);
    await bench.start();
    await bench.says(listed(B));
    expect(explained(bench)).toMatchObject({
      controllers: [],
      absent: [
        {
          traddr: B,
          rule: 'refused',
          why: expect.stringMatching(/^excluded by .*line 2$/) as string,
          sources: [expect.stringContaining('listed by the discovery log of')],
        },
      ],
    });
  });

  test('for want of an address is told with the line that asks for it', async () => {
    const bench = new StacdBench(`[Controllers]\n${line('target.example')}`);
    await bench.start();
    expect(explained(bench).absent).toMatchObject([
      {
        traddr: 'target.example',
        rule: 'unresolved',
        next: 'it is looked up again',
        'next-in-ms': expect.any(Number) as number,
        sources: [expect.stringMatching(/^configured by .*line 2$/)],
      },
    ]);
    const since = (): number => Number(explained(bench).absent[0]?.['out-of-reach-ms']);
    const before = since();
    await bench.clock.advance(60_000);
    expect(since()).toBe(before + 60_000);
    bench.resolver.set('target.example', B);
    await bench.clock.advance(60_000);
    expect(explained(bench).absent).toEqual([]);
  });
});

describe('the news of a change', () => {
  test('comes when something can be read, and never without a change', async () => {
    const bench = new StacdBench(`[Controllers]\n${line(A)}`);
    bench.target(A);
    await bench.start();
    expect(bench.changes).toBeGreaterThan(0);
    const told = bench.changes;
    await bench.clock.advance(600_000);
    expect(bench.changes).toBe(told);
    const heard: unknown[] = [];
    bench.onChange = () => void heard.push(explained(bench).controllers.map(({ state }) => state));
    bench.devices.remove('nvme0');
    await bench.clock.advance(1_000);
    expect(bench.changes).toBeGreaterThan(told);
    // The last thing that was heard is how it is.
    expect(heard.at(-1)).toEqual(['connected']);
    expect(explained(bench).controllers).toMatchObject([{ state: 'connected' }]);
    bench.prober.setUnreachable(A, '4420', 'ECONNREFUSED');
    bench.devices.remove('nvme0');
    await bench.clock.advance(1_000);
    expect(heard.at(-1)).toEqual(['waiting']);
  });

  test('comes once for many changes at a time', async () => {
    const bench = new StacdBench();
    const traddrs = Array.from({ length: 50 }, (_, index) => `10.2.0.${String(index + 1)}`);
    for (const traddr of traddrs) bench.target(traddr);
    await bench.start();
    const before = bench.changes;
    await bench.says(listed(...traddrs));
    expect(bench.connected).toHaveLength(50);
    expect(bench.changes - before).toBeLessThan(10);
    expect(bench.changes).toBeGreaterThan(before);
  });
});
