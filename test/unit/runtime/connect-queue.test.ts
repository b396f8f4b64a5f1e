import { expect, test } from 'vitest';
import type { QueueLane } from '../../../src/core/controller-model.ts';
import type { TidKey } from '../../../src/nvme/transport-id.ts';
import { ConnectQueue } from '../../../src/runtime/connect-queue.ts';
import { FakeClock, settle } from '../../fakes/clock.ts';

class Bench {
  readonly clock = new FakeClock();
  readonly queue = new ConnectQueue(this.clock);
  /** Who got a turn, in order. */
  readonly turns: string[] = [];
  readonly #over = new Map<string, () => void>();

  enqueue(name: string, lane: QueueLane): void {
    this.queue.enqueue(name as TidKey, lane, () => {
      this.turns.push(name);
      return new Promise((resolve) => void this.#over.set(name, resolve));
    });
  }

  /** Ends the turns of these and lets the next begin. */
  async end(...names: readonly string[]): Promise<void> {
    for (const name of names) this.#over.get(name)?.();
    await settle();
  }
}

test('gives no turn within the call that asks for it', async () => {
  const bench = new Bench();
  bench.enqueue('a', 'first');
  expect(bench.turns).toEqual([]);
  await settle();
  expect(bench.turns).toEqual(['a']);
});

test('gives four turns at a time, first attempts before repeats, each in order', async () => {
  const bench = new Bench();
  for (const name of ['a', 'b', 'c', 'd']) bench.enqueue(name, 'repeat');
  for (const name of ['r1', 'r2']) bench.enqueue(name, 'repeat');
  for (const name of ['f1', 'f2']) bench.enqueue(name, 'first');
  await settle();
  expect(bench.turns).toEqual(['a', 'b', 'c', 'd']);
  expect(bench.queue.length).toBe(4);
  await bench.end('a', 'b', 'c');
  expect(bench.turns.slice(4)).toEqual(['f1', 'f2', 'r1']);
});

test('holds one entry of a controller, the last one', async () => {
  const bench = new Bench();
  for (const name of ['a', 'b', 'c', 'd']) bench.enqueue(name, 'first');
  bench.enqueue('x', 'doubtful');
  bench.enqueue('x', 'repeat');
  bench.enqueue('x', 'first');
  expect(bench.queue.length).toBe(1);
  await bench.end('a', 'b', 'c', 'd');
  await bench.end('a', 'b', 'c', 'd');
  expect(bench.turns).toEqual(['a', 'b', 'c', 'd', 'x']);
});

test('gives no turn to what was withdrawn', async () => {
  const bench = new Bench();
  for (const name of ['a', 'b', 'c', 'd', 'x']) bench.enqueue(name, 'first');
  bench.queue.dequeue('x' as TidKey);
  await settle();
  await bench.end('a', 'b', 'c', 'd');
  expect(bench.turns).not.toContain('x');
});

test('tries a doubtful address only when nothing else waits or is in flight, and alone', async () => {
  const bench = new Bench();
  bench.enqueue('a', 'first');
  bench.enqueue('x', 'doubtful');
  await settle();
  expect(bench.turns).toEqual(['a']);
  await bench.end('a');
  expect(bench.turns).toEqual(['a', 'x']);
  bench.enqueue('b', 'first');
  await settle();
  expect(bench.turns).toEqual(['a', 'x']);
  await bench.end('x');
  expect(bench.turns).toEqual(['a', 'x', 'b']);
});

test.each([0, 3_000, 60_000])(
  'leaves the kernel alone for as long as a doubtful entry took: %i ms',
  async (took) => {
    const bench = new Bench();
    bench.enqueue('x', 'doubtful');
    bench.enqueue('y', 'doubtful');
    await settle();
    await bench.clock.advance(took);
    await bench.end('x');
    if (took > 0) {
      await bench.clock.advance(took - 1);
      expect(bench.turns).toEqual(['x']);
      await bench.clock.advance(1);
    }
    expect(bench.turns).toEqual(['x', 'y']);
  },
);

test('tells how long the kernel spent on one connect, without those before it', async () => {
  const { clock, queue } = new Bench();
  const first = queue.measure();
  const second = queue.measure();
  await clock.advance(60_000);
  expect(first()).toBe(60_000);
  await clock.advance(300);
  expect(second()).toBe(300);
  await clock.advance(5_000);
  const third = queue.measure();
  await clock.advance(200);
  expect(third()).toBe(200);
});

test('gives nothing and keeps no timer after it is disposed of', async () => {
  const bench = new Bench();
  bench.enqueue('x', 'doubtful');
  bench.enqueue('y', 'doubtful');
  await settle();
  await bench.clock.advance(3_000);
  await bench.end('x');
  expect(bench.clock.pendingTimers).toBe(1);
  bench.queue.dispose();
  bench.enqueue('z', 'first');
  await bench.clock.advance(60_000);
  expect(bench.turns).toEqual(['x']);
  expect(bench.clock.pendingTimers).toBe(0);
});
