import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { FakeBusDaemon } from '../../fakes/fake-bus.ts';
import { settle } from '../../fakes/clock.ts';
import { dictToEntry } from '../../../src/nvme/discovery-log.ts';
import { stafdSignals } from '../../../src/stafd/dbus-interface.ts';
import { StafdBench } from './bench.ts';
import { dcTid, HOST } from './plan-samples.ts';

const MAIN = 'org.nvmexpress.staf';
const DEBUG = 'org.nvmexpress.staf.debug';
const V1 = 'org.nvmexpress.staf.v1';
const SECRET = 'DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:';
const A = '10.0.0.1';
const CONFIG = `[Controllers]
controller=transport=tcp;traddr=${A};nqn=nqn.dc;kato=9;dhchap-secret=${SECRET};dhchap-ctrl-secret=${SECRET}
`;
const PRESENT = CONFIG.replace('kato=9', 'kato=5').replace(':00:ia6z', ':00:ib6z');

async function published() {
  const bench = new StafdBench(CONFIG);
  bench.target(A, { entries: [{ traddr: '10.1.0.1', subnqn: 'nqn.sub' }] });
  await bench.start();
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
  return { bench, bus, call, client, object };
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
