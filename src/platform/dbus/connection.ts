/**
 * One connection to a message bus, on dbus-next 0.10.2: this file is all that knows that library.
 *
 * It uses the library's socket handling, authentication and parser, and none of what lies above
 * them (proxies add match rules that are never given back). What the library leaves open is closed
 * here. These parts are not documented; package.json pins the version, and the contract test runs
 * against a real bus.
 *
 * Invariants:
 * - nothing that arrives throws into the event loop: listeners of the socket are called guarded,
 *   and an exception among them ends the connection;
 * - `onClosed` is told exactly once, however the connection ends, unless `close` ended it;
 * - `onMessage` gets messages in the order of the bus, replies included, synchronously: who must
 *   not confuse "before" and "after" a reply decides there, not in a promise.
 */
import type { Message } from 'dbus-next';
// Not the package's entry: what that loads besides (XML, proxies, services) is not used, and takes
// as long as all else that a command does.
import createConnection from 'dbus-next/lib/connection.js';
import { Variant } from 'dbus-next/lib/variant.js';
import type { Socket } from 'node:net';
import { BusError, BusVariant } from '../../ports/bus.ts';
import { socketsOf } from './address.ts';
import { marshal } from './marshal.ts';
import type { MessageKind, MessageToSend } from './marshal.ts';
import { MessageGuard } from './message-guard.ts';
import { busName, busPath, errorNames } from './names.ts';

/** A message as it came; strings are empty where the header has no such field. */
export interface ReceivedMessage {
  readonly kind: MessageKind;
  readonly serial: number;
  /** Of a reply: the serial of the call. */
  readonly replySerial: number;
  readonly sender: string;
  readonly path: string;
  readonly interfaceName: string;
  readonly member: string;
  readonly errorName: string;
  readonly noReplyExpected: boolean;
  readonly signature: string;
  /** Fits `signature`; variants as BusVariant, a{…} as objects, ay as Buffer, x and t as bigint. */
  readonly body: readonly unknown[];
}

export interface Connection {
  /** `:1.42`. */
  readonly uniqueName: string;
  /** Queues a message and returns its serial. Throws BusError (Disconnected) after the end. */
  send(message: MessageToSend): number;
  onMessage(listener: (message: ReceivedMessage) => void): void;
  onClosed(listener: (why: string) => void): void;
  /** Ends the connection; what was sent before still goes out. */
  close(): void;
}

export interface ConnectOptions {
  /** As in DBUS_SYSTEM_BUS_ADDRESS. */
  readonly address: string;
  /** For connecting, authenticating and Hello. */
  readonly timeoutMs: number;
}

const NO_REPLY_EXPECTED = 1;
/** Of the first call. */
const HELLO_SERIAL = 1;
const HELLO: MessageToSend = {
  kind: 'call',
  destination: busName,
  path: busPath,
  interfaceName: busName,
  member: 'Hello',
  signature: '',
  body: [],
};
/** Serials are 32 bits wide, and 0 is none. */
const MAX_SERIAL = 0xffff_ffff;

/** The specification's "Message Types"; the first one is none. */
const KINDS: readonly (MessageKind | undefined)[] = [
  undefined,
  'call',
  'return',
  'error',
  'signal',
];

/** A received value with the library's variants, at any depth, exchanged for ours. */
function fromLibrary(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(fromLibrary);
  if (value instanceof Variant) {
    return new BusVariant(value.signature, fromLibrary((value as Variant<unknown>).value));
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fromLibrary(item)]));
}

function received(kind: MessageKind, message: Message): ReceivedMessage {
  const { signature } = message;
  // The library's types promise more than a message has.
  const fields = message as Partial<Message>;
  const body = message.body as unknown[];
  return {
    kind,
    serial: message.serial ?? 0,
    replySerial: Number(fields.replySerial ?? 0),
    sender: fields.sender ?? '',
    path: fields.path ?? '',
    interfaceName: fields.interface ?? '',
    member: fields.member ?? '',
    errorName: fields.errorName ?? '',
    noReplyExpected: (message.flags & NO_REPLY_EXPECTED) !== 0,
    signature,
    body: signature.includes('v') ? body.map(fromLibrary) : body,
  };
}

/** Lets the guard see every read, and no listener's exception reach the event loop. */
function guardStream(stream: Socket, guard: MessageGuard, onThrown: (thrown: unknown) => void) {
  const read = stream.read.bind(stream);
  stream.read = (size?: number): unknown => {
    const chunk: unknown = read(size);
    if (chunk instanceof Buffer) guard.see(chunk);
    return chunk;
  };
  const emit = stream.emit.bind(stream);
  stream.emit = (event: string | symbol, ...args: unknown[]): boolean => {
    try {
      return emit(event, ...args);
    } catch (thrown) {
      onThrown(thrown);
      return true;
    }
  };
}

function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

function openSocket(socket: string, timeoutMs: number): Promise<Connection> {
  // `unix:socket=` and not `unix:path=`: the latter makes the library look for usocket first.
  const connection = createConnection({
    busAddress: `unix:socket=${socket}`,
    authMethods: ['EXTERNAL'],
  });
  const { stream } = connection;
  const guard = new MessageGuard();
  const messageListeners: ((message: ReceivedMessage) => void)[] = [];
  const closedListeners: ((why: string) => void)[] = [];
  let state: 'connecting' | 'open' | 'closing' | 'closed' = 'connecting';
  let why = 'the bus closed the connection';
  let lastSerial = 0;

  function send(message: MessageToSend): number {
    lastSerial = (lastSerial % MAX_SERIAL) + 1;
    const [header, body] = marshal(message, lastSerial);
    stream.cork();
    stream.write(header);
    if (body.length > 0) stream.write(body);
    stream.uncork();
    return lastSerial;
  }

  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      fail(errorNames.noReply, `${socket} did not answer within ${timeoutMs} ms`);
    }, timeoutMs);

    function fail(errorName: string, message: string): void {
      if (state !== 'connecting') return;
      state = 'closed';
      clearTimeout(timer);
      stream.destroy();
      reject(new BusError(errorName, message));
    }

    guardStream(stream, guard, (thrown) => {
      why = textOf(thrown);
      stream.destroy();
    });
    connection.once('connect', () => {
      guard.begin();
      send(HELLO);
    });
    stream.on('error', (error: Error) => void (why = error.message));
    stream.on('close', () => {
      fail(errorNames.disconnected, `${socket} refused the connection`);
      const wasOpen = state === 'open';
      state = 'closed';
      if (wasOpen) for (const listener of closedListeners) listener(why);
    });
    // Errors of the socket, of the handshake, and messages that the library could not make sense
    // of: those are dropped.
    connection.on('error', (error) => {
      if (error === stream.errored) {
        fail(errorNames.noServer, `cannot connect to ${socket}: ${textOf(error)}`);
      } else {
        fail(errorNames.authFailed, `${socket} refused the connection: ${textOf(error)}`);
      }
    });

    function finishHello(hello: ReceivedMessage): void {
      if (hello.kind === 'error') {
        fail(hello.errorName, `${socket} refused the connection: ${String(hello.body[0])}`);
        return;
      }
      state = 'open';
      clearTimeout(timer);
      resolve({
        uniqueName: String(hello.body[0]),
        send: (message) => {
          if (state !== 'open') throw new BusError(errorNames.disconnected, why);
          return send(message);
        },
        onMessage: (listener) => void messageListeners.push(listener),
        onClosed: (listener) => {
          if (state === 'closed') listener(why);
          else closedListeners.push(listener);
        },
        close: () => {
          if (state !== 'open') return;
          state = 'closing';
          why = 'closed';
          stream.destroySoon();
        },
      });
    }

    connection.on('message', (message) => {
      const kind = KINDS[message.type];
      if (kind === undefined) return;
      const incoming = received(kind, message);
      if (state === 'connecting') {
        if (incoming.replySerial === HELLO_SERIAL && incoming.sender === busName) {
          finishHello(incoming);
        }
      } else if (state === 'open') {
        for (const listener of messageListeners) listener(incoming);
      }
    });
  });
}

/**
 * Connects to the first socket of the address that answers. Rejects with BusError: NoServer,
 * AuthFailed, Disconnected, NoReply (time-out), BadAddress, or the name that Hello was answered
 * with.
 */
export async function openConnection(options: ConnectOptions): Promise<Connection> {
  let failure: unknown;
  for (const socket of socketsOf(options.address)) {
    try {
      return await openSocket(socket, options.timeoutMs);
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}
