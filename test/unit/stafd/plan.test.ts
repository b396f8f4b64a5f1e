import { describe, expect, test } from 'vitest';
import { known, unknown } from '../../../src/core/answer.ts';
import { tidKey } from '../../../src/nvme/transport-id.ts';
import {
  MDNS_SOURCE,
  planDiscoveryControllers,
  referralSource,
  type StafdSnapshot,
} from '../../../src/stafd/plan.ts';
import { nextExpiry } from '../../../src/stafd/expiry.ts';
import {
  announced,
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

const A = '10.0.0.1';
const B = '10.0.0.2';
const C = '10.0.0.3';

function from(traddr: string): string {
  return referralSource(tidKey(dcTid(traddr)));
}

function line(
  traddr: string,
  source = `configured:${traddr}`,
): StafdSnapshot['configured'][number] {
  return { source, options: {}, hostId: '', answer: known(dcTid(traddr)) };
}

/** What becomes of each controller, by address. */
function fates(fields: Partial<StafdSnapshot>): Readonly<Record<string, string>> {
  const names = new Map([A, B, C].map((traddr) => [tidKey(dcTid(traddr)), traddr]));
  return Object.fromEntries(
    planDiscoveryControllers(snapshot(fields)).map((action) => {
      const key = action.kind === 'add' ? action.wanted.key : action.key;
      return [names.get(key) ?? key, action.kind];
    }),
  );
}

describe('what is wanted', () => {
  test('is configured, reported by mDNS, or referred to, in this order of precedence', () => {
    const controllers = [existing(A, [`configured:${A}`], { log: readLog(A, B, C) })];
    const mdns = found(dcTid(A), dcTid(B));
    const actions = planDiscoveryControllers(
      snapshot({ configured: [line(A)], mdns, controllers }),
    );
    const origins = actions.map((action) =>
      action.kind === 'remove' ? undefined : action.wanted?.extra.origin,
    );
    expect(origins).toEqual(['configured', 'discovered', 'referral']);
  });

  test('takes a referral from where the referring DC is reached', () => {
    const tid = dcTid(A, { hostTraddr: '10.0.0.9', hostIface: 'eth1' });
    const controllers = [existing(A, ['configured:a'], { tid, key: tidKey(tid), log: readLog(B) })];
    const configured = [{ source: 'configured:a', options: {}, hostId: '', answer: known(tid) }];
    const [, added] = planDiscoveryControllers(snapshot({ configured, controllers }));
    const expected = dcTid(B, { hostTraddr: '10.0.0.9', hostIface: 'eth1' });
    expect(added).toMatchObject({ kind: 'add', wanted: { tid: expected } });
  });

  test('does not contain what is excluded, and what only that refers to', () => {
    const excludes = [{ traddr: A, file: 'F', line: 4 }];
    const controllers = [
      existing(A, [`configured:${A}`], { log: readLog(B) }),
      existing(B, [from(A)]),
    ];
    const configured = [line(A)];
    expect(fates({ config: config({ excludes }), configured, controllers })).toEqual({
      [A]: 'remove',
      [B]: 'remove',
    });
  });
});

describe('a referral', () => {
  const configured = [line(A)];

  test('stays while the referring log was not read, and so do those behind it', () => {
    const controllers = [
      existing(A, [`configured:${A}`], { log: UNREAD }),
      existing(B, [from(A)], { log: readLog(C) }),
      existing(C, [from(B)]),
    ];
    expect(fates({ configured, controllers })).toEqual({ [A]: 'keep', [B]: 'keep', [C]: 'keep' });
  });

  test('stays while its referrer is wanted and not there yet', () => {
    const controllers = [existing(B, [from(A)])];
    expect(fates({ configured, controllers })).toEqual({ [A]: 'add', [B]: 'keep' });
  });

  test('stays although a log that is only remembered does not list it', () => {
    const controllers = [
      existing(A, [`configured:${A}`], { log: remembered() }),
      existing(B, [from(A)]),
    ];
    expect(fates({ configured, controllers })).toEqual({ [A]: 'keep', [B]: 'keep' });
  });

  test('goes when the log was read without it', () => {
    const controllers = [
      existing(A, [`configured:${A}`], { log: readLog() }),
      existing(B, [from(A)], { log: readLog(C) }),
      existing(C, [from(B)]),
    ];
    expect(fates({ configured, controllers })).toEqual({
      [A]: 'keep',
      [B]: 'remove',
      [C]: 'remove',
    });
  });

  test.each([
    ['known', readLog(B), readLog(A)],
    ['unread', UNREAD, UNREAD],
    ['remembered', remembered(B), remembered(A)],
  ])('in a cycle goes with its root (logs %s)', (_, logA, logB) => {
    const cycle = [
      existing(A, [`configured:${A}`, from(B)], { log: logA }),
      existing(B, [from(A)], { log: logB }),
    ];
    expect(fates({ configured, controllers: cycle })).toEqual({ [A]: 'keep', [B]: 'keep' });
    expect(fates({ configured: [], controllers: cycle })).toEqual({ [A]: 'remove', [B]: 'remove' });
  });

  test('to itself keeps nothing', () => {
    const controllers = [existing(A, [`configured:${A}`, from(A)], { log: readLog(A) })];
    expect(fates({ controllers })).toEqual({ [A]: 'remove' });
  });

  test('of a DC whose name cannot be resolved now is still followed', () => {
    const unresolved = {
      source: 'configured:a',
      options: {},
      hostId: '',
      answer: unknown('no such name'),
    };
    const controllers = [
      existing(A, ['configured:a'], { log: readLog(B) }),
      existing(B, [from(A)]),
    ];
    expect(fates({ configured: [unresolved], controllers })).toEqual({ [A]: 'keep', [B]: 'keep' });
  });
});

describe('a DC whose name has another address now', () => {
  const configured = [line(B, 'configured:a')];
  const moved = existing(A, ['configured:a'], { log: readLog(C) });
  const referred = existing(C, [from(A)]);

  test.each([
    ['is not there yet', []],
    ['was not read', [existing(B, ['configured:a'], { log: UNREAD })]],
    ['was read before the start', [existing(B, ['configured:a'], { log: remembered() })]],
  ])('stays, with what it refers to, while the one there %s', (_, there) => {
    const plan = fates({ configured, controllers: [moved, referred, ...there] });
    expect(plan).toMatchObject({ [A]: 'keep', [C]: 'keep' });
  });

  test('goes when the log was read there', () => {
    const there = existing(B, ['configured:a'], { log: readLog(C) });
    const plan = fates({ configured, controllers: [moved, referred, there] });
    expect(plan).toEqual({ [A]: 'remove', [B]: 'keep', [C]: 'keep' });
  });
});

describe('a DC that mDNS no longer reports', () => {
  const lost = { unresponsiveSince: 1_000_000, silentSince: 1_000_000 };

  function fate(seconds: number, now: number, fields = {}): string | undefined {
    const controllers = [existing(A, [MDNS_SOURCE], { ...lost, ...fields })];
    return fates({ now, config: config({ zeroconfPersistence: seconds }), controllers })[A];
  }

  test.each([0, 60, -1])('stays while it is connected (persistence %i)', (seconds) => {
    expect(fate(seconds, 9e12, { unresponsiveSince: undefined })).toBe('keep');
  });

  test('goes at once when unconnected with a persistence of 0', () => {
    expect(fate(0, 1_000_000)).toBe('remove');
  });

  test.each([
    ['silent last', { silentSince: 1_000_000, unresponsiveSince: 5 }],
    ['unconnected last', { silentSince: 5, unresponsiveSince: 1_000_000 }],
  ])('goes when it was silent and unconnected for the persistence, not before: %s', (_, since) => {
    expect(fate(60, 1_059_999, since)).toBe('keep');
    expect(fate(60, 1_060_000, since)).toBe('remove');
  });

  test('never goes with a persistence of -1', () => {
    expect(fate(-1, 9e12)).toBe('keep');
  });

  test.each([
    ['mDNS itself is unknown', foundSoFar('avahi-daemon is not running')],
    ['it is announced and does not answer', announced(dcTid(A))],
    ['only others were found so far', foundSoFar('still looking', dcTid(B))],
  ])('stays while %s', (_, mdns) => {
    const controllers = [existing(A, [MDNS_SOURCE], lost)];
    const settings = config({ zeroconfPersistence: 0 });
    expect(fates({ now: 9e12, config: settings, mdns, controllers })[A]).toBe('keep');
  });

  test('goes at once when it is excluded, connected or not', () => {
    const controllers = [existing(A, [MDNS_SOURCE])];
    const excludes = [{ transport: 'tcp' as const, file: 'F', line: 1 }];
    const settings = config({ excludes, zeroconfPersistence: -1 });
    expect(fates({ config: settings, mdns: found(dcTid(A)), controllers })).toEqual({
      [A]: 'remove',
    });
  });

  test('is due to be looked at when its time is over', () => {
    const controllers = [
      existing(A, [MDNS_SOURCE], lost),
      existing(B, [`configured:${B}`], { unresponsiveSince: 999_000 }),
      existing(C, [MDNS_SOURCE], { ...lost, silentSince: undefined }),
    ];
    const due = (seconds: number): number =>
      nextExpiry(snapshot({ config: config({ zeroconfPersistence: seconds }), controllers }));
    expect(due(60)).toBe(1_060_000);
    expect(due(-1)).toBe(Infinity);
  });
});

describe('what mDNS has found', () => {
  test('is wanted at once, though more is still being looked for', () => {
    expect(fates({ mdns: foundSoFar('still looking', dcTid(A)) })).toEqual({ [A]: 'add' });
  });

  test('is not wanted before it is known to answer', () => {
    expect(fates({ mdns: announced(dcTid(A)) })).toEqual({});
  });
});

describe('a configured DC', () => {
  test('goes when its line is gone, though it is connected', () => {
    expect(fates({ controllers: [existing(A, [`configured:${A}`])] })).toEqual({ [A]: 'remove' });
  });

  test('becomes a discovered one when only mDNS names it from now on', () => {
    const controllers = [existing(A, [`configured:${A}`])];
    const [action] = planDiscoveryControllers(snapshot({ mdns: found(dcTid(A)), controllers }));
    expect(action).toMatchObject({ kind: 'keep', wanted: { extra: { origin: 'discovered' } } });
    expect(action?.kind === 'keep' && [...action.sources]).toEqual([MDNS_SOURCE]);
  });
});
