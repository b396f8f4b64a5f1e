/** What a command does when nobody takes what it prints. Nothing native, no other file of this folder. */

/** Output that cannot be written makes the command fail, unless whoever reads it had enough. */
export function reportBrokenOutput(command: string): void {
  const { stderr, stdout } = process;
  // There is nowhere to say so.
  stderr.on('error', () => undefined);
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    // `stasadm check-config | head` closes the pipe early: that is no failure of the command.
    if (error.code === 'EPIPE') return;
    process.exitCode = 1;
    stderr.write(`${command}: cannot write the output: ${error.message}\n`);
  });
}
