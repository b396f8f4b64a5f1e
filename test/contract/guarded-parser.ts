/** dbus-next's parser behind the message guard, as the connection has them, on bytes made by hand. */
import { createRequire } from 'node:module';
import { PassThrough } from 'node:stream';
import { MessageGuard } from '../../src/platform/dbus/message-guard.ts';

export interface ParsedMessage {
  readonly type: number;
  readonly member?: string;
  readonly sender?: string;
  readonly signature?: string;
  readonly body?: readonly unknown[];
}

/** The parser that the guard stands before; part of dbus-next, but not of its interface. */
const { unmarshalMessages } = createRequire(import.meta.url)('dbus-next/lib/message.js') as {
  unmarshalMessages: (
    stream: PassThrough,
    onMessage: (message: ParsedMessage) => void,
    options: object,
  ) => void;
};

/** What the parser makes of messages that pass the guard, in pieces of `size` bytes. */
export function parseGuarded(bytes: Buffer, size = bytes.length): readonly ParsedMessage[] {
  const stream = new PassThrough({ highWaterMark: 1 << 24 });
  const guard = new MessageGuard();
  guard.begin();
  const read = stream.read.bind(stream);
  stream.read = (wanted?: number): unknown => {
    const chunk: unknown = read(wanted);
    if (chunk instanceof Buffer) guard.see(chunk);
    return chunk;
  };
  const messages: ParsedMessage[] = [];
  unmarshalMessages(stream, (message) => void messages.push(message), {});
  for (let at = 0; at < bytes.length; at += size) {
    stream.write(bytes.subarray(at, at + size));
    stream.emit('readable');
  }
  return messages;
}
