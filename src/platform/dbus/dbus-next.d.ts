/** Parts of dbus-next 0.10.2 that are below its documented interface. */

declare module 'dbus-next/lib/connection.js' {
  import type { EventEmitter } from 'node:events';
  import type { Socket } from 'node:net';
  import type { Message } from 'dbus-next';

  /** Emits `connect` once it is authenticated, `message` and `error`. */
  interface DbusConnection extends EventEmitter<{
    connect: [];
    message: [Message];
    error: [unknown];
  }> {
    readonly stream: Socket;
  }

  /** Connects, authenticates and parses. */
  export default function createConnection(options: {
    readonly busAddress: string;
    readonly authMethods: readonly string[];
  }): DbusConnection;
}

declare module 'dbus-next/lib/variant.js' {
  export { Variant } from 'dbus-next';
}
