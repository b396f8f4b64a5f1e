/** What all programs have in common in their help and in what they say of a wrong command line. */
import type { Command } from 'commander';

/** Columns of a description below which it is not wrapped any more: the names take what they need. */
const MIN_WIDTH = 20;

/**
 * Gives a program and its commands, which have to be there already, help that fits a terminal, and
 * complaints that begin with the program's name and end with where help is.
 */
export function settleHelp(program: Command): void {
  const name = program.name();
  for (const command of [program, ...program.commands]) {
    const typed = command === program ? name : `${name} ${command.name()}`;
    command
      .configureHelp({ minWidthToWrap: MIN_WIDTH })
      .configureOutput({
        outputError: (text, write) => {
          write(text.replace(/^error:/, `${name}:`));
        },
      })
      .showHelpAfterError(`see: ${typed} --help`);
  }
}
