/** Steps of a plan as one shell script: few processes, however many steps there are. */
import type { Step } from './plan.ts';

/** The script that carries out `steps`. It stops at the first failure and names what failed. */
export function renderScript(steps: readonly Step[]): string {
  return [
    'set -e',
    'cd /sys/kernel/config',
    // Values may be secret: the message has the path only.
    `put() { printf %s "$2" >"$1" || { echo "cannot write $1" >&2; exit 1; }; }`,
    ...runsOf(steps).map(renderRun),
    '',
  ].join('\n');
}

/** Neighbours of one kind (and, for links, of one directory) together. */
function runsOf(steps: readonly Step[]): readonly (readonly Step[])[] {
  const runs: Step[][] = [];
  let last = '';
  for (const step of steps) {
    const kind = step.kind === 'link' ? `link ${step.directory}` : step.kind;
    if (kind === last) runs.at(-1)?.push(step);
    else runs.push([step]);
    last = kind;
  }
  return runs;
}

function renderRun(run: readonly Step[]): string {
  const words = run.map((step) => {
    switch (step.kind) {
      case 'unlink':
      case 'rmdir':
      case 'mkdir':
        return quote(step.path);
      case 'link':
        return quote(`/sys/kernel/config/${step.target}`);
      case 'write':
        return `put ${quote(step.path)} ${quote(step.value)}`;
      default:
        return step satisfies never;
    }
  });
  const [first] = run;
  switch (first?.kind) {
    case undefined:
      return '';
    case 'write':
      return words.join('\n');
    case 'link':
      return `ln -s -t ${quote(first.directory)} ${words.join(' ')}`;
    case 'unlink':
      return `rm ${words.join(' ')}`;
    case 'rmdir':
    case 'mkdir':
      return `${first.kind} ${words.join(' ')}`;
    default:
      return first satisfies never;
  }
}

function quote(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
