/**
 * Requests and replies as one JSON object a line, over a UNIX socket: what QEMU's monitor and its
 * guest agent speak.
 *
 * Invariants:
 * - a reply belongs to the request whose id it carries: the guest agent, measured, does not always
 *   answer in the order of the requests;
 * - once the socket has closed, every request fails with `died`, whether made before or after.
 */
import { connect, type Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import { VmError } from './errors.ts';

interface Waiting {
  readonly what: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: VmError) => void;
}

type Message = Readonly<Record<string, unknown>>;

export class JsonLines {
  readonly #socket: Socket;
  readonly #waiting = new Map<string, Waiting>();
  #lastId = 0;
  #chunks: string[] = [];
  #closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const decoder = new StringDecoder('utf8');
    socket.on('data', (data) => this.#receive(decoder.write(data)));
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => this.close());
  }

  /**
   * Connects to the socket at `path`. Throws `died` if nobody listens.
   */
  static async open(path: string): Promise<JsonLines> {
    const socket = connect(path);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', (error) => {
        reject(new VmError('died', `the machine ended: ${error.message}`, { cause: error }));
      });
    });
    return new JsonLines(socket);
  }

  /** Resolves to the reply's `return`; fails with `refused` or `died`. */
  request(execute: string, args: Message = {}): Promise<unknown> {
    if (this.#closed) return Promise.reject(died(execute));
    return new Promise((resolve, reject) => {
      const id = `r${String((this.#lastId += 1))}`;
      this.#waiting.set(id, { what: execute, resolve, reject });
      this.#socket.write(`${JSON.stringify({ execute, arguments: args, id })}\n`);
    });
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
    for (const { what, reject } of this.#waiting.values()) reject(died(what));
    this.#waiting.clear();
  }

  #receive(text: string): void {
    const end = text.indexOf('\n');
    // A reply of many megabytes comes in thousands of pieces: they are joined once.
    if (end === -1) {
      this.#chunks.push(text);
      return;
    }
    const line = [...this.#chunks, text.slice(0, end)].join('');
    this.#chunks = [];
    this.#dispatch(line);
    this.#receive(text.slice(end + 1));
  }

  #dispatch(line: string): void {
    const message = JSON.parse(line) as Message;
    // A greeting or an event.
    if (!('return' in message) && !('error' in message)) return;
    const { id } = message;
    const waiting = typeof id === 'string' ? this.#waiting.get(id) : undefined;
    if (waiting === undefined || typeof id !== 'string') return;
    this.#waiting.delete(id);
    if ('return' in message) {
      waiting.resolve(message['return']);
      return;
    }
    const { desc } = message['error'] as { readonly desc: string };
    waiting.reject(new VmError('refused', `${waiting.what}: ${desc}`));
  }
}

function died(what: string): VmError {
  return new VmError('died', `the machine ended before it answered ${what}`);
}
