/** What a golden test of a command is, and how its outcome is written down. */
import { createHash } from 'node:crypto';

export type ProgramName = 'stafctl' | 'stacctl' | 'stasadm';

/** What a case shows. Every command has one of each that applies to it: see `expected.ts`. */
export type Aspect =
  /** It works. */
  | 'ok'
  | 'json'
  /** There is nothing to show. */
  | 'empty'
  /** 1,000 controllers. */
  | 'many'
  /** The daemon does not run. */
  | 'down'
  /** An ordinary user may not. */
  | 'denied'
  /** What was asked for is not there. */
  | 'absent'
  /** A wrong command line. */
  | 'bad'
  | 'help';

export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** What it has changed: what, and what it is then. */
  readonly changed?: readonly (readonly [what: string, is: string])[];
}

export interface Case {
  readonly program: ProgramName;
  /** Empty for the program itself. */
  readonly command: string;
  readonly aspect: Aspect;
  /** Which of several of this aspect. */
  readonly variant?: string;
  readonly args: readonly string[];
  readonly run: (args: readonly string[]) => Promise<Outcome>;
}

/** `stafctl/ls.ok.txt`, below the folder of the goldens. */
export function fileOf({ aspect, command, program, variant }: Case): string {
  const name = [command === '' ? program : command, aspect, variant].filter(
    (part) => part !== undefined,
  );
  return `${program}/${name.join('.')}.txt`;
}

function word(argument: string): string {
  return /^[\w./:=-]+$/.test(argument) ? argument : `'${argument}'`;
}

/** The command as it is typed. */
export function typed({ args, program }: Pick<Case, 'args' | 'program'>): string {
  return [program, ...args].map(word).join(' ');
}

/** More lines than this are not kept whole: so many at the beginning, as many at the end. */
const MOST_LINES = 200;
const KEPT_LINES = 8;

function shortened(text: string): string {
  const lines = text.split('\n');
  if (lines.length <= MOST_LINES) return text;
  const left = lines.length - 2 * KEPT_LINES;
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 16);
  return [
    ...lines.slice(0, KEPT_LINES),
    `[… ${String(left)} lines more; SHA-256 of all: ${hash}…]`,
    ...lines.slice(-KEPT_LINES),
  ].join('\n');
}

/** The outcome of a case as its file keeps it. */
export function transcript(
  test: Pick<Case, 'args' | 'program'>,
  { changed = [], status, stderr, stdout }: Outcome,
): string {
  const complaints = stderr === '' ? '' : `[standard error]\n${stderr}`;
  const changes = changed.map(([what, is]) => `[${what}]\n${is}`).join('');
  return `$ ${typed(test)}\n${shortened(stdout)}${complaints}${changes}[exit status ${String(status)}]\n`;
}
