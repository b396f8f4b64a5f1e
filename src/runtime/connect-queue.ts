/**
 * Who is handed to the kernel next. The kernel makes one fabrics connection at a time, so the order
 * decides how long a live path waits.
 *
 * Invariants:
 * - one controller stands in the queue at most once, and is not queued while it has its turn;
 * - first attempts go before repeats, each lane in order of arrival;
 * - a doubtful entry (its probe fails, or the kernel's last try took long) gets a turn only when
 *   nothing else waits or is in flight, alone; and the longer it takes, the longer the kernel is left
 *   alone afterwards, since whatever comes meanwhile has to wait for it.
 */
import type { QueueLane } from '../core/controller-model.ts';
import type { TidKey } from '../nvme/transport-id.ts';
import type { Disposable } from '../ports/disposable.ts';
import type { Clock } from '../ports/host.ts';

/** Few: the kernel takes one at a time; a second one is ready when the first is done. */
const MAX_IN_FLIGHT = 4;
/**
 * After a doubtful entry the kernel is left alone for so many times as long as its turn took, so that
 * all of them together hold the kernel's lock for at most half of the time: 3 s after a dead address,
 * a minute after a target that hung. Not for longer: it may be back, and that it is tried again must
 * not take longer than the try that failed. One that was connected at once is no hindrance to the next.
 */
const DOUBTFUL_GAP_FACTOR = 1;

export class ConnectQueue implements Disposable {
  readonly #clock: Clock;
  readonly #lanes: Readonly<Record<QueueLane, Map<TidKey, () => Promise<void>>>> = {
    first: new Map(),
    repeat: new Map(),
    doubtful: new Map(),
  };
  #inFlight = 0;
  #doubtfulInFlight = false;
  #nextDoubtful = 0;
  /** When the kernel last ended a connect. */
  #lastConnect = 0;
  #gapTimer: Disposable | undefined;
  #disposed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Entries that wait, for people. */
  get length(): number {
    return this.#lanes.first.size + this.#lanes.repeat.size + this.#lanes.doubtful.size;
  }

  /** Whether first attempts wait for their turn. */
  get firstTriesWait(): boolean {
    return this.#lanes.first.size > 0;
  }

  /** `turn` is called once, later; its promise tells when the turn is over and must not reject. */
  enqueue(key: TidKey, lane: QueueLane, turn: () => Promise<void>): void {
    if (this.#disposed) return;
    this.dequeue(key);
    this.#lanes[lane].set(key, turn);
    this.#dispatch();
  }

  dequeue(key: TidKey): void {
    this.#lanes.first.delete(key);
    this.#lanes.repeat.delete(key);
    this.#lanes.doubtful.delete(key);
  }

  /**
   * Called when the kernel is asked to connect; what it gives is called when that has ended, and
   * gives the milliseconds that the kernel spent on this one, without those before it. (Those of
   * other processes count in: they cannot be told apart.)
   */
  measure(): () => number {
    const begun = this.#clock.now();
    return () => {
      const now = this.#clock.now();
      const held = now - Math.max(begun, this.#lastConnect);
      this.#lastConnect = now;
      return held;
    };
  }

  dispose(): void {
    this.#disposed = true;
    this.#gapTimer?.dispose();
    this.#gapTimer = undefined;
    for (const lane of Object.values(this.#lanes)) lane.clear();
  }

  #dispatch(): void {
    while (!this.#disposed && this.#inFlight < MAX_IN_FLIGHT && !this.#doubtfulInFlight) {
      const lane = this.#nextLane();
      if (lane === undefined) return;
      const entry = lane.entries().next().value;
      if (entry === undefined) return;
      lane.delete(entry[0]);
      void this.#give(entry[1], lane === this.#lanes.doubtful);
    }
  }

  #nextLane(): Map<TidKey, () => Promise<void>> | undefined {
    if (this.#lanes.first.size > 0) return this.#lanes.first;
    if (this.#lanes.repeat.size > 0) return this.#lanes.repeat;
    if (this.#lanes.doubtful.size === 0 || this.#inFlight > 0) return undefined;
    const wait = this.#nextDoubtful - this.#clock.now();
    if (wait <= 0) return this.#lanes.doubtful;
    this.#gapTimer ??= this.#clock.setTimer(wait, () => {
      this.#gapTimer = undefined;
      this.#dispatch();
    });
    return undefined;
  }

  async #give(turn: () => Promise<void>, doubtful: boolean): Promise<void> {
    this.#inFlight += 1;
    this.#doubtfulInFlight = doubtful;
    const begun = this.#clock.now();
    // Never from within enqueue: the caller's state must be settled before its turn.
    await Promise.resolve();
    try {
      await turn();
    } finally {
      this.#inFlight -= 1;
      if (doubtful) {
        this.#doubtfulInFlight = false;
        const now = this.#clock.now();
        this.#nextDoubtful = now + DOUBTFUL_GAP_FACTOR * (now - begun);
      }
      this.#dispatch();
    }
  }
}
