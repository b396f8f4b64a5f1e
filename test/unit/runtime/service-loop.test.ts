import { expect, test } from 'vitest';
import { ServiceLoop } from '../../../src/runtime/service-loop.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { FakeDevices } from '../../fakes/devices.ts';
import { MemoryLog } from '../../fakes/log.ts';

function bench() {
  const clock = new FakeClock();
  const devices = new FakeDevices();
  let passes = 0;
  const loop = new ServiceLoop({
    clock,
    devices,
    log: new MemoryLog(),
    pass: () => {
      passes += 1;
    },
    deviceEvent: () => undefined,
  });
  return { clock, devices, loop, passes: () => passes };
}

test('makes no pass before the start, whatever marks it', async () => {
  const { clock, loop, passes } = bench();
  loop.mark();
  loop.markNow();
  await clock.advance(120_000);
  expect(passes()).toBe(0);
  loop.start();
  await clock.advance(0);
  expect(passes()).toBe(1);
});

test('makes one pass for many marks, and one every minute', async () => {
  const { clock, loop, passes } = bench();
  loop.start();
  await clock.advance(0);
  loop.mark();
  loop.mark();
  await clock.advance(1_000);
  expect(passes()).toBe(2);
  await clock.advance(60_000);
  expect(passes()).toBe(3);
});

test('makes one for a device that went, and one a while later for all that came', async () => {
  const { clock, devices, loop, passes } = bench();
  loop.start();
  await clock.advance(0);
  devices.add();
  const { device } = devices.add();
  await clock.advance(4_000);
  devices.add();
  expect(passes()).toBe(1);
  await clock.advance(5_000);
  expect(passes()).toBe(2);
  devices.remove(device);
  await clock.advance(1_000);
  expect(passes()).toBe(3);
});

test('makes no pass after the stop', async () => {
  const { clock, loop, passes } = bench();
  loop.start();
  await clock.advance(0);
  await loop.stop();
  loop.markNow();
  await clock.advance(120_000);
  expect(passes()).toBe(1);
});
