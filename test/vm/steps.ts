/**
 * Runs the programs that build an image, as root of the machine or of a user namespace, and removes
 * what they made.
 */
import { spawn, spawnSync } from 'node:child_process';
import { appendFileSync, closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { VmError } from './errors.ts';

/** Runs the programs of a build one after the other; what they print goes to a log file. */
export class Steps {
  readonly #work: string;
  readonly #logFile: string;
  readonly #log: (line: string) => void;
  #running: number | undefined;

  constructor(work: string, logFile: string, log: (line: string) => void) {
    this.#work = work;
    this.#logFile = logFile;
    this.#log = log;
    writeFileSync(logFile, '');
  }

  /** Runs one program as root, or as root of a user namespace. Throws `build-failed`. */
  async run(program: string, args: readonly string[]): Promise<void> {
    const [command = '', ...rest] = wrap([program, ...args]);
    const output = openSync(this.#logFile, 'a');
    const started = Date.now();
    const child = spawn(command, rest, {
      // Its own group: Ctrl-C reaches this process alone, which then ends the whole group.
      detached: true,
      stdio: ['ignore', output, 'pipe'],
      env: {
        ...process.env,
        PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`,
        TMPDIR: this.#work,
        LC_ALL: 'C',
        DEBIAN_FRONTEND: 'noninteractive',
      },
    });
    closeSync(output);
    this.#running = child.pid;
    let tail = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      appendFileSync(this.#logFile, text);
      const lines = (tail + text).split('\n');
      tail = lines.pop() ?? '';
      for (const line of lines) this.#show(line, started);
    });
    const status = await new Promise<number | string>((resolve) => {
      child.on('error', (error) => resolve(error.message));
      child.on('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
    });
    this.#running = undefined;
    if (status !== 0) throw new VmError('build-failed', this.#failure(program, status));
  }

  /** Ends the running program and everything that it started. */
  kill(): void {
    if (this.#running === undefined) return;
    try {
      process.kill(-this.#running, 'SIGKILL');
    } catch {
      // It has just ended by itself.
    }
  }

  #show(line: string, started: number): void {
    const phase = /^I: (running apt-get|downloading|extracting|installing [er]|cleaning)(.*?)\.*$/;
    const match = phase.exec(line);
    if (match === null) return;
    const seconds = Math.round((Date.now() - started) / 1000);
    this.#log(`  ${String(seconds).padStart(3)} s  ${match[1] ?? ''}${match[2] ?? ''}`);
  }

  #failure(program: string, status: number | string): string {
    if (typeof status === 'string' && status.includes('ENOENT')) {
      return `${program} is not installed: run \`node tools/setup.mjs\``;
    }
    const lines = readFileSync(this.#logFile, 'utf8').trimEnd().split('\n');
    const reason = lines.find((line) =>
      /^(E: |Err:|dpkg: error|(mke2fs|cp|rm|chmod): )/.test(line),
    );
    return `${program} failed (${status})${reason === undefined ? '' : `: ${reason}`}; all of its output: ${this.#logFile}`;
  }
}

/**
 * As root: in mount and process namespaces of its own, so that the end of the command is the end of
 * everything that it started and mounted. Otherwise: as root of a user namespace.
 */
function wrap(command: readonly string[]): readonly string[] {
  if (process.getuid?.() === 0) {
    const namespaces = ['--mount', '--propagation=private', '--pid', '--fork', '--mount-proc'];
    return ['unshare', ...namespaces, '--kill-child=SIGKILL', '--', ...command];
  }
  return command[0] === 'mmdebstrap' ? command : ['mmdebstrap', '--unshare-helper', ...command];
}

/** Removes a directory of which parts may belong to the users of a user namespace. */
export function removeTree(path: string): void {
  const retry = { recursive: true, force: true, maxRetries: 20, retryDelay: 50 } as const;
  if (process.getuid?.() !== 0) {
    spawnSync('mmdebstrap', ['--unshare-helper', 'rm', '-rf', path], { stdio: 'ignore' });
  }
  rmSync(path, retry);
}
