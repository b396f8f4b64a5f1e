/** What stafd tells whoever asks what it removed: why, and how old the evidence is. */
import { describe, expect, test } from 'vitest';
import { BY_SETTING } from '../../../src/core/removal-brake.ts';
import { refer, StafdBench } from './bench.ts';

const [A, B, C] = ['10.0.0.1', '10.0.0.2', '10.0.0.3'];
const CONFIG = `[Controllers]\ncontroller=transport=tcp;traddr=${A};nqn=nqn.dc\n`;

/** A refers to B, which refers to C. */
async function chain() {
  const bench = new StafdBench(CONFIG);
  const first = bench.target(A, { entries: [refer(B)] });
  bench.target(B, { entries: [refer(C)] });
  bench.target(C);
  await bench.start();
  await bench.clock.advance(10_000);
  expect(bench.traddrs).toEqual([A, B, C]);
  return { bench, first };
}

function ages(bench: StafdBench): Readonly<Record<string, number>> {
  const now = bench.clock.now();
  return Object.fromEntries(
    bench.service.removed().map(({ statedAt, tid }) => [tid.traddr, now - statedAt]),
  );
}

describe('what was removed', () => {
  test('is a setting, too, where the configuration gives up what had referred to it', async () => {
    const { bench } = await chain();
    await bench.reload('');
    expect(bench.traddrs).toEqual([]);
    expect(bench.service.removed().map(({ statedAt }) => statedAt)).toEqual([
      BY_SETTING,
      BY_SETTING,
      BY_SETTING,
    ]);
  });

  test('is as old as the last log of who had referred to it', async () => {
    const { bench, first } = await chain();
    first.entries = [];
    bench.service.readLogsAgain();
    await bench.clock.advance(2_000);
    expect(bench.traddrs).toEqual([A]);
    await bench.clock.advance(50_000);
    for (const age of Object.values(ages(bench))) expect(age).toBeGreaterThan(49_000);
    bench.service.readLogsAgain();
    await bench.clock.advance(2_000);
    expect(Object.keys(ages(bench)).sort()).toEqual([B, C]);
    for (const age of Object.values(ages(bench))) expect(age).toBeLessThanOrEqual(2_000);
  });

  test.each([
    ['refer to each other', [refer(C)], [refer(B)], [B, C]],
    ['refer to themselves', [refer(B)], [], [B]],
  ])('is as old as the last log of who had named it, for such as %s', async (_, ofB, ofC, gone) => {
    const bench = new StafdBench(CONFIG);
    const first = bench.target(A, { entries: [refer(B)] });
    bench.target(B, { entries: ofB });
    bench.target(C, { entries: ofC });
    await bench.start();
    await bench.clock.advance(10_000);
    first.entries = [];
    bench.service.readLogsAgain();
    await bench.clock.advance(2_000);
    expect(bench.traddrs).toEqual([A]);
    await bench.clock.advance(600_000);
    for (const age of Object.values(ages(bench))) expect(age).toBeGreaterThan(590_000);
    bench.service.readLogsAgain();
    await bench.clock.advance(2_000);
    expect(Object.keys(ages(bench)).sort()).toEqual(gone);
    for (const age of Object.values(ages(bench))) expect(age).toBeLessThanOrEqual(2_000);
  });

  test('is removed no longer when it is referred to again', async () => {
    const { bench, first } = await chain();
    first.entries = [];
    bench.service.readLogsAgain();
    await bench.clock.advance(2_000);
    first.entries = [refer(B)];
    bench.service.readLogsAgain();
    await bench.clock.advance(10_000);
    expect(bench.traddrs).toEqual([A, B, C]);
    expect(bench.service.removed()).toEqual([]);
  });
});

test('a log is read again when it is asked for, and as old as its last reading', async () => {
  const { bench } = await chain();
  const readAt = (): number => bench.record(A)?.extra.readAt ?? NaN;
  await bench.clock.advance(100_000);
  expect(bench.clock.now() - readAt()).toBeGreaterThan(90_000);
  bench.service.readLogsAgain();
  await bench.clock.advance(1_000);
  expect(bench.clock.now() - readAt()).toBeLessThanOrEqual(1_000);
});
