/** What a preview says is what the pass after the reload does, and nothing is done before. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BY_SETTING } from '../../../src/core/removal-brake.ts';
import { known, unknown, type Answer } from '../../../src/core/answer.ts';
import type { DiscoveryEntry } from '../../../src/nvme/discovery-log.ts';
import { makeTid, tidKey, type TransportId } from '../../../src/nvme/transport-id.ts';
import { PortError } from '../../../src/ports/errors.ts';
import type { DiscoveryState } from '../../../src/stacd/plan.ts';
import { encodeNbft, type NbftDescription } from '../../nbft/encode.ts';
import { foretold, fingerprint, happened, heldBy } from '../runtime/preview-oracle.ts';
import { HOST, StacdBench } from './bench.ts';

const ADDRESSES = ['10.1.0.1', '10.1.0.2', '10.1.0.3', 'fd00::4'];
const DCS = ['10.0.0.1', '10.0.0.2'].map((traddr, index) =>
  makeTid({
    ...{ transport: 'tcp', traddr, subsysnqn: 'nqn.dc' },
    hostNqn: index === 0 ? '' : HOST,
    hostIface: index === 0 ? '' : 'eth0',
  }),
);
const OTHER_HOST = 'nqn.2014-08.org.nvmexpress:uuid:other';

/** One of the controllers, and one of the connections of others, are the boot path. */
const BOOT = {
  hfis: [{ mac: '52:54:00:00:00:01', address: '10.1.0.9' }],
  subsystems: [
    { nqn: 'nqn.s', traddr: '10.1.0.1' },
    { nqn: 'nqn.foreign', traddr: '10.1.0.2' },
  ],
} as const satisfies NbftDescription;

const some = fc.subarray(ADDRESSES);
const rarely = fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true));

const files = fc.record({
  controllers: fc.subarray([...ADDRESSES, 'known.example', 'unknown.example']),
  iface: fc.boolean(),
  queueSize: fc.constantFrom('', '32', '64'),
  globalQueueSize: fc.constantFrom('', '32', '128'),
  excluded: fc.oneof({ weight: 3, arbitrary: fc.constant<string[]>([]) }, some),
  families: fc.constantFrom('ipv4+ipv6', 'ipv4+ipv6', 'ipv4', 'ipv6'),
  ignoreIface: rarely,
  scope: fc.constantFrom(
    'only-stas-connections',
    'all-connections-matching-disconnect-trtypes',
    'no-disconnect',
  ),
  trtypes: fc.constantFrom('tcp', 'rdma', 'tcp+fc'),
});
type Files = typeof files extends fc.Arbitrary<infer T> ? T : never;

function text(it: Files): string {
  const size = it.queueSize === '' ? '' : `;queue-size=${it.queueSize}`;
  const iface = it.iface ? ';host-iface=eth0' : '';
  const line = (at: string) =>
    `controller=transport=tcp;traddr=${at};trsvcid=4420;nqn=nqn.s${iface}${size}`;
  return [
    '[Global]',
    ...(it.globalQueueSize === '' ? [] : [`queue-size=${it.globalQueueSize}`]),
    `ignore-iface=${String(it.ignoreIface)}`,
    `ip-family=${it.families}`,
    '[I/O controller connection management]',
    `disconnect-scope=${it.scope}`,
    `disconnect-trtypes=${it.trtypes}`,
    '[Controllers]',
    ...it.controllers.map(line),
    ...it.excluded.map((at) => `exclude=traddr=${at}`),
  ].join('\n');
}

const log = fc.record({
  listed: some,
  read: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, fc.constant(false)),
  fresh: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, fc.constant(false)),
});

const world = fc.record({
  before: files,
  after: files,
  otherHost: rarely,
  logs: fc.tuple(log, log),
  settled: fc.boolean(),
  away: rarely,
  removed: fc.subarray(DCS),
  up: some,
  foreign: some,
  slow: rarely,
  bootTables: fc.constantFrom('none', 'none', 'none', 'read', 'unreadable'),
});
type World = typeof world extends fc.Arbitrary<infer T> ? T : never;

function entryAt(traddr: string): DiscoveryEntry {
  const adrfam = traddr.includes(':') ? 'ipv6' : 'ipv4';
  return {
    ...{ trtype: 'tcp', adrfam, subtype: 'nvme', trsvcid: '4420', subnqn: 'nqn.s' },
    ...{ treq: 0, portid: 1, cntlid: 1, asqsz: 32, eflags: 0, traddr },
  };
}

/** What stafd says, without the DCs that it has removed. */
function said(it: World, removed: readonly TransportId[]): Answer<DiscoveryState> {
  if (it.away) return unknown('stafd is away');
  const controllers = DCS.flatMap((tid, index) => {
    const log = it.logs[index];
    if (log === undefined || removed.includes(tid)) return [];
    const answer = log.read ? known(log.listed.map(entryAt)) : unknown('not read');
    return [{ tid, hostId: '', log: answer, fresh: log.read && log.fresh, readAt: 0 }];
  });
  return known({
    settled: it.settled,
    controllers,
    askedAt: 0,
    removed: new Map(removed.map((tid) => [tidKey(tid), BY_SETTING])),
  });
}

test('stacd does after both reloads what its preview said, which did nothing', async () => {
  await fc.assert(
    fc.asyncProperty(world, async (it) => {
      const bench = new StacdBench(text(it.before));
      const unreadable = new PortError('not read', { code: 'EIO', errorClass: 'final' });
      if (it.bootTables === 'unreadable') bench.bootFirmware.failure = unreadable;
      if (it.bootTables === 'read') bench.bootFirmware.set('NBFT', encodeNbft(BOOT).bytes);
      bench.resolver.set('known.example', '10.1.0.3');
      for (const at of it.up) bench.target(at, 'nqn.s');
      for (const traddr of it.foreign) {
        bench.devices.add({ traddr, trsvcid: '4420', subsysnqn: 'nqn.foreign', hostnqn: HOST });
      }
      bench.devices.add({ transport: 'pcie', traddr: '0000:01:00.0', subsysnqn: 'nqn.pcie' });
      if (it.slow) bench.fabrics.connects.hold();
      await bench.start();
      await bench.says(said(it, []));
      await bench.clock.advance(5_000);

      const hostnqn = it.otherHost ? OTHER_HOST : HOST;
      const [before, disconnects] = [heldBy(bench), bench.fabrics.disconnects.calls.length];
      const there = new Set(bench.devices.controllers.map(({ device }) => device));
      const foreign = new Set(
        bench.devices.controllers.flatMap(({ device, subsysnqn }) =>
          subsysnqn === 'nqn.foreign' ? [device] : [],
        ),
      );
      const untouched = fingerprint(bench);
      const preview = await bench.preview(text(it.after), it.removed, hostnqn);
      expect(fingerprint(bench)).toEqual(untouched);
      // What is found out later is not foretold.
      bench.resolver.lookups.hold();
      bench.discovery = said(it, it.removed);
      bench.reload(text(it.after), hostnqn);
      await bench.clock.advance(0);
      // An audit that could not be made yet is made when what goes is gone, by another pass; and it
      // looks up what is in use, for yet another.
      await bench.clock.advance(500);
      const told = foretold(preview, before, there);
      const all = happened(bench, before, disconnects);
      // Nor one that was only being made.
      const did = { ...all, disconnected: all.disconnected.filter((it) => there.has(it)) };
      // A connect that is under way puts the audit off for as long as it takes.
      const putOff = (device: string | undefined): boolean =>
        it.slow &&
        device !== undefined &&
        foreign.has(device) &&
        !did.disconnected.includes(device);
      const disconnected = told.disconnected.filter((device) => !putOff(device));
      expect({ ...told, disconnected }).toEqual(did);
    }),
    { numRuns: 300 },
  );
}, 60_000);
