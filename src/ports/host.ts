import type { ProbeMode } from '../nvme/connect-options.ts';
import type { IpFamily } from '../nvme/ip-address.ts';
import type { TransportId } from '../nvme/transport-id.ts';
import type { Disposable } from './disposable.ts';
import type { PortError } from './errors.ts';

/** Time. Monotonic, so that a change of the wall clock moves no timer. */
export interface Clock {
  /** Milliseconds since an arbitrary moment; never goes back. */
  now(): number;
  /** Wall clock, for people and logs. */
  wallTime(): Date;
  /** Calls back once after `ms` milliseconds unless disposed of. Does not keep the process alive. */
  setTimer(ms: number, callback: () => void): Disposable;
}

export interface Resolver {
  /** Addresses of a host name, IPv4 first. Rejects with a `retry` PortError. Never blocks the loop. */
  resolve(name: string): Promise<readonly string[]>;
}

export interface InterfaceAddress {
  readonly name: string;
  readonly address: string;
  readonly family: IpFamily;
  readonly mac: string;
}

export interface Interfaces {
  /** In the order of the system: the first address of a family is the interface's primary one. */
  list(): readonly InterfaceAddress[];
  /** The identifier of the VLAN that an interface stands for (802.1Q), 0 for any other. */
  vlanOf(name: string): number;
}

/** What a reachability probe found. `unreachable` is a hint to wait, never a veto. */
export type ProbeResult =
  { readonly kind: 'reachable' } | { readonly kind: 'unreachable'; readonly error: PortError };

export interface Prober {
  /**
   * Tries the address of a TCP controller as its connection will be bound (host-iface,
   * host-traddr). Other transports are `reachable` without a try. Never rejects; ends within its
   * own time-out or when `signal` is aborted.
   */
  probe(tid: TransportId, mode: ProbeMode, signal?: AbortSignal): Promise<ProbeResult>;
}

/** Small files, each replaced atomically. */
export interface StateFile {
  /** Its text, or undefined if there is none. */
  read(): Promise<string | undefined>;
  /** Temporary file, fsync, rename; mode 0600; the directory is made if missing. */
  write(text: string): Promise<void>;
  /** Keeps a file that is not to be read again beside, for a person to look at. Resolves with its new path. */
  setAside(): Promise<string>;
}

/** READY, RELOADING, STOPPING and WATCHDOG of the service manager; does nothing outside of one. */
export interface ServiceManager {
  ready(status: string): void;
  reloading(): void;
  stopping(): void;
  status(text: string): void;
  /** Milliseconds between keep-alives that the manager expects, or undefined. */
  readonly watchdogInterval: number | undefined;
  watchdog(): void;
}
