/**
 * Gives memory back when a daemon has come to rest. V8 collects garbage only as memory is asked for:
 * what connecting left behind would stay for as long as nothing happens.
 *
 * Invariant: garbage is collected only when hardly anything was done since the last look, so that
 * nobody waits for it.
 */
import { getHeapStatistics } from 'node:v8';

/** Of this process; by default, Node's own. */
export interface MemoryOfProcess {
  /** Undefined if it cannot be asked for: then V8's own ways have to do. */
  readonly collectGarbage: (() => void) | undefined;
  /** Bytes that the heap takes, with what is free in it. */
  heapSize(): number;
  /** Milliseconds of processor time since the start. */
  processorTime(): number;
}

/** How often to look, in milliseconds. */
export const LOOK_EVERY_MS = 30_000;

/** Of the time between two looks, more is not rest. */
const AT_REST = 0.1;

/** Growth that is worth a collection: this, and an eighth. */
const GROWTH_BYTES = 1024 * 1024;

export class IdleMemory {
  readonly #process: MemoryOfProcess;
  #heapSize = 0;
  #processorTime: number;

  constructor(memory: MemoryOfProcess = ownMemory()) {
    this.#process = memory;
    this.#processorTime = memory.processorTime();
  }

  /** To be called every LOOK_EVERY_MS. */
  look(): void {
    const before = this.#processorTime;
    this.#processorTime = this.#process.processorTime();
    const { collectGarbage } = this.#process;
    if (collectGarbage === undefined) return;
    if (this.#processorTime - before > AT_REST * LOOK_EVERY_MS) return;
    const grown = this.#process.heapSize() - this.#heapSize;
    if (grown < GROWTH_BYTES + this.#heapSize / 8) return;
    // Once to find what is free, and once to move together what is left.
    collectGarbage();
    collectGarbage();
    this.#heapSize = this.#process.heapSize();
    this.#processorTime = this.#process.processorTime();
  }
}

function ownMemory(): MemoryOfProcess {
  // With Node's option --expose-gc.
  const { gc } = globalThis;
  return {
    collectGarbage:
      gc === undefined
        ? undefined
        : () => {
            gc();
          },
    heapSize: () => getHeapStatistics().total_heap_size,
    processorTime: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    },
  };
}
