/**
 * The association of one host with a controller: what lives from Connect to the end of the TCP
 * connection (NVMe Base 2.1: properties, features, Asynchronous Event Request, clause 5.1.2).
 *
 * Invariants: an event is delivered only in answer to an outstanding request; after a delivered
 * discovery log change further ones are masked until the host reads the log with RAE cleared
 * (unless masking is off); events forced by a script are never masked and wait for requests.
 */
import { OAES_DISCOVERY_LOG_CHANGE } from './identify.ts';
import type { Settings } from './settings.ts';
import { Status } from './status.ts';

/** Notice (type 2), Discovery Log Page Change (info F0h), log page 70h. */
export const DISCOVERY_LOG_CHANGED = 0x70f002;

export const CC_ENABLE = 1;
const CC_SHN_MASK = 0xc000;
export const CSTS_READY = 1;
const CSTS_SHST_COMPLETE = 0x8;

export interface AssociationInit {
  readonly cntlid: number;
  readonly hostnqn: string;
  readonly hostid: string;
  /** Milliseconds; 0: no keep alive. */
  readonly kato: number;
  /** 0's based. */
  readonly sqsize: number;
  readonly sqFlowControl: boolean;
}

export type CompleteEvent = (cid: number, status: number, result: number) => void;

export class Association {
  readonly init: AssociationInit;
  readonly #settings: () => Settings;
  readonly #complete: CompleteEvent;
  #requests: number[] = [];
  #masked = false;
  #changePending = false;
  #forced = 0;
  #sent = 0;
  cc = 0;
  csts = 0;
  /** Asynchronous Event Configuration, feature 0Bh. */
  eventConfiguration = 0;
  /** Milliseconds. */
  kato: number;

  constructor(init: AssociationInit, settings: () => Settings, complete: CompleteEvent) {
    this.init = init;
    this.kato = init.kato;
    this.#settings = settings;
    this.#complete = complete;
  }

  get ready(): boolean {
    return (this.csts & CSTS_READY) !== 0;
  }

  get outstandingRequests(): number {
    return this.#requests.length;
  }

  /** Events delivered since Connect. */
  get eventsSent(): number {
    return this.#sent;
  }

  /** Property Set of CC: enable, disable (a controller reset), shutdown. */
  configure(cc: number): void {
    const wasEnabled = (this.cc & CC_ENABLE) !== 0;
    const enable = (cc & CC_ENABLE) !== 0;
    this.cc = cc;
    if (enable && !wasEnabled) this.csts = CSTS_READY;
    if (!enable && wasEnabled) {
      this.csts = 0;
      this.#requests = [];
      this.#masked = false;
      this.#changePending = false;
      this.#forced = 0;
      this.eventConfiguration = 0;
    }
    if ((cc & CC_SHN_MASK) !== 0) this.csts |= CSTS_SHST_COMPLETE;
  }

  /** An Asynchronous Event Request came. False: there are too many already. */
  request(cid: number): boolean {
    if (this.#requests.length > this.#settings().aerl) return false;
    this.#requests.push(cid);
    this.#deliver();
    return true;
  }

  /** Takes back an outstanding request, for Abort. Whether it was there. */
  abortRequest(cid: number): boolean {
    const index = this.#requests.indexOf(cid);
    if (index < 0) return false;
    this.#requests.splice(index, 1);
    this.#complete(cid, Status['abort-requested'], 0);
    return true;
  }

  /** The discovery log changed: report it if the host wants to know and is not told yet. */
  logChanged(): void {
    const settings = this.#settings();
    if (!settings.aen || (this.eventConfiguration & OAES_DISCOVERY_LOG_CHANGE) === 0) return;
    if (this.#masked && settings.aenMasking) return;
    this.#changePending = true;
    this.#deliver();
  }

  /** Sends one event whatever the log did and whatever is masked. */
  forceEvent(): void {
    this.#forced++;
    this.#deliver();
  }

  /** The host read the discovery log with RAE cleared. */
  logRead(): void {
    this.#masked = false;
  }

  #deliver(): void {
    while (this.#requests.length > 0 && (this.#forced > 0 || this.#changePending)) {
      const cid = this.#requests.shift();
      if (cid === undefined) return;
      if (this.#forced > 0) this.#forced--;
      else this.#changePending = false;
      this.#masked = true;
      this.#sent++;
      this.#complete(cid, Status.success, DISCOVERY_LOG_CHANGED);
    }
  }
}
