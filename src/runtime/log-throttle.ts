/**
 * Bounds what strangers on the network can make a daemon log.
 *
 * Invariant: in each stretch of PERIOD_MS at most LINES lines are written, none of them twice, and
 * one that says that there are more; tracing shows all.
 */
import type { Clock } from '../ports/host.ts';
import type { Log, LogFields } from '../ports/log.ts';

const PERIOD_MS = 600_000;
const LINES = 20;

export class LogThrottle {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #what: string;
  #begun = -Infinity;
  #said = new Set<string>();

  /** `what` the lines are about, as words that continue "more …". */
  constructor(clock: Clock, log: Log, what: string) {
    this.#clock = clock;
    this.#log = log;
    this.#what = what;
  }

  say(level: 'error' | 'warning' | 'info', message: string, fields?: LogFields): void {
    const now = this.#clock.now();
    if (now - this.#begun >= PERIOD_MS) {
      this.#begun = now;
      this.#said = new Set();
    }
    if (this.#said.has(message) || this.#said.size > LINES) {
      this.#log.debug(message, fields);
    } else if (this.#said.size === LINES) {
      this.#said.add(message);
      const minutes = String(PERIOD_MS / 60_000);
      this.#log.warning(`There are more ${this.#what}; they are not shown for ${minutes} minutes`);
      this.#log.debug(message, fields);
    } else {
      this.#said.add(message);
      this.#log[level](message, fields);
    }
  }
}
