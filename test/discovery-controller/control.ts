/**
 * The command line of the control socket:
 *
 *   control.ts PATH '{"op": "…", …}'      one request as it is
 *   control.ts PATH OP [NAME=VALUE …]      the same, put together; VALUE is JSON, or else text
 *   control.ts PATH -                      requests from stdin, one a line
 *
 * Prints the replies, one a line. Exit code 0; 1 if a request was refused; 2 for a wrong command
 * line or an unreachable socket.
 */
import { createInterface } from 'node:readline';
import { ControlClient, ControlError } from './control-client.ts';
import { isObject } from './json.ts';
import type { JsonObject } from './json.ts';

class UsageError extends Error {
  readonly code = 'usage';
}

function fromText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function requestOf(text: string): JsonObject {
  const request = fromText(text);
  if (!isObject(request)) throw new UsageError('the request is not a JSON object');
  return request;
}

function requestFromWords(op: string, words: readonly string[]): JsonObject {
  const members = words.map((word): [string, unknown] => {
    const equals = word.indexOf('=');
    if (equals <= 0) throw new UsageError(`not NAME=VALUE: ${word}`);
    return [word.slice(0, equals), fromText(word.slice(equals + 1))];
  });
  return { ...Object.fromEntries(members), op };
}

/** Whether the request was carried out. */
async function send(client: ControlClient, request: JsonObject): Promise<boolean> {
  const { op, ...parameters } = request;
  let reply: JsonObject;
  try {
    const result = await client.request(typeof op === 'string' ? op : '', parameters);
    reply = { ok: true, ...result };
  } catch (error) {
    if (!(error instanceof ControlError) || error.code === 'disconnected') throw error;
    reply = { ok: false, error: { code: error.code, message: error.message } };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
  return reply['ok'] === true;
}

async function run(words: readonly string[]): Promise<number> {
  const [path, what, ...more] = words;
  if (path === undefined || what === undefined) {
    throw new UsageError("usage: control PATH ('{…}' | OP [NAME=VALUE …] | -)");
  }
  const client = await ControlClient.open(path);
  try {
    if (what !== '-') {
      const request = what.startsWith('{') ? requestOf(what) : requestFromWords(what, more);
      return (await send(client, request)) ? 0 : 1;
    }
    let refused = 0;
    for await (const line of createInterface({ input: process.stdin })) {
      if (line.trim() !== '' && !(await send(client, requestOf(line)))) refused = 1;
    }
    return refused;
  } finally {
    client.close();
  }
}

run(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 2;
  },
);
