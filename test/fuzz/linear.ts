/**
 * How the time of a parser grows with its input, as the ratio of two times of the same run: no
 * machine is fast or slow enough to matter. Time is the processor's, since other work of the machine
 * costs none of it, and Node is to run with a heap in which nothing is collected meanwhile (see the
 * script `fuzz` of package.json): collecting is not linear.
 */
import type { Family } from './target.ts';

/** A linear parser takes 8 times as long for 8 times the input, a quadratic one 64 times. */
const FACTOR = 8;
/** Half-way between the two, as factors go, and the most that is allowed. */
export const MAX_RATIO = 24;
/** Above, it is measured again: whatever else happens makes times longer, never shorter. */
const DOUBTFUL_RATIO = 11;

/** The shorter time must be well above what the clock and the scheduler blur. */
const LEAST_MS = 1;
const FIRST_SIZE = 64;
/** Of the shorter input. A parser that is done with it at once has a limit of its own. */
const MAX_SIZE = 16 * 1024;
const REPEATS = 3;
const ATTEMPTS = 6;

export interface Growth {
  readonly family: string;
  /** Of the shorter input. */
  readonly size: number;
  readonly ratio: number;
}

/** Milliseconds of the processor, of all threads together. */
function processorTime(): number {
  const { system, user } = process.cpuUsage();
  return (system + user) / 1000;
}

export interface MeasureOptions {
  /** Called before every single measurement. */
  readonly onStep?: () => void;
  /** Milliseconds since some moment. */
  readonly now?: () => number;
}

export function measureGrowth(family: Family, options: MeasureOptions = {}): Growth {
  const { now = processorTime, onStep } = options;
  /** The least of some repeats. */
  const timeOf = (work: () => unknown): number => {
    let least = Number.POSITIVE_INFINITY;
    for (let repeat = 0; repeat < REPEATS; repeat += 1) {
      onStep?.();
      const start = now();
      work();
      least = Math.min(least, now() - start);
    }
    return least;
  };

  let size = FIRST_SIZE;
  let work = family.make(size);
  while (size < MAX_SIZE && timeOf(work) < LEAST_MS) {
    size *= 2;
    work = family.make(size);
  }
  const larger = family.make(size * FACTOR);
  // One after the other, all results kept: as much memory is touched as by the one larger input.
  const smaller = (): unknown => Array.from({ length: FACTOR }, () => work());
  let short = Number.POSITIVE_INFINITY;
  let long = Number.POSITIVE_INFINITY;
  let ratio = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < ATTEMPTS && ratio > DOUBTFUL_RATIO; attempt += 1) {
    short = Math.min(short, timeOf(smaller));
    long = Math.min(long, timeOf(larger));
    // What takes no measurable time takes none, however often.
    ratio = long < LEAST_MS ? 1 : (FACTOR * long) / short;
  }
  return { family: family.name, size, ratio };
}
