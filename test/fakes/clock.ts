/**
 * Virtual time. Nothing happens unless the test advances it.
 *
 * Invariants:
 * - `now()` never goes back, and inside a timer's callback it is exactly the timer's due time;
 * - timers fire in the order of their due times, those of the same time in the order of creation;
 * - after each timer, every promise that can settle does so before the next timer fires;
 * - a disposed timer never fires.
 */
import type { Disposable } from '../../src/ports/disposable.ts';
import type { Clock } from '../../src/ports/host.ts';

interface Timer {
  readonly due: number;
  readonly order: number;
  readonly callback: () => void;
}

/**
 * Lets every promise that can settle without a timer or I/O do so. (A turn of the real event loop:
 * the whole chain of microtasks runs before it.)
 */
export function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

export class FakeClock implements Clock {
  readonly #timers = new Set<Timer>();
  #now: number;
  #wallOffset: number;
  #created = 0;
  #advancing = false;

  /** Starts at a moment that is neither 0 nor the wall clock's, so that mixing them up shows. */
  constructor(start = 5_000_000, wall: Date = new Date('2026-01-02T03:04:05Z')) {
    this.#now = start;
    this.#wallOffset = wall.getTime() - start;
  }

  now(): number {
    return this.#now;
  }

  wallTime(): Date {
    return new Date(this.#now + this.#wallOffset);
  }

  /** As an administrator or NTP sets the wall clock: no timer moves. */
  setWallTime(wall: Date): void {
    this.#wallOffset = wall.getTime() - this.#now;
  }

  setTimer(ms: number, callback: () => void): Disposable {
    if (!Number.isFinite(ms)) throw new RangeError(`a timer of ${ms} ms`);
    this.#created += 1;
    const timer = { due: this.#now + Math.max(0, ms), order: this.#created, callback };
    this.#timers.add(timer);
    return { dispose: () => void this.#timers.delete(timer) };
  }

  /** Timers that are set: 0 after everything has been disposed of, or something leaks. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Milliseconds until the next timer fires, or undefined if none is set. */
  get nextTimerIn(): number | undefined {
    const next = this.#next();
    return next === undefined ? undefined : next.due - this.#now;
  }

  /** Lets `ms` milliseconds pass: fires what falls due, timers set meanwhile included. */
  async advance(ms: number): Promise<void> {
    if (!(ms >= 0)) throw new RangeError(`time does not go back (${ms} ms)`);
    if (this.#advancing) throw new Error('advance() within advance()');
    this.#advancing = true;
    try {
      const target = this.#now + ms;
      await settle();
      for (;;) {
        const timer = this.#next();
        if (timer === undefined || timer.due > target) break;
        this.#timers.delete(timer);
        this.#now = timer.due;
        timer.callback();
        await settle();
      }
      this.#now = target;
    } finally {
      this.#advancing = false;
    }
  }

  #next(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (
        next === undefined ||
        timer.due < next.due ||
        (timer.due === next.due && timer.order < next.order)
      ) {
        next = timer;
      }
    }
    return next;
  }
}
