import { describe, expect, test } from 'vitest';
import { known, unknown } from '../../../src/core/answer.ts';
import type { DiscoveryEntry } from '../../../src/nvme/discovery-log.ts';
import { makeTid, type TransportId } from '../../../src/nvme/transport-id.ts';
import { PortError } from '../../../src/ports/errors.ts';
import type { ReportedDc } from '../../../src/stacd/plan.ts';
import { encodeNbft } from '../../nbft/encode.ts';
import { HOST, StacdBench } from './bench.ts';

const [A, B, C] = ['10.1.0.1', '10.1.0.2', '10.1.0.3'];
const ALL =
  '[I/O controller connection management]\ndisconnect-scope=all-connections-matching-disconnect-trtypes\n';

function controllers(...traddrs: readonly string[]): string {
  const lines = traddrs.map(
    (it) => `controller=transport=tcp;traddr=${it};trsvcid=4420;nqn=nqn.sub\n`,
  );
  return `[Controllers]\n${lines.join('')}`;
}

function dcAt(traddr: string): TransportId {
  return makeTid({ transport: 'tcp', traddr, subsysnqn: 'nqn.dc', hostNqn: HOST });
}

const DC = dcAt('10.0.0.1');

function dc(tid: TransportId, ...traddrs: readonly string[]): ReportedDc {
  const entries = traddrs.map((traddr): DiscoveryEntry => ({
    ...{ trtype: 'tcp', adrfam: 'ipv4', subtype: 'nvme', trsvcid: '4420', subnqn: 'nqn.sub' },
    ...{ treq: 0, portid: 1, cntlid: 1, asqsz: 32, eflags: 0, traddr },
  }));
  return { tid, hostId: '', log: known(entries), fresh: true, readAt: 0 };
}

/** Connected to what is configured and to what a DC's log lists. */
async function connected(text: string, ...dcs: readonly ReportedDc[]): Promise<StacdBench> {
  const bench = new StacdBench(text);
  for (const at of [A, B, C]) bench.target(at);
  await bench.start();
  await bench.says(known({ settled: true, controllers: dcs, askedAt: 0, removed: new Map() }));
  await bench.clock.advance(5_000);
  return bench;
}

function foreign(bench: StacdBench, traddr = '10.1.0.9'): void {
  const fields = { traddr, trsvcid: '4420', subsysnqn: 'nqn.other', hostnqn: HOST };
  bench.devices.add({ ...fields, hasChildren: true }, { silent: true });
}

describe('an I/O controller of a discovery log', () => {
  test('goes with a discovery controller that stafd removes, and that is said', async () => {
    const bench = await connected('', dc(DC, A, B), dc(dcAt('10.0.0.2'), B));
    expect((await bench.preview('')).remove).toEqual([]);
    const { change, remove } = await bench.preview('', [DC, dcAt('10.9.9.9')]);
    expect(remove).toMatchObject([
      {
        controller: { traddr: A, device: 'nvme0' },
        why: 'its discovery controller was removed',
        connection: 'disconnected',
        follows: true,
      },
    ]);
    // The other log still lists it: who asks for it is no other kind of source.
    expect(change).toEqual([]);
  });

  test('that is excluded besides goes for that reason', async () => {
    const bench = await connected('', dc(DC, A));
    const { remove } = await bench.preview(`[Controllers]\nexclude=traddr=${A}\n`, [DC]);
    expect(remove).toMatchObject([
      { why: 'excluded by /etc/stas/stacd.conf, line 2', follows: false },
    ]);
  });

  test('stays where it is configured, too', async () => {
    const bench = await connected('', dc(DC, A));
    const { change, remove } = await bench.preview(controllers(A), [DC]);
    expect(remove).toEqual([]);
    expect(change).toMatchObject([
      { controller: { traddr: A }, changes: [], sources: { from: ['log'], to: ['configured'] } },
    ]);
  });

  test('stays while stafd does not answer', async () => {
    const bench = await connected('', dc(DC, A));
    await bench.says(unknown('stafd is not running'));
    const { keep, notes, remove } = await bench.preview('', [DC]);
    expect(remove).toEqual([]);
    expect(keep).toHaveLength(1);
    expect(notes).toEqual([
      { kind: 'kept', about: `(tcp, ${A}, 4420, nqn.sub)`, why: 'stafd is not running' },
      { kind: 'open', about: 'what discovery logs list', why: 'stafd is not running' },
    ]);
  });
});

describe('disconnect-scope', () => {
  test('"no-disconnect" lets the connection of what is given up stay', async () => {
    const bench = await connected(controllers(A));
    const scope = '[I/O controller connection management]\ndisconnect-scope=no-disconnect\n';
    const { remove } = await bench.preview(scope);
    expect(remove).toMatchObject([{ controller: { device: 'nvme0' }, connection: 'stays' }]);
  });

  test('"all" drops connections of others, named as the kernel has them', async () => {
    const bench = await connected('');
    foreign(bench);
    expect((await bench.preview('')).remove).toEqual([]);
    expect((await bench.preview(ALL)).remove).toEqual([
      {
        controller: {
          ...{ transport: 'tcp', traddr: '10.1.0.9', trsvcid: '4420', subsysnqn: 'nqn.other' },
          ...{ 'host-traddr': '', 'host-iface': '', 'host-nqn': HOST, device: 'nvme0' },
        },
        why: 'Nothing asks for this connection (disconnect-scope)',
        connection: 'disconnected',
        follows: false,
      },
    ]);
    expect(bench.connected).toEqual(['10.1.0.9']);
  });

  test('drops nothing of the boot path, whoever connected it, and says that it is that', async () => {
    const table = {
      hfis: [{ mac: '52:54:00:00:00:01', address: '10.1.0.50' }],
      subsystems: [{ nqn: 'nqn.sub', traddr: A }],
    } as const;
    const bench = new StacdBench(controllers(A));
    bench.bootFirmware.set('NBFT', encodeNbft(table).bytes);
    bench.target(A);
    await bench.start();
    await bench.says(known({ settled: true, controllers: [], askedAt: 0, removed: new Map() }));
    expect((await bench.preview('')).remove).toMatchObject([
      {
        controller: { device: 'nvme0' },
        connection: 'stays',
        spared: expect.any(String) as string,
      },
    ]);
    bench.reload('');
    await bench.clock.advance(1_000);
    expect(bench.connected).toEqual([A]);
    expect((await bench.preview(ALL)).remove).toEqual([]);
  });

  test('"all" decides nothing of others while something is unknown or being connected', async () => {
    const bench = await connected('', { ...dc(DC), log: unknown('not read') });
    foreign(bench);
    const unread = await bench.preview(ALL);
    expect(unread.remove).toEqual([]);
    expect(unread.notes).toMatchObject([
      { kind: 'open', about: 'connections that nothing asks for' },
    ]);
    await bench.says(
      known({ settled: true, controllers: [dc(DC)], askedAt: 0, removed: new Map() }),
    );
    expect((await bench.preview(ALL)).remove).toHaveLength(1);
    bench.fabrics.connects.hold();
    bench.reload(controllers(A));
    await bench.clock.advance(1_000);
    expect((await bench.preview(ALL + controllers(A))).remove).toEqual([]);
  });

  test('"all" is not told of where the kernel cannot be read', async () => {
    const bench = await connected('');
    const error = new PortError('no sysfs', { code: 'EIO', errorClass: 'retry' });
    bench.devices.lists.failAlways(error);
    await expect(bench.preview(ALL)).rejects.toBe(error);
    await expect(bench.preview('')).resolves.toMatchObject({ remove: [] });
  });
});

test('two controllers with one connection: it stays while one of them does', async () => {
  const iface = `[Controllers]\ncontroller=transport=tcp;traddr=${A};trsvcid=4420;nqn=nqn.sub;host-iface=eth0\n`;
  const bench = new StacdBench(controllers(A));
  bench.interfaces.set({ name: 'eth0', address: '10.1.0.50', family: 'ipv4', mac: '' });
  bench.target(A);
  await bench.start();
  bench.devices.update('nvme0', { srcAddr: '10.1.0.50' });
  bench.reload(`${controllers(A)}${iface.slice('[Controllers]\n'.length)}`);
  await bench.clock.advance(5_000);
  expect(bench.service.controllers()).toHaveLength(2);
  expect((await bench.preview(iface)).remove).toMatchObject([
    {
      controller: { 'host-iface': '', device: 'nvme0' },
      connection: 'stays',
      spared: "another controller's, too",
    },
  ]);
  expect((await bench.preview('')).remove).toMatchObject([
    { connection: 'disconnected' },
    { connection: 'disconnected' },
  ]);
});

test.each([
  ['the configuration', controllers(A).replace('nqn.sub', 'nqn.sub;host-iface=eth0'), []],
  ['a log', '', [DC]],
])('one that %s asks for under another TID is a change', async (_, text, dcs) => {
  const bench = await connected(
    text,
    ...dcs.map((tid) => dc(makeTid({ ...tid, hostIface: 'eth0' }), A)),
  );
  const preview = await bench.preview(`[Global]\nignore-iface=true\nkato=7\n${text}`);
  expect(preview).toMatchObject({ add: [], remove: [], keep: [] });
  expect(preview.change).toEqual([
    {
      controller: expect.objectContaining({ 'host-iface': 'eth0', device: 'nvme0' }) as unknown,
      becomes: {
        ...{ transport: 'tcp', traddr: A, trsvcid: '4420', subsysnqn: 'nqn.sub' },
        ...{ 'host-traddr': '', 'host-iface': '', 'host-nqn': HOST },
      },
      options: { kato: '7', 'ctrl-loss-tmo': '600' },
      changes: [{ option: 'kato', from: null, to: '7' }],
    },
  ]);
});

test('another host NQN is asked for by logs that name none', async () => {
  const bench = await connected('', dc(makeTid({ ...DC, hostNqn: '' }), A));
  const { add, remove } = await bench.preview('', [], 'nqn.2014-08.org.nvmexpress:uuid:other');
  expect(remove).toMatchObject([{ controller: { 'host-nqn': HOST } }]);
  expect(add).toMatchObject([
    { controller: { 'host-nqn': 'nqn.2014-08.org.nvmexpress:uuid:other' }, sources: ['log'] },
  ]);
});
