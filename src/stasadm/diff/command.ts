/** The command line of `stasadm diff`. Nothing of what carries it out is loaded here. */
import { Option, type Command } from 'commander';

export interface DiffRequest {
  readonly output: 'text' | 'json';
  /** Tell changes by the exit status. */
  readonly exitCode: boolean;
}

interface DiffOptions {
  readonly output: DiffRequest['output'];
  readonly exitCode?: boolean;
}

/** Adds the command; `run` carries it out. */
export function addDiff(program: Command, run: (request: DiffRequest) => Promise<void>): void {
  program
    .command('diff')
    .description('show what a reload of stafd and stacd would change, and change nothing')
    .addOption(
      new Option('-o, --output <format>', 'output format')
        .choices(['text', 'json'])
        .default('text'),
    )
    .option('--exit-code', 'exit with status 3 if a reload would change something')
    .action(({ exitCode, output }: DiffOptions) => run({ output, exitCode: exitCode === true }));
}
