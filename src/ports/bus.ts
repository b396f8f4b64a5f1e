import type { Disposable } from './disposable.ts';

/**
 * The D-Bus system bus, as far as the daemons need it. Values are plain: s → string, b → boolean,
 * a{ss} → Record<string, string>, arrays → arrays.
 */

/** A value of type `v`: the one case in which a plain value must carry its signature. */
export class BusVariant {
  /** One complete type. */
  readonly signature: string;
  readonly value: unknown;

  constructor(signature: string, value: unknown) {
    this.signature = signature;
    this.value = value;
  }
}

/** One exported object path with its interfaces, published exactly as `introspectionXml` says. */
export interface ExportedObject {
  readonly path: string;
  /** The contract: a `<node>` document. Its text is what Introspect returns (plus the standard ones). */
  readonly introspectionXml: string;
  /** By `interface.member`. Called with the decoded arguments; returns the out arguments. */
  readonly methods: Readonly<
    Record<string, (...args: never[]) => readonly unknown[] | Promise<readonly unknown[]>>
  >;
  readonly properties: Readonly<Record<string, BusProperty>>;
}

export interface BusProperty {
  get(): unknown;
  /** Absent: read-only. Called only for callers that the bus policy lets through. */
  set?(value: never): void;
}

/** A refused or failed call: `errorName` is the D-Bus error name. */
export class BusError extends Error {
  override readonly name = 'BusError';
  readonly errorName: string;

  constructor(errorName: string, message: string) {
    super(message);
    this.errorName = errorName;
  }
}

export interface BusSignal {
  readonly sender: string;
  readonly path: string;
  readonly interfaceName: string;
  readonly member: string;
  readonly args: readonly unknown[];
}

export interface Bus {
  export(object: ExportedObject): Disposable;
  /** Rejects with BusError if the name is taken or not permitted. Call after `export`. */
  requestName(name: string): Promise<void>;
  emitSignal(path: string, interfaceName: string, member: string, args: readonly unknown[]): void;
  /** Calls a method; `inSignature` encodes `args`. Rejects with BusError, also after `timeoutMs`. */
  call(request: {
    readonly destination: string;
    readonly path: string;
    readonly interfaceName: string;
    readonly member: string;
    readonly inSignature: string;
    readonly args: readonly unknown[];
    readonly timeoutMs: number;
    /** Start the service if the bus can; default false. */
    readonly autoStart?: boolean;
  }): Promise<readonly unknown[]>;
  /** One broad match rule for a sender's interface, added once and kept. */
  subscribe(
    match: { readonly sender: string; readonly interfaceName: string },
    listener: (signal: BusSignal) => void,
  ): Promise<void>;
  /** Tells at once and on each change who owns `name` (unique name, or undefined for nobody). */
  watchName(name: string, listener: (owner: string | undefined) => void): Promise<void>;
  /** The connection to the bus ended: the daemon cannot go on and exits to be restarted. */
  onLost(listener: (why: string) => void): void;
  close(): void;
}
