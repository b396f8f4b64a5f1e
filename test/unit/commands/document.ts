/** docs/commands.md: what each command prints, made of the outcomes of the cases. */
import type { Command } from 'commander';
import { commandsOf } from '../../../tools/man/command-text.ts';
import { typed, type Case, type Outcome } from './case.ts';
import { SWITCHES } from './expected.ts';

const HEAD = `# What the commands print

Made from the tests of the commands' output: it is what they print of the daemons' own services; only the
hosts do not exist. Every option is in the manual: \`man stafctl\`, \`man stacctl\`, \`man stasadm\`.

Tables are as wide as they need to be in a file or a pipe. On a terminal, what there is no room for
stands on a line of its own below the rest, and states have colours, unless \`NO_COLOR\` is set.

Every command of stafctl and stacctl has \`-o json\`, and so have those of stasadm that report. Keys may
be added; none is renamed or removed. \`ls\`, \`dlp\`, \`adlp\` and \`status\` print the daemon's own
dictionaries, whose values are strings, and whose times are written \`30.0s [12.4s]\`: what is left of
how much. \`explain\` and \`watch\` have typed values, and times in milliseconds. \`watch\` prints an
object a line.

Everybody may run the commands that only show something, except \`stasadm diff\`, which is for root
since it tells of files that others may not read; what needs root is shown as an ordinary user meets
it, too.

The exit status is 0 if all went well, 1 if something could not be done or found, 2 if the command line
is wrong. With 1, a line on standard error says why and what to do; \`stasadm diff\` prints one for each
thing that it could not find out, and for each reload that would be refused. \`stasadm check-config\` and
\`stasadm doctor\` end with 1 as well if they have found something, and then print nothing but what they
found; \`stasadm diff --exit-code\` ends with 3 if a reload would change something.
`;

/** Variants that differ in their form alone. */
const FORMS = ['80-columns', 'colour'];

/** What a reader has seen enough of after so many lines. */
const MOST_LINES = 50;

function cut(text: string): string {
  const lines = text.trimEnd().split('\n');
  if (lines.length <= MOST_LINES) return text;
  return [...lines.slice(0, MOST_LINES), '…', ''].join('\n');
}

function shown(test: Case, { changed = [], status, stderr, stdout }: Outcome): string {
  const changes = changed
    .filter(([what]) => what.startsWith('/'))
    .map(([path, is]) => `$ cat ${path}\n${is}`);
  const ended = status === 0 ? '' : `$ echo $?\n${String(status)}\n`;
  const text = `$ ${typed(test)}\n${cut(stdout)}${stderr}${ended}${changes.join('')}`;
  return `\`\`\`console\n${text}\`\`\`\n`;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** @param outcomes of every case, by case */
export function commandsDocument(
  programs: ReadonlyMap<string, Command>,
  outcomes: ReadonlyMap<Case, Outcome>,
): string {
  const of = (program: string, command: string): readonly (readonly [Case, Outcome])[] =>
    [...outcomes].filter(([test]) => test.program === program && test.command === command);
  const sections = ['stafctl', 'stacctl', 'stasadm'].flatMap((name) => {
    const program = programs.get(name);
    if (program === undefined) return [];
    const commands = commandsOf(program).flatMap((command) => {
      const cases = of(name, command.name());
      const examples = cases.filter(
        ([{ aspect, variant = '' }]) =>
          (aspect === 'ok' && !FORMS.includes(variant)) || aspect === 'absent',
      );
      // Who may read is not denied it unless somebody has changed the bus's policy.
      const denied = cases.filter(
        ([{ aspect }]) =>
          aspect === 'denied' && (name === 'stasadm' || SWITCHES.includes(command.name())),
      );
      const json = cases.filter(
        ([{ aspect, variant }]) => aspect === 'json' && variant === undefined,
      );
      return [
        `### ${name} ${command.name()}\n`,
        `${sentence(command.description())}\n`,
        ...examples.map(([test, outcome]) => shown(test, outcome)),
        ...denied.flatMap(([test, outcome]) => ['As an ordinary user:\n', shown(test, outcome)]),
        ...json.flatMap(([test, outcome]) => [
          '<details><summary>JSON</summary>\n',
          shown(test, outcome),
          '</details>\n',
        ]),
      ];
    });
    const down = of(name, 'ls').filter(([{ aspect }]) => aspect === 'down');
    return [
      `## ${name}\n`,
      `${program.description()}\n`,
      ...down.flatMap(([test, outcome]) => [
        'While the daemon does not run:\n',
        shown(test, outcome),
      ]),
      ...commands,
    ];
  });
  return [HEAD, ...sections].join('\n');
}
