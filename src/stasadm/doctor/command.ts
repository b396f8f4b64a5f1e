/** The command line of `stasadm doctor`. Nothing of what carries it out is loaded here. */
import { Option, type Command } from 'commander';

export interface DoctorRequest {
  readonly output: 'text' | 'json';
  /** Absolute path. */
  readonly sysConf: string;
}

interface DoctorOptions {
  readonly output: DoctorRequest['output'];
}

/** Adds the command; `run` carries it out. */
export function addDoctor(
  program: Command,
  run: (output: DoctorRequest['output']) => Promise<void>,
): void {
  program
    .command('doctor')
    .description('check what this host needs, and say how to mend what is wrong; change nothing')
    .addOption(
      new Option('-o, --output <format>', 'output format')
        .choices(['text', 'json'])
        .default('text'),
    )
    .action(({ output }: DoctorOptions) => run(output));
}
