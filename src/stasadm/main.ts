/**
 * stasadm: makes the identity that the daemons need, before them and without them; checks their
 * files and the host; and shows what a reload of them would do.
 */
import { randomUUID } from 'node:crypto';
import { reportBrokenOutput } from '../platform/broken-output.ts';
import { runStasadm } from './cli.ts';

reportBrokenOutput('stasadm');
const status = await runStasadm(
  process.argv.slice(2),
  {
    root: '',
    isRoot: process.geteuid?.() === 0,
    randomUuid: randomUUID,
    // Loaded only when needed: the other commands run where there is no bus, and early at boot.
    diff: async (request) => (await import('./diff/main.ts')).diffHere(request),
    doctor: async (request) => (await import('./doctor/main.ts')).doctorHere(request),
    stdout: (text) => process.stdout.write(text),
    stderr: (text) => process.stderr.write(text),
  },
  __VERSION__,
);
process.exitCode ??= status;
