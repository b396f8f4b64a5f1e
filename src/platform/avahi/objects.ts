/**
 * The objects that avahi-daemon keeps for this process, browsers and resolvers: made, listened to,
 * and freed.
 *
 * Invariants:
 * - an object that nobody holds any more is freed, also one whose path comes late: after it was
 *   given up, or after the call for it timed out;
 * - an object's signals reach its holder in the order of the bus, those included that come before
 *   the reply that names the object; none after it was given up;
 * - at most MAX_CALLS calls wait for their answers: the bus grants a connection 128 in all;
 * - no call begins while avahi-daemon does not answer: whatever piles up would be carried out when
 *   it goes on. What was to be made then is made when it answers again.
 */
import { BusError, type Bus, type BusSignal } from '../../ports/bus.ts';
import { errorNames } from '../dbus/names.ts';
import {
  AVAHI_NAME,
  BROWSER_INTERFACE,
  CALL_TIMEOUT_MS,
  RESOLVER_INTERFACE,
  SERVER_INTERFACE,
  SERVER_PATH,
} from './names.ts';

const MAX_CALLS = 32;

/** How an object is made, and who hears of it. */
export interface ObjectRequest {
  /** A method of the server that returns an object path. */
  readonly member: 'ServiceBrowserNew' | 'ServiceResolverNew';
  readonly signature: string;
  readonly args: readonly unknown[];
  signal(member: string, args: readonly unknown[]): void;
  /** It was not made: avahi-daemon refused. */
  refused(error: BusError): void;
}

/** An object that was asked for. */
export interface HeldObject {
  /** Gives it up; nothing is heard of it any more. */
  free(): void;
}

export interface AvahiObjectsDeps {
  readonly bus: Bus;
  /** It stopped answering, or began to answer again. */
  readonly answeringChanged: (answering: boolean) => void;
}

const INTERFACE_OF = {
  ServiceBrowserNew: BROWSER_INTERFACE,
  ServiceResolverNew: RESOLVER_INTERFACE,
} as const;

/** The caller cannot know whether the call was or will be carried out. */
const UNANSWERED: ReadonlySet<string> = new Set([
  errorNames.noReply,
  errorNames.disconnected,
  errorNames.serviceUnknown,
]);

interface Wanted {
  readonly request: ObjectRequest;
  path: string | undefined;
  given: boolean;
}

export class AvahiObjects {
  readonly #deps: AvahiObjectsDeps;
  #owner: string | undefined;
  #answering = true;
  /** Calls under way; those of an owner that is gone do not count. */
  #calls = 0;
  #making = 0;
  #toMake = new Set<Wanted>();
  #made = new Map<string, Wanted>();
  /** Interfaces of what is to be freed, by path. */
  #toFree = new Map<string, string>();
  #freeing = new Set<string>();
  /** Signals of objects that a reply under way may name. */
  #early = new Map<string, BusSignal[]>();

  constructor(deps: AvahiObjectsDeps) {
    this.#deps = deps;
  }

  get answering(): boolean {
    return this.#answering;
  }

  /** Another avahi-daemon, or none: nothing of what was made is there any more. */
  setOwner(owner: string | undefined): void {
    this.#owner = owner;
    this.#answering = true;
    this.#calls = 0;
    this.#making = 0;
    this.#toMake = new Set();
    this.#made = new Map();
    this.#toFree = new Map();
    this.#freeing = new Set();
    this.#early = new Map();
  }

  make(request: ObjectRequest): HeldObject {
    const wanted: Wanted = { request, path: undefined, given: false };
    this.#toMake.add(wanted);
    this.#pump();
    return {
      free: () => {
        wanted.given = true;
        if (this.#toMake.delete(wanted) || wanted.path === undefined) return;
        if (this.#made.get(wanted.path) !== wanted) return;
        this.#made.delete(wanted.path);
        this.#free(wanted.path, INTERFACE_OF[wanted.request.member]);
      },
    };
  }

  /** It has shown that it is alive. */
  answered(): void {
    if (this.#answering) return;
    this.#answering = true;
    this.#deps.answeringChanged(true);
    this.#pump();
  }

  /** A signal of one of avahi-daemon's browsers or resolvers. */
  receive(signal: BusSignal): void {
    if (signal.sender !== this.#owner) return;
    this.answered();
    const { path } = signal;
    const wanted = this.#made.get(path);
    if (wanted !== undefined) {
      wanted.request.signal(signal.member, signal.args);
    } else if (this.#toFree.has(path) || this.#freeing.has(path)) {
      // Sent before it was freed.
    } else if (this.#making > 0) {
      const before = this.#early.get(path);
      if (before === undefined) this.#early.set(path, [signal]);
      else before.push(signal);
    } else {
      this.#free(path, signal.interfaceName);
    }
  }

  #free(path: string, interfaceName: string): void {
    this.#toFree.set(path, interfaceName);
    this.#pump();
  }

  #pump(): void {
    while (this.#owner !== undefined && this.#answering && this.#calls < MAX_CALLS) {
      const [next] = this.#toFree;
      if (next !== undefined) {
        const [path, interfaceName] = next;
        this.#toFree.delete(path);
        this.#freeing.add(path);
        void this.#callFree(this.#owner, path, interfaceName);
        continue;
      }
      const [wanted] = this.#toMake;
      if (wanted === undefined) return;
      this.#toMake.delete(wanted);
      void this.#callMake(this.#owner, wanted);
    }
  }

  async #callFree(owner: string, path: string, interfaceName: string): Promise<void> {
    const outcome = await this.#call(owner, path, interfaceName, 'Free', '', []);
    if (this.#owner !== owner) return;
    // Refused: there is no such object any more.
    this.#freeing.delete(path);
    if (outcome instanceof BusError && UNANSWERED.has(outcome.errorName)) this.#unanswered();
    this.#pump();
  }

  async #callMake(owner: string, wanted: Wanted): Promise<void> {
    const { args, member, signature } = wanted.request;
    this.#making += 1;
    const outcome = await this.#call(owner, SERVER_PATH, SERVER_INTERFACE, member, signature, args);
    if (this.#owner !== owner) return;
    this.#making -= 1;
    if (!(outcome instanceof BusError)) this.#take(wanted, String(outcome[0]));
    else if (UNANSWERED.has(outcome.errorName)) {
      if (!wanted.given) this.#toMake.add(wanted);
      this.#unanswered();
    } else if (!wanted.given) wanted.request.refused(outcome);
    if (this.#making === 0) this.#freeUnclaimed();
    this.#pump();
  }

  #take(wanted: Wanted, path: string): void {
    const early = this.#early.get(path) ?? [];
    this.#early.delete(path);
    if (wanted.given) {
      this.#free(path, INTERFACE_OF[wanted.request.member]);
      return;
    }
    wanted.path = path;
    this.#made.set(path, wanted);
    for (const { args, member } of early) {
      // Its holder may give it up on any of them.
      if (this.#made.get(path) === wanted) wanted.request.signal(member, args);
    }
  }

  /** Objects of calls that timed out here and were carried out there. */
  #freeUnclaimed(): void {
    for (const [path, [first]] of this.#early) {
      if (first !== undefined) this.#toFree.set(path, first.interfaceName);
    }
    this.#early = new Map();
  }

  #unanswered(): void {
    if (!this.#answering) return;
    this.#answering = false;
    this.#deps.answeringChanged(false);
  }

  async #call(
    destination: string,
    path: string,
    interfaceName: string,
    member: string,
    inSignature: string,
    args: readonly unknown[],
  ): Promise<readonly unknown[] | BusError> {
    this.#calls += 1;
    try {
      return await this.#deps.bus.call({
        ...{ destination, path, interfaceName, member, inSignature, args },
        timeoutMs: CALL_TIMEOUT_MS,
      });
    } catch (thrown) {
      if (thrown instanceof BusError) return thrown;
      return new BusError(errorNames.failed, String(thrown));
    } finally {
      if (this.#owner === destination) this.#calls -= 1;
    }
  }
}

/** Whether avahi-daemon is there and answers; starts it if the bus can. Rejects with BusError. */
export async function wakeAvahi(bus: Bus): Promise<void> {
  await bus.call({
    destination: AVAHI_NAME,
    path: SERVER_PATH,
    interfaceName: SERVER_INTERFACE,
    member: 'GetVersionString',
    inSignature: '',
    args: [],
    timeoutMs: CALL_TIMEOUT_MS,
    autoStart: true,
  });
}
