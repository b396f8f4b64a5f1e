import { describe, expect, it } from 'vitest';
import { stacctl, stafctl, type Tool } from '../../../src/ctl/tools.ts';
import type { DiscoveryEntry } from '../../../src/nvme/discovery-log.ts';
import { known } from '../../../src/core/answer.ts';
import { BusVariant, type ExportedObject } from '../../../src/ports/bus.ts';
import type { ProcessFacts } from '../../../src/runtime/process-info.ts';
import { stacdObject } from '../../../src/stacd/dbus-interface.ts';
import type { ReportedEvents } from '../../../src/stacd/plan.ts';
import { stafdObject } from '../../../src/stafd/dbus-interface.ts';
import { FakeBusDaemon } from '../../fakes/fake-bus.ts';
import { HOST, StacdBench } from '../stacd/bench.ts';
import { StafdBench } from '../stafd/bench.ts';
import { dcTid } from '../stafd/plan-samples.ts';
import { run, state } from './harness.ts';
import { readMetrics } from './open-metrics.ts';

const FACTS: ProcessFacts = {
  usage: () => ({
    ...{ startedAt: 1_800_000_000, cpuSeconds: 1.5 },
    ...{ residentBytes: 70_000_000, heapUsedBytes: 9_000_000 },
  }),
  lkcPath: '/run/lkc',
  fabricsOptions: new Set(),
  version: '1.2.3',
  libnvmeVersion: '1.13',
};

/** Runs the command against this object, which stands for a daemon. */
async function ask(tool: Tool, object: ExportedObject, ...args: readonly string[]) {
  const daemon = new FakeBusDaemon();
  const bus = daemon.connect();
  bus.export(object);
  await bus.requestName(tool.busName);
  return run(tool, ['metrics', ...args], { openBus: () => Promise.resolve(daemon.connect()) });
}

function ofStafd(bench: StafdBench): ExportedObject {
  const present = { settings: bench.settings(''), problems: [], tracing: false };
  const { clock, log, service } = bench;
  return stafdObject({ clock, log, service, facts: () => FACTS, present: () => present });
}

function ofStacd(bench: StacdBench): ExportedObject {
  const present = { settings: bench.settings(''), problems: [], tracing: false };
  const { clock, log, service } = bench;
  return stacdObject({ clock, log, service, facts: () => FACTS, present: () => present });
}

/** What a daemon counts, by name and labels, those that are 0 left out. */
async function counted(tool: Tool, object: ExportedObject): Promise<Record<string, number>> {
  const { stderr, stdout } = await ask(tool, object);
  expect(stderr).toBe('');
  const label = `daemon="${tool.daemon}"`;
  const samples = [...readMetrics(stdout).values()].flatMap(({ samples: all }) => [...all]);
  return Object.fromEntries(
    samples
      .filter(([, value]) => value !== 0)
      .map(([name, value]) => [
        name.replace(`{${label}}`, '').replace(`{${label},`, '{').replace('nvme_stas_', ''),
        value,
      ]),
  );
}

const DC = '10.0.0.1';
const CONFIG = `[Controllers]\ncontroller=transport=tcp;traddr=${DC};nqn=nqn.dc\n`;

function entryAt(traddr: string): DiscoveryEntry {
  return {
    ...{ trtype: 'tcp', adrfam: 'ipv4', subtype: 'nvme', treq: 0, portid: 1, trsvcid: '4420' },
    ...{ subnqn: 'nqn.sub', traddr, cntlid: 65535, asqsz: 32, eflags: 0 },
  };
}

/** stafd says that the log of the DC lists these. */
function listed(traddrs: readonly string[], events?: ReportedEvents) {
  const log = known(traddrs.map(entryAt));
  return known({
    ...{ settled: true, askedAt: 0, removed: new Map() },
    controllers: [{ tid: dcTid(DC), hostId: '', log, fresh: true, readAt: 0, events }],
  });
}

describe.each([
  ['stafctl', stafctl, async () => ofStafd(await new StafdBench('').start())],
  ['stacctl', stacctl, async () => ofStacd(await new StacdBench('').start())],
] as const)('%s metrics', (name, tool, empty) => {
  it('prints OpenMetrics text of a daemon that has nothing yet', async () => {
    const { status, stderr, stdout } = await ask(tool, await empty());
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    for (const family of readMetrics(stdout).keys()) expect(family).toMatch(/^nvme_stas_[a-z_]+$/);
    await expect(stdout).toMatchFileSnapshot(`golden/${name}-metrics.txt`);
  });

  it("prints what node_exporter's textfile collector reads, with the type of counters", async () => {
    const { stdout } = await ask(tool, await empty(), '-o', 'prometheus');
    const families = readMetrics(stdout, 'prometheus');
    expect(families.get('nvme_stas_connects_total')?.type).toBe('counter');
    expect(stdout).not.toContain('EOF');
  });

  it('prints the families as JSON', async () => {
    const { stdout } = await ask(tool, await empty(), '-o', 'json');
    expect(JSON.parse(stdout)).toContainEqual({
      name: 'nvme_stas_connect_queue_length',
      type: 'gauge',
      help: expect.any(String) as string,
      samples: [{ suffix: '', labels: { daemon: tool.daemon }, value: 0 }],
    });
  });

  it('says in one line that the daemon does not run, and fails', async () => {
    expect(await run(tool, ['metrics'])).toEqual({
      status: 1,
      stdout: '',
      stderr: `${name}: ${tool.daemon} is not running; start it with: systemctl start ${tool.daemon}\n`,
    });
  });

  it.each<[string, Record<string, BusVariant>]>([
    ['a name with a line break', { name: new BusVariant('s', 'a\nb 1') }],
    ['a type that is no word', { type: new BusVariant('u', 7) }],
    [
      'a label with a quote in its name',
      { samples: new BusVariant('a(sa{ss}d)', [['', { 'a"': 'b' }, 1]]) },
    ],
    [
      'a suffix with a line break',
      { samples: new BusVariant('a(sa{ss}d)', [['\nevil 1', {}, 1]]) },
    ],
  ])('does not print an answer with %s', async (_, wrong) => {
    const right = {
      name: new BusVariant('s', 'nvme_stas_x'),
      type: new BusVariant('s', 'gauge'),
      help: new BusVariant('s', 'x'),
      samples: new BusVariant('a(sa{ss}d)', [['', {}, 1]]),
    };
    const families = [{ ...right, ...wrong }];
    const { status, stderr, stdout } = await run(tool, ['metrics'], {
      state: { ...state([]), families },
    });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/an answer that cannot be understood/);
  });

  it('leaves out what is of a type that it does not know', async () => {
    const family = (name: string, type: string): Record<string, BusVariant> => ({
      name: new BusVariant('s', name),
      type: new BusVariant('s', type),
      help: new BusVariant('s', 'x'),
      samples: new BusVariant('a(sa{ss}d)', [['', {}, 1]]),
    });
    const families = [family('nvme_stas_x', 'gauge\n# EOF'), family('nvme_stas_y', 'gauge')];
    const { status, stdout } = await run(tool, ['metrics'], { state: { ...state([]), families } });
    expect(status).toBe(0);
    expect([...readMetrics(stdout).keys()]).toEqual(['nvme_stas_y']);
  });

  it('escapes what labels and help hold', async () => {
    const families = [
      {
        name: new BusVariant('s', 'nvme_stas_x'),
        type: new BusVariant('s', 'gauge'),
        help: new BusVariant('s', 'a\n# EOF\u001b'),
        samples: new BusVariant('a(sa{ss}d)', [['', { a: '"} 1\nevil 2' }, 1]]),
      },
    ];
    const { stdout } = await run(tool, ['metrics'], { state: { ...state([]), families } });
    expect([...readMetrics(stdout).keys()]).toEqual(['nvme_stas_x']);
    expect(stdout).not.toContain('\u001b');
  });
});

const PROCESS = {
  'build_info{version="1.2.3",libnvme="1.13"}': 1,
  start_time_seconds: 1_800_000_000,
  cpu_seconds_total: 1.5,
  resident_memory_bytes: 70_000_000,
  heap_used_bytes: 9_000_000,
};

describe('what stafd counts', () => {
  it('are connects, readings, and how long a reading takes after an event', async () => {
    const bench = new StafdBench(CONFIG);
    const dc = bench.target(DC, { entries: [{ traddr: '10.1.0.1', subnqn: 'nqn.sub' }] });
    await bench.start();
    const first = {
      ...PROCESS,
      settled: 1,
      'controllers{state="connected"}': 1,
      'connects_total{how="made"}': 1,
      log_page_fetches_total: 1,
    };
    expect(await counted(stafctl, ofStafd(bench))).toEqual(first);

    // The second comes while the log is read, which was begun before it.
    const event = { kind: 'aen', device: 'nvme0', aen: 0x70f002 } as const;
    bench.fabrics.logs.hold();
    bench.devices.emit(event);
    await bench.clock.advance(200);
    bench.devices.emit(event);
    await bench.clock.advance(500);
    dc.entries = [{ traddr: '10.1.0.2', subnqn: 'nqn.evil\n' }];
    bench.fabrics.logs.release();
    await bench.clock.advance(1_000);
    const { counts, sum } = await histogram(bench, 'event_to_log_read_seconds');
    // 0.7 s from the first, 0.5 s from the second to the reading that was begun after it.
    expect(counts).toEqual([
      ['0.5', 1],
      ['1.0', 2],
    ]);
    expect(sum).toBeCloseTo(1.2);
    expect(await counted(stafctl, ofStafd(bench))).toMatchObject({
      log_page_events_total: 2,
      log_page_fetches_total: 3,
      log_page_entries_refused_total: 2,
    });
  });

  it('are losses, failures by code, and events that were lost', async () => {
    const bench = new StafdBench(CONFIG);
    const dc = bench.target(DC);
    await bench.start();
    bench.fabrics.removeTarget(dc);
    bench.prober.setUnreachable(DC, '8009');
    bench.devices.remove('nvme0');
    bench.devices.emit({ kind: 'resync', why: 'lost' });
    await bench.clock.advance(2_000);
    const now = await counted(stafctl, ofStafd(bench));
    expect(now).toMatchObject({
      'controllers{state="waiting"}': 1,
      'connection_losses_total{how="removed"}': 1,
      uevent_resyncs_total: 1,
    });
    expect(Object.keys(now).filter((name) => name.includes('connect_failures'))).toEqual([
      expect.stringMatching(/^connect_failures_total\{stage="probe",reason="[A-Z]+"\}$/),
    ]);
  });
});

/** The buckets of stafd in which something is, and the sum. */
async function histogram(bench: StafdBench, name: string) {
  const all = Object.entries(await counted(stafctl, ofStafd(bench)));
  const buckets = all.flatMap(([key, value]): [string, number][] => {
    const bound = new RegExp(`^${name}_bucket\\{le="(.*)"\\}$`).exec(key)?.[1];
    return bound === undefined ? [] : [[bound, value]];
  });
  const counts = buckets.filter(([, count], index) => count !== buckets[index - 1]?.[1]);
  return { counts, sum: Object.fromEntries(all)[`${name}_sum`] };
}

describe('what stacd counts', () => {
  it('are the seconds from the event to the connection of what was listed then, and no others', async () => {
    const bench = new StacdBench('');
    for (const last of [1, 2, 3, 4]) bench.target(`10.1.0.${String(last)}`);
    await bench.start();
    const of = (...lasts: number[]) => lasts.map((last) => `10.1.0.${String(last)}`);
    await bench.says(listed(of(1), { number: 3, heardAt: 0 }));
    // Nothing is known of before the first look.
    expect(await counted(stacctl, ofStacd(bench))).not.toHaveProperty(
      'event_to_connected_seconds_count',
    );
    const heardAt = bench.clock.now() - 300;
    await bench.says(listed(of(1, 2), { number: 4, heardAt }));
    await bench.says(listed(of(1, 2, 3), { number: 4, heardAt }));
    const now = await counted(stacctl, ofStacd(bench));
    expect(now).toMatchObject({
      ...PROCESS,
      stafd_answers: 1,
      'controllers{state="connected"}': 3,
      'connects_total{how="made"}': 3,
      event_to_connected_seconds_count: 1,
    });
    const sum = now['event_to_connected_seconds_sum'] ?? 0;
    expect(sum).toBeGreaterThanOrEqual(0.3);
    expect(sum).toBeLessThan(1.3);
    // What is no longer managed is not waited for.
    bench.fabrics.connects.hold();
    await bench.says(listed(of(1, 2, 3, 4), { number: 5, heardAt: bench.clock.now() }));
    await bench.says(listed(of(1, 2, 3), { number: 6, heardAt: bench.clock.now() }));
    bench.fabrics.connects.release();
    await bench.clock.advance(40_000);
    expect(await counted(stacctl, ofStacd(bench))).toMatchObject({
      event_to_connected_seconds_count: 1,
      disconnects_total: 1,
    });
  });

  it('has as many lines for 1,000 controllers as for one', async () => {
    const addresses = Array.from(
      { length: 1_000 },
      (_, index) => `10.2.${String(index >> 8)}.${String(index & 255)}`,
    );
    const lines = async (count: number): Promise<readonly string[]> => {
      const bench = new StacdBench('');
      const some = addresses.slice(0, count);
      for (const traddr of some) bench.target(traddr);
      await bench.start();
      await bench.says(listed(some));
      await bench.clock.advance(60_000);
      const { stdout } = await ask(stacctl, ofStacd(bench));
      readMetrics(stdout);
      expect(stdout).toContain(`{daemon="stacd",state="connected"} ${String(count)}\n`);
      expect(stdout).not.toContain(HOST);
      return stdout.split('\n').map((line) => line.replace(/ [0-9.]+$/, ''));
    };
    expect(await lines(1_000)).toEqual(await lines(1));
  });
});
