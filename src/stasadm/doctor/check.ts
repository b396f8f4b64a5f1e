/** A row of the table of checks: pure, facts in, a verdict out. */
import type { Answer } from '../../core/answer.ts';
import type { Facts } from './facts.ts';
import { notKnown, type Verdict } from './finding.ts';

export interface Check {
  /** Stable: for scripts. */
  readonly id: string;
  readonly title: string;
  /** Undefined: the host is not asked to have it. */
  readonly judge: (facts: Facts) => Verdict | undefined;
}

export const AS_ROOT = 'run this as root';

/** What to do where a thing could not be looked at. */
export function lookAgain({ booted, isRoot }: Pick<Facts, 'booted' | 'isRoot'>): string {
  if (!booted) return 'run this on the host itself, when its system runs';
  return isRoot ? 'run this again, when what is said here is mended' : AS_ROOT;
}

/** The verdict on what is known; what is not known is never judged. */
export function ifKnown<T>(
  facts: Facts,
  answer: Answer<T>,
  judge: (value: T) => Verdict | undefined,
): Verdict | undefined {
  switch (answer.kind) {
    case 'known':
      return judge(answer.value);
    case 'unknown':
      return notKnown(answer.why, lookAgain(facts));
  }
}
