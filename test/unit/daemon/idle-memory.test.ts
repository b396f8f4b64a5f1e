import { expect, it } from 'vitest';
import { IdleMemory, LOOK_EVERY_MS } from '../../../src/daemon/idle-memory.ts';

const MIB = 1024 * 1024;

/** A heap of `live` bytes, and garbage. */
class Process {
  live = 6 * MIB;
  garbage = 8 * MIB;
  time = 5_000;
  collections = 0;
  readonly memory = new IdleMemory({
    collectGarbage: () => {
      this.collections += 1;
      this.garbage = 0;
      this.time += 500;
    },
    heapSize: () => this.live + this.garbage,
    processorTime: () => this.time,
  });

  /** `work`: how much of the time something was done. */
  look(work: number): this {
    this.time += work * LOOK_EVERY_MS;
    this.memory.look();
    return this;
  }
}

it('collects what the start left, as soon as there is rest', () => {
  const one = new Process().look(0.5);
  expect(one.garbage).toBe(8 * MIB);
  expect(one.look(0.01).garbage).toBe(0);
});

it('collects again when enough has come together, not for each little', () => {
  const one = new Process().look(0);
  const { collections } = one;
  one.garbage = MIB;
  expect(one.look(0).collections).toBe(collections);
  one.garbage = 2 * MIB;
  expect(one.look(0.2).collections).toBe(collections);
  expect(one.look(0).garbage).toBe(0);
});

it('takes a heap that stays large for what it is', () => {
  const one = new Process().look(0);
  one.live = 100 * MIB;
  const { collections } = one.look(0);
  one.garbage = 8 * MIB;
  expect(one.look(0).look(0).collections).toBe(collections);
});

it('leaves it to V8 where garbage cannot be collected at will', () => {
  const asked: string[] = [];
  const memory = new IdleMemory({
    collectGarbage: undefined,
    heapSize: () => asked.push('heap'),
    processorTime: () => 0,
  });
  memory.look();
  expect(asked).toEqual([]);
});
