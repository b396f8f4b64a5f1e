/** Running other programs, and the one kind of error that packaging shows to a person. */
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';

/** What went wrong in packaging; its text is one line and all that a person needs to see. */
export class PackageError extends Error {
  override readonly name = 'PackageError';
}

/** Milliseconds as "12.3 s". */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/**
 * Runs a program to its end, and gives what it wrote to standard output.
 * @param options.input what it reads from standard input; nothing by default
 * @param options.logFile gets both of its outputs as well
 * @param options.env added to this process's environment; undefined takes a variable away
 * @throws {PackageError} it cannot be started, or ends with anything but 0
 */
export async function run(
  command: string,
  args: readonly string[],
  options: {
    readonly cwd?: string;
    readonly input?: string;
    readonly logFile?: string;
    readonly env?: Readonly<Record<string, string | undefined>>;
  } = {},
): Promise<string> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: 'pipe',
  });
  // A program that ends without reading all of it says itself what is wrong.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const log = options.logFile === undefined ? undefined : createWriteStream(options.logFile);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => {
    stdout.push(chunk);
    log?.write(chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr.push(chunk);
    log?.write(chunk);
  });
  const ending = await new Promise<string | undefined>((resolve) => {
    child.on('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code === 'ENOENT' ? 'is not installed' : error.message);
    });
    child.on('close', (code, signal) => {
      if (code === 0) resolve(undefined);
      else resolve(signal === null ? `ended with ${code ?? '?'}` : `was ended by ${signal}`);
    });
  });
  log?.end();
  if (ending !== undefined) {
    const said = lastError(Buffer.concat(stderr).toString());
    throw new PackageError(`${command} ${ending}${said === '' ? '' : `: ${said}`}`);
  }
  return Buffer.concat(stdout).toString();
}

/** The line of a program's error output that most likely says what went wrong. */
function lastError(text: string): string {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const marked = lines.filter((line) => /^E: |error|ERR!/i.test(line));
  return (
    marked.find((line) => !/^E: (setup|run_setup|customize|unshare)/.test(line)) ??
    lines.at(-1) ??
    ''
  );
}
