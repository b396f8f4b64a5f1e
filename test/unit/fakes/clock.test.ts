import { expect, test } from 'vitest';
import { FakeClock } from '../../fakes/clock.ts';

test('fires timers by due time, then by creation, each at exactly its time', async () => {
  const clock = new FakeClock(1000);
  const fired: [string, number][] = [];
  const note = (name: string) => () => void fired.push([name, clock.now()]);
  clock.setTimer(20, note('later'));
  clock.setTimer(10, note('first of two'));
  clock.setTimer(10, note('second of two'));

  await clock.advance(15);
  expect(fired).toEqual([
    ['first of two', 1010],
    ['second of two', 1010],
  ]);
  expect(clock.now()).toBe(1015);
  expect(clock.nextTimerIn).toBe(5);
});

test('fires a timer set by a timer within the same advance, and lets promises settle between', async () => {
  const clock = new FakeClock();
  const order: string[] = [];
  clock.setTimer(10, () => {
    void Promise.resolve()
      .then(() => Promise.resolve())
      .then(() => {
        order.push('promise');
        clock.setTimer(5, () => void order.push('inner'));
      });
  });
  clock.setTimer(12, () => void order.push('outer'));

  await clock.advance(20);
  expect(order).toEqual(['promise', 'outer', 'inner']);
  expect(clock.pendingTimers).toBe(0);
});

test('never fires a disposed timer, also when it is disposed of twice or by a timer of the same time', async () => {
  const clock = new FakeClock();
  const fired: string[] = [];
  const disposed = clock.setTimer(5, () => void fired.push('disposed'));
  clock.setTimer(5, () => void fired.push('kept'));
  clock.setTimer(1, () => {
    disposed.dispose();
    disposed.dispose();
  });
  await clock.advance(10);
  expect(fired).toEqual(['kept']);
});

test('moves no timer when the wall clock is set', async () => {
  const clock = new FakeClock();
  let fired = false;
  clock.setTimer(100, () => (fired = true));
  clock.setWallTime(new Date('2030-01-01T00:00:00Z'));
  await clock.advance(99);
  expect(fired).toBe(false);
  expect(clock.wallTime()).toEqual(new Date('2030-01-01T00:00:00.099Z'));
  await clock.advance(1);
  expect(fired).toBe(true);
});
