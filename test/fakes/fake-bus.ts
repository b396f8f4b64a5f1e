/**
 * A message bus inside the process: as many connections as a test wants, no socket.
 *
 * Objects are published through the real adapter's ExportedObjects, so a daemon's interface is
 * checked against its contract and its values against their types here too.
 *
 * Invariants:
 * - messages arrive in the order in which they were sent, each in a microtask of its own, never
 *   within the call that sends them;
 * - no time passes: a call times out only by the clock that the test gives.
 */
import { BusError } from '../../src/ports/bus.ts';
import type { Bus, BusSignal, ExportedObject } from '../../src/ports/bus.ts';
import type { Clock } from '../../src/ports/host.ts';
import { ExportedObjects } from '../../src/platform/dbus/exported-objects.ts';
import type {
  CallReply,
  OutgoingSignal,
  Published,
} from '../../src/platform/dbus/exported-objects.ts';
import { NameOwner } from '../../src/platform/dbus/name-owners.ts';
import {
  busName,
  errorNames,
  isUniqueName,
  isWellKnownName,
} from '../../src/platform/dbus/names.ts';
import type { SystemBus } from '../../src/platform/dbus/system-bus.ts';
import { checkBody, withoutVariants } from '../../src/platform/dbus/values.ts';

type CallRequest = Parameters<Bus['call']>[0];
type Finish = (reply: CallReply) => void;

function errorReply(errorName: string, message: string): CallReply {
  return { kind: 'error', errorName, message };
}

/** The bus itself: gives out names and carries messages between its connections. */
export class FakeBusDaemon {
  readonly #clock: Clock | undefined;
  readonly #connections = new Map<string, FakeBus>();
  readonly #owners = new Map<string, FakeBus>();
  #connected = 0;
  /** Services that a call can start, by name: what starts them, until they have their name. */
  readonly activatable = new Map<string, () => Promise<void>>();

  /** Without a clock no call times out. */
  constructor(clock?: Clock) {
    this.#clock = clock;
  }

  connect(): FakeBus {
    this.#connected += 1;
    const bus = new FakeBus(this, `:1.${this.#connected}`, this.#clock);
    this.#connections.set(bus.uniqueName, bus);
    return bus;
  }

  /** Unique name of the owner of `name`. */
  ownerOf(name: string): string | undefined {
    return this.#find(name)?.uniqueName;
  }

  /** Runs `deliver` later, after everything that was posted before. */
  post(deliver: () => void): void {
    void Promise.resolve().then(deliver);
  }

  requestName(name: string, bus: FakeBus): boolean {
    const owner = this.#owners.get(name);
    if (owner !== undefined) return owner === bus;
    this.#owners.set(name, bus);
    this.#announce(name, bus.uniqueName);
    return true;
  }

  remove(bus: FakeBus): void {
    this.#connections.delete(bus.uniqueName);
    for (const [name, owner] of this.#owners) {
      if (owner !== bus) continue;
      this.#owners.delete(name);
      this.#announce(name, '');
    }
    this.#announce(bus.uniqueName, '');
  }

  route(request: CallRequest, finish: Finish): void {
    if (request.destination === busName) {
      finish(this.#answer(request));
      return;
    }
    const callee = this.#find(request.destination);
    const start = this.activatable.get(request.destination);
    if (callee === undefined && request.autoStart === true && start !== undefined) {
      void start().then(() => {
        this.route({ ...request, autoStart: false }, finish);
      });
      return;
    }
    if (callee === undefined) {
      const message = `The name ${request.destination} is not on the bus`;
      finish(errorReply(errorNames.serviceUnknown, message));
      return;
    }
    callee.receiveCall(request, finish);
  }

  broadcast(sender: string, signal: OutgoingSignal): void {
    for (const bus of [...this.#connections.values()]) bus.receiveSignal(sender, signal);
  }

  #find(name: string): FakeBus | undefined {
    return isUniqueName(name) ? this.#connections.get(name) : this.#owners.get(name);
  }

  #announce(name: string, owner: string): void {
    for (const bus of [...this.#connections.values()]) {
      this.post(() => bus.receiveOwner(name, owner));
    }
  }

  #answer({ member, args }: CallRequest): CallReply {
    const name = String(args[0]);
    switch (member) {
      case 'GetNameOwner': {
        const owner = this.ownerOf(name);
        return owner === undefined
          ? errorReply(errorNames.nameHasNoOwner, `The name ${name} has no owner`)
          : { kind: 'return', signature: 's', body: [owner] };
      }
      case 'NameHasOwner':
        return { kind: 'return', signature: 'b', body: [this.ownerOf(name) !== undefined] };
      default:
        return errorReply(errorNames.unknownMethod, `The fake bus has no method ${member}`);
    }
  }
}

/** One connection. `fail` ends it as a crash of the bus would. */
export class FakeBus implements SystemBus {
  readonly uniqueName: string;
  /** What methods and listeners threw, with where: a test may want it empty. */
  readonly failures: string[] = [];
  readonly #daemon: FakeBusDaemon;
  readonly #clock: Clock | undefined;
  readonly #objects: ExportedObjects;
  readonly #watched = new Map<string, NameOwner>();
  readonly #subscriptions: {
    readonly sender: string;
    readonly interfaceName: string;
    readonly listener: (signal: BusSignal) => void;
  }[] = [];
  /** Calls of this connection that are not answered yet. */
  readonly #waiting = new Set<Finish>();
  /** Calls of others that this connection has not answered yet. */
  readonly #serving = new Set<Finish>();
  readonly #lostListeners: ((why: string) => void)[] = [];
  #ended: string | undefined;

  constructor(daemon: FakeBusDaemon, uniqueName: string, clock: Clock | undefined) {
    this.#daemon = daemon;
    this.uniqueName = uniqueName;
    this.#clock = clock;
    this.#objects = new ExportedObjects({
      emit: (signal) => this.#emit(signal),
      onFailure: (what, thrown) => void this.failures.push(`${what}: ${String(thrown)}`),
      machineId: () => '0123456789abcdef0123456789abcdef',
    });
  }

  export(object: ExportedObject): Published {
    return this.#objects.add(object);
  }

  requestName(name: string): Promise<void> {
    return this.#exchange(() => {
      if (!isWellKnownName(name)) throw new BusError(errorNames.invalidArgs, `${name} is no name`);
      if (this.#daemon.requestName(name, this)) return;
      throw new BusError(errorNames.addressInUse, `the name ${name} is taken by another process`);
    });
  }

  emitSignal(path: string, interfaceName: string, member: string, args: readonly unknown[]): void {
    this.#emit(this.#objects.signal(path, interfaceName, member, args));
  }

  async call(request: CallRequest): Promise<readonly unknown[]> {
    this.#assertOpen();
    const args = checkBody(request.inSignature, request.args);
    const reply = await new Promise<CallReply>((resolve) => {
      const timer = this.#clock?.setTimer(request.timeoutMs, () =>
        finish(errorReply(errorNames.noReply, `no answer within ${request.timeoutMs} ms`)),
      );
      const finish: Finish = (result) => {
        timer?.dispose();
        this.#waiting.delete(finish);
        resolve(result);
      };
      this.#waiting.add(finish);
      this.#daemon.post(() => this.#daemon.route({ ...request, args }, finish));
    });
    if (reply.kind === 'error') throw new BusError(reply.errorName, reply.message);
    return reply.body.map(withoutVariants);
  }

  async subscribe(
    match: { readonly sender: string; readonly interfaceName: string },
    listener: (signal: BusSignal) => void,
  ): Promise<void> {
    await this.#exchange(() => void this.#subscriptions.push({ ...match, listener }));
  }

  async watchName(name: string, listener: (owner: string | undefined) => void): Promise<void> {
    await this.#exchange(() => {
      let watched = this.#watched.get(name);
      if (watched === undefined) {
        watched = new NameOwner();
        this.#watched.set(name, watched);
        watched.answered(this.#daemon.ownerOf(name));
      }
      watched.watch((owner) => this.#guard(`the owner of ${name}`, () => listener(owner)));
    });
  }

  onLost(listener: (why: string) => void): void {
    this.#lostListeners.push(listener);
  }

  close(): void {
    this.#end('closed');
  }

  /** The connection breaks: calls fail, names are given up, `onLost` is told. */
  fail(why: string): void {
    if (!this.#end(why)) return;
    for (const listener of this.#lostListeners) listener(why);
  }

  receiveCall(request: CallRequest, finish: Finish): void {
    const finishOnce: Finish = (reply) => {
      if (this.#serving.delete(finishOnce)) this.#daemon.post(() => finish(reply));
    };
    this.#serving.add(finishOnce);
    const { path, interfaceName, member, inSignature: signature, args } = request;
    void this.#objects.handle({ path, interfaceName, member, signature, args }).then(finishOnce);
  }

  receiveSignal(sender: string, signal: OutgoingSignal): void {
    const { path, interfaceName, member } = signal;
    for (const subscription of this.#subscriptions) {
      if (subscription.interfaceName !== interfaceName) continue;
      const from = subscription.sender;
      if (from !== sender && this.#daemon.ownerOf(from) !== sender) continue;
      const args = signal.body.map(withoutVariants);
      this.#guard(`signal ${member}`, () =>
        subscription.listener({ sender, path, interfaceName, member, args }),
      );
    }
  }

  receiveOwner(name: string, owner: string): void {
    this.#watched.get(name)?.changed(owner);
  }

  #emit(signal: OutgoingSignal): void {
    if (this.#ended !== undefined) return;
    this.#daemon.post(() => this.#daemon.broadcast(this.uniqueName, signal));
  }

  #assertOpen(): void {
    if (this.#ended !== undefined) throw new BusError(errorNames.disconnected, this.#ended);
  }

  /** A round trip to the bus. */
  async #exchange(act: () => void): Promise<void> {
    this.#assertOpen();
    await new Promise<void>((resolve, reject) => {
      this.#daemon.post(() => {
        try {
          this.#assertOpen();
          act();
          resolve();
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }

  #end(why: string): boolean {
    if (this.#ended !== undefined) return false;
    this.#ended = why;
    this.#daemon.remove(this);
    for (const finish of [...this.#serving]) {
      finish(errorReply(errorNames.noReply, 'the recipient left the bus without an answer'));
    }
    for (const finish of [...this.#waiting]) finish(errorReply(errorNames.disconnected, why));
    return true;
  }

  #guard(what: string, act: () => void): void {
    try {
      act();
    } catch (thrown) {
      this.failures.push(`${what}: ${String(thrown)}`);
    }
  }
}
