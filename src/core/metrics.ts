/**
 * What operators count, in the terms of OpenMetrics 1.0: families of samples. Plain numbers, which
 * cost a daemon nothing until somebody asks; whoever asks turns them into text.
 *
 * Invariants:
 * - a count never falls;
 * - a counter holds at most MAX_SERIES sets of labels, whatever is counted: what comes after them is
 *   counted as OTHER.
 */

export type MetricType = 'counter' | 'gauge' | 'histogram';

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  /** What follows the name of its family: empty, or `_bucket`, `_sum`, `_count` of a histogram. */
  readonly suffix: string;
  readonly labels: Labels;
  readonly value: number;
}

/** `name`: of a counter, with its `_total`. */
export interface Family {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** Sets of labels of one counter: more than there are words for reasons. */
const MAX_SERIES = 100;
const OTHER = 'other';

/** Events that are counted by the values of the labels `names`. */
export class Counter {
  readonly #names: readonly string[];
  readonly #counts = new Map<string, { readonly values: readonly string[]; count: number }>();

  /** `known`: values that are told before anything is counted, so that the first one is a change. */
  constructor(names: readonly string[], known: readonly (readonly string[])[] = []) {
    this.#names = names;
    for (const values of known) this.#series(values);
  }

  /** `values`: words and codes, in the order of the names. */
  add(values: readonly string[] = [], by = 1): void {
    this.#series(values).count += by;
  }

  samples(): readonly Sample[] {
    return [...this.#counts.values()].map(({ count, values }) => ({
      suffix: '',
      labels: Object.fromEntries(this.#names.map((name, index) => [name, values[index] ?? ''])),
      value: count,
    }));
  }

  #series(values: readonly string[]): { count: number } {
    const key = JSON.stringify(values);
    const there = this.#counts.get(key);
    if (there !== undefined) return there;
    const others = this.#names.map(() => OTHER);
    if (this.#counts.size >= MAX_SERIES && key !== JSON.stringify(others)) {
      return this.#series(others);
    }
    const series = { values, count: 0 };
    this.#counts.set(key, series);
    return series;
  }
}

/** Upper bounds in seconds: from what a fast network does in, to the last of many tries. */
export const LATENCY_SECONDS: readonly number[] = [
  0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
];

/** Values that are counted by size. */
export class Histogram {
  readonly #bounds: readonly number[];
  /** How many values are within a bound and above the one before it; the last, above all. */
  readonly #counts: number[];
  #sum = 0;

  /** `bounds`: ascending. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = [...bounds, Infinity].map(() => 0);
  }

  observe(value: number): void {
    const found = this.#bounds.findIndex((bound) => value <= bound);
    const index = found < 0 ? this.#bounds.length : found;
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#sum += value;
  }

  samples(): readonly Sample[] {
    let count = 0;
    const buckets = this.#counts.map((within, index): Sample => {
      count += within;
      return {
        suffix: '_bucket',
        labels: { le: boundText(this.#bounds[index] ?? Infinity) },
        value: count,
      };
    });
    return [
      ...buckets,
      { suffix: '_sum', labels: {}, value: this.#sum },
      { suffix: '_count', labels: {}, value: count },
    ];
  }
}

/** OpenMetrics 1.0, "Canonical Numbers": the same bound is to be the same text everywhere. */
function boundText(bound: number): string {
  if (bound === Infinity) return '+Inf';
  return Number.isInteger(bound) ? bound.toFixed(1) : String(bound);
}

/** Those of a gauge that has one value, or one for each word of the label `name`. */
export function gauge(value: number): readonly Sample[] {
  return [{ suffix: '', labels: {}, value }];
}

/** How many of the `items` there are of each of the `words`, those of which there are none, too. */
export function countByWord<T extends string>(
  label: string,
  words: readonly T[],
  items: readonly T[],
): readonly Sample[] {
  const counts = new Map<T, number>(words.map((word) => [word, 0]));
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  return [...counts].map(([word, value]) => ({ suffix: '', labels: { [label]: word }, value }));
}
