import { describe, expect, test } from 'vitest';
import { bars, barTable, groupTable, type Result } from '../../bench/machine/results.ts';

function result(what: string, contender: Result['contender'], ...values: number[]): Result {
  return { group: 'cold', what, contender, unit: 's', values };
}

const COLD = [
  result("the daemons' own start", 'ours', 3),
  result('cold start to 64 live', 'ours', 9, 8, 30),
  result('cold start to 64 live', 'the original', 20, 18, 19),
  result('cold start to 64 live', 'nvme connect-all', Infinity, 6, 5),
];

test('shows medians, the least and the most, and how ours compares with the original', () => {
  expect(groupTable(COLD)).toEqual([
    '|                           |             ours |     the original |  nvme connect-all | ours / the original |',
    '| ------------------------- | ---------------: | ---------------: | ----------------: | ------------------: |',
    "| the daemons' own start, s |             3.00 |                – |                 – |                   – |",
    '| cold start to 64 live, s  | 9.00 (8.00–30.0) | 19.0 (18.0–20.0) | 6.00 (5.00–never) |                0.47 |',
  ]);
});

describe('bars', () => {
  const held = (results: readonly Result[]): readonly string[] =>
    bars(results).flatMap(({ limit, promise, ratio }) =>
      ratio === undefined ? [] : [`${promise}: ${ratio.toFixed(2)} of ${String(limit)}`],
    );

  test('are told of what was measured only', () => {
    expect(held([])).toEqual([]);
    expect(held(COLD)).toEqual([
      "cold start to 64 live: by the original's time: 0.47 of 0.6",
      "cold start to 64 live: by 1.1 × connect-all and the daemons' own start: 0.94 of 1",
    ]);
  });

  test('are missed by what never came', () => {
    const never = [
      result('24 live, no dead path', 'ours', 4),
      result('24 live, 16 mute', 'ours', Infinity),
    ];
    expect(barTable(bars(never)).at(-1)).toMatch(/16 mute.* ∞ \| \*\*missed\*\*/);
  });

  test('of memory look at what each controller adds', () => {
    const dirty = (count: number, contender: Result['contender'], kB: number): Result =>
      result(`Private_Dirty of stacd, ${String(count)} controllers`, contender, kB);
    const both = [
      ...[dirty(64, 'ours', 20_000), dirty(64, 'the original', 25_000)],
      ...[dirty(256, 'ours', 21_000), dirty(256, 'the original', 27_000)],
    ];
    expect(held(both)).toEqual([
      "Private_Dirty of stacd, 64 controllers: by the original's: 0.80 of 1",
      "Private_Dirty of stacd, growth for each of 64 to 256: by the original's: 0.50 of 1",
    ]);
  });
});
