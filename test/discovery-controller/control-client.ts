/**
 * A client of the control socket, for tests that run beside the simulated controllers.
 *
 * Invariants: every request gets exactly one reply or one error; requests may overlap.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { isObject, without } from './json.ts';
import type { JsonObject } from './json.ts';

/** A request that the controller refused, or a lost control socket (`code` disconnected). */
export class ControlError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = 'ControlError';
    this.code = code;
  }
}

interface Pending {
  resolve(reply: JsonObject): void;
  reject(error: ControlError): void;
}

export class ControlClient {
  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  #rest = '';
  #ids = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      this.#receive(chunk);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      const error = new ControlError('disconnected', 'the control socket was closed');
      for (const pending of this.#pending.values()) pending.reject(error);
      this.#pending.clear();
    });
  }

  /** Connects to the control socket at `path`. @throws the system's error */
  static open(path: string): Promise<ControlClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new ControlClient(socket));
      });
    });
  }

  /** Sends `{op, ...parameters}` and returns the reply's members. @throws ControlError */
  request(op: string, parameters: JsonObject = {}): Promise<JsonObject> {
    if (this.#socket.destroyed) {
      return Promise.reject(new ControlError('disconnected', 'the control socket is closed'));
    }
    const id = ++this.#ids;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#socket.write(`${JSON.stringify({ ...parameters, op, id })}\n`);
    });
  }

  /** As `request`, for the member of the reply that is a list of objects. */
  async list(op: string, parameters: JsonObject, member: string): Promise<JsonObject[]> {
    const value = (await this.request(op, parameters))[member];
    if (!Array.isArray(value)) throw new ControlError('bad-reply', `${member} is not a list`);
    return (value as unknown[]).filter(isObject);
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: string): void {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const reply: unknown = JSON.parse(line);
      if (!isObject(reply)) continue;
      const id = reply['id'];
      const pending = typeof id === 'number' ? this.#pending.get(id) : undefined;
      if (pending === undefined || typeof id !== 'number') continue;
      this.#pending.delete(id);
      if (reply['ok'] === true) {
        pending.resolve(without(reply, ['ok', 'id']));
      } else {
        const error = isObject(reply['error']) ? reply['error'] : {};
        pending.reject(new ControlError(String(error['code']), String(error['message'])));
      }
    }
  }
}
