/**
 * The gate between the event loop and calls that block.
 *
 * Everything in libnvme or the kernel that can wait for a target runs on libuv's thread pool, which
 * Node shares with its own file and DNS operations and which is small. So the gate bounds how many
 * calls are there at once, by lane: a lane whose calls all hang delays no other one, and no lane
 * takes the last threads from Node.
 *
 * Invariants:
 * - at most `limits[lane]` calls of a lane are in flight;
 * - calls of a lane begin in the order in which they were asked for;
 * - a call that began holds its place until it ends: nothing cancels it, its deadline only reports;
 * - after `finish` no call but a disconnect begins: those that wait, and new ones, are refused;
 * - `idle()` resolves when nothing waits and nothing is in flight, in any lane.
 */
import type { Disposable } from '../ports/disposable.ts';
import { PortError } from '../ports/errors.ts';
import type { Clock } from '../ports/host.ts';
import type { LogFields } from '../ports/log.ts';

/**
 * - `connect`: writes to /dev/nvme-fabrics; the kernel makes one connection at a time.
 * - `admin`: commands to a controller, which may not answer them, and short look-ups.
 * - `disconnect`: deletions, which wait for the kernel to end what the controller has in flight.
 */
export type Lane = 'connect' | 'admin' | 'disconnect';

export type LaneLimits = Readonly<Record<Lane, number>>;

/** Threads that libuv has when UV_THREADPOOL_SIZE is not set, and the most it takes. */
const DEFAULT_POOL = 4;
const LARGEST_POOL = 1024;

/** What libuv makes of UV_THREADPOOL_SIZE. */
export function threadPoolSize(setting: string | undefined): number {
  const size = Number.parseInt(setting ?? '', 10);
  if (!(size > 0)) return setting === undefined || setting === '' ? DEFAULT_POOL : 1;
  return Math.min(size, LARGEST_POOL);
}

/**
 * More connects at a time bring nothing: the kernel makes one at a time, and only what libnvme does
 * before and after overlaps. (Measured with 48 controllers on two emulated processors, milliseconds
 * for each: 840 one at a time, 540 with two, 370 with four.)
 */
const MOST_CONNECTS = 4;

/** Shares a pool out. A quarter of it, and at least one thread, stays free for Node. */
export function laneLimits(poolSize: number): LaneLimits {
  const usable = Math.max(1, poolSize - Math.max(1, Math.ceil(poolSize / 4)));
  const connect = Math.min(MOST_CONNECTS, Math.max(1, Math.floor(usable / 3)));
  const disconnect = Math.max(1, Math.floor((usable - connect) / 3));
  return { connect, disconnect, admin: Math.max(1, usable - connect - disconnect) };
}

/** A call that is in flight for longer than it should be, or that has ended after that. */
export interface OverdueCall {
  readonly name: string;
  readonly fields?: LogFields | undefined;
  readonly lane: Lane;
  readonly runningMs: number;
  /** false: reported when the deadline passed; true: reported when it ended at last. */
  readonly ended: boolean;
}

export interface CallGateOptions {
  readonly clock: Pick<Clock, 'now' | 'setTimer'>;
  readonly limits: LaneLimits;
  readonly onOverdue: (call: OverdueCall) => void;
}

export interface CallRequest {
  readonly lane: Lane;
  /** For the report of an overdue call; no secrets. */
  readonly name: string;
  /** Whom that report is about. */
  readonly fields?: LogFields;
  /** Milliseconds from the beginning of the call, waiting not counted. */
  readonly deadlineMs: number;
}

interface LaneState {
  inFlight: number;
  /** Each is called once: with true it has its place, with false it is refused. */
  readonly waiting: ((admitted: boolean) => void)[];
}

/** `ECANCELED`: the process is about to end, and nobody waits for what has not begun. */
export function finishing(name: string): PortError {
  return new PortError(`${name}: not done, the process is ending`, {
    code: 'ECANCELED',
    errorClass: 'retry',
    errno: 125,
  });
}

export class CallGate {
  readonly #options: CallGateOptions;
  readonly #lanes: Readonly<Record<Lane, LaneState>> = {
    connect: { inFlight: 0, waiting: [] },
    admin: { inFlight: 0, waiting: [] },
    disconnect: { inFlight: 0, waiting: [] },
  };
  #idleWaiters: (() => void)[] = [];
  #finishing = false;

  constructor(options: CallGateOptions) {
    this.#options = options;
  }

  get finishing(): boolean {
    return this.#finishing;
  }

  /** Lets nothing but disconnects begin any more. */
  finish(): void {
    this.#finishing = true;
    for (const lane of ['connect', 'admin'] as const) {
      for (const refuse of this.#lanes[lane].waiting.splice(0)) refuse(false);
    }
  }

  /**
   * Calls `operation` when its lane has room; settles as its promise does, or rejects with
   * `ECANCELED` after {@link finish}.
   */
  async run<T>(request: CallRequest, operation: () => Promise<T>): Promise<T> {
    if (!(await this.#enter(request.lane))) throw finishing(request.name);
    const { clock, onOverdue } = this.#options;
    const began = clock.now();
    const progress = { overdue: false };
    const report = (ended: boolean): void => {
      const { fields, name, lane } = request;
      onOverdue({ fields, name, lane, runningMs: clock.now() - began, ended });
    };
    let timer: Disposable | undefined;
    try {
      timer = clock.setTimer(request.deadlineMs, () => {
        progress.overdue = true;
        report(false);
      });
      return await operation();
    } finally {
      timer?.dispose();
      this.#leave(request.lane);
      if (progress.overdue) report(true);
    }
  }

  idle(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idleWaiters.push(resolve);
    });
  }

  /** Whether it has a place. */
  #enter(lane: Lane): Promise<boolean> {
    if (this.#finishing && lane !== 'disconnect') return Promise.resolve(false);
    const state = this.#lanes[lane];
    if (state.inFlight < this.#options.limits[lane]) {
      state.inFlight += 1;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      state.waiting.push(resolve);
    });
  }

  #leave(lane: Lane): void {
    const state = this.#lanes[lane];
    const next = state.waiting.shift();
    // The place is handed over, so that a newcomer cannot slip in before the one that waits.
    if (next !== undefined) {
      next(true);
      return;
    }
    state.inFlight -= 1;
    if (!this.#isIdle()) return;
    const waiters = this.#idleWaiters;
    this.#idleWaiters = [];
    for (const resolve of waiters) resolve();
  }

  #isIdle(): boolean {
    return Object.values(this.#lanes).every((state) => state.inFlight === 0);
  }
}
