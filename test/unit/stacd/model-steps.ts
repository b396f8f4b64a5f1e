/** What happens to stacd in a random history, and what stafd and its files say then. */
import fc from 'fast-check';
import { known, unknown, type Answer } from '../../../src/core/answer.ts';
import type { DiscoveryEntry } from '../../../src/nvme/discovery-log.ts';
import { makeTid, tidKey, type TidKey } from '../../../src/nvme/transport-id.ts';
import type { DiscoveryState } from '../../../src/stacd/plan.ts';
import { HOST } from './bench.ts';

export const DCS = ['10.0.0.1', '10.0.0.2'].map((traddr) =>
  makeTid({ transport: 'tcp', traddr, subsysnqn: 'nqn.dc', hostNqn: HOST }),
);
export const ADDRESSES = [1, 2, 3, 4, 5, 6].map((last) => `10.1.0.${last}`);
export const SCOPES = [
  'only-stas-connections',
  'all-connections-matching-disconnect-trtypes',
  'no-disconnect',
] as const;

const index = fc.nat(ADDRESSES.length - 1);
/** Often all or none of them. */
const some = fc.oneof(
  fc.subarray(ADDRESSES),
  fc.constantFrom<string[]>([...ADDRESSES], [], ADDRESSES.slice(0, 1)),
);

const report = fc.oneof(
  fc.constantFrom('missing' as const, 'removed' as const, 'unread' as const),
  fc.record({ fresh: fc.boolean(), listed: some }),
);

export const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('stafd' as const),
      away: fc.boolean(),
      settled: fc.boolean(),
      reports: fc.tuple(report, report),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('reload' as const),
      configured: some,
      excluded: fc.oneof({ weight: 3, arbitrary: fc.constant<string[]>([]) }, some),
      scope: fc.constantFrom(...SCOPES),
    }),
  },
  fc.record({ kind: fc.constant('lose' as const), index, silent: fc.boolean() }),
  fc.record({ kind: fc.constant('target' as const), index, up: fc.boolean() }),
  fc.record({ kind: fc.constant('foreign' as const), made: some }),
  fc.record({ kind: fc.constant('slow' as const), on: fc.boolean() }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('use' as const), used: some }) },
  fc.record({ kind: fc.constant('time' as const), seconds: fc.constantFrom(2, 10, 90) }),
  fc.record({ kind: fc.constant('restart' as const), crash: fc.boolean() }),
);
export type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
export type StafdStep = Extract<Step, { kind: 'stafd' }>;
export type ReloadStep = Extract<Step, { kind: 'reload' }>;

function entryAt(traddr: string): DiscoveryEntry {
  return {
    ...{ trtype: 'tcp', adrfam: 'ipv4', subtype: 'nvme', trsvcid: '4420', subnqn: 'nqn.sub' },
    ...{ treq: 0, portid: 1, cntlid: 1, asqsz: 32, eflags: 0, traddr },
  };
}

export function answerOf(
  { away, reports, settled }: StafdStep,
  now: number,
): Answer<DiscoveryState> {
  if (away) return unknown('stafd is away');
  const removed = new Map<TidKey, number>();
  const controllers = DCS.flatMap((tid, at) => {
    const what = reports[at] ?? 'missing';
    if (what === 'removed') removed.set(tidKey(tid), now);
    if (what === 'missing' || what === 'removed') return [];
    if (what === 'unread')
      return [{ tid, hostId: '', log: unknown('not read'), fresh: false, readAt: now }];
    return [
      { tid, hostId: '', log: known(what.listed.map(entryAt)), fresh: what.fresh, readAt: now },
    ];
  });
  return known({ settled, askedAt: now, controllers, removed });
}

export function configText({ configured, excluded, scope }: ReloadStep): string {
  const lines = [
    '[I/O controller connection management]',
    `disconnect-scope = ${scope}`,
    '[Controllers]',
    ...configured.map((at) => `controller = transport=tcp;traddr=${at};trsvcid=4420;nqn=nqn.sub`),
    ...excluded.map((at) => `exclude = traddr=${at}`),
  ];
  return lines.join('\n');
}
