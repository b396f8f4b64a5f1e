import type { ConnectOptions } from '../nvme/connect-options.ts';
import type { Secret } from '../nvme/secret.ts';
import type { TransportId } from '../nvme/transport-id.ts';
import type { KernelController } from './devices.ts';

/**
 * NVMe over Fabrics operations on the kernel, through libnvme. Every call is asynchronous, runs
 * off the event loop, and rejects with {@link PortError}; none can be cancelled once begun.
 */

export interface HostIdentity {
  readonly hostnqn: string;
  readonly hostid: string;
  /** DH-HMAC-CHAP host secret. */
  readonly key?: Secret;
  /** Symbolic name for registration with a discovery controller (TP8010). */
  readonly symname?: string;
}

export interface ConnectRequest {
  /** Complete: `hostNqn` is filled in. */
  readonly tid: TransportId;
  readonly host: HostIdentity;
  readonly options: ConnectOptions;
  /** true: a persistent discovery connection (admin queue only). */
  readonly discovery: boolean;
}

/** One discovery log page, read whole: the bytes as the controller sent them. */
export interface RawDiscoveryLog {
  /** Generation counter that the header had before and after the entries were read. */
  readonly generation: bigint;
  /** 1024-byte entries, `count` of them. */
  readonly entries: Uint8Array;
  readonly count: number;
}

/** What LID 70h of the Supported Log Pages log says (NVMe base 2.1, figure 204 and 295). */
export interface DiscoveryLogSupport {
  readonly supported: boolean;
  /** Extended discovery log page entries. */
  readonly extdlpe: boolean;
  /** Port local entries only. */
  readonly pleo: boolean;
  readonly allsube: boolean;
}

/** Options that `/dev/nvme-fabrics` knows, e.g. `host_iface`, `discovery`, `dhchap_secret`. */
export type FabricsOptions = ReadonlySet<string>;

export interface Fabrics {
  /** libnvme's version, e.g. `1.13`. */
  readonly libnvmeVersion: string;
  /** What this kernel can do; read once at start. */
  supportedOptions(): Promise<FabricsOptions>;
  /**
   * Connects and resolves with the device's name (`nvme3`). Options that the kernel lacks are not
   * passed. Codes beside errno names: `EALREADY` when the kernel already has this connection.
   */
  connect(request: ConnectRequest): Promise<string>;
  /**
   * Removes exactly the device that `expected` describes. Resolves also when it is gone already.
   * Rejects with `DEVICE_CHANGED` if the name now belongs to another connection.
   */
  disconnect(expected: KernelController): Promise<void>;
  /** Registers this host with a DC by a DIM command (task 0). Final with `NVME_STATUS` if refused. */
  register(device: string, host: HostIdentity): Promise<void>;
  getDiscoveryLogSupport(device: string): Promise<DiscoveryLogSupport>;
  /**
   * Reads the discovery log page whole, again if its generation counter moves meanwhile (a bounded
   * number of times; then `GENERATION_MOVED`, retry). A record count beyond the limit is refused
   * (`LOG_TOO_LARGE`, retry) before any memory is taken for it.
   */
  getDiscoveryLog(device: string, options: { readonly pleo: boolean }): Promise<RawDiscoveryLog>;
  /**
   * The process is about to end: nothing but disconnects begins any more. What waits for its turn,
   * and what is asked for from now on, rejects with `ECANCELED`, and so does a log that is being
   * read, after the command at hand.
   */
  finish(): void;
  /** Resolves when no call is in flight any more. */
  idle(): Promise<void>;
}
