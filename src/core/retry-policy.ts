/** Seconds to wait after the first, second, … failure in a row; the last one repeats. */
const LADDER_SECONDS = [1, 2, 5, 10, 20, 30] as const;

/** Each wait is varied by up to this share either way, so that many controllers spread out. */
const JITTER = 0.2;

/**
 * Milliseconds to wait before the next try.
 *
 * @param failures failures in a row so far, 1 or more
 * @param random a number in [0, 1)
 */
export function retryDelayMs(failures: number, random: number): number {
  const step = Math.min(Math.max(failures, 1), LADDER_SECONDS.length) - 1;
  const seconds = LADDER_SECONDS[step] ?? 30;
  return Math.round(seconds * 1000 * (1 - JITTER + 2 * JITTER * random));
}

/** What fails over and over, and is tried again: milliseconds of the clock. */
export interface FailingSpell {
  /** When it first failed. */
  readonly since: number;
  /** When it is tried again; in the past while it is. */
  readonly nextAt: number;
}
