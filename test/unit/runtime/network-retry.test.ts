import { expect, test } from 'vitest';
import { NetworkRetry } from '../../../src/runtime/network-retry.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { FakeNetwork } from '../../fakes/network.ts';

function bench() {
  const clock = new FakeClock();
  const begun = clock.now();
  const network = new FakeNetwork();
  const tries: number[] = [];
  const retry = new NetworkRetry(clock, network, () => void tries.push(clock.now() - begun));
  return {
    clock,
    network,
    retry,
    tries,
    up: () => {
      network.emit({ kind: 'address', ifindex: 3 });
    },
  };
}

test('what comes up in one breath is followed by one try', async () => {
  const { clock, tries, up } = bench();
  up();
  await clock.advance(50);
  up();
  up();
  await clock.advance(60_000);
  expect(tries).toEqual([200]);
});

test('what comes up a little later is tried a little later', async () => {
  const { clock, tries, up } = bench();
  up();
  await clock.advance(300);
  up();
  await clock.advance(10_000);
  expect(tries).toEqual([200, 1_200]);
});

test('a network that changes all the time is tried ever more seldom, at last every 30 s', async () => {
  const { clock, tries, up } = bench();
  for (let ms = 0; ms < 200_000; ms += 100) {
    up();
    await clock.advance(100);
  }
  const gaps = tries.slice(1).map((at, index) => at - (tries[index] ?? 0));
  expect(gaps).toEqual([
    1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 30_000, 30_000,
  ]);
});

test('after a minute of quiet it is tried at once again', async () => {
  const { clock, tries, up } = bench();
  for (let count = 0; count < 5; count += 1) {
    up();
    await clock.advance(9_000);
  }
  await clock.advance(61_000);
  const before = tries.length;
  up();
  await clock.advance(200);
  expect(tries).toHaveLength(before + 1);
  up();
  await clock.advance(1_000);
  expect(tries).toHaveLength(before + 2);
});

test('nothing is tried, or listened to, after the end', async () => {
  const { clock, network, retry, tries, up } = bench();
  up();
  retry.dispose();
  up();
  await clock.advance(60_000);
  expect(tries).toEqual([]);
  expect(network.listeners).toBe(0);
  expect(clock.pendingTimers).toBe(0);
});
