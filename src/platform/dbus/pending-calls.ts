/**
 * The calls of a connection that wait for their replies.
 *
 * Invariant: every call added ends exactly once: by its reply, its time-out, or `endAll`.
 */
import { BusError } from '../../ports/bus.ts';
import type { ReceivedMessage } from './connection.ts';
import { busName, errorNames, isUniqueName } from './names.ts';
import { plainBody } from './values.ts';

export type Outcome =
  | { readonly kind: 'return'; readonly body: readonly unknown[] }
  | { readonly kind: 'error'; readonly error: BusError };

export interface PendingCall {
  readonly destination: string;
  readonly member: string;
  readonly timeoutMs: number;
  /** Called synchronously when the reply arrives, in the order of the bus. */
  readonly done: (outcome: Outcome) => void;
}

/** What an error reply says. */
function errorOf(message: ReceivedMessage, destination: string): BusError {
  const [text] = message.body;
  const absent = message.sender === busName && destination !== busName;
  // dbus-daemon has two names for "nobody has this name", by whether it may start the service.
  const errorName =
    absent && message.errorName === errorNames.nameHasNoOwner
      ? errorNames.serviceUnknown
      : message.errorName;
  return new BusError(errorName, typeof text === 'string' ? text : errorName);
}

export class PendingCalls {
  readonly #calls = new Map<
    number,
    { readonly call: PendingCall; readonly timer: NodeJS.Timeout }
  >();

  /** `serial` is the call's, which its reply will name. */
  add(serial: number, call: PendingCall): void {
    const timer = setTimeout(() => {
      this.#calls.delete(serial);
      const text = `${call.destination} did not answer ${call.member} within ${call.timeoutMs} ms`;
      call.done({ kind: 'error', error: new BusError(errorNames.noReply, text) });
    }, call.timeoutMs);
    this.#calls.set(serial, { call, timer });
  }

  receive(message: ReceivedMessage): void {
    const entry = this.#calls.get(message.replySerial);
    if (entry === undefined) return;
    const { destination, done } = entry.call;
    // A well-known name's owner may have changed since; the bus lets only the callee reply.
    const fixed = destination === busName || isUniqueName(destination);
    if (fixed && message.sender !== destination && message.sender !== busName) return;
    this.#calls.delete(message.replySerial);
    clearTimeout(entry.timer);
    if (message.kind === 'return') {
      done({ kind: 'return', body: plainBody(message.signature, message.body) });
    } else {
      done({ kind: 'error', error: errorOf(message, destination) });
    }
  }

  /** No reply will come any more. */
  endAll(why: string): void {
    const entries = [...this.#calls.values()];
    this.#calls.clear();
    for (const { call, timer } of entries) {
      clearTimeout(timer);
      call.done({ kind: 'error', error: new BusError(errorNames.disconnected, why) });
    }
  }
}
