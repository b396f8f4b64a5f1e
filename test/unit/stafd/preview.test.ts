import { describe, expect, test } from 'vitest';
import { refer, StafdBench } from './bench.ts';
import { dcTid, HOST } from './plan-samples.ts';

const [A, B, C] = ['10.0.0.1', '10.0.0.2', '10.0.0.3'];

function line(traddr: string, fields = ''): string {
  return `controller=transport=tcp;traddr=${traddr};nqn=nqn.dc${fields}\n`;
}

function controllers(...lines: readonly string[]): string {
  return `[Controllers]\n${lines.join('')}`;
}

async function connected(...lines: readonly string[]): Promise<StafdBench> {
  const bench = new StafdBench(controllers(...lines));
  for (const at of [A, B, C]) bench.target(at);
  return bench.start();
}

function dict(traddr: string, device = 'nvme?') {
  return {
    ...{ transport: 'tcp', traddr, trsvcid: '8009', subsysnqn: 'nqn.dc' },
    ...{ 'host-traddr': '', 'host-iface': '', 'host-nqn': HOST, device },
  };
}

const GLOBAL = { kato: '30', 'ctrl-loss-tmo': '600' };

test('files that say the same change nothing', async () => {
  const bench = await connected(line(A), line(B));
  expect(bench.preview(controllers(line(B), line(A)))).toEqual({
    ...{ add: [], remove: [], change: [], notes: [] },
    keep: [
      { controller: dict(A, 'nvme0'), options: GLOBAL },
      { controller: dict(B, 'nvme1'), options: GLOBAL },
    ],
  });
});

test('a DC that is added, one that goes, and one whose options change', async () => {
  const bench = await connected(line(A), line(B, ';kato=9'));
  const { add, change, keep, remove } = bench.preview(
    controllers(line(B, ';kato=5;hdr-digest=true'), line(C)),
  );
  expect({ add, change, keep, remove }).toEqual({
    add: [{ controller: dict(C), sources: ['configured'] }],
    remove: [
      {
        controller: dict(A, 'nvme0'),
        why: 'the configuration no longer lists it',
        connection: 'disconnected',
        follows: false,
      },
    ],
    change: [
      {
        controller: dict(B, 'nvme1'),
        options: { ...GLOBAL, kato: '5', 'hdr-digest': 'true' },
        changes: [
          { option: 'hdr-digest', from: 'false', to: 'true' },
          { option: 'kato', from: '9', to: '5' },
        ],
      },
    ],
    keep: [],
  });
});

test('[Global] changes the DCs that say nothing of their own', async () => {
  const bench = await connected(line(A), line(B, ';kato=9'));
  const text = `[Global]\nkato=10\n${controllers(line(A), line(B, ';kato=9'))}`;
  const { change, keep } = bench.preview(text);
  expect(change).toMatchObject([
    { controller: { traddr: A }, changes: [{ option: 'kato', from: '30', to: '10' }] },
  ]);
  expect(keep).toMatchObject([{ controller: { traddr: B } }]);
});

test('another host ID of a host NQN is a change, too', async () => {
  const id = '30337838-5f1d-4e61-9c4e-d5ad2ad5b7ad';
  const other = '40337838-5f1d-4e61-9c4e-d5ad2ad5b7ad';
  const bench = await connected(line(A, `;host-nqn=nqn.2014-08.org.example:h;host-id=${id}`));
  const text = controllers(line(A, `;host-nqn=nqn.2014-08.org.example:h;host-id=${other}`));
  expect(bench.preview(text).change).toMatchObject([
    { changes: [{ option: 'host-id', from: id, to: other }] },
  ]);
});

test('a DC that another one still refers to stays, for that reason alone', async () => {
  const bench = new StafdBench(controllers(line(A), line(B)));
  bench.target(A, { entries: [refer(B)] });
  bench.target(B);
  await bench.start();
  expect(bench.preview(controllers(line(A))).change).toMatchObject([
    {
      controller: { traddr: B },
      changes: [],
      sources: { from: ['configured', 'referral'], to: ['referral'] },
    },
  ]);
});

test('what was referred to goes with the DC that referred to it', async () => {
  const bench = new StafdBench(controllers(line(A)));
  bench.target(A, { entries: [refer(B)] });
  bench.target(B);
  await bench.start();
  await bench.clock.advance(5_000);
  expect(
    bench.preview('').remove.map(({ controller, why }) => [controller['traddr'], why]),
  ).toEqual([
    [A, 'the configuration no longer lists it'],
    [B, 'the referring controller is gone'],
  ]);
});

test('a DC without connection has none to lose', async () => {
  const bench = new StafdBench(controllers(line(A)));
  await bench.start();
  expect(bench.preview('').remove).toMatchObject([{ connection: 'none' }]);
});

test('another host NQN makes every controller another one', async () => {
  const bench = await connected(line(A));
  const other = 'nqn.2014-08.org.nvmexpress:uuid:other';
  const { add, remove } = bench.preview(controllers(line(A)), other);
  expect(remove).toMatchObject([{ controller: dict(A, 'nvme0'), connection: 'disconnected' }]);
  expect(add).toMatchObject([{ controller: { traddr: A, 'host-nqn': other } }]);
});

describe('what is not decided by the files alone is noted', () => {
  test('a name that was not resolved yet', async () => {
    const bench = await connected(line(A));
    bench.resolver.set('dc.example', B);
    const { add, notes } = bench.preview(controllers(line(A), line('dc.example')));
    expect(add).toEqual([]);
    expect(notes).toEqual([
      {
        kind: 'open',
        about: '(tcp, dc.example, 8009, nqn.dc)',
        why: 'dc.example is being looked up',
      },
    ]);
    expect(bench.resolver.lookups.calls).toHaveLength(0);
  });

  test('a name that resolved is what it was', async () => {
    const bench = new StafdBench(controllers(line('dc.example')));
    bench.resolver.set('dc.example', B);
    bench.target(B);
    await bench.start();
    const { keep, notes } = bench.preview(controllers(line('dc.example')));
    expect(keep).toMatchObject([{ controller: { traddr: B, device: 'nvme0' } }]);
    expect(notes).toEqual([]);
  });

  test('a controller that is configured and excluded', async () => {
    const bench = await connected(line(A));
    const { notes, remove } = bench.preview(`${controllers(line(A))}exclude=traddr=${A}\n`);
    expect(remove).toMatchObject([{ why: 'excluded by /etc/stas/stafd.conf, line 3' }]);
    expect(notes).toEqual([
      {
        kind: 'refused',
        about: '(tcp, 10.0.0.1, 8009, nqn.dc)',
        why: 'excluded by /etc/stas/stafd.conf, line 3',
      },
    ]);
  });

  test('mDNS that begins with the reload, and a DC that stays after it ended', async () => {
    const off = '[Service Discovery]\nzeroconf=disabled\n';
    const bench = await new StafdBench(off).start();
    expect(bench.preview('').notes).toMatchObject([{ kind: 'open', about: 'what mDNS finds' }]);
    await bench.reload('');
    bench.target(C);
    await bench.reports(dcTid(C));
    expect(bench.preview('').notes).toEqual([]);
    const { keep, notes, remove } = bench.preview(off);
    expect(remove).toEqual([]);
    expect(keep).toMatchObject([{ controller: { traddr: C } }]);
    expect(notes).toMatchObject([{ kind: 'kept', about: '(tcp, 10.0.0.3, 8009, nqn.dc)' }]);
  });

  test('a DC whose connection is held or polled from then on', async () => {
    const auto = '[Discovery controller connection management]\npersistent-connections=auto\n';
    const bench = new StafdBench(controllers(line(A)));
    // Its own entry: the current discovery subsystem, without EPCSD.
    bench.target(A, { entries: [{ subtype: 3, traddr: A, trsvcid: '8009', subnqn: 'nqn.dc' }] });
    await bench.start();
    const about = '(tcp, 10.0.0.1, 8009, nqn.dc)';
    expect(bench.preview(auto + controllers(line(A))).notes).toMatchObject([
      { kind: 'open', about, why: expect.stringContaining('polled') as unknown },
    ]);
    expect(bench.preview(auto).notes).toEqual([]);
    await bench.reload(auto + controllers(line(A)), 10_000);
    expect(bench.connected).toEqual([]);
    expect(bench.preview(controllers(line(A))).notes).toMatchObject([{ kind: 'open', about }]);
    expect(bench.preview(auto + controllers(line(A))).notes).toEqual([]);
  });
});
