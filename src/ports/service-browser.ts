import type { IpFamily } from '../nvme/ip-address.ts';
import type { ServiceRecord } from '../nvme/mdns-service.ts';
import type { Disposable } from './disposable.ts';

/** DNS-SD services that others announce by multicast on the links of this host. */

/** A service as it was announced on one link by one protocol. All of it is hostile. */
export interface AnnouncedService {
  /** The same as long as the announcement lasts; one that disappears and returns has another. */
  readonly id: number;
  /** The network interface that it was heard on. */
  readonly interfaceName: string;
  /** What it was heard by; its address may be of the other one. */
  readonly family: IpFamily;
  readonly name: string;
  /** `_nvme-disc._tcp`, … */
  readonly type: string;
  /**
   * Where it is, as last heard; undefined if nobody has told. A change makes another object, so
   * that one is parsed once.
   */
  readonly record: ServiceRecord | undefined;
}

export interface ServiceQuery {
  /** None: nothing is looked for. */
  readonly types: readonly string[];
  /** Addresses of these are wanted. */
  readonly families: ReadonlySet<IpFamily>;
}

export interface ServicesSeen {
  readonly services: readonly AnnouncedService[];
  /**
   * Why services may be missing, or their records; undefined if what is not here was not announced
   * by anybody although it was asked for several times.
   */
  readonly incomplete: string | undefined;
  /** There is nobody to ask; false where it is there and does not answer. */
  readonly missing: boolean;
}

export interface ServiceBrowser {
  /** Looks for these from now on; what was found for another query is forgotten. Never throws. */
  browse(query: ServiceQuery): void;
  seen(): ServicesSeen;
  /** Something of `seen()` is different. */
  onChange(listener: () => void): Disposable;
  /** When the service that browses is asked for again, milliseconds; undefined: it is there. */
  readonly wakeUpIn: number | undefined;
  /** Ends browsing, timers and listeners. */
  dispose(): void;
}
