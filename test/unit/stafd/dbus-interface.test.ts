import { readFileSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import { FakeBusDaemon } from '../../fakes/fake-bus.ts';
import { settle } from '../../fakes/clock.ts';
import { dictToEntry } from '../../../src/nvme/discovery-log.ts';
import { stafdSignals } from '../../../src/stafd/dbus-interface.ts';
import { PortError } from '../../../src/ports/errors.ts';
import { refer, StafdBench } from './bench.ts';
import { dcTid, HOST } from './plan-samples.ts';

const MAIN = 'org.nvmexpress.staf';
const DEBUG = 'org.nvmexpress.staf.debug';
const V1 = 'org.nvmexpress.staf.v1';
const SECRET = 'DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:';
const A = '10.0.0.1';
const B = '10.0.0.2';
const CONFIG = `[Controllers]
controller=transport=tcp;traddr=${A};nqn=nqn.dc;kato=9;dhchap-secret=${SECRET};dhchap-ctrl-secret=${SECRET}
`;
const PRESENT = CONFIG.replace('kato=9', 'kato=5').replace(':00:ia6z', ':00:ib6z');

async function published() {
  const bench = new StafdBench(CONFIG);
  bench.target(A, { entries: [{ traddr: '10.1.0.1', subnqn: 'nqn.sub' }] });
  await bench.start();
  return { bench, ...(await clientOf(bench)) };
}

/** Publishes it, and somebody who calls it. */
async function clientOf(bench: StafdBench) {
  const object = bench.object(PRESENT);
  const daemon = new FakeBusDaemon();
  const bus = daemon.connect();
  bus.export(object);
  await bus.requestName(MAIN);
  const client = daemon.connect();
  const call = async (
    interfaceName: string,
    member: string,
    signature = '',
    ...args: unknown[]
  ) => {
    const request = { destination: MAIN, path: object.path, interfaceName, member };
    const [value] = await client.call({ ...request, inSignature: signature, args, timeoutMs: 1 });
    return value;
  };
  return { bus, call, client, object };
}

const TID: readonly string[] = ['tcp', A, '8009', 'nqn.dc', '', '', HOST];

test('has a handler for each method and property of the contract, and no other', async () => {
  const { object } = await published();
  const xml = readFileSync(
    new URL('../../../dbus/org.nvmexpress.staf.xml', import.meta.url),
    'utf8',
  );
  expect(object.introspectionXml).toBe(xml);
  expect(Object.keys(object.methods).sort()).toEqual(declared(xml, 'method'));
  expect(Object.keys(object.properties).sort()).toEqual(declared(xml, 'property'));
});

/** The members of a kind, as `interface.member`, read without the code under test. */
function declared(xml: string, kind: string): readonly string[] {
  const names: string[] = [];
  let current = '';
  for (const [, tag = '', name = ''] of xml
    .replaceAll(/<!--[\s\S]*?-->/g, '')
    .matchAll(/<(interface|method|property|signal) [^>]*?name="([^"]+)"/g)) {
    if (tag === 'interface') current = name;
    else if (tag === kind) names.push(`${current}.${name}`);
  }
  return names.sort();
}

describe('its answers', () => {
  test('are what the contract says, in type too', async () => {
    const { call } = await published();
    expect(await call(MAIN, 'list_controllers', 'b', false)).toMatchObject([
      { transport: 'tcp', traddr: A, trsvcid: '8009', device: 'nvme0', kato: '9' },
    ]);
    expect(await call(MAIN, 'list_controllers', 'b', true)).toMatchObject([
      { origin: 'configured', connected: 'True', 'connect attempts': '0', hostnqn: HOST },
    ]);
    const pages = await call(MAIN, 'get_log_pages', 'sssssss', ...TID);
    expect(pages).toMatchObject([{ traddr: '10.1.0.1', subnqn: 'nqn.sub', subtype: 'nvme' }]);
    const all = JSON.parse(String(await call(MAIN, 'get_all_log_pages', 'b', true))) as unknown;
    expect(all).toMatchObject([{ 'discovery-controller': { traddr: A }, 'log-pages': pages }]);
    const state = JSON.parse(String(await call(V1, 'get_discovery_state'))) as unknown;
    expect(state).toMatchObject({
      version: 1,
      settled: true,
      controllers: [
        {
          'host-id': 'id',
          log: { state: 'known', generation: '1', fresh: true },
          'log-pages': pages,
        },
      ],
    });
    const read = Array.isArray(pages)
      ? dictToEntry(pages[0] as Record<string, unknown>)
      : undefined;
    expect(read?.entry?.traddr).toBe('10.1.0.1');
  });

  test("take an empty host NQN for the host's own, and name no controller for a wrong one", async () => {
    const { call } = await published();
    const own = TID.with(6, '');
    expect(await call(MAIN, 'get_log_pages', 'sssssss', ...own)).toHaveLength(1);
    expect(await call(MAIN, 'get_log_pages', 'sssssss', ...TID.with(6, 'nqn.x'))).toEqual([]);
    expect(await call(DEBUG, 'controller_info', 'sssssss', ...TID.with(0, 'ftp'))).toBe('{}');
    expect(
      JSON.parse(String(await call(DEBUG, 'controller_info', 'sssssss', ...own))),
    ).toMatchObject({ traddr: A });
  });

  test('never hold a secret, nor does the memory or the log', async () => {
    const { bench, call } = await published();
    const texts = [
      await call(MAIN, 'list_controllers', 'b', true),
      await call(MAIN, 'get_all_log_pages', 'b', true),
      await call(V1, 'get_discovery_state'),
      await call(V1, 'preview_reload'),
      await call(DEBUG, 'process_info'),
      await call(DEBUG, 'controller_info', 'sssssss', ...TID),
      bench.lkcFile.text,
      bench.log.lines,
    ].map((value) => JSON.stringify(value));
    // The connect itself had it.
    expect(bench.fabrics.connects.requests[0]?.options.dhchapSecret?.reveal()).toBe(SECRET);
    for (const text of texts) expect(text).not.toContain('ia6zGodOr4SEG0Zzaw398rpY0wq');
  });

  test('tell what a reload of the files would do', async () => {
    const { bench, call } = await published();
    const preview: unknown = JSON.parse(String(await call(V1, 'preview_reload')));
    expect(preview).toMatchObject({
      version: 1,
      refused: null,
      // The bench traces.
      settings: [{ section: 'Global', key: 'tron', from: 'true', to: 'false' }],
      change: [
        {
          controller: { traddr: A, device: 'nvme0' },
          changes: [
            { option: 'kato', from: '9', to: '5' },
            { option: 'dhchap-secret', from: 'a secret', to: 'another secret' },
          ],
        },
      ],
    });
    expect(bench.record(A)?.extra.options.kato).toBe(9);
  });

  test("have every key of the original's process_info", async () => {
    const { call } = await published();
    const info = JSON.parse(String(await call(DEBUG, 'process_info'))) as Record<string, unknown>;
    expect(info).toMatchObject({
      tron: true,
      'log-level': 'DEBUG',
      hostnqn: HOST,
      hostid: 'id',
      hostkey: '********',
      symname: null,
      'last known config file': '/run/stafd/last-known-config.json',
      'kernel support.TP8013': 'True',
      'kernel support.host_iface': 'True',
    });
    expect(info).toHaveProperty(['config soak timer']);
    expect(info).toHaveProperty(['terminator.audit timer']);
  });
});

describe('what a signal announces', () => {
  async function changing() {
    const bench = await new StafdBench(CONFIG).start();
    const root = bench.target(A);
    await bench.clock.advance(60_000);
    bench.target(B);
    return { bench, refers: () => (root.entries = [refer(B)]) };
  }

  test('can be read when it is heard: each log and each controller that is added', async () => {
    const { bench, refers } = await changing();
    const heard: unknown[] = [];
    const tell = bench.object().methods[`${V1}.get_discovery_state`];
    bench.onStateChange = () => {
      const [text] = (tell?.() ?? []) as readonly unknown[];
      const { controllers } = JSON.parse(String(text)) as {
        readonly controllers: readonly {
          readonly 'discovery-controller': { readonly traddr: string };
          readonly log: { readonly state: string };
          readonly 'log-pages': readonly unknown[];
        }[];
      };
      heard.push(
        controllers.map(({ log, ...dc }) => [
          dc['discovery-controller'].traddr,
          log.state,
          dc['log-pages'].length,
        ]),
      );
    };
    refers();
    bench.service.readLogsAgain();
    await bench.clock.advance(10_000);
    const root = [A, 'known', 1];
    expect(heard).toEqual([[root], [root, [B, 'unknown', 0]], [root, [B, 'known', 0]]]);
  });

  test('can be read when it is heard: how the controllers stand', async () => {
    const { bench, refers } = await changing();
    const heard: string[] = [];
    bench.onChange = () => {
      const rows = bench.service.explain().controllers;
      heard.push(
        rows.map(({ state, why }) => `${String(state?.value)} ${String(why?.value)}`).join(),
      );
    };
    bench.prober.setUnreachable(B, '8009', 'ECONNREFUSED', 'refused');
    refers();
    bench.service.readLogsAgain();
    await bench.clock.advance(500);
    expect(heard.at(-1)).toBe('connected ,waiting refused');
    bench.prober.setReachable(B, '8009');
    await bench.clock.advance(10_000);
    expect(heard.at(-1)).toBe('connected ,connected ');
  });
});

describe('controller_info', () => {
  const infoOf = async (bench: StafdBench): Promise<Record<string, unknown>> => {
    const { call } = await clientOf(bench);
    const text = await call(DEBUG, 'controller_info', 'sssssss', ...TID);
    return JSON.parse(String(text)) as Record<string, unknown>;
  };

  test('names the operation that is under way, or failed, by the keys of the original', async () => {
    const bench = new StafdBench(CONFIG);
    bench.target(A, { dctype: 'ddc' });
    const { connects, logs, registers, supports } = bench.fabrics;
    for (const operation of [connects, logs, registers, supports]) operation.hold();
    const underWay = async (): Promise<readonly (readonly [string, unknown])[]> =>
      Object.entries(await infoOf(bench)).filter(([key]) => key.endsWith(' operation'));
    const running = "{'fail count': 0, 'completed': False, 'alive': True}";
    await bench.start();
    expect(await underWay()).toEqual([['connect operation', running]]);
    connects.release();
    await settle();
    expect(await underWay()).toEqual([['register operation', running]]);
    registers.release();
    await settle();
    expect(await underWay()).toEqual([['get supported log page operation', running]]);
    supports.release();
    await settle();
    expect(await underWay()).toEqual([['get log page operation', running]]);
    logs.failNext(new PortError('no answer', { code: 'EIO', errorClass: 'retry' }));
    logs.release();
    await bench.clock.advance(5_000);
    expect(await underWay()).toEqual([
      [
        'get log page operation',
        "{'fail count': 1, 'completed': True, 'alive': True, 'retry timer': '20.0s [15.0s]'}",
      ],
    ]);
    await bench.clock.advance(15_000);
    expect(await underWay()).toEqual([]);
  });

  test('tells since when a DC is unresponsive that mDNS has named, and for how long it stays', async () => {
    vi.stubEnv('TZ', 'UTC');
    const bench = new StafdBench(
      '[Service Discovery]\nzeroconf=enabled\n[Discovery controller connection management]\nzeroconf-connections-persistence=60\n',
    );
    bench.prober.setUnreachable(A, '8009');
    await bench.start();
    await bench.reports(dcTid(A));
    expect(await infoOf(bench)).toMatchObject({
      origin: 'discovered',
      'unresponsive timer': '60.0s [off]',
      'unresponsive timeout': '60 sec',
      'unresponsive time': '---',
    });
    bench.clock.setWallTime(new Date('2026-02-03T04:05:06Z'));
    await bench.reports();
    await bench.clock.advance(20_000);
    expect(await infoOf(bench)).toMatchObject({
      'unresponsive timer': expect.stringMatching(/^60\.0s \[3[89]\.\ds\]$/) as string,
      'unresponsive time': expect.stringMatching(/^Tue Feb {2}3 04:05:0\d 2026$/) as string,
    });
    vi.unstubAllEnvs();
  });
});

test('its signals say which log changed', async () => {
  const { bus, client } = await published();
  const heard: (readonly unknown[])[] = [];
  await client.subscribe({ sender: MAIN, interfaceName: MAIN }, ({ args, member }) => {
    heard.push([member, ...args]);
  });
  const signals = stafdSignals(bus);
  signals.logPagesChanged(dcTid(A), 'nvme0');
  signals.dcRemoved();
  await settle();
  expect(heard).toEqual([['log_pages_changed', ...TID, 'nvme0'], ['dc_removed']]);
});
