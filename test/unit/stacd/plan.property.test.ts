/**
 * Any sequence of answers: a controller goes exactly when each source that ever asked for it has
 * said, after it last asked, that it does not; or when it is refused.
 */
import fc from 'fast-check';
import { test } from 'vitest';
import { defaultServiceConfig } from '../../../src/config/service-config.ts';
import { known, unknown, type Answer } from '../../../src/core/answer.ts';
import type { ExistingController, SourceId } from '../../../src/core/plan-controllers.ts';
import type { DiscoveryEntry } from '../../../src/nvme/discovery-log.ts';
import { makeTid, tidKey, type TidKey, type TransportId } from '../../../src/nvme/transport-id.ts';
import {
  logSource,
  planIoControllers,
  type DiscoveryState,
  type StacdSnapshot,
} from '../../../src/stacd/plan.ts';

const HOST = 'nqn.host';
const DCS = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((traddr) =>
  makeTid({ transport: 'tcp', traddr, subsysnqn: 'nqn.dc', hostNqn: HOST }),
);
const IOCS = ['10.1.0.1', '10.1.0.2', '10.1.0.3'].map((traddr) =>
  makeTid({ transport: 'tcp', traddr, trsvcid: '4420', subsysnqn: 'nqn.io', hostNqn: HOST }),
);

function entryOf(tid: TransportId): DiscoveryEntry {
  const { subsysnqn: subnqn, traddr, trsvcid } = tid;
  return {
    trtype: 'tcp',
    adrfam: 'ipv4',
    subtype: 'nvme',
    treq: 0,
    portid: 1,
    trsvcid,
    subnqn,
    traddr,
    cntlid: 1,
    asqsz: 32,
    eflags: 0,
  };
}

const iocs = fc.subarray(IOCS);

/** What stafd says of one DC. */
const report = fc.oneof(
  fc.constant({ kind: 'missing' } as const),
  fc.constant({ kind: 'removed' } as const),
  fc.constant({ kind: 'unread' } as const),
  fc.record({ kind: fc.constant('read' as const), fresh: fc.boolean(), listed: iocs }),
);

/** What the configuration says: a line with a name, resolved to one of the IOCs or not, or no line. */
const line = fc.oneof(
  fc.constant({ kind: 'missing' } as const),
  fc.constant({ kind: 'unresolved' } as const),
  fc.record({ kind: fc.constant('resolved' as const), tid: fc.constantFrom(...IOCS) }),
);

const moment = fc.record({
  away: fc.boolean(),
  settled: fc.boolean(),
  reports: fc.tuple(report, report, report),
  lines: fc.tuple(line, line),
  connected: iocs,
  excluded: fc.oneof(
    { weight: 4, arbitrary: fc.constant<TransportId[]>([]) },
    { weight: 1, arbitrary: iocs },
  ),
});
type Moment = typeof moment extends fc.Arbitrary<infer T> ? T : never;

/** What a source says of one controller: yes, no, or nothing. */
function statements({ away, connected, lines, reports, settled }: Moment, tid: TransportId) {
  const said = new Map<SourceId, boolean>();
  lines.forEach((what, index) => {
    const source = `configured:${String(index)}`;
    if (what.kind === 'missing') said.set(source, false);
    if (what.kind !== 'resolved') return;
    if (what.tid === tid) said.set(source, true);
    else if (connected.includes(what.tid)) said.set(source, false);
  });
  reports.forEach((what, index) => {
    const dc = DCS[index];
    if (away || dc === undefined) return;
    const source = logSource(dc);
    if (what.kind === 'removed' || (what.kind === 'missing' && settled)) said.set(source, false);
    if (what.kind !== 'read') return;
    if (what.listed.includes(tid)) said.set(source, true);
    else if (what.fresh) said.set(source, false);
  });
  return said;
}

function discovery({ away, reports, settled }: Moment): Answer<DiscoveryState> {
  if (away) return unknown('stafd is away');
  const removed = new Map<TidKey, number>();
  const controllers = reports.flatMap((what, index) => {
    const tid = DCS[index];
    if (tid === undefined || what.kind === 'missing') return [];
    if (what.kind === 'removed') {
      removed.set(tidKey(tid), 0);
      return [];
    }
    if (what.kind === 'unread')
      return [{ tid, hostId: '', log: unknown('not read'), fresh: false, readAt: 0 }];
    return [
      { tid, hostId: '', log: known(what.listed.map(entryOf)), fresh: what.fresh, readAt: 0 },
    ];
  });
  return known({ settled, askedAt: 0, controllers, removed });
}

function configured({ lines }: Moment): StacdSnapshot['configured'] {
  return lines.flatMap((what, index) => {
    const source = `configured:${String(index)}`;
    if (what.kind === 'missing') return [];
    const answer = what.kind === 'resolved' ? known(what.tid) : unknown('no such name');
    return [{ source, options: {}, hostId: '', answer }];
  });
}

test('removes exactly on positive evidence, whatever the sources say in whatever order', () => {
  const base = defaultServiceConfig('stacd');
  fc.assert(
    fc.property(fc.array(moment, { maxLength: 8 }), (moments) => {
      const there = new Map<TidKey, ExistingController>();
      /** Per controller, the sources that asked and have not taken it back. */
      const asking = new Map<TransportId, Set<SourceId>>(IOCS.map((tid) => [tid, new Set()]));
      for (const now of moments) {
        const excludes = now.excluded.map(({ traddr }) => ({ traddr, file: 'F', line: 1 }));
        const actions = planIoControllers({
          now: 0,
          config: { ...base, excludes },
          hostNqn: HOST,
          configured: configured(now),
          discovery: discovery(now),
          controllers: [...there.values()],
          connected: new Set(now.connected.map(tidKey)),
        });
        for (const action of actions) {
          if (action.kind === 'remove')
            demand(there.delete(action.key), 'removed what is not there');
          else if (action.kind === 'add') {
            demand(!there.has(action.wanted.key), 'added twice');
            there.set(action.wanted.key, action.wanted);
          } else {
            const before = there.get(action.key);
            if (before !== undefined) there.set(action.key, { ...before, sources: action.sources });
          }
        }
        for (const tid of IOCS) {
          const sources = asking.get(tid) ?? new Set();
          for (const [source, asks] of statements(now, tid)) {
            if (asks) sources.add(source);
            else sources.delete(source);
          }
          const refused = now.excluded.includes(tid);
          if (refused) sources.clear();
          demand(there.has(tidKey(tid)) === sources.size > 0, `${tid.traddr} is wrong`);
        }
      }
    }),
    { numRuns: 4_000 },
  );
});

function demand(holds: boolean, message: string): void {
  if (!holds) throw new Error(message);
}
