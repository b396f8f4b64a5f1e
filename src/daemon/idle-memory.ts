/**
 * Gives memory back when a daemon has come to rest. V8 collects garbage only as memory is asked for:
 * what connecting left behind would stay for as long as nothing happens.
 *
 * Invariant: garbage is collected only after two looks in turn, the second one soon after the first,
 * that found hardly anything done since the one before: a pause in the work is no rest.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';

/** Of this process; by default, Node's own. */
export interface MemoryOfProcess {
  /** Undefined if it cannot be asked for: then V8's own ways have to do. */
  readonly collectGarbage: (() => void) | undefined;
  /** Bytes that the heap takes, with what is free in it. */
  heapSize(): number;
  /** Milliseconds of processor time since the start. */
  processorTime(): number;
  /** Milliseconds of a clock that never goes back. */
  now(): number;
}

/** At rest: how often to look. */
export const LOOK_EVERY_MS = 60_000;
/** Where much was done, since rest may come soon; and where there is something to collect. */
export const LOOK_SOON_MS = 5_000;

/** Of the time between two looks, more is not rest. */
const AT_REST = 0.1;

/** Growth that is worth a collection: this, and an eighth. */
const GROWTH_BYTES = 1024 * 1024;

export class IdleMemory {
  readonly #process: MemoryOfProcess;
  #heapSize = 0;
  #processorTime: number;
  #lookedAt: number;
  /** The last look found nothing done, and something to collect. */
  #about = false;

  constructor(memory: MemoryOfProcess = ownMemory()) {
    this.#process = memory;
    this.#processorTime = memory.processorTime();
    this.#lookedAt = memory.now();
  }

  /** Gives back what can be; milliseconds until the next look. */
  look(): number {
    const { collectGarbage } = this.#process;
    if (collectGarbage === undefined) return LOOK_EVERY_MS;
    const worked = this.#process.processorTime() - this.#processorTime;
    const busy = worked > AT_REST * (this.#process.now() - this.#lookedAt);
    const due = !busy && this.#hasGrown();
    if (due && this.#about) {
      collectGarbage();
      this.#heapSize = this.#process.heapSize();
    }
    this.#about = due && !this.#about;
    this.#processorTime = this.#process.processorTime();
    this.#lookedAt = this.#process.now();
    return busy || this.#about ? LOOK_SOON_MS : LOOK_EVERY_MS;
  }

  #hasGrown(): boolean {
    return this.#process.heapSize() - this.#heapSize >= GROWTH_BYTES + this.#heapSize / 8;
  }
}

/** This process's. */
export function ownMemory(): MemoryOfProcess {
  // With Node's option --expose-gc.
  const { gc } = globalThis;
  return {
    collectGarbage:
      gc === undefined
        ? undefined
        : () => {
            // As a setting of the daemon it would make V8 mark the whole heap for each few megabytes
            // that it grows by; for a collection it means to give back all that is free.
            setFlagsFromString('--optimize-for-size');
            // Once to find what is free, and once to move together what is left.
            gc();
            gc();
            setFlagsFromString('--no-optimize-for-size');
          },
    heapSize: () => getHeapStatistics().total_heap_size,
    processorTime: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    },
    now: () => performance.now(),
  };
}
