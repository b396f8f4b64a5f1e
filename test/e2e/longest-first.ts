/**
 * The order of the test files of a run: the one that takes by far the longest first, or the other
 * worker would have nothing to do at the end. Vitest goes by the size of a file unless it remembers
 * how long it took, and here the longest is among the smallest.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const LONGEST = 'option-effects.e2e.ts';

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLongest = ({ moduleId }: TestSpecification): boolean => moduleId.endsWith(LONGEST);
    return [...sorted.filter(isLongest), ...sorted.filter((file) => !isLongest(file))];
  }
}
