import { expect, test, vi } from 'vitest';
import { Coalescer } from '../../../src/runtime/coalescer.ts';
import { FakeClock, settle } from '../../fakes/clock.ts';

function bench(pass: (hasty: boolean) => Promise<void> = () => Promise.resolve()) {
  const clock = new FakeClock();
  const begun = clock.now();
  const passes: number[] = [];
  const errors: unknown[] = [];
  const coalescer = new Coalescer(
    clock,
    async (hasty) => {
      passes.push(clock.now() - begun);
      await pass(hasty);
    },
    (thrown) => void errors.push(thrown),
  );
  return { clock, coalescer, errors, passes };
}

test('runs a pass at once for one mark, and for many together one more when it is quiet', async () => {
  const { clock, coalescer, passes } = bench();
  coalescer.mark();
  coalescer.mark();
  await clock.advance(60);
  expect(passes).toEqual([0]);
  coalescer.mark();
  await clock.advance(60);
  coalescer.mark();
  await clock.advance(5_000);
  expect(passes).toEqual([0, 220]);
  coalescer.mark();
  await clock.advance(5_000);
  expect(passes).toEqual([0, 220, 5_120]);
});

test('tells a pass for a single mark that more may follow, and no other', async () => {
  const told: boolean[] = [];
  const { clock, coalescer, passes } = bench((hasty) => {
    told.push(hasty);
    // As one does that leaves something undone.
    if (hasty) coalescer.mark();
    return Promise.resolve();
  });
  coalescer.markNow();
  await clock.advance(1_000);
  coalescer.mark();
  await clock.advance(1_000);
  expect(passes).toEqual([0, 1_000, 1_100]);
  expect(told).toEqual([false, true, false]);
});

test('never is hasty again after a rest for what a hasty pass has left', async () => {
  const told: boolean[] = [];
  const { clock, coalescer } = bench(async (hasty) => {
    told.push(hasty);
    if (hasty) coalescer.mark();
    await new Promise<void>((resolve) => void clock.setTimer(400, resolve));
  });
  coalescer.mark();
  await clock.advance(5_000);
  expect(told).toEqual([true, false]);
});

test('is not put off by marks in turn after turn', async () => {
  const { clock, coalescer, passes } = bench();
  const timers = vi.spyOn(clock, 'setTimer');
  for (let count = 0; count < 100; count += 1) coalescer.mark();
  expect(timers).toHaveBeenCalledTimes(1);
  await clock.advance(0);
  expect(passes).toEqual([0]);
});

test('runs a pass after a second though it never gets quiet', async () => {
  const { clock, coalescer, passes } = bench();
  for (let ms = 0; ms < 2_500; ms += 50) {
    coalescer.mark();
    await clock.advance(50);
  }
  expect(passes).toEqual([0, 1_050, 2_050]);
});

test('runs at once when asked to, also while it waits to get quiet', async () => {
  const { clock, coalescer, passes } = bench();
  coalescer.mark();
  await clock.advance(10);
  coalescer.mark();
  await clock.advance(10);
  coalescer.markNow();
  await clock.advance(5_000);
  expect(passes).toEqual([0, 20]);
});

test('never runs two passes at a time; marks during one cause one more', async () => {
  let release = (): void => undefined;
  const { clock, coalescer, passes } = bench(() => new Promise((resolve) => (release = resolve)));
  coalescer.markNow();
  await clock.advance(0);
  for (let count = 0; count < 10; count += 1) coalescer.mark();
  coalescer.markNow();
  await clock.advance(10_000);
  expect(passes).toEqual([0]);
  release();
  await settle();
  await clock.advance(0);
  expect(passes).toEqual([0, 10_000]);
  release();
  await clock.advance(10_000);
  expect(passes).toHaveLength(2);
});

test('goes on after a pass that fails', async () => {
  const failure = new Error('no');
  const { clock, coalescer, errors, passes } = bench(() => Promise.reject(failure));
  coalescer.markNow();
  await clock.advance(10);
  coalescer.markNow();
  await clock.advance(10);
  expect(passes).toEqual([0, 10]);
  expect(errors).toEqual([failure, failure]);
});

test('runs nothing after it is disposed of, and leaves no timer', async () => {
  const { clock, coalescer, passes } = bench();
  coalescer.mark();
  coalescer.dispose();
  coalescer.mark();
  coalescer.markNow();
  expect(clock.pendingTimers).toBe(0);
  await clock.advance(5_000);
  expect(passes).toEqual([]);
});

test('runs nothing when it is disposed of in the turn that would begin a pass', async () => {
  const { clock, coalescer, passes } = bench();
  const due: (() => void)[] = [];
  vi.spyOn(clock, 'setTimer').mockImplementation((_, callback) => {
    due.push(callback);
    return { dispose: () => undefined };
  });
  coalescer.mark();
  for (const callback of due) callback();
  coalescer.dispose();
  await settle();
  expect(passes).toEqual([]);
});

test('is idle when the pass at hand is done', async () => {
  let release = (): void => undefined;
  const { clock, coalescer } = bench(() => new Promise((resolve) => (release = resolve)));
  coalescer.markNow();
  await clock.advance(0);
  let idle = false;
  void coalescer.idle().then(() => (idle = true));
  coalescer.mark();
  coalescer.dispose();
  await settle();
  expect(idle).toBe(false);
  release();
  await settle();
  expect(idle).toBe(true);
  expect(clock.pendingTimers).toBe(0);
});

test('rests twice as long as a pass took, but never longer than five seconds', async () => {
  let took = 200;
  const { clock, coalescer, passes } = bench(
    () => new Promise((resolve) => void clock.setTimer(took, resolve)),
  );
  for (let ms = 0; ms < 2_000; ms += 10) {
    if (ms % 150 === 0) coalescer.mark();
    await clock.advance(10);
  }
  expect(passes).toEqual([0, 600, 1_200, 1_800]);
  await clock.advance(8_000);
  took = 10_000;
  passes.length = 0;
  coalescer.markNow();
  await clock.advance(10_000);
  // That one has ended at 20,000.
  coalescer.mark();
  await clock.advance(15_000);
  expect(passes).toEqual([10_000, 25_000]);
  coalescer.markNow();
  await clock.advance(0);
  expect(passes).toEqual([10_000, 25_000, 35_000]);
});
