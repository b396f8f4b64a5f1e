import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, expect, it, vi } from 'vitest';
import {
  IdleMemory,
  LOOK_EVERY_MS,
  LOOK_SOON_MS,
  ownMemory,
} from '../../../src/daemon/idle-memory.ts';

const MIB = 1024 * 1024;

/** A heap of `live` bytes, and garbage. */
class Process {
  live = 6 * MIB;
  garbage = 8 * MIB;
  time = 5_000;
  now = 7_000;
  next = LOOK_SOON_MS;
  collections = 0;
  readonly memory = new IdleMemory({
    collectGarbage: () => {
      this.collections += 1;
      this.garbage = 0;
      this.time += 500;
    },
    heapSize: () => this.live + this.garbage,
    processorTime: () => this.time,
    now: () => this.now,
  });

  /** When it is due. `work`: how much of the time something was done. */
  look(work: number): this {
    this.time += work * this.next;
    this.now += this.next;
    this.next = this.memory.look();
    return this;
  }
}

it('collects what the start left, as soon as there is rest', () => {
  const one = new Process().look(0.5);
  expect(one.look(0.01).garbage).toBe(8 * MIB);
  // A pause is no rest.
  expect(one.look(0.2).look(0.01).garbage).toBe(8 * MIB);
  expect(one.next).toBe(LOOK_SOON_MS);
  expect(one.look(0.01).garbage).toBe(0);
});

it('collects again when enough has come together, not for each little', () => {
  const one = new Process().look(0).look(0);
  const { collections } = one;
  one.garbage = MIB;
  expect(one.look(0).collections).toBe(collections);
  one.garbage = 2 * MIB;
  expect(one.look(0.2).collections).toBe(collections);
  expect(one.look(0).look(0).garbage).toBe(0);
});

it('looks soon again where much was done, and seldom at rest', () => {
  const one = new Process();
  expect(one.look(0.5).next).toBe(LOOK_SOON_MS);
  expect(one.look(0.2).next).toBe(LOOK_SOON_MS);
  expect(one.look(0.01).next).toBe(LOOK_SOON_MS);
  expect(one.look(0.01).next).toBe(LOOK_EVERY_MS);
  // The collection's own work is none.
  expect(one.look(0.01).next).toBe(LOOK_EVERY_MS);
  expect(one.look(0.2).next).toBe(LOOK_SOON_MS);
});

it('takes a heap that stays large for what it is', () => {
  const one = new Process().look(0).look(0);
  one.live = 100 * MIB;
  const { collections } = one.look(0).look(0);
  one.garbage = 8 * MIB;
  expect(one.look(0).look(0).look(0).collections).toBe(collections);
});

it('leaves it to V8 where garbage cannot be collected at will', () => {
  const asked: string[] = [];
  const memory = new IdleMemory({
    collectGarbage: undefined,
    heapSize: () => asked.push('heap'),
    processorTime: () => 0,
    now: () => 0,
  });
  expect(memory.look()).toBe(LOOK_EVERY_MS);
  expect(asked).toEqual([]);
});

afterEach(() => {
  vi.unstubAllGlobals();
});

it('gives back what this process does not use', () => {
  setFlagsFromString('--expose-gc');
  vi.stubGlobal('gc', runInNewContext('gc'));
  const memory = ownMemory();
  const garbage = Array.from({ length: 1_000_000 }, (_, index) => ({ index }));
  const before = memory.heapSize();
  garbage.length = 0;
  memory.collectGarbage?.();
  expect(memory.heapSize()).toBeLessThan(before - 10 * MIB);
});

it('leaves it to V8 where garbage cannot be asked for', () => {
  vi.stubGlobal('gc', undefined);
  expect(new IdleMemory().look()).toBe(LOOK_EVERY_MS);
});
