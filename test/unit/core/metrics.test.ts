import { describe, expect, it } from 'vitest';
import { Counter, countByWord, Histogram, type Sample } from '../../../src/core/metrics.ts';

function values(samples: readonly Sample[]): Readonly<Record<string, number>> {
  return Object.fromEntries(
    samples.map(({ labels, suffix, value }) => [
      [suffix, ...Object.values(labels)].filter((part) => part !== '').join(' '),
      value,
    ]),
  );
}

describe('a counter', () => {
  it('tells what it knows before anything was counted', () => {
    const counter = new Counter(['how'], [['made'], ['found']]);
    counter.add(['made']);
    counter.add(['made'], 2);
    expect(values(counter.samples())).toEqual({ made: 3, found: 0 });
  });

  it('holds no more sets of labels than it may, and loses no count', () => {
    const counter = new Counter(['stage', 'reason']);
    for (let code = 0; code < 5_000; code += 1) counter.add(['kernel', `ERRNO_${String(code)}`]);
    counter.add(['kernel', 'ERRNO_0']);
    const samples = counter.samples();
    expect(samples.length).toBeLessThanOrEqual(101);
    expect(samples.reduce((sum, { value }) => sum + value, 0)).toBe(5_001);
    expect(values(samples)).toMatchObject({ 'kernel ERRNO_0': 2, 'other other': 4_900 });
  });
});

describe('a histogram', () => {
  it('counts a value in every bucket that it fits in, a bound included', () => {
    const histogram = new Histogram([0.5, 1]);
    for (const value of [0.1, 0.5, 0.6, 1, 7]) histogram.observe(value);
    expect(values(histogram.samples())).toEqual({
      '_bucket 0.5': 2,
      '_bucket 1.0': 4,
      '_bucket +Inf': 5,
      _sum: 9.2,
      _count: 5,
    });
  });
});

it('words that nothing has are told, too', () => {
  const samples = countByWord('state', ['up', 'down'] as const, ['up', 'up']);
  expect(values(samples)).toEqual({ up: 2, down: 0 });
});
