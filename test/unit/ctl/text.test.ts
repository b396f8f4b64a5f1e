import { describe, expect, it } from 'vitest';
import { screenOf } from '../../../src/ctl/process.ts';
import { compareNames, duration, table, tree } from '../../../src/ctl/text.ts';

const pipe = { colour: false, width: undefined };

describe('names', () => {
  it('stand in an order that takes numbers in them as numbers', () => {
    const ordered = [
      ...['', '10.0.0.2', '10.0.0.10', '192.168.1.9', 'fe80::2', 'fe80::10'],
      ...['nvme', 'nvme01', 'nvme1', 'nvme01n2', 'nvme1n2', 'nvme2', 'nvme9007199254740993'],
      ...['nvme9007199254740994', 'nvmes'],
    ];
    expect(ordered.toReversed().sort(compareNames)).toEqual(ordered);
    for (const [index, name] of ordered.entries()) {
      for (const later of ordered.slice(index + 1)) {
        expect(compareNames(name, later)).toBeLessThan(0);
        expect(compareNames(later, name)).toBeGreaterThan(0);
      }
      expect(compareNames(name, name)).toBe(0);
    }
  });
});

describe('a time', () => {
  it.each([
    [0, '0 s'],
    [-5, '0 s'],
    [12_400, '12 s'],
    [59_600, '1 min'],
    [125_000, '2 min 5 s'],
    [3_600_000, '1 h'],
    [3 * 3_600_000 + 240_000, '3 h 4 min'],
    [26 * 3_600_000, '1 d 2 h'],
    [90 * 86_400_000, '90 d'],
  ])('of %i ms is %s', (ms, words) => {
    expect(duration(ms)).toBe(words);
  });
});

describe('a timer of a daemon', () => {
  it.each([
    ['3.0s [1.8s]', 'in 2 s (of 3 s)'],
    ['60.0s [off]', 'off (1 min)'],
    ['259200.0s [86400.0s]', 'in 1 d (of 3 d)'],
    ['60.0s [nonsense]', '60.0s [nonsense]'],
  ])('%s is told as %s', (timer, words) => {
    expect(tree({ timer }, pipe)).toEqual([`timer: ${words}`]);
  });
});

describe('a table', () => {
  const titles = ['A', 'ADDRESS', 'PORT', 'NAME'];
  const rows = [['1', 'nn-0x201700a09890f5bf', '4420', 'nqn.2014-08.org.example']].map((row) =>
    row.map((text) => ({ text })),
  );
  const shownAt = (width: number | undefined) => table(titles, rows, { colour: false, width });

  it('moves below what a terminal has no room for, whole, in as many lines as it takes', () => {
    expect(shownAt(undefined)).toEqual([
      'A  ADDRESS                PORT  NAME',
      '1  nn-0x201700a09890f5bf  4420  nqn.2014-08.org.example',
    ]);
    expect(shownAt(54)).toEqual([
      'A  ADDRESS                PORT',
      '  NAME',
      '1  nn-0x201700a09890f5bf  4420',
      '  nqn.2014-08.org.example',
    ]);
    expect(shownAt(24)).toEqual([
      'A  ADDRESS',
      '  PORT',
      '  NAME',
      '1  nn-0x201700a09890f5bf',
      '  4420',
      '  nqn.2014-08.org.example',
    ]);
  });
});

describe('a screen', () => {
  const terminal = { isTTY: true, columns: 132 };

  it('has the colours and the width of a terminal', () => {
    expect(screenOf(terminal, { TERM: 'xterm' })).toEqual({ colour: true, width: 132 });
    expect(screenOf({ isTTY: true, columns: 0 }, {})).toEqual({ colour: true, width: 80 });
  });

  it.each([{ NO_COLOR: '1' }, { NO_COLOR: '0' }, { TERM: 'dumb' }])('has none with %o', (env) => {
    expect(screenOf(terminal, env)).toEqual({ colour: false, width: 132 });
  });

  it('takes an empty NO_COLOR for none', () => {
    expect(screenOf(terminal, { NO_COLOR: '' }).colour).toBe(true);
  });

  it('has neither in a file or pipe', () => {
    expect(screenOf({ isTTY: false, columns: 80 }, {})).toEqual(pipe);
  });
});
