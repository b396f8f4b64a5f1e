/**
 * Runs one pass for many marks.
 *
 * Invariants:
 * - never two passes at a time; a mark during a pass causes one more afterwards;
 * - a mark after QUIET_MS without any runs a pass at once: one thing has happened. Where another
 *   follows, many may: then one runs when nothing was marked for QUIET_MS, at the latest LATEST_MS
 *   after the first mark; in both cases not before the rest is over. The pass is told which it is:
 *   of what belongs together, the first mark may tell of half;
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
  readonly #pass: (hasty: boolean) => Promise<void>;
  readonly #onError: (thrown: unknown) => void;
  #timer: Disposable | undefined;
  /** Of the timer. */
  #due = Infinity;
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

  /** `pass` is told whether it is one for a single mark, with no quiet after it. */
  constructor(
    clock: Clock,
    pass: (hasty: boolean) => Promise<void>,
    onError: (thrown: unknown) => void,
  ) {
    this.#clock = clock;
    this.#pass = pass;
    this.#onError = onError;
  }

  /** Something may have changed: look soon. */
  mark(): void {
    if (this.#disposed) return;
    const now = this.#clock.now();
    if (this.#firstMark === undefined) {
      // A pass that asks for another one is no news.
      this.#single = this.#running === undefined && now - this.#lastMark >= QUIET_MS;
    }
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
    this.#single = false;
    if (this.#running === undefined) this.#arm(this.#firstMark, this.#firstMark);
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
    this.#arm(this.#atOnce ? firstMark : Math.max(due, this.#restUntil), now);
  }

  #arm(due: number, now: number): void {
    // Marks in turn after turn would put off even a timer that is due now.
    if (this.#timer !== undefined && this.#due === due) return;
    this.#timer?.dispose();
    this.#due = due;
    this.#timer = this.#clock.setTimer(Math.max(0, due - now), () => {
      this.#timer = undefined;
      // It runs already when its first lines, which may mark, do.
      this.#running = Promise.resolve().then(() => (this.#disposed ? undefined : this.#run()));
    });
  }

  async #run(): Promise<void> {
    const hasty = this.#single;
    this.#firstMark = undefined;
    this.#atOnce = false;
    this.#single = false;
    const begun = this.#clock.now();
    try {
      await this.#pass(hasty);
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
