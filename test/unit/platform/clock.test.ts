import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SystemClock } from '../../../src/platform/clock.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

test('waits longer than the longest timeout of the runtime', async () => {
  const days = 40 * 24 * 3600 * 1000;
  const clock = new SystemClock();
  let fired = 0;
  clock.setTimer(days, () => (fired += 1));
  await vi.advanceTimersByTimeAsync(days - 1);
  expect(fired).toBe(0);
  await vi.advanceTimersByTimeAsync(1);
  expect(fired).toBe(1);
});

test('a timer that was disposed of in its second stretch does not fire', async () => {
  const clock = new SystemClock();
  let fired = 0;
  const timer = clock.setTimer(30 * 24 * 3600 * 1000, () => (fired += 1));
  await vi.advanceTimersByTimeAsync(26 * 24 * 3600 * 1000);
  timer.dispose();
  await vi.advanceTimersByTimeAsync(26 * 24 * 3600 * 1000);
  expect(fired).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});
