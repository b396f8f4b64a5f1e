import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ASK_AFTER_MS,
  brake,
  BY_SETTING,
  CONFIRM_AFTER_MS,
  type BrakeInput,
  type BrakeVerdict,
  type HeldRemoval,
  type Removal,
} from '../../../src/core/removal-brake.ts';

const NOW = 1_000_000;

function removals(count: number, fields: Partial<Removal> = {}): readonly Removal[] {
  return Array.from({ length: count }, (_, index) => ({
    ...{ key: `tid ${index}`, statedAt: NOW, inUse: undefined },
    ...fields,
  }));
}

function decide(fields: Partial<BrakeInput>): BrakeVerdict {
  const base = { now: NOW, limit: 50, connections: 10, removals: [], held: new Map() };
  return brake({ ...base, ...fields });
}

function heldSince(since: number, ...list: readonly Removal[]): Map<string, HeldRemoval> {
  return new Map(list.map(({ key }) => [key, { since, why: 'too many' }]));
}

describe('removals that a report asks for', () => {
  test.each([
    [0, 4, 4],
    [0, 5, 10],
    [6, 6, 10],
    [5, 5, 5],
    [33, 33, 64],
    [0, 32, 64],
  ])(
    'are held, %i of them, where there are %i of %i connections',
    (expected, count, connections) => {
      expect(decide({ connections, removals: removals(count) }).held.size).toBe(expected);
    },
  );

  test('are held by the limit that is set', () => {
    expect(decide({ limit: 80, removals: removals(8) }).held.size).toBe(0);
    expect(decide({ limit: 79, removals: removals(8) }).held.size).toBe(8);
    const inUse = removals(10, { inUse: 'mounted' });
    expect(decide({ limit: 100, removals: inUse }).held.size).toBe(0);
  });

  test('are held, be it one, where what is in use would lose its last path', () => {
    const [used] = removals(1, { inUse: 'mounted at /data' });
    if (used === undefined) throw new Error('there is one');
    const others = removals(3).slice(1);
    const { held } = decide({ removals: [used, ...others] });
    expect([...held]).toEqual([[used.key, { since: NOW, why: 'mounted at /data' }]]);
  });

  test('go when a statement says so again that is 30 s younger', () => {
    const list = removals(8, { statedAt: NOW + CONFIRM_AFTER_MS });
    const now = NOW + CONFIRM_AFTER_MS + 1;
    expect(decide({ now, removals: list, held: heldSince(NOW, ...list) }).held.size).toBe(0);
  });

  test('stay held, and are to be confirmed, while none does', () => {
    const list = removals(8, { statedAt: NOW + CONFIRM_AFTER_MS - 1 });
    const held = heldSince(NOW, ...list);
    const before = decide({ now: NOW + CONFIRM_AFTER_MS - 1, removals: list, held });
    expect(before).toMatchObject({ toConfirm: [], next: NOW + ASK_AFTER_MS });
    const after = decide({ now: NOW + 3_600_000, removals: list, held });
    expect(after.held).toEqual(held);
    expect(after).toMatchObject({ toConfirm: list.map(({ key }) => key), next: Infinity });
  });

  test('are forgotten when nothing asks for them any more', () => {
    const list = removals(8);
    const held = heldSince(NOW, ...list);
    expect(decide({ removals: list.slice(0, 2), held }).held.size).toBe(2);
  });
});

test('removals that a setting asks for are never held', () => {
  const list = removals(10, { statedAt: BY_SETTING, inUse: 'mounted' });
  expect(decide({ removals: list }).held.size).toBe(0);
  expect(decide({ removals: list, held: heldSince(NOW, ...list) }).held.size).toBe(0);
});

test('no history of reports drops more than the limit in a pass without a younger statement', () => {
  const moment = fc.record({
    wait: fc.nat(40_000),
    asked: fc.uniqueArray(fc.nat(11), { maxLength: 12 }),
    again: fc.boolean(),
  });
  const history = fc.array(moment, { maxLength: 30 });
  fc.assert(
    fc.property(history, fc.integer({ min: 1, max: 99 }), (moments, limit) => {
      let now = 0;
      let statedAt = 0;
      const there = new Set(Array.from({ length: 12 }, (_, index) => index));
      let held: ReadonlyMap<string, HeldRemoval> = new Map();
      for (const { again, asked, wait } of moments) {
        now += wait;
        if (again) statedAt = now;
        const keys = asked.filter((one) => there.has(one));
        const list = keys.map((one) => ({
          ...{ key: String(one), statedAt, inUse: undefined },
        }));
        const before = held;
        ({ held } = brake({ now, limit, connections: there.size, removals: list, held: before }));
        const gone = keys.filter((one) => !held.has(String(one)));
        const unconfirmed = gone.filter((one) => {
          const since = before.get(String(one))?.since;
          return since === undefined || statedAt < since + CONFIRM_AFTER_MS;
        });
        const few = unconfirmed.length <= 4;
        expect(few || unconfirmed.length * 100 <= limit * there.size).toBe(true);
        for (const one of gone) there.delete(one);
      }
    }),
  );
});
