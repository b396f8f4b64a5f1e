/**
 * Lets what waits be tried again when the network comes up.
 *
 * Invariants:
 * - what comes within SETTLE_MS (a link, its addresses, their routes) causes one try;
 * - while it goes on, tries follow one another in growing distance, up to MAX_GAP_MS: routes that
 *   change all the time must not turn retries into a stream of them;
 * - every event is followed by a try.
 */
import type { Disposable } from '../ports/disposable.ts';
import type { Clock } from '../ports/host.ts';
import type { Network } from '../ports/network.ts';

const SETTLE_MS = 200;
const FIRST_GAP_MS = 1_000;
const MAX_GAP_MS = 30_000;
/** After so long without an event it is a new story. */
const QUIET_MS = 60_000;

export class NetworkRetry implements Disposable {
  readonly #clock: Clock;
  readonly #retry: () => void;
  readonly #listening: Disposable;
  #timer: Disposable | undefined;
  #lastEvent = -Infinity;
  #lastTry = -Infinity;
  #gap = FIRST_GAP_MS;

  /** @param retry tries again whatever waits */
  constructor(clock: Clock, network: Network, retry: () => void) {
    this.#clock = clock;
    this.#retry = retry;
    this.#listening = network.onUp(() => {
      this.#onEvent();
    });
  }

  dispose(): void {
    this.#listening.dispose();
    this.#timer?.dispose();
    this.#timer = undefined;
  }

  #onEvent(): void {
    const now = this.#clock.now();
    if (now - this.#lastEvent > QUIET_MS) this.#gap = FIRST_GAP_MS;
    this.#lastEvent = now;
    if (this.#timer !== undefined) return;
    const at = Math.max(now + SETTLE_MS, this.#lastTry + this.#gap);
    this.#timer = this.#clock.setTimer(at - now, () => {
      this.#timer = undefined;
      const since = this.#clock.now() - this.#lastTry;
      // The first try of a story leaves the distance as it is.
      if (since <= QUIET_MS) this.#gap = Math.min(this.#gap * 2, MAX_GAP_MS);
      this.#lastTry = this.#clock.now();
      this.#retry();
    });
  }
}
