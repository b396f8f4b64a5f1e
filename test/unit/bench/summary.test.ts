import { expect, it } from 'vitest';
import { summarize, table } from '../../bench/summary.ts';

it('takes the median and the 95th percentile of values in any order', () => {
  const values = Array.from({ length: 20 }, (_, index) => 20 - index);
  expect(summarize(values)).toEqual({ median: 10, p95: 19 });
  expect(summarize([7])).toEqual({ median: 7, p95: 7 });
  expect(() => summarize([])).toThrow(RangeError);
});

it('makes a table, with a ratio where there is something to compare with', () => {
  const ours = { median: 50, p95: 60.4 };
  const rows = [
    { what: 'stafctl ls', ours, original: { median: 125, p95: 130 } },
    { what: 'stafctl explain', ours, original: undefined },
  ];
  const lines = table(rows).split('\n');
  expect(lines.map((line) => line.split(/ *\| */).slice(1, -1))).toEqual([
    ['command', 'median', '95 %', "the original's median", '95 %', 'ratio'],
    expect.anything(),
    ['`stafctl ls`', '50', '60', '125', '130', '2.5 ×'],
    ['`stafctl explain`', '50', '60', '–', '–', '–'],
  ]);
  expect(new Set(lines.map((line) => line.length)).size).toBe(1);
});
