import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseTimeSpan } from '../../../src/config/time-span.ts';

describe('parseTimeSpan', () => {
  it.each([
    ['0', 0],
    ['30', 30],
    ['-1', -1],
    ['1.5', 1.5],
    ['.5', 0.5],
    ['1:24', 84],
    [':22', 22],
    [':22.5', 22.5],
    ['1 minute, 24 secs', 84],
    ['1m24s', 84],
    ['1.2 minutes', 72],
    ['1.2 seconds', 1.2],
    ['- 1 minute', -60],
    ['+ 1 minute', 60],
    ['72hours', 259200],
    ['5 days', 432000],
    ['3 days 5 hours', 277200],
    ['3d5h', 277200],
    ['2 dys', 172800],
    ['1hr / 2mins / 3sec', 3723],
    ['4:13', 253],
    ['4:13:02', 15182],
    ['4:13:02.266', 15182.266],
    ['2:04:13:02', 187982],
    ['2 days, 4:13:02', 187982],
    ['2 DAYS', 172800],
    ['-1.5m 10s', -100],
    ['  7  ', 7],
    ['-0', 0],
  ])('reads %j as %d seconds', (text, seconds) => {
    expect(parseTimeSpan(text)).toBeCloseTo(seconds, 9);
    expect(Object.is(parseTimeSpan(text), -0)).toBe(false);
  });

  it.each([
    '',
    '-',
    'abc',
    'nan',
    'inf',
    '1e3',
    '1 fortnight',
    '5 hours 3 days',
    '1h 1h',
    '1.2.3 days',
    '1:2',
    '1:234',
    '100:00',
    '1:2:03',
    '1:02:03:04:05',
    '5 hours 4:13:02',
    '2 days 4:13',
    '--1',
    '1 m inute',
    'days',
    '1\u0660',
  ])('refuses %j', (text) => {
    expect(parseTimeSpan(text)).toBeUndefined();
  });

  it('reads back what it is written from', () => {
    const units = fc.record({
      days: fc.nat(1000),
      hours: fc.nat(1000),
      minutes: fc.nat(1000),
      seconds: fc.nat(1000),
    });
    fc.assert(
      fc.property(units, fc.boolean(), ({ days, hours, minutes, seconds }, spaced) => {
        const text = [`${days}d`, `${hours}h`, `${minutes}m`, `${seconds}s`].join(
          spaced ? ' ' : '',
        );
        expect(parseTimeSpan(text)).toBe(((days * 24 + hours) * 60 + minutes) * 60 + seconds);
      }),
    );
  });

  it('gives a finite number or nothing for any text', () => {
    const near = fc
      .array(fc.constantFrom('1', '22', '.', ':', ' ', 'd', 'h', 'min', 's', ',', '-'), {
        maxLength: 30,
      })
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.oneof(near, fc.string()), (text) => {
        const seconds = parseTimeSpan(text);
        expect(seconds === undefined || Number.isFinite(seconds)).toBe(true);
      }),
    );
  });
});
