/** What the record says about a command: its decoded parameters as JSON. */
import type { Command } from './command.ts';
import { decodeConnectData } from './command.ts';
import { decodeDim } from './dim.ts';
import { without } from './json.ts';
import type { JsonObject } from './json.ts';

function number(value: bigint): number | string {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : `0x${value.toString(16)}`;
}

/** The parameters of `command` and of the data that came with it. */
export function describeCommand(command: Command, data: Buffer): JsonObject {
  const { body } = command;
  switch (body.op) {
    case 'connect':
      return { ...without(body, ['op']), ...(decodeConnectData(data) ?? { badData: data.length }) };
    case 'property-set':
      return { offset: body.offset, size: body.size, value: number(body.value) };
    case 'get-log-page':
      return { ...without(body, ['op']), lpo: number(body.lpo) };
    case 'dim': {
      const decoded = decodeDim(data);
      return {
        task: body.task,
        dataLength: data.length,
        ...decoded.dim,
        ...(decoded.kind === 'bad' ? { problem: decoded.problem } : {}),
      };
    }
    case 'unknown':
      return { opcode: command.opcode };
    case 'property-get':
    case 'fabrics':
    case 'identify':
    case 'get-features':
    case 'set-features':
    case 'keep-alive':
    case 'async-event-request':
    case 'abort':
      return without(body, ['op']);
  }
}
