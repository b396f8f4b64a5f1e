import type { Disposable } from '../ports/disposable.ts';
import type { Clock } from '../ports/host.ts';

/** The longest time that setTimeout takes: 2^31 - 1 ms, 24.8 days; beyond, it fires at once. */
const LONGEST_TIMEOUT = 0x7fff_ffff;

/** The host's clock: CLOCK_MONOTONIC for timers, CLOCK_REALTIME for people. */
export class SystemClock implements Clock {
  now(): number {
    return performance.now();
  }

  wallTime(): Date {
    return new Date();
  }

  setTimer(ms: number, callback: () => void): Disposable {
    const due = this.now() + ms;
    let timeout: NodeJS.Timeout | undefined;
    const arm = (): void => {
      // Node's timers have whole milliseconds: round up, so that none fires before its time.
      const delay = Math.min(LONGEST_TIMEOUT, Math.max(0, Math.ceil(due - this.now())));
      timeout = setTimeout(() => {
        if (this.now() < due) arm();
        else callback();
      }, delay);
      timeout.unref();
    };
    arm();
    return {
      dispose: () => {
        clearTimeout(timeout);
      },
    };
  }
}
