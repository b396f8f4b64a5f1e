/** stasadm: makes the identity that the daemons need. Runs before them, and without them. */
import { randomUUID } from 'node:crypto';
import { runStasadm } from './cli.ts';

process.exitCode = await runStasadm(
  process.argv.slice(2),
  {
    root: '',
    isRoot: process.geteuid?.() === 0,
    randomUuid: randomUUID,
    stdout: (text) => process.stdout.write(text),
    stderr: (text) => process.stderr.write(text),
  },
  __VERSION__,
);
