/** Any sequence of answers: what stays is what is reachable from a root; nothing else does. */
import fc from 'fast-check';
import { test } from 'vitest';
import { known, unknown } from '../../../src/core/answer.ts';
import { tidKey, type TidKey } from '../../../src/nvme/transport-id.ts';
import {
  planDiscoveryControllers,
  type DcAction,
  type DcSnapshot,
  type LogAnswer,
} from '../../../src/stafd/plan.ts';
import {
  bootSource,
  expectedDcs,
  expectedOrigin,
  mdnsReport,
  type SourcesSay,
} from './plan-reference.ts';
import { config, dcTid, existing, readLog, remembered, snapshot, UNREAD } from './plan-samples.ts';

const TRADDRS = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'];
const NAMES = new Map<TidKey, string>(TRADDRS.map((it) => [tidKey(dcTid(it)), it]));
const some = fc.subarray(TRADDRS);

const log: fc.Arbitrary<LogAnswer> = fc.oneof(
  fc.constant(UNREAD),
  some.map((traddrs) => readLog(...traddrs)),
  some.map((traddrs) => remembered(...traddrs)),
);

const moment = fc.record({
  /** Seconds since the moment before. */
  after: fc.constantFrom(0, 1, 59, 60, 3_600),
  /** What the names of lines are now: any address, each its own most often, or not resolved. */
  configured: fc.dictionary(
    fc.constantFrom(...TRADDRS),
    fc.constantFrom('own', 'own', 'unresolved', ...TRADDRS),
  ),
  boot: fc.oneof({ weight: 2, arbitrary: fc.constant<string[]>([]) }, some),
  bootDoubt: fc.boolean(),
  mdns: some,
  mute: some,
  mdnsIncomplete: fc.boolean(),
  excluded: fc.oneof(
    { weight: 4, arbitrary: fc.constant<string[]>([]) },
    { weight: 1, arbitrary: some },
  ),
  persistence: fc.constantFrom(0, 60, -1),
  connected: some,
  logs: fc.array(log, { minLength: TRADDRS.length, maxLength: TRADDRS.length }),
});
type Moment = typeof moment extends fc.Arbitrary<infer T> ? T : never;

function say(now: Moment, at: number): SourcesSay {
  const resolved = new Map<string, string>();
  const unresolved: string[] = [];
  for (const [name, answer] of Object.entries(now.configured)) {
    if (answer === 'unresolved') unresolved.push(name);
    else resolved.set(name, answer === 'own' ? name : answer);
  }
  const configured = [...resolved.values()];
  return { ...now, now: at, addresses: TRADDRS, configured, unresolved, resolved };
}

function plan(what: SourcesSay, there: ReadonlyMap<string, DcSnapshot>): readonly DcAction[] {
  const line = (traddr: string | undefined, source: string) => ({
    source,
    options: {},
    hostId: '',
    answer: traddr === undefined ? unknown('no such name') : known(dcTid(traddr)),
  });
  return planDiscoveryControllers(
    snapshot({
      now: what.now,
      config: config({
        zeroconfPersistence: what.persistence,
        excludes: what.excluded.map((traddr) => ({ traddr, file: 'stafd.conf', line: 1 })),
      }),
      configured: [
        ...[...what.resolved].map(([name, traddr]) => line(traddr, `configured:${name}`)),
        ...what.unresolved.map((name) => line(undefined, `configured:${name}`)),
        ...what.boot.map((traddr) => line(traddr, bootSource(traddr))),
      ],
      bootDoubt: what.bootDoubt ? 'a table cannot be read' : undefined,
      mdns: mdnsReport(what),
      controllers: [...there.values()],
    }),
  );
}

/** The world after the actions of a plan. */
function apply(
  what: SourcesSay,
  there: ReadonlyMap<string, DcSnapshot>,
  actions: readonly DcAction[],
): Map<string, DcSnapshot> {
  const after = new Map(there);
  for (const action of actions) {
    const traddr = NAMES.get(action.kind === 'add' ? action.wanted.key : action.key) ?? '';
    const wanted = action.kind === 'remove' ? undefined : action.wanted;
    if (wanted !== undefined && wanted.extra.origin !== expectedOrigin(what, traddr)) {
      throw new Error(`${traddr} is said to be ${wanted.extra.origin}`);
    }
    if (action.kind === 'remove') after.delete(traddr);
    else if (action.kind === 'add') {
      if (after.has(traddr)) throw new Error('added twice');
      const sources = [...action.wanted.sources];
      after.set(traddr, existing(traddr, sources, { log: UNREAD, unresponsiveSince: what.now }));
    } else {
      const dc = there.get(traddr);
      if (dc !== undefined) after.set(traddr, { ...dc, sources: action.sources });
    }
  }
  return after;
}

/** Connections and logs change between passes. */
function drift(
  now: Moment,
  at: number,
  there: ReadonlyMap<string, DcSnapshot>,
): Map<string, DcSnapshot> {
  const changed = new Map<string, DcSnapshot>();
  for (const [traddr, dc] of there) {
    const connected = now.connected.includes(traddr);
    const answer = now.logs[TRADDRS.indexOf(traddr)] ?? UNREAD;
    const unresponsiveSince = connected ? undefined : (dc.unresponsiveSince ?? at);
    const heard = now.mdns.includes(traddr) || now.mute.includes(traddr);
    const silence = now.mdnsIncomplete ? dc.silentSince : (dc.silentSince ?? at);
    const silentSince = heard ? undefined : silence;
    changed.set(traddr, { ...dc, unresponsiveSince, silentSince, log: answer });
  }
  return changed;
}

function sorted(traddrs: Iterable<string>): string {
  return [...traddrs].sort().join(' ');
}

class World {
  #there = new Map<string, DcSnapshot>();
  #at = 1_000_000;

  get there(): ReadonlyMap<string, DcSnapshot> {
    return this.#there;
  }

  pass(now: Moment): void {
    this.#at += now.after * 1000;
    const what = say(now, this.#at);
    const before = drift(now, this.#at, this.#there);
    const expected = sorted(expectedDcs(what, before));
    this.#there = apply(what, before, plan(what, before));
    const got = sorted(this.#there.keys());
    if (got !== expected) throw new Error(`there are "${got}", expected "${expected}"`);
    // At rest: the same answers lead to no further action.
    const again = plan(what, this.#there).filter(({ kind }) => kind === 'remove');
    if (again.length > 0) throw new Error('a second look removes what the first one left');
  }
}

test('keeps and adds exactly what the rules reach, whatever the sources say', () => {
  fc.assert(
    fc.property(fc.array(moment, { maxLength: 6 }), (moments) => {
      const world = new World();
      for (const now of moments) world.pass(now);
    }),
    { numRuns: 5_000 },
  );
}, 60_000);

test('leaves nothing once no source asks for anything, whatever referred to what', () => {
  fc.assert(
    fc.property(fc.array(moment, { maxLength: 5 }), (moments) => {
      const world = new World();
      for (const now of moments) world.pass(now);
      const last = moments.at(-1);
      if (last === undefined) return;
      const silent = { mdnsIncomplete: false, persistence: 0, bootDoubt: false } as const;
      world.pass({
        ...last,
        ...silent,
        boot: [],
        configured: {},
        mdns: [],
        mute: [],
        connected: [],
      });
      if (world.there.size > 0) throw new Error(`there are still ${sorted(world.there.keys())}`);
    }),
    { numRuns: 2_000 },
  );
}, 60_000);

test('drops nothing while no source answers, except what is excluded', () => {
  fc.assert(
    fc.property(fc.array(moment, { maxLength: 5 }), moment, (moments, last) => {
      const world = new World();
      for (const now of moments) world.pass(now);
      const before = [...world.there];
      const lines = TRADDRS.map((traddr) => [traddr, 'unresolved'] as const);
      world.pass({
        ...last,
        configured: Object.fromEntries(lines),
        boot: [],
        bootDoubt: true,
        mdns: [],
        mdnsIncomplete: true,
        logs: TRADDRS.map(() => UNREAD),
      });
      for (const [traddr] of before) {
        if (world.there.has(traddr) || last.excluded.length > 0) continue;
        throw new Error(`${traddr} was dropped on no evidence`);
      }
    }),
    { numRuns: 2_000 },
  );
}, 60_000);
