/**
 * Commands and files in the machine: the host's end of image/agent.pl, over a virtio-serial port.
 *
 * Invariants:
 * - a command's promise is settled exactly once, by its last frame or by the end of the machine;
 * - once the port has closed, every request fails with `died`, whether made before or after.
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { VmError } from './errors.ts';

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

interface RawResult {
  readonly status: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

interface Running {
  readonly command: string;
  readonly stdout: Buffer[];
  readonly stderr: Buffer[];
  readonly resolve: (result: RawResult) => void;
  readonly reject: (error: VmError) => void;
}

/** The types of frames; image/agent.pl says what they mean. */
type ToGuest = 'R' | 'I' | 'E' | 'K' | 'P';

/** Input goes in pieces of this size, so that other commands get their turn. */
const pieceBytes = 256 * 1024;

/** The longest argument that Linux passes to a program, and so the longest command. */
const longestCommand = 128 * 1024 - 1;

export class GuestAgent {
  readonly #socket: Socket;
  readonly #running = new Map<number, Running>();
  #received: Buffer = Buffer.alloc(0);
  #lastNumber = 0;
  #closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (data) => this.#receive(data));
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => this.close());
  }

  /**
   * Waits until the agent behind the socket at `path` answers. Throws `died`.
   */
  static async open(path: string): Promise<GuestAgent> {
    const socket = connect(path);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', (cause) => {
        reject(new VmError('died', `the machine ended: ${cause.message}`, { cause }));
      });
    });
    return GuestAgent.over(socket);
  }

  /** Waits until the agent at the other end of a connected socket answers. Throws `died`. */
  static async over(socket: Socket): Promise<GuestAgent> {
    const agent = new GuestAgent(socket);
    // What comes before the agent has opened the port can be lost.
    let repeat: NodeJS.Timeout | undefined;
    try {
      await new Promise<unknown>((resolve, reject) => {
        const ping = (): void => void agent.#request('P', 'ping', '').then(resolve, reject);
        repeat = setInterval(ping, 1000);
        ping();
      });
    } finally {
      clearInterval(repeat);
    }
    return agent;
  }

  /** Everything that still runs fails with `died`. */
  close(): void {
    this.#closed = true;
    this.#socket.destroy();
    const running = [...this.#running.values()];
    this.#running.clear();
    for (const { command, reject } of running) reject(died(command));
  }

  /**
   * Runs a shell command as root and waits for its end. A process that it leaves behind lives on,
   * but its output is not waited for. Throws `timeout` (with what was printed so far), `died`.
   */
  async exec(command: string, options: ExecOptions = {}): Promise<ExecResult> {
    const { status, stdout, stderr } = await this.#run(command, options);
    return { status, stdout: stdout.toString(), stderr: stderr.toString() };
  }

  /** Replaces a file, and makes its directory. `mode` is that of `chmod`; default 0644. */
  async writeFile(path: string, data: string | Uint8Array, mode = 0o644): Promise<void> {
    const install = `install -D -m ${mode.toString(8)} /dev/stdin ${shellQuote(path)}`;
    await this.#check(install, { stdin: data, timeoutMs: 300_000 });
  }

  /** The whole content of a file, of /proc and /sys too. Throws `command-failed`. */
  readFile(path: string): Promise<Buffer> {
    return this.#check(`cat ${shellQuote(path)}`, { timeoutMs: 300_000 });
  }

  async #check(command: string, options: ExecOptions): Promise<Buffer> {
    const { status, stdout, stderr } = await this.#run(command, options);
    if (status === 0) return stdout;
    const result = { status, stdout: '', stderr: stderr.toString() };
    throw new VmError('command-failed', describe(`status ${status}`, command, result));
  }

  async #run(command: string, options: ExecOptions): Promise<RawResult> {
    const { timeoutMs = 60_000, env = {}, stdin = '' } = options;
    const exports = Object.entries(env)
      .map(([name, value]) => `export ${name}=${shellQuote(value)}\n`)
      .join('');
    if (Buffer.byteLength(exports + command) > longestCommand) {
      throw new VmError('refused', `a command of more than 128 KiB: ${command.slice(0, 80)}…`);
    }
    const number = this.#lastNumber + 1;
    const result = this.#request('R', command, exports + command);
    const input = Buffer.from(stdin);
    for (let offset = 0; offset < input.length; offset += pieceBytes) {
      this.#send('I', number, input.subarray(offset, offset + pieceBytes));
    }
    this.#send('E', number, '');
    const timer = new AbortController();
    const late = sleep(timeoutMs, 'late' as const, { signal: timer.signal }).catch(
      () => 'late' as const,
    );
    const running = this.#running.get(number);
    const first = await Promise.race([result, late]).finally(() => timer.abort());
    if (first !== 'late') return first;
    this.#send('K', number, '');
    result.catch(() => undefined);
    await Promise.race([result, sleep(10_000, undefined, { ref: false })]).catch(() => undefined);
    const soFar = {
      status: -1,
      stdout: Buffer.concat(running?.stdout ?? []).toString(),
      stderr: Buffer.concat(running?.stderr ?? []).toString(),
    };
    throw new VmError('timeout', describe(`no end after ${timeoutMs} ms`, command, soFar));
  }

  #request(type: ToGuest, command: string, data: string): Promise<RawResult> {
    if (this.#closed) return Promise.reject(died(command));
    const number = ++this.#lastNumber;
    return new Promise((resolve, reject) => {
      this.#running.set(number, { command, stdout: [], stderr: [], resolve, reject });
      this.#send(type, number, data);
    });
  }

  #send(type: ToGuest, number: number, data: string | Uint8Array): void {
    const bytes = Buffer.from(data);
    const header = Buffer.alloc(9);
    header.writeUInt32BE(5 + bytes.length, 0);
    header.write(type, 4, 'latin1');
    header.writeUInt32BE(number, 5);
    this.#socket.write(Buffer.concat([header, bytes]));
  }

  #receive(data: Buffer): void {
    this.#received = this.#received.length === 0 ? data : Buffer.concat([this.#received, data]);
    while (this.#received.length >= 4) {
      const end = 4 + this.#received.readUInt32BE(0);
      if (this.#received.length < end) return;
      const frame = this.#received.subarray(4, end);
      this.#received = this.#received.subarray(end);
      this.#handle(frame.toString('latin1', 0, 1), frame.readUInt32BE(1), frame.subarray(5));
    }
  }

  #handle(type: string, number: number, data: Buffer): void {
    const running = this.#running.get(number);
    if (running === undefined) return;
    const { stdout, stderr, resolve } = running;
    switch (type) {
      case 'O':
        stdout.push(data);
        return;
      case 'X':
        stderr.push(data);
        return;
      default: {
        this.#running.delete(number);
        const wait = data.length === 2 ? data.readUInt16BE(0) : 0;
        const signal = wait & 0x7f;
        const status = signal === 0 ? wait >> 8 : 128 + signal;
        resolve({ status, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) });
      }
    }
  }
}

function died(what: string): VmError {
  return new VmError('died', `the machine ended before the end of: ${what}`);
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
