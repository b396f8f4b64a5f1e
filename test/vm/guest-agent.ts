/**
 * Commands and files in the machine, by QEMU's guest agent over a virtio-serial port.
 *
 * The agent answers one request after the other, each at once; a command runs beside them and is
 * asked about until it has ended.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { VmError } from './errors.ts';
import { JsonLines } from './json-lines.ts';

export interface ExecOptions {
  /** How long the command may run before it is killed, with all its children; default 60 s. */
  readonly timeoutMs?: number;
  /** Environment variables beside PATH, HOME and LANG. */
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string | Uint8Array;
}

export interface ExecResult {
  /** The exit status; 128 + the signal's number when a signal ended the command. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Status {
  readonly exited: boolean;
  readonly exitcode?: number;
  readonly signal?: number;
  readonly 'out-data'?: string;
  readonly 'err-data'?: string;
  readonly 'out-truncated'?: boolean;
  readonly 'err-truncated'?: boolean;
}

/** The first pause between two questions about a running command, in ms. */
const firstPoll = 4;

/** The longest such pause for a command that runs for `ms`: a question costs the machine time. */
function longestPoll(ms: number): number {
  return Math.min(500, Math.max(50, ms / 20));
}

/** How much of a file goes into one request: the machine's other requests wait that long. */
const chunkBytes = 1 << 20;

export class GuestAgent {
  readonly #lines: JsonLines;

  private constructor(lines: JsonLines) {
    this.#lines = lines;
  }

  /**
   * Waits until the agent behind the socket at `path` answers. A request sent before the machine has
   * booted is answered when the agent starts, so nothing has to be repeated.
   */
  static async open(path: string): Promise<GuestAgent> {
    const lines = await JsonLines.open(path);
    await lines.request('guest-sync', { id: process.pid });
    return new GuestAgent(lines);
  }

  close(): void {
    this.#lines.close();
  }

  /**
   * Runs a shell command as root and waits for it and for everything that holds its output open
   * (start a background process with `systemd-run`, or redirect its output). At most 16 MiB of
   * each output. Throws `timeout`, `died`, `refused`.
   */
  async exec(command: string, options: ExecOptions = {}): Promise<ExecResult> {
    const { timeoutMs = 60_000, env = {}, stdin } = options;
    const variables = Object.entries({ HOME: '/root', LANG: 'C.UTF-8', ...env });
    const exports = variables.map(([name, value]) => `${name}=${shellQuote(value)}`).join(' ');
    const { pid } = (await this.#lines.request('guest-exec', {
      // A session of its own, so that it can be killed with its children.
      path: '/usr/bin/setsid',
      arg: ['/bin/sh', '-c', `export ${exports}\n${command}`],
      'capture-output': true,
      ...(stdin === undefined ? {} : { 'input-data': Buffer.from(stdin).toString('base64') }),
    })) as { readonly pid: number };
    const deadline = performance.now() + timeoutMs;
    let status = await this.#poll(pid, deadline);
    const timedOut = !status.exited;
    if (timedOut) {
      await this.#killSession(pid);
      status = await this.#poll(pid, performance.now() + 5_000);
    }
    const result = resultOf(status);
    if (timedOut) {
      throw new VmError('timeout', describe(`no end after ${timeoutMs} ms`, command, result));
    }
    if (status['out-truncated'] === true || status['err-truncated'] === true) {
      throw new VmError('refused', `more than 16 MiB of output: ${command}`);
    }
    return result;
  }

  /** Replaces a file, and makes its directory. `mode` is that of `chmod`; default 0644. */
  async writeFile(path: string, data: string | Uint8Array, mode = 0o644): Promise<void> {
    const bytes = Buffer.from(data);
    const [target, bits] = [shellQuote(path), mode.toString(8)];
    if (bytes.length <= chunkBytes) {
      await this.#check(`install -D -m ${bits} /dev/stdin ${target}`, bytes);
      return;
    }
    const part = `${path}.part`;
    await this.#check(`install -D -m ${bits} /dev/null ${shellQuote(part)}`);
    const handle = await this.#lines.request('guest-file-open', { path: part, mode: 'w' });
    for (let offset = 0; offset < bytes.length; offset += chunkBytes) {
      const chunk = bytes.subarray(offset, offset + chunkBytes).toString('base64');
      await this.#lines.request('guest-file-write', { handle, 'buf-b64': chunk });
    }
    await this.#lines.request('guest-file-close', { handle });
    await this.#check(`mv ${shellQuote(part)} ${target}`);
  }

  /** The whole content of a file, of /proc and /sys too. Throws `refused` if there is none. */
  async readFile(path: string): Promise<Buffer> {
    const handle = await this.#lines.request('guest-file-open', { path, mode: 'r' });
    const parts: Buffer[] = [];
    try {
      for (;;) {
        const reply = (await this.#lines.request('guest-file-read', {
          handle,
          count: chunkBytes,
        })) as { readonly 'buf-b64': string; readonly eof: boolean };
        parts.push(Buffer.from(reply['buf-b64'], 'base64'));
        if (reply.eof) return Buffer.concat(parts);
      }
    } finally {
      await this.#lines.request('guest-file-close', { handle });
    }
  }

  async #poll(pid: number, deadline: number): Promise<Status> {
    const started = performance.now();
    for (let pause = firstPoll; ; pause *= 1.5) {
      await sleep(Math.min(pause, longestPoll(performance.now() - started)));
      const status = (await this.#lines.request('guest-exec-status', { pid })) as Status;
      if (status.exited || performance.now() > deadline) return status;
    }
  }

  async #killSession(pid: number): Promise<void> {
    await this.#lines.request('guest-exec', {
      path: '/bin/sh',
      arg: ['-c', `kill -KILL -- -${pid}; pkill -KILL -s ${pid}`],
    });
  }

  async #check(command: string, stdin: Uint8Array = new Uint8Array()): Promise<void> {
    const result = await this.exec(command, { stdin });
    if (result.status !== 0) {
      throw new VmError('command-failed', describe(`status ${result.status}`, command, result));
    }
  }
}

function resultOf(status: Status): ExecResult {
  const text = (data: string | undefined): string => Buffer.from(data ?? '', 'base64').toString();
  return {
    status: status.signal === undefined ? (status.exitcode ?? -1) : 128 + status.signal,
    stdout: text(status['out-data']),
    stderr: text(status['err-data']),
  };
}

/** Says what went wrong with a command, with the end of what it printed. */
export function describe(what: string, command: string, result: ExecResult): string {
  const end = (text: string): string => (text.length > 4000 ? `…${text.slice(-4000)}` : text);
  const output = [result.stdout, result.stderr].map((text) => end(text).trimEnd());
  return [`${what}: ${command}`, ...output.filter((text) => text !== '')].join('\n');
}

/** One word for the shell, whatever is in it. */
export function shellQuote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
