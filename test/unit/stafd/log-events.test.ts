import { expect, test } from 'vitest';
import { unknown } from '../../../src/core/answer.ts';
import { answered, heard } from '../../../src/stafd/log-events.ts';
import type { DcData } from '../../../src/stafd/service-types.ts';

const EXTRA = { log: unknown('not read') } as DcData;

function after(...times: readonly number[]): DcData {
  return times.reduce(heard, EXTRA);
}

test('a reading answers what was heard before it began, and counts from the first', () => {
  expect(answered(after(10, 20, 30), 20)).toEqual({
    heard: [30],
    events: { number: 1, heardAt: 10 },
  });
});

test('a reading that answers nothing leaves what was answered before', () => {
  const before = { ...after(30), events: { number: 4, heardAt: 10 } };
  expect(answered(before, 20)).toEqual({ heard: [30], events: { number: 4, heardAt: 10 } });
  expect(answered(EXTRA, 20)).toEqual({ heard: [], events: undefined });
});

test('a storm takes no memory, and its first event is remembered', () => {
  const storm = after(...Array.from({ length: 10_000 }, (_, index) => index));
  expect(storm.heard?.length).toBeLessThan(100);
  expect(answered(storm, 10_000)).toEqual({ heard: [], events: { number: 1, heardAt: 0 } });
});
