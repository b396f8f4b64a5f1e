/**
 * Runs one pass for many marks.
 *
 * Invariants:
 * - never two passes at a time; a mark during a pass causes one more afterwards;
 * - a mark after QUIET_MS without any runs a pass at once: one thing has happened. Where another
 *   follows, many may: then one runs when nothing was marked for QUIET_MS, at the latest LATEST_MS
 *   after the first mark; in both cases not before the rest is over;
 * - passes take at most one part in 1 + REST_FACTOR of the time, unless they take so long that they
 *   would rest for more than LONGEST_REST_MS: a stream of marks, one for each of many connections,
 *   must not become one of passes over all of them;
 * - a pass that fails is reported and does not end the loop.
 */
import type { Disposable } from '../ports/disposable.ts';
import type { Clock } from '../ports/host.ts';

const QUIET_MS = 100;
const LATEST_MS = 1_000;
const REST_FACTOR = 2;
const LONGEST_REST_MS = 5_000;

export class Coalescer implements Disposable {
  readonly #clock: Clock;
  readonly #pass: () => Promise<void>;
  readonly #onError: (thrown: unknown) => void;
  #timer: Disposable | undefined;
  #firstMark: number | undefined;
  #lastMark = -Infinity;
  /** The first mark came out of the quiet. */
  #single = false;
  /** Until when the last pass is to be the last. */
  #restUntil = -Infinity;
  /** The next pass waits for nothing. */
  #atOnce = false;
  #running: Promise<void> | undefined;
  #disposed = false;

  constructor(clock: Clock, pass: () => Promise<void>, onError: (thrown: unknown) => void) {
    this.#clock = clock;
    this.#pass = pass;
    this.#onError = onError;
  }

  /** Something may have changed: look soon. */
  mark(): void {
    if (this.#disposed) return;
    const now = this.#clock.now();
    if (this.#firstMark === undefined) this.#single = now - this.#lastMark >= QUIET_MS;
    this.#firstMark ??= now;
    this.#lastMark = now;
    if (this.#running === undefined) this.#armMarked(now, this.#firstMark);
  }

  /** Look at once, or right after the pass at hand. */
  markNow(): void {
    if (this.#disposed) return;
    this.#firstMark = this.#clock.now();
    this.#lastMark = this.#firstMark;
    this.#atOnce = true;
    if (this.#running === undefined) this.#arm(0);
  }

  /** Resolves when no pass runs; one that waits for its time is not waited for. */
  async idle(): Promise<void> {
    await this.#running;
  }

  dispose(): void {
    this.#disposed = true;
    this.#timer?.dispose();
    this.#timer = undefined;
  }

  #armMarked(now: number, firstMark: number): void {
    const quiet = this.#single ? firstMark : now + QUIET_MS;
    const due = Math.min(quiet, firstMark + LATEST_MS);
    this.#arm(this.#atOnce ? 0 : Math.max(due, this.#restUntil) - now);
  }

  #arm(ms: number): void {
    this.#timer?.dispose();
    this.#timer = this.#clock.setTimer(Math.max(0, ms), () => {
      this.#timer = undefined;
      this.#running = this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#firstMark = undefined;
    this.#atOnce = false;
    const begun = this.#clock.now();
    try {
      await this.#pass();
    } catch (thrown) {
      this.#onError(thrown);
    }
    this.#running = undefined;
    const now = this.#clock.now();
    this.#restUntil = now + Math.min(REST_FACTOR * (now - begun), LONGEST_REST_MS);
    // A mark during the pass armed nothing.
    const marked = this.#firstMark as number | undefined;
    if (marked !== undefined && !this.#disposed) this.#armMarked(now, marked);
  }
}
