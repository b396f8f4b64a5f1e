import assert from 'node:assert/strict';
import type { Clock } from '../../src/ports/host.ts';
import { until, type Contract } from './contract.ts';

export interface ClockWorld {
  readonly clock: Clock;
  /** Lets at least this many milliseconds pass on the clock. */
  readonly pass: (ms: number) => Promise<void>;
}

/** A host may give this process no time while any number of milliseconds pass. */
async function passUntil(
  what: string,
  pass: ClockWorld['pass'],
  condition: () => boolean,
): Promise<void> {
  await until(what, async () => {
    await pass(10);
    return condition();
  });
}

export function clockContract(name: string, open: () => ClockWorld): Contract {
  return {
    name: `clock: ${name}`,
    tests: [
      {
        title: 'goes on, and never back',
        run: async () => {
          const { clock, pass } = open();
          const before = clock.now();
          assert(clock.now() >= before);
          await pass(15);
          assert(clock.now() >= before + 15);
        },
      },
      {
        title: 'fires a timer once, from the event loop, and not before its time',
        run: async () => {
          const { clock, pass } = open();
          const due = clock.now() + 10;
          const fired: number[] = [];
          clock.setTimer(10, () => fired.push(clock.now()));
          await passUntil('fired', pass, () => fired.length > 0);
          await pass(20);
          assert.equal(fired.length, 1);
          assert((fired[0] ?? 0) >= due, `${fired[0]} is before ${due}`);
        },
      },
      {
        title: 'fires a timer of no time, or less, soon but not at once',
        run: async () => {
          const { clock, pass } = open();
          const fired: string[] = [];
          clock.setTimer(0, () => fired.push('zero'));
          clock.setTimer(-5, () => fired.push('negative'));
          assert.deepEqual(fired, []);
          await passUntil('both', pass, () => fired.length > 1);
          assert.deepEqual(fired.sort(), ['negative', 'zero']);
        },
      },
      {
        title: 'fires timers in the order of their times',
        run: async () => {
          const { clock, pass } = open();
          const fired: number[] = [];
          for (const ms of [50, 10, 30]) clock.setTimer(ms, () => fired.push(ms));
          await passUntil('all', pass, () => fired.length > 2);
          assert.deepEqual(fired, [10, 30, 50]);
        },
      },
      {
        title: 'fires no timer that was disposed of, however often',
        run: async () => {
          const { clock, pass } = open();
          let fired = 0;
          const timer = clock.setTimer(5, () => (fired += 1));
          timer.dispose();
          timer.dispose();
          const late = clock.setTimer(5, () => (fired += 10));
          await passUntil('the other one', pass, () => fired >= 10);
          await pass(20);
          late.dispose();
          assert.equal(fired, 10);
        },
      },
      {
        title: 'fires a timer that another one set',
        run: async () => {
          const { clock, pass } = open();
          let fired = false;
          clock.setTimer(5, () => {
            clock.setTimer(5, () => (fired = true));
          });
          await passUntil('it', pass, () => fired);
        },
      },
    ],
  };
}
