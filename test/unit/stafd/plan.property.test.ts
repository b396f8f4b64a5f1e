/** Any sequence of answers: what stays is what is reachable from a root; nothing else does. */
import fc from 'fast-check';
import { test } from 'vitest';
import { known, unknown } from '../../../src/core/answer.ts';
import { tidKey, type TidKey } from '../../../src/nvme/transport-id.ts';
import {
  MDNS_SOURCE,
  planDiscoveryControllers,
  referralSource,
  type DcSnapshot,
  type LogAnswer,
} from '../../../src/stafd/plan.ts';
import {
  config,
  dcTid,
  existing,
  found,
  foundSoFar,
  readLog,
  remembered,
  snapshot,
  UNREAD,
} from './plan-samples.ts';

const TRADDRS = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'];
const some = fc.subarray(TRADDRS);

const log: fc.Arbitrary<LogAnswer> = fc.oneof(
  fc.constant(UNREAD),
  some.map((traddrs) => readLog(...traddrs)),
  some.map((traddrs) => remembered(...traddrs)),
);

const moment = fc.record({
  /** Lines with an address, and lines of the same source whose name is not resolved now. */
  configured: fc.dictionary(fc.constantFrom(...TRADDRS), fc.boolean()),
  /** Found to answer; undefined: avahi-daemon is away. */
  mdns: fc.option(some, { nil: undefined }),
  /** Announced only. */
  mute: some,
  excluded: fc.oneof(
    { weight: 4, arbitrary: fc.constant<string[]>([]) },
    { weight: 1, arbitrary: some },
  ),
  connected: some,
  logs: fc.array(log, { minLength: TRADDRS.length, maxLength: TRADDRS.length }),
});
type Moment = typeof moment extends fc.Arbitrary<infer T> ? T : never;

/** The addresses that must be there after a pass, found by repeating the rules until rest. */
function expected(now: Moment, before: ReadonlyMap<string, DcSnapshot>): ReadonlySet<string> {
  const allowed = TRADDRS.filter((traddr) => !now.excluded.includes(traddr));
  const standing = new Set<string>();
  const stands = (traddr: string): boolean => {
    const dc = before.get(traddr);
    const resolved = now.configured[traddr];
    if (resolved === true) return true;
    if (resolved === false && dc?.sources.has(`configured:${traddr}`) === true) return true;
    if (now.mdns?.includes(traddr) === true) return true;
    // No persistence: only a connection keeps one that mDNS is silent about.
    if (dc?.sources.has(MDNS_SOURCE) === true) {
      const answers = dc.unresponsiveSince === undefined;
      if (now.mdns === undefined || now.mute.includes(traddr) || answers) return true;
    }
    return [...standing].some((referrer) => {
      const answer = before.get(referrer)?.log ?? UNREAD;
      const lists =
        answer.kind === 'known' && answer.value.entries.some((entry) => entry.traddr === traddr);
      if (lists) return true;
      const silent = answer.kind === 'known' && answer.value.fresh;
      return !silent && dc?.sources.has(referralSource(tidKey(dcTid(referrer)))) === true;
    });
  };
  for (let size = -1; size !== standing.size;) {
    size = standing.size;
    for (const traddr of allowed) if (stands(traddr)) standing.add(traddr);
  }
  return standing;
}

/** The world after a pass, with what the moment says of connections and logs. */
function pass(now: Moment, before: ReadonlyMap<string, DcSnapshot>): Map<string, DcSnapshot> {
  const configured = Object.entries(now.configured).map(([traddr, resolved]) => ({
    source: `configured:${traddr}`,
    options: {},
    hostId: '',
    answer: resolved ? known(dcTid(traddr)) : unknown('no such name'),
  }));
  const actions = planDiscoveryControllers(
    snapshot({
      config: config({
        zeroconfPersistence: 0,
        excludes: now.excluded.map((traddr) => ({ traddr, file: 'F', line: 1 })),
      }),
      configured,
      mdns:
        now.mdns === undefined
          ? foundSoFar('away')
          : {
              ...found(...now.mdns.map((it) => dcTid(it))),
              announced: new Set([...now.mdns, ...now.mute].map((it) => tidKey(dcTid(it)))),
            },
      controllers: [...before.values()],
    }),
  );
  const after = new Map(before);
  const names = new Map<TidKey, string>(TRADDRS.map((it) => [tidKey(dcTid(it)), it]));
  for (const action of actions) {
    const traddr = names.get(action.kind === 'add' ? action.wanted.key : action.key) ?? '';
    if (action.kind === 'remove') after.delete(traddr);
    else if (action.kind === 'add') {
      if (after.has(traddr)) throw new Error('added twice');
      after.set(traddr, existing(traddr, [...action.wanted.sources], { log: UNREAD }));
    } else {
      const dc = before.get(traddr);
      if (dc !== undefined) after.set(traddr, { ...dc, sources: action.sources });
    }
  }
  return after;
}

/** Connections and logs change between passes. */
function drift(now: Moment, there: ReadonlyMap<string, DcSnapshot>): Map<string, DcSnapshot> {
  const changed = new Map<string, DcSnapshot>();
  for (const [traddr, dc] of there) {
    const connected = now.connected.includes(traddr);
    const answer = now.logs[TRADDRS.indexOf(traddr)] ?? UNREAD;
    const unresponsiveSince = connected ? undefined : 0;
    changed.set(traddr, { ...dc, unresponsiveSince, silentSince: 0, log: answer });
  }
  return changed;
}

function sorted(traddrs: Iterable<string>): string {
  return [...traddrs].sort().join(' ');
}

test('keeps and adds exactly what the rules reach, whatever the sources say', () => {
  fc.assert(
    fc.property(fc.array(moment, { maxLength: 6 }), (moments) => {
      let there = new Map<string, DcSnapshot>();
      for (const now of moments) {
        there = drift(now, there);
        const wanted = sorted(expected(now, there));
        there = pass(now, there);
        const got = sorted(there.keys());
        if (got !== wanted) throw new Error(`there are "${got}", expected "${wanted}"`);
      }
    }),
    { numRuns: 5_000 },
  );
}, 60_000);

test('leaves nothing once no source asks for anything, whatever referred to what', () => {
  fc.assert(
    fc.property(fc.array(moment, { maxLength: 5 }), (moments) => {
      let there = new Map<string, DcSnapshot>();
      for (const now of moments) there = pass(now, drift(now, there));
      const last = moments.at(-1);
      if (last === undefined) return;
      const nothing: Moment = { ...last, configured: {}, mdns: [], mute: [], connected: [] };
      there = pass(nothing, drift(nothing, there));
      if (there.size > 0) throw new Error(`there are still ${sorted(there.keys())}`);
    }),
    { numRuns: 2_000 },
  );
}, 60_000);
