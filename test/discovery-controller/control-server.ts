/**
 * The control socket: a Unix socket, one JSON object a line in, one a line out. A request may carry
 * an `id`, which its reply repeats: replies come in the order in which operations finish.
 *
 * Invariants: no input ends the process; a line is at most MAX_LINE long; a client that leaves
 * takes nothing down with it.
 */
import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { operate } from './control-ops.ts';
import type { ControlContext } from './control-ops.ts';
import { InputError, isObject } from './json.ts';
import type { JsonObject } from './json.ts';

const MAX_LINE = 64 * 1024 * 1024;

function failure(error: unknown): JsonObject {
  if (error instanceof InputError) {
    return { ok: false, error: { code: error.code, message: error.message } };
  }
  const code = isObject(error) && typeof error['code'] === 'string' ? error['code'] : 'internal';
  return { ok: false, error: { code, message: error instanceof Error ? error.message : code } };
}

async function answer(line: string, context: ControlContext): Promise<JsonObject> {
  let request: unknown;
  try {
    request = JSON.parse(line);
  } catch {
    return { ok: false, error: { code: 'bad-json', message: 'the line is not JSON' } };
  }
  const id = isObject(request) && request['id'] !== undefined ? { id: request['id'] } : {};
  try {
    return { ok: true, ...id, ...(await operate(request, context)) };
  } catch (error) {
    return { ...failure(error), ...id };
  }
}

function serve(socket: Socket, context: ControlContext): void {
  let parts: string[] = [];
  let length = 0;
  let unanswered = 0;
  let ended = false;
  const reply = (value: JsonObject): void => {
    unanswered--;
    if (socket.writable) socket.write(`${JSON.stringify(value)}\n`);
    if (ended && unanswered === 0) socket.end();
  };
  const take = (line: string): void => {
    if (line.trim() === '') return;
    unanswered++;
    void answer(line, context).then(reply);
  };
  socket.on('end', () => {
    ended = true;
    take(parts.join(''));
    parts = [];
    if (unanswered === 0) socket.end();
  });
  socket.setEncoding('utf8');
  socket.on('error', () => {
    socket.destroy();
  });
  socket.on('data', (chunk: string) => {
    const lines = chunk.split('\n');
    const rest = lines.pop() ?? '';
    for (const line of lines) {
      const whole = parts.join('') + line;
      parts = [];
      length = 0;
      take(whole);
    }
    parts.push(rest);
    length += rest.length;
    if (length > MAX_LINE) {
      unanswered++;
      reply({ ok: false, error: { code: 'bad-input', message: 'the line is too long' } });
      socket.end();
      parts = [];
      length = 0;
    }
  });
}

/** Listens for control requests at `path`, replacing a socket that a dead process left there. */
export function openControlSocket(path: string, context: ControlContext): Promise<Server> {
  rmSync(path, { force: true });
  // A client may shut its writing side down and still wait for the reply, as one-line tools do.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    serve(socket, context);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}
