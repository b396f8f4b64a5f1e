import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { known } from '../../../src/core/answer.ts';
import type { ReloadPreview } from '../../../src/core/reload-preview.ts';
import { parseDiscoveryState } from '../../../src/stacd/stafd-answers.ts';
import { FakeBusDaemon } from '../../fakes/fake-bus.ts';
import { settle } from '../../fakes/clock.ts';
import { HOST, StacdBench } from './bench.ts';

const MAIN = 'org.nvmexpress.stac';
const V1 = 'org.nvmexpress.stac.v1';
const DEBUG = 'org.nvmexpress.stac.debug';
const SECRET = 'DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:';
const A = '10.1.0.1';
const CONFIG = `[Controllers]
controller=transport=tcp;traddr=${A};trsvcid=4420;nqn=nqn.sub;queue-size=64;dhchap-secret=${SECRET}
`;
const TID: readonly string[] = ['tcp', A, '4420', 'nqn.sub', '', '', HOST];

async function published() {
  const bench = new StacdBench(CONFIG);
  bench.target(A);
  await bench.start();
  const object = bench.object();
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
  return { bench, call, object };
}

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

test('has a handler for each method and property of the contract, and no other', async () => {
  const { object } = await published();
  const xml = readFileSync(
    new URL('../../../dbus/org.nvmexpress.stac.xml', import.meta.url),
    'utf8',
  );
  expect(object.introspectionXml).toBe(xml);
  expect(Object.keys(object.methods).sort()).toEqual(declared(xml, 'method'));
  expect(Object.keys(object.properties).sort()).toEqual(declared(xml, 'property'));
});

describe('its answers', () => {
  test('are what the contract says, in type too', async () => {
    const { call } = await published();
    expect(await call(MAIN, 'list_controllers', 'b', false)).toMatchObject([
      { transport: 'tcp', traddr: A, trsvcid: '4420', device: 'nvme0', 'queue-size': '64' },
    ]);
    expect(await call(MAIN, 'list_controllers', 'b', true)).toMatchObject([
      { connected: 'True', cntrltype: 'io', dlpe: '', 'dlpe.eflags.ncc': 'False' },
    ]);
    const info = await call(DEBUG, 'controller_info', 'sssssss', ...TID);
    expect(JSON.parse(String(info))).toMatchObject({ traddr: A, device: 'nvme0' });
    expect(await call(DEBUG, 'controller_info', 'sssssss', ...TID.with(1, 'x'))).toBe('{}');
  });

  test('name a controller that waits to be disconnected', async () => {
    const { bench, call } = await published();
    bench.fabrics.disconnects.hold();
    bench.reload('');
    await bench.clock.advance(1_000);
    await settle();
    const info = JSON.parse(String(await call(DEBUG, 'process_info'))) as object;
    const keys = Object.keys(info).filter((key) => key.startsWith('terminator.controller.'));
    expect(keys).toEqual([`terminator.controller.(tcp, ${A}, 4420, nqn.sub)`]);
  });

  test('tell what a reload of the files would do, and one of stafd that removes a DC', async () => {
    const { bench, call } = await published();
    const dc = { transport: 'tcp', traddr: '10.0.0.1', trsvcid: '8009', subsysnqn: 'nqn.dc' };
    const entry = { subnqn: 'nqn.sub', traddr: '10.1.0.2', trsvcid: '4420', trtype: 'tcp' };
    const page = { ...entry, adrfam: 'ipv4', subtype: 'nvme', treq: '0', portid: '1' };
    const said = JSON.stringify({
      ...{ version: 1, settled: true },
      controllers: [
        {
          'discovery-controller': { ...dc, 'host-nqn': HOST, device: 'nvme9' },
          log: { state: 'known', generation: '1', fresh: true },
          'log-pages': [{ ...page, cntlid: '65535', asqsz: '32', eflags: '0' }],
        },
      ],
    });
    const { controllers, settled } = parseDiscoveryState(said, bench.log);
    const reported = controllers.map((each) => ({ ...each, readAt: 0, events: undefined }));
    await bench.says(known({ settled, removed: new Map(), askedAt: 0, controllers: reported }));
    const preview = async (removed: readonly unknown[]): Promise<ReloadPreview> =>
      JSON.parse(String(await call(V1, 'preview_reload', 'aa{ss}', removed))) as ReloadPreview;
    const alone = await preview([]);
    expect(alone).toMatchObject({ version: 1, refused: null, problems: [] });
    expect(alone.remove).toMatchObject([{ controller: { traddr: A } }]);
    const both = await preview([{ ...dc, 'host-nqn': HOST }, { transport: 'none of ours' }]);
    expect(both.remove).toMatchObject([
      { controller: { traddr: A }, follows: false },
      { controller: { traddr: '10.1.0.2' }, follows: true },
    ]);
    expect(bench.service.controllers()).toHaveLength(2);
  });

  test('never hold a secret, nor does the memory or the log', async () => {
    const { bench, call } = await published();
    const texts = [
      await call(MAIN, 'list_controllers', 'b', true),
      await call(DEBUG, 'process_info'),
      await call(V1, 'preview_reload', 'aa{ss}', []),
      await call(DEBUG, 'controller_info', 'sssssss', ...TID),
      bench.lkcFile.text,
      bench.log.lines,
    ].map((value) => JSON.stringify(value));
    expect(bench.fabrics.connects.requests[0]?.options.dhchapSecret?.reveal()).toBe(SECRET);
    for (const text of texts) expect(text).not.toContain('ia6zGodOr4SEG0Zzaw398rpY0wq');
  });
});
