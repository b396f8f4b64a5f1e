/**
 * The bus port on a real message bus.
 *
 * Invariants:
 * - a match rule is added once and kept; there is one for each watched name and one for each pair
 *   of sender and interface, however many listeners there are (a bus allows a connection some
 *   hundreds of rules);
 * - a signal reaches a listener only if it comes from the owner of the sender's name: anyone may
 *   send a signal straight to this connection, and no match rule stands in its way;
 * - every call ends: by its reply, its time-out, or the end of the connection.
 */
import { readFileSync } from 'node:fs';
import { BusError } from '../../ports/bus.ts';
import type { Bus, BusSignal, ExportedObject } from '../../ports/bus.ts';
import type { Log } from '../../ports/log.ts';
import { systemBusAddress } from './address.ts';
import { openConnection } from './connection.ts';
import type { Connection, ReceivedMessage } from './connection.ts';
import { ExportedObjects } from './exported-objects.ts';
import type { CallReply, Published } from './exported-objects.ts';
import type { MessageToSend } from './marshal.ts';
import { NameOwner } from './name-owners.ts';
import {
  busName,
  busPath,
  errorNames,
  isBusName,
  isInterfaceName,
  isMemberName,
  isObjectPath,
  isUniqueName,
  isWellKnownName,
} from './names.ts';
import { PendingCalls } from './pending-calls.ts';
import type { Outcome } from './pending-calls.ts';
import { checkBody, plainBody } from './values.ts';

export interface SystemBusOptions {
  /** Default: DBUS_SYSTEM_BUS_ADDRESS, else the well-known socket. */
  readonly address?: string;
  /** For connecting and for the adapter's own calls to the bus; default 25 s as in libdbus. */
  readonly timeoutMs?: number;
  /** Gets what fails without a caller to tell: a method or listener that throws. */
  readonly log?: Log;
}

/**
 * The port, with what its real adapter adds. A call to a name without an owner always rejects with
 * ServiceUnknown, one that is not answered in time with NoReply.
 */
export interface SystemBus extends Bus {
  export(object: ExportedObject): Published;
  /** `:1.42`. */
  readonly uniqueName: string;
}

type CallRequest = Parameters<Bus['call']>[0];
interface Subscription {
  readonly interfaceName: string;
  /** Tells the unique name that signals must come from; undefined while there is none. */
  readonly sender: () => string | undefined;
  readonly listener: (signal: BusSignal) => void;
}

const DEFAULT_TIMEOUT_MS = 25_000;
const DO_NOT_QUEUE = 4;
const PRIMARY_OWNER = 1;
const ALREADY_OWNER = 4;

function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

function machineId(): string {
  return readFileSync('/etc/machine-id', 'utf8').trim();
}

function assertName(valid: boolean, name: string): void {
  if (!valid) throw new BusError(errorNames.invalidArgs, `${JSON.stringify(name)} is not a name`);
}

class DbusSystemBus implements SystemBus {
  readonly #connection: Connection;
  readonly #timeoutMs: number;
  readonly #log: Log | undefined;
  readonly #objects: ExportedObjects;
  readonly #pending = new PendingCalls();
  readonly #owners = new Map<string, { readonly name: NameOwner; readonly ready: Promise<void> }>();
  readonly #rules = new Map<string, Promise<void>>();
  readonly #subscriptions: Subscription[] = [];

  constructor(connection: Connection, timeoutMs: number, log: Log | undefined) {
    this.#connection = connection;
    this.#timeoutMs = timeoutMs;
    this.#log = log;
    this.#objects = new ExportedObjects({
      emit: (signal) => this.#send({ kind: 'signal', ...signal }),
      onFailure: (what, thrown) => this.#failed(`D-Bus call ${what}`, thrown),
      machineId,
    });
    connection.onMessage((message) => {
      try {
        this.#receive(message);
      } catch (thrown) {
        this.#failed(`D-Bus message ${message.interfaceName}.${message.member}`, thrown);
      }
    });
    connection.onClosed((why) => this.#pending.endAll(why));
  }

  get uniqueName(): string {
    return this.#connection.uniqueName;
  }

  export(object: ExportedObject): Published {
    return this.#objects.add(object);
  }

  async requestName(name: string): Promise<void> {
    assertName(isWellKnownName(name), name);
    const [result] = await this.#callBus('RequestName', 'su', [name, DO_NOT_QUEUE]);
    if (result === PRIMARY_OWNER || result === ALREADY_OWNER) return;
    throw new BusError(errorNames.addressInUse, `the name ${name} is taken by another process`);
  }

  emitSignal(path: string, interfaceName: string, member: string, args: readonly unknown[]): void {
    this.#send({ kind: 'signal', ...this.#objects.signal(path, interfaceName, member, args) });
  }

  call(request: CallRequest): Promise<readonly unknown[]> {
    return new Promise((resolve, reject) => {
      this.#call(request, (outcome) => {
        if (outcome.kind === 'return') resolve(outcome.body);
        else reject(outcome.error);
      });
    });
  }

  async subscribe(
    match: { readonly sender: string; readonly interfaceName: string },
    listener: (signal: BusSignal) => void,
  ): Promise<void> {
    const { sender, interfaceName } = match;
    assertName(isBusName(sender), sender);
    assertName(isInterfaceName(interfaceName), interfaceName);
    const fixed = isUniqueName(sender) || sender === busName;
    const owner = fixed ? undefined : await this.#follow(sender);
    const ownerOf = owner === undefined ? () => sender : () => owner.owner;
    // Before the rule is known to be there: a signal may come in the same read as that answer.
    const subscription: Subscription = { interfaceName, sender: ownerOf, listener };
    this.#subscriptions.push(subscription);
    try {
      await this.#addMatch(`type='signal',sender='${sender}',interface='${interfaceName}'`);
    } catch (error) {
      this.#subscriptions.splice(this.#subscriptions.indexOf(subscription), 1);
      throw error;
    }
  }

  async watchName(name: string, listener: (owner: string | undefined) => void): Promise<void> {
    assertName(isBusName(name), name);
    const owner = await this.#follow(name);
    owner.watch((current) => {
      try {
        listener(current);
      } catch (thrown) {
        this.#failed(`the listener for the owner of ${name}`, thrown);
      }
    });
  }

  onLost(listener: (why: string) => void): void {
    this.#connection.onClosed(listener);
  }

  close(): void {
    this.#connection.close();
    this.#pending.endAll('closed');
  }

  #failed(what: string, thrown: unknown): void {
    this.#log?.error(`${what} failed: ${textOf(thrown)}`);
  }

  /** For what nobody waits for: after the end of the connection it is dropped, `onLost` is told. */
  #send(message: MessageToSend): void {
    try {
      this.#connection.send(message);
    } catch (thrown) {
      if (!(thrown instanceof BusError) || thrown.errorName !== errorNames.disconnected) {
        throw thrown;
      }
    }
  }

  #call(request: CallRequest, done: (outcome: Outcome) => void): void {
    const { destination, path, interfaceName, member, inSignature, timeoutMs } = request;
    try {
      assertName(isBusName(destination), destination);
      assertName(isObjectPath(path), path);
      assertName(isInterfaceName(interfaceName), interfaceName);
      assertName(isMemberName(member), member);
      const serial = this.#connection.send({
        kind: 'call',
        destination,
        path,
        interfaceName,
        member,
        signature: inSignature,
        body: checkBody(inSignature, request.args),
        noAutoStart: request.autoStart !== true,
      });
      this.#pending.add(serial, { destination, member, timeoutMs, done });
    } catch (thrown) {
      const error =
        thrown instanceof BusError ? thrown : new BusError(errorNames.failed, textOf(thrown));
      done({ kind: 'error', error });
    }
  }

  #callBus(member: string, inSignature: string, args: readonly unknown[]) {
    return this.call(this.#busRequest(member, inSignature, args));
  }

  #busRequest(member: string, inSignature: string, args: readonly unknown[]): CallRequest {
    return {
      destination: busName,
      path: busPath,
      interfaceName: busName,
      member,
      inSignature,
      args,
      timeoutMs: this.#timeoutMs,
    };
  }

  #receive(message: ReceivedMessage): void {
    switch (message.kind) {
      case 'return':
      case 'error':
        this.#pending.receive(message);
        break;
      case 'signal':
        this.#receiveSignal(message);
        break;
      case 'call':
        void this.#answer(message);
        break;
    }
  }

  #receiveSignal(message: ReceivedMessage): void {
    const { sender, path, interfaceName, member } = message;
    if (sender === busName && member === 'NameOwnerChanged') {
      const [name, , newOwner] = message.body;
      this.#owners.get(String(name))?.name.changed(String(newOwner));
    }
    for (const subscription of this.#subscriptions) {
      if (subscription.interfaceName !== interfaceName) continue;
      if (subscription.sender() !== sender) continue;
      try {
        const args = plainBody(message.signature, message.body);
        subscription.listener({ sender, path, interfaceName, member, args });
      } catch (thrown) {
        this.#failed(`the listener for the signal ${interfaceName}.${member}`, thrown);
      }
    }
  }

  async #answer(message: ReceivedMessage): Promise<void> {
    const reply = await this.#objects.handle({
      path: message.path,
      interfaceName: message.interfaceName === '' ? undefined : message.interfaceName,
      member: message.member,
      signature: message.signature,
      args: message.body,
    });
    if (message.noReplyExpected) return;
    try {
      this.#reply(message, reply);
    } catch (thrown) {
      this.#failed(`the answer to ${message.interfaceName}.${message.member}`, thrown);
    }
  }

  #reply(message: ReceivedMessage, reply: CallReply): void {
    const address = { destination: message.sender, replySerial: message.serial };
    if (reply.kind === 'return') {
      this.#send({ kind: 'return', ...address, signature: reply.signature, body: reply.body });
      return;
    }
    this.#send({
      kind: 'error',
      ...address,
      errorName: reply.errorName,
      signature: 's',
      body: checkBody('s', [reply.message]),
    });
  }

  #addMatch(rule: string): Promise<void> {
    const known = this.#rules.get(rule);
    if (known !== undefined) return known;
    const added = this.#callBus('AddMatch', 's', [rule]).then(
      () => undefined,
      (error: unknown) => {
        this.#rules.delete(rule);
        throw error;
      },
    );
    this.#rules.set(rule, added);
    return added;
  }

  /** Follows the owner of a name; resolves when the owner is known. */
  async #follow(name: string): Promise<NameOwner> {
    let entry = this.#owners.get(name);
    if (entry === undefined) {
      const owner = new NameOwner();
      entry = { name: owner, ready: this.#startFollowing(name, owner) };
      this.#owners.set(name, entry);
    }
    try {
      await entry.ready;
    } catch (error) {
      if (this.#owners.get(name) === entry) this.#owners.delete(name);
      throw error;
    }
    return entry.name;
  }

  async #startFollowing(name: string, owner: NameOwner): Promise<void> {
    // The rule first: a change after it is told, a change before it is in the answer.
    await this.#addMatch(
      `type='signal',sender='${busName}',interface='${busName}',` +
        `member='NameOwnerChanged',arg0='${name}'`,
    );
    await new Promise<void>((resolve, reject) => {
      this.#call(this.#busRequest('GetNameOwner', 's', [name]), (outcome) => {
        if (outcome.kind === 'return') {
          owner.answered(String(outcome.body[0]));
          resolve();
        } else if (outcome.error.errorName === errorNames.nameHasNoOwner) {
          owner.answered(undefined);
          resolve();
        } else {
          reject(outcome.error);
        }
      });
    });
  }
}

/**
 * Connects to the system bus. Rejects with BusError: NoServer, AuthFailed, Disconnected, NoReply,
 * BadAddress. Every call of the result that reaches the bus may reject with Disconnected later.
 */
export async function createSystemBus(options: SystemBusOptions = {}): Promise<SystemBus> {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const address = options.address ?? systemBusAddress(process.env);
  const connection = await openConnection({ address, timeoutMs });
  return new DbusSystemBus(connection, timeoutMs, options.log);
}
