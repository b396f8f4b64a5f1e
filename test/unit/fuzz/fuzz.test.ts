import { execFile } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_RATIO, measureGrowth } from '../../fuzz/linear.ts';
import { defineTarget } from '../../fuzz/target.ts';
import { targets } from '../../fuzz/targets.ts';

/** `npm run fuzz` runs thousands of cases, and measures; here, every parser is shown to be in it. */
const CASES = 40;
const SEED = 1;
const SIZE = 16;

describe.each(targets)('$name', (target) => {
  it('keeps its promises for some random inputs, and for every shape of input', async () => {
    const { cases, failure } = await target.run({ cases: CASES, seed: SEED });
    expect(failure).toBeUndefined();
    expect(cases).toBe(CASES);
    for (const family of target.families) expect(() => family.make(SIZE)()).not.toThrow();
  });
});

describe('a failure', () => {
  const target = defineTarget<string>({
    name: 'broken',
    cases: 1,
    input: fc.string({ minLength: 20, unit: fc.constantFrom('a', 'b', '\u202e') }),
    size: (text) => text.length,
    check: (text) => {
      if (text.includes('\u202e')) throw new Error('it turned');
    },
  });

  it('comes with the least input, shown visibly, and is found again by its path', async () => {
    const { failure, largest } = await target.run({ cases: 100, seed: SEED });
    expect(failure?.input).toBe('"aaaaaaaaaaaaaaaaaaa\\u{202e}"');
    expect(failure?.error).toContain('it turned');
    expect(largest).toBeGreaterThanOrEqual(20);
    const again = await target.run({ cases: 1, seed: SEED, path: failure?.path ?? '' });
    expect(again.failure?.input).toBe(failure?.input);
  });

  it('of a case that never returns can be shown by its number', () => {
    expect(target.inputOf(SEED, 3)).toBe(target.inputOf(SEED, 3));
    expect(target.inputOf(SEED, 3)).not.toBe(target.inputOf(SEED, 4));
  });
});

describe('the growth of time', () => {
  /** A parser that takes `cost` for an input of a size. */
  function growthOf(cost: (n: number) => number): number {
    let clock = 0;
    const make = (n: number) => () => {
      clock += cost(n);
    };
    return measureGrowth({ name: 'x', make }, { now: () => clock }).ratio;
  }

  it('of a linear parser is well below the bound, of a quadratic one well above', () => {
    expect(growthOf((n) => n / 1000)).toBeCloseTo(8);
    expect(growthOf((n) => (n * Math.log2(n)) / 1000)).toBeLessThan(MAX_RATIO / 2);
    expect(growthOf((n) => (n * n) / 1e6)).toBeCloseTo(64);
    expect(growthOf((n) => n ** 1.8 / 1e5)).toBeGreaterThan(MAX_RATIO);
  });

  it('of a parser that looks at no more than so much is none', () => {
    expect(growthOf((n) => Math.min(n, 100) / 1000)).toBe(1);
  });
});

describe('npm run fuzz', () => {
  function run(
    ...args: readonly string[]
  ): Promise<{ readonly code: number; readonly out: string }> {
    return new Promise((resolve) => {
      execFile(
        process.execPath,
        ['tools/run.mjs', 'test/fuzz/main.ts', ...args],
        (error, stdout, stderr) => {
          resolve({ code: error === null ? 0 : Number(error.code), out: stdout + stderr });
        },
      );
    });
  }

  // Two starts of Node and of esbuild, on a host that may be busy.
  it('runs what it is asked to, ends with one plain line, and refuses what it does not know', async () => {
    expect(await run('--cases', '7', '--seed', '3', 'icresp')).toEqual({
      code: 0,
      out: expect.stringMatching(
        /^seed 3\nicresp +7 cases .*\nfuzz: 1 parsers, 7 cases, \d+ s, nothing failed\n$/,
      ) as string,
    });
    expect(await run('nobody')).toEqual({
      code: 2,
      out: expect.stringContaining("there is no parser 'nobody'") as string,
    });
  }, 120_000);
});
