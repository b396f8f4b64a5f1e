/**
 * What every command prints, and its exit status, held to the files in golden/. To renew them, and
 * docs/commands.md, which is made of them:
 *
 *     npm run test:unit -- test/unit/commands -u
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { commandsOf } from '../../../tools/man/command-text.ts';
import { programCommands } from '../../../tools/program-commands.ts';
import { fileOf, transcript, type Aspect, type Case, type Outcome } from './case.ts';
import { commandsDocument } from './document.ts';
import { ctlCases } from './ctl-cases.ts';
import { expectedAspects } from './expected.ts';
import { stasadmCases } from './stasadm-cases.ts';

const programs = programCommands();
const cases = [
  ...ctlCases(({ name }) => {
    const program = programs.get(name);
    return program === undefined ? [] : commandsOf(program).map((command) => command.name());
  }),
  ...stasadmCases(),
];

const outcomes = new Map<Case, Promise<Outcome>>();

/** What a case comes to; each is run once. */
function outcomeOf(test: Case): Promise<Outcome> {
  const outcome = outcomes.get(test) ?? test.run(test.args);
  outcomes.set(test, outcome);
  return outcome;
}

beforeAll(() => {
  process.env['TZ'] = 'UTC';
});

describe('the output of', () => {
  it.each(cases.map((each) => [fileOf(each), each] as const))('%s', async (file, test) => {
    const outcome = await outcomeOf(test);
    await expect(transcript(test, outcome)).toMatchFileSnapshot(join('golden', file));
  });
});

/** What an exit status must be, whatever a golden says. */
const STATUS: Readonly<Partial<Record<Aspect, readonly number[]>>> = {
  json: [0, 1],
  empty: [0, 1],
  absent: [1],
  bad: [2],
  help: [0],
};

describe('goldens', () => {
  it.each(
    expectedAspects().map((each) => [`${each.program} ${each.command}`.trim(), each] as const),
  )('of %s show everything that it can meet', (_, { aspects, command, program }) => {
    const shown = cases
      .filter((each) => each.program === program && each.command === command)
      .map(({ aspect }) => aspect);
    // Add what is missing to ctl-cases.ts or stasadm-cases.ts; what does not apply, to expected.ts.
    expect(aspects.filter((aspect) => !shown.includes(aspect))).toEqual([]);
  });

  it('have names of their own, and none is left from a case that is gone', () => {
    const files = cases.map(fileOf);
    expect(new Set(files).size).toBe(files.length);
    const folder = join(import.meta.dirname, 'golden');
    const there = readdirSync(folder).flatMap((program) =>
      readdirSync(join(folder, program)).map((file) => `${program}/${file}`),
    );
    expect(there.filter((file) => !files.includes(file))).toEqual([]);
  });

  it.each(
    cases
      .filter(({ aspect }) => STATUS[aspect] !== undefined)
      .map((each) => [fileOf(each), each] as const),
  )('%s ends with the status that stands for it, and says something', async (_, test) => {
    const { status, stderr, stdout } = await outcomeOf(test);
    expect(STATUS[test.aspect]).toContain(status);
    // A pipe is told of events only.
    if (test.command !== 'watch') expect(stdout + stderr).not.toBe('');
  });

  it.each(
    cases
      .filter(({ aspect, args }) => aspect === 'bad' && args.length > 0)
      .map((each) => [fileOf(each), each] as const),
  )('%s is a complaint of the program, and says where help is', async (_, test) => {
    const { stderr, stdout } = await outcomeOf(test);
    expect(stdout).toBe('');
    expect(stderr.startsWith(`${test.program}: `)).toBe(true);
    expect(stderr).toMatch(new RegExp(`^see: ${test.program}\\b.* --help\n$`, 'm'));
  });

  it.each(
    cases.filter(({ aspect }) => aspect === 'help').map((each) => [fileOf(each), each] as const),
  )('%s fits 80 columns', async (_, test) => {
    const { stdout } = await outcomeOf(test);
    const widths = stdout.split('\n').map((line) => line.length);
    expect(Math.max(...widths)).toBeLessThanOrEqual(80);
  });

  it.each(
    cases.filter(({ aspect }) => aspect === 'json').map((each) => [fileOf(each), each] as const),
  )('%s is JSON and nothing else', async (_, test) => {
    const { stderr, stdout } = await outcomeOf(test);
    expect(stderr).toBe('');
    const texts = test.command === 'watch' ? stdout.trimEnd().split('\n') : [stdout];
    for (const text of texts) expect(() => JSON.parse(text) as unknown).not.toThrow();
  });

  it.each(
    cases
      .filter(({ aspect, program }) => program !== 'stasadm' && ['down', 'denied'].includes(aspect))
      .filter(({ command }) => command !== 'tree')
      .map((each) => [fileOf(each), each] as const),
  )('%s is one line that says what to do', async (_, test) => {
    const { status, stderr, stdout } = await outcomeOf(test);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^[^\n]*(?:systemctl start|as root)[^\n]*\n$/);
  });
});

describe('the transcripts', () => {
  let shown: string;

  beforeAll(async () => {
    const all = new Map<Case, Outcome>();
    for (const test of cases) all.set(test, await outcomeOf(test));
    shown = commandsDocument(programs, all);
  });

  it('in docs/commands.md are what the commands print', async () => {
    const path = join('..', '..', '..', 'docs', 'commands.md');
    await expect(shown).toMatchFileSnapshot(path);
  });

  it('in the README are some of them', () => {
    const readme = readFileSync(join(import.meta.dirname, '..', '..', '..', 'README.md'), 'utf8');
    const blocks = readme.match(/^```console\n[^`]*^```\n/gm) ?? [];
    expect(blocks.length).toBeGreaterThan(2);
    expect(blocks.filter((block) => !shown.includes(block))).toEqual([]);
    // It shows what they are for, not how they fail.
    expect(blocks.filter((block) => block.includes('$ echo $?'))).toEqual([]);
  });
});
