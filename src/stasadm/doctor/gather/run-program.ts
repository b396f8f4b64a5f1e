/** Runs a program of the system, with an end. */
import { spawn } from 'node:child_process';
import { hasCode } from '../../../platform/system-error.ts';
import type { RunResult } from './world.ts';

/** Where root's programs are, also for others: systems disagree on their PATH. */
const SYSTEM_PATH = '/usr/sbin:/usr/bin:/sbin:/bin';

const MAX_OUTPUT = 16 * 1024 * 1024;

/**
 * What it prints. One that does not end within `timeoutMs` is killed and waited for no longer: a
 * program that waits in the kernel cannot even be killed. Never rejects.
 */
export function runProgram(
  program: string,
  args: readonly string[],
  timeoutMs: number,
): Promise<RunResult> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      env: { PATH: SYSTEM_PATH, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const pieces: Buffer[] = [];
    let length = 0;
    const end = (result: RunResult): void => {
      clearTimeout(timer);
      resolve(result);
    };
    const giveUp = (): void => {
      child.kill('SIGKILL');
      child.stdout.destroy();
      child.unref();
      end({ kind: 'given-up' });
    };
    const timer = setTimeout(giveUp, timeoutMs);
    child.stdout.on('data', (piece: Buffer) => {
      pieces.push(piece);
      length += piece.length;
      if (length > MAX_OUTPUT) giveUp();
    });
    child.on('error', (error) => {
      end({ kind: hasCode(error, 'ENOENT') ? 'absent' : 'failed' });
    });
    child.on('close', (status) => {
      const text = Buffer.concat(pieces).toString('utf8');
      end(status === 0 ? { kind: 'output', text } : { kind: 'failed' });
    });
  });
}
