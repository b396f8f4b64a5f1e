/**
 * The objects that a service publishes, and what happens to a call that arrives for one of them.
 *
 * Invariants:
 * - what is published is the contract: a member is reachable exactly if the XML names it, with the
 *   XML's signatures, whatever the implementation has;
 * - whatever a caller sends ends in one reply; nothing is thrown to the connection.
 */
import { BusError, BusVariant } from '../../ports/bus.ts';
import type { BusProperty, ExportedObject } from '../../ports/bus.ts';
import type { Disposable } from '../../ports/disposable.ts';
import { ContractError, introspectionOf, parseContract } from './contract.ts';
import type { Contract, ContractInterface, ContractMethod, ContractProperty } from './contract.ts';
import { errorNames, isInterfaceName, isObjectPath, standardInterfaces } from './names.ts';
import { checkBody, plainBody, withoutVariants } from './values.ts';

/** A method call as it came from the bus; `args` fit `signature`, variants as BusVariant. */
export interface IncomingCall {
  readonly path: string;
  /** Absent: the caller means whichever interface has the member. */
  readonly interfaceName: string | undefined;
  readonly member: string;
  readonly signature: string;
  readonly args: readonly unknown[];
}

export type CallReply =
  | { readonly kind: 'return'; readonly signature: string; readonly body: readonly unknown[] }
  | { readonly kind: 'error'; readonly errorName: string; readonly message: string };

/** A signal ready to be sent. */
export interface OutgoingSignal {
  readonly path: string;
  readonly interfaceName: string;
  readonly member: string;
  readonly signature: string;
  readonly body: readonly unknown[];
}

/** What `export` returns: besides ending it, tells the bus that properties may have changed. */
export interface Published extends Disposable {
  /**
   * Emits PropertiesChanged for what differs from what was last told. Call it when a property
   * changes by another way than a caller's Set.
   */
  propertiesChanged(): void;
}

interface Entry {
  readonly object: ExportedObject;
  readonly contract: Contract;
  /** By `interface.property`: what readers were told last, to tell them of changes only. */
  readonly told: Map<string, unknown>;
}

export interface ExportedObjectsOptions {
  readonly emit: (signal: OutgoingSignal) => void;
  /** A method or property failed in a way that is not an answer to its caller (not a BusError). */
  readonly onFailure: (what: string, thrown: unknown) => void;
  /** For Peer.GetMachineId. */
  readonly machineId: () => string;
}

function returned(signature: string, ...values: readonly unknown[]): CallReply {
  return { kind: 'return', signature, body: checkBody(signature, values) };
}

function key(interfaceName: string, member: string): string {
  return `${interfaceName}.${member}`;
}

function textOfBigint(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

/** A mistake in the wiring must end the start of the daemon, not answer its first caller. */
function assertComplete(object: ExportedObject, contract: Contract): void {
  if (!isObjectPath(object.path)) throw new ContractError(`"${object.path}" is not an object path`);
  const methods = new Set<string>();
  const properties = new Set<string>();
  for (const { name, ...members } of contract.interfaces.values()) {
    for (const method of members.methods.keys()) methods.add(key(name, method));
    for (const property of members.properties.values()) {
      const full = key(name, property.name);
      properties.add(full);
      const implemented = object.properties[full];
      if (implemented === undefined) throw new ContractError(`${full} is not implemented`);
      if ((property.access !== 'read') !== (implemented.set !== undefined)) {
        throw new ContractError(`${full} is not implemented as ${property.access}`);
      }
    }
  }
  for (const method of methods) {
    if (!Object.hasOwn(object.methods, method)) {
      throw new ContractError(`${method} is not implemented`);
    }
  }
  for (const name of Object.keys(object.methods)) {
    if (!methods.has(name)) throw new ContractError(`${name} is not in the contract`);
  }
  for (const name of Object.keys(object.properties)) {
    if (!properties.has(name)) throw new ContractError(`${name} is not in the contract`);
  }
}

export class ExportedObjects {
  readonly #options: ExportedObjectsOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(options: ExportedObjectsOptions) {
    this.#options = options;
  }

  /** Throws ContractError if object and contract do not fit each other. */
  add(object: ExportedObject): Published {
    const contract = parseContract(object.introspectionXml);
    assertComplete(object, contract);
    if (this.#entries.has(object.path)) {
      throw new ContractError(`${object.path} is exported already`);
    }
    const entry: Entry = { object, contract, told: new Map() };
    this.#entries.set(object.path, entry);
    this.#changesOf(entry);
    return {
      propertiesChanged: () => {
        if (this.#entries.get(object.path) === entry) this.#tellChanges(entry);
      },
      dispose: () => {
        if (this.#entries.get(object.path) === entry) this.#entries.delete(object.path);
      },
    };
  }

  /** Throws ContractError if the contract of `path` has no such signal, BusError for its values. */
  signal(
    path: string,
    interfaceName: string,
    member: string,
    args: readonly unknown[],
  ): OutgoingSignal {
    const contract = this.#entries.get(path)?.contract;
    const declared = contract?.interfaces.get(interfaceName)?.signals.get(member);
    if (declared === undefined) {
      throw new ContractError(`${path} has no signal ${key(interfaceName, member)}`);
    }
    const { signature } = declared;
    return { path, interfaceName, member, signature, body: checkBody(signature, args) };
  }

  /** Answers a call. Neither throws nor rejects. */
  async handle(call: IncomingCall): Promise<CallReply> {
    try {
      return await this.#dispatch(call);
    } catch (error) {
      if (error instanceof BusError && isInterfaceName(error.errorName)) {
        return { kind: 'error', errorName: error.errorName, message: error.message };
      }
      this.#options.onFailure(`${call.interfaceName ?? '?'}.${call.member}`, error);
      const message = error instanceof Error ? error.message : String(error);
      return { kind: 'error', errorName: errorNames.failed, message };
    }
  }

  #dispatch(call: IncomingCall): CallReply | Promise<CallReply> {
    const { interfaceName } = call;
    const entry = this.#entries.get(call.path);
    if (interfaceName === standardInterfaces.peer) return this.#peer(call);
    if (entry === undefined) {
      const children = this.#childNodes(call.path);
      if (children.length === 0 && call.path !== '/') {
        throw new BusError(errorNames.unknownObject, `No object ${call.path}`);
      }
      if (interfaceName === standardInterfaces.introspectable) return this.#introspect(call);
      throw new BusError(
        errorNames.unknownInterface,
        `${call.path} has no interface ${interfaceName ?? 'with that method'}`,
      );
    }
    if (interfaceName === standardInterfaces.introspectable) return this.#introspect(call);
    if (interfaceName === standardInterfaces.properties) return this.#properties(entry, call);
    const found = this.#findMethod(entry, interfaceName, call.member);
    if (found !== undefined) return this.#callMethod(entry, found[0], found[1], call);
    throw new BusError(
      errorNames.unknownMethod,
      `${call.path} has no method ${call.member} with signature "${call.signature}"`,
    );
  }

  #findMethod(
    entry: Entry,
    interfaceName: string | undefined,
    member: string,
  ): readonly [string, ContractMethod] | undefined {
    if (interfaceName !== undefined) {
      const method = this.#interface(entry, interfaceName).methods.get(member);
      return method && [interfaceName, method];
    }
    for (const candidate of entry.contract.interfaces.values()) {
      const method = candidate.methods.get(member);
      if (method !== undefined) return [candidate.name, method];
    }
    return undefined;
  }

  #interface(entry: Entry, name: string): ContractInterface {
    const found = entry.contract.interfaces.get(name);
    if (found !== undefined) return found;
    throw new BusError(
      errorNames.unknownInterface,
      `${entry.object.path} has no interface ${name}`,
    );
  }

  async #callMethod(
    entry: Entry,
    interfaceName: string,
    method: ContractMethod,
    call: IncomingCall,
  ): Promise<CallReply> {
    this.#expectSignature(call, method.inSignature);
    const implementation = entry.object.methods[key(interfaceName, method.name)] as
      ((...args: unknown[]) => readonly unknown[] | Promise<readonly unknown[]>) | undefined;
    if (implementation === undefined) throw new BusError(errorNames.unknownMethod, method.name);
    const results = await implementation(...plainBody(call.signature, call.args));
    try {
      return returned(method.outSignature, ...results);
    } catch (error) {
      // The daemon's own mistake must not read as the caller's (InvalidArgs).
      if (error instanceof BusError && error.errorName === errorNames.invalidArgs) {
        throw new Error(`wrong result of ${method.name}: ${error.message}`, { cause: error });
      }
      throw error;
    }
  }

  #expectSignature(call: IncomingCall, expected: string): void {
    if (call.signature === expected) return;
    throw new BusError(
      errorNames.invalidArgs,
      `${call.member} takes "${expected}", not "${call.signature}"`,
    );
  }

  #peer(call: IncomingCall): CallReply {
    switch (call.member) {
      case 'Ping':
        this.#expectSignature(call, '');
        return returned('');
      case 'GetMachineId':
        this.#expectSignature(call, '');
        return returned('s', this.#options.machineId());
      default:
        throw new BusError(errorNames.unknownMethod, `Peer has no method ${call.member}`);
    }
  }

  #introspect(call: IncomingCall): CallReply {
    if (call.member !== 'Introspect') {
      throw new BusError(errorNames.unknownMethod, `Introspectable has no method ${call.member}`);
    }
    this.#expectSignature(call, '');
    const contract = this.#entries.get(call.path)?.contract;
    return returned('s', introspectionOf(contract, this.#childNodes(call.path)));
  }

  /** The next path elements below `path`, sorted. */
  #childNodes(path: string): readonly string[] {
    const prefix = path === '/' ? '/' : `${path}/`;
    const names = new Set<string>();
    for (const exported of this.#entries.keys()) {
      if (exported === path || !exported.startsWith(prefix)) continue;
      const [child = ''] = exported.slice(prefix.length).split('/');
      names.add(child);
    }
    return [...names].sort();
  }

  #properties(entry: Entry, call: IncomingCall): CallReply {
    const [interfaceName, name, value] = call.args;
    switch (call.member) {
      case 'Get': {
        this.#expectSignature(call, 'ss');
        const [property, implemented] = this.#property(entry, interfaceName, name);
        if (property.access === 'write') {
          throw new BusError(errorNames.accessDenied, `${property.name} cannot be read`);
        }
        return returned('v', new BusVariant(property.type, implemented.get()));
      }
      case 'GetAll': {
        this.#expectSignature(call, 's');
        const wanted = String(interfaceName);
        const all: Record<string, BusVariant> = {};
        // An empty name stands for every interface, as in sd-bus and GDBus.
        const interfaces =
          wanted === ''
            ? [...entry.contract.interfaces.values()]
            : this.#isStandard(wanted)
              ? []
              : [this.#interface(entry, wanted)];
        for (const { name: owner, properties } of interfaces) {
          for (const property of properties.values()) {
            const implemented = entry.object.properties[key(owner, property.name)];
            if (property.access === 'write' || implemented === undefined) continue;
            all[property.name] = new BusVariant(property.type, implemented.get());
          }
        }
        return returned('a{sv}', all);
      }
      case 'Set': {
        this.#expectSignature(call, 'ssv');
        const [property, implemented] = this.#property(entry, interfaceName, name);
        if (implemented.set === undefined) {
          throw new BusError(errorNames.propertyReadOnly, `${property.name} is read-only`);
        }
        if (!(value instanceof BusVariant) || value.signature !== property.type) {
          throw new BusError(
            errorNames.invalidArgs,
            `${property.name} is of type ${property.type}`,
          );
        }
        implemented.set(withoutVariants(value) as never);
        this.#tellChanges(entry);
        return returned('');
      }
      default:
        throw new BusError(errorNames.unknownMethod, `Properties has no method ${call.member}`);
    }
  }

  #isStandard(name: string): boolean {
    return Object.values<string>(standardInterfaces).includes(name);
  }

  #property(
    entry: Entry,
    interfaceName: unknown,
    name: unknown,
  ): readonly [ContractProperty, BusProperty] {
    const wanted = String(interfaceName);
    const member = String(name);
    const candidates =
      wanted === '' ? [...entry.contract.interfaces.values()] : [this.#interface(entry, wanted)];
    for (const candidate of candidates) {
      const property = candidate.properties.get(member);
      const implemented = entry.object.properties[key(candidate.name, member)];
      if (property !== undefined && implemented !== undefined) return [property, implemented];
    }
    throw new BusError(errorNames.unknownProperty, `${wanted} has no property ${member}`);
  }

  /** By interface, what differs from what was told last; from now on it counts as told. */
  #changesOf(entry: Entry): Map<ContractInterface, ContractProperty[]> {
    const changes = new Map<ContractInterface, ContractProperty[]>();
    for (const declared of entry.contract.interfaces.values()) {
      for (const property of declared.properties.values()) {
        const full = key(declared.name, property.name);
        const implemented = entry.object.properties[full];
        const { emitsChanged } = property;
        if (implemented === undefined || emitsChanged === 'const' || emitsChanged === 'false') {
          continue;
        }
        const value = JSON.stringify(implemented.get(), textOfBigint);
        if (entry.told.get(full) === value) continue;
        entry.told.set(full, value);
        changes.set(declared, [...(changes.get(declared) ?? []), property]);
      }
    }
    return changes;
  }

  #tellChanges(entry: Entry): void {
    const { path, properties: implementations } = entry.object;
    for (const [declared, properties] of this.#changesOf(entry)) {
      const changed: Record<string, BusVariant> = {};
      const invalidated: string[] = [];
      for (const { name, type, emitsChanged, access } of properties) {
        const implemented = implementations[key(declared.name, name)];
        if (emitsChanged === 'invalidates' || access === 'write') invalidated.push(name);
        else changed[name] = new BusVariant(type, implemented?.get());
      }
      const signature = 'sa{sv}as';
      this.#options.emit({
        path,
        interfaceName: standardInterfaces.properties,
        member: 'PropertiesChanged',
        signature,
        body: checkBody(signature, [declared.name, changed, invalidated]),
      });
    }
  }
}
