/**
 * One parser under random input: what goes in, what must hold of whatever comes out, and for which
 * shapes of input its time must grow no faster than its input.
 */
import fc from 'fast-check';

export interface TargetDescription<T> {
  /** As the command line and the report name it. */
  readonly name: string;
  /** Cases of an ordinary run. */
  readonly cases: number;
  readonly input: fc.Arbitrary<T>;
  /** Throws, or rejects, if a promise of the parser is broken. */
  readonly check: (input: T) => void | Promise<void>;
  /** Characters or bytes of an input. */
  readonly size: (input: T) => number;
  readonly families?: readonly Family[];
}

/** Inputs of one shape and any size, for the growth of a parser's time. */
export interface Family {
  readonly name: string;
  /** Prepares an input of a size in proportion to `n`; what is returned parses it. */
  readonly make: (n: number) => () => unknown;
}

export interface RunOptions {
  readonly cases: number;
  readonly seed: number;
  /** Where fast-check found a failure in a run of the same seed: only that is looked at. */
  readonly path?: string;
  /** Called before each case. */
  readonly onCase?: () => void;
}

export interface Failure {
  /** The smallest input found that fails. */
  readonly input: string;
  readonly error: string;
  readonly path: string;
}

export interface Outcome {
  readonly cases: number;
  /** Of the largest input. */
  readonly largest: number;
  readonly failure?: Failure;
}

/** A target without the type of its input. */
export interface Target {
  readonly name: string;
  readonly cases: number;
  readonly families: readonly Family[];
  run(options: RunOptions): Promise<Outcome>;
  /** The input of one case of a run, by its number from 0. */
  inputOf(seed: number, index: number): string;
}

const MAX_SHOWN = 4000;
const BYTES = /Uint8Array\.from\(\[([0-9,]+)\]\)/g;
const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}\u00a0]/gu;

/** An input for people: it may be long, and the command that is printed makes all of it again. */
function show(input: unknown): string {
  const text = fc
    .stringify(input)
    .replaceAll(BYTES, (_, list: string) => {
      return `Buffer.from('${Buffer.from(list.split(',').map(Number)).toString('hex')}', 'hex')`;
    })
    .replaceAll(INVISIBLE, (character) => `\\u{${character.codePointAt(0)?.toString(16) ?? ''}}`);
  if (text.length <= MAX_SHOWN) return text;
  return `${text.slice(0, MAX_SHOWN)}… [${text.length} characters]`;
}

export function defineTarget<T>(description: TargetDescription<T>): Target {
  const { cases, check, families = [], input, name, size } = description;
  return {
    name,
    cases,
    families,
    inputOf: (seed, index) =>
      fc
        .sample(input, { seed, path: String(index), numRuns: 1 })
        .map(show)
        .join(),
    run: async (options) => {
      let largest = 0;
      const property = fc.asyncProperty(input, async (value) => {
        options.onCase?.();
        largest = Math.max(largest, size(value));
        await check(value);
      });
      const details = await fc.check(property, {
        numRuns: options.cases,
        seed: options.seed,
        ...(options.path === undefined ? {} : { path: options.path }),
      });
      if (!details.failed) return { cases: details.numRuns, largest };
      const error = details.errorInstance;
      return {
        cases: details.numRuns,
        largest,
        failure: {
          input: show(details.counterexample?.[0]),
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
          path: details.counterexamplePath ?? '',
        },
      };
    },
  };
}
