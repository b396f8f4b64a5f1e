/**
 * The records of announced services, asked for through avahi-daemon's resolvers.
 *
 * Invariants:
 * - a service has at most one resolver; it is kept after its first answer, since it tells of later
 *   changes of the record too, until its place is needed: who lost its place is asked about again
 *   every REFRESH_MS;
 * - a record stays until the service is removed or another record takes its place: that nobody
 *   answers for it now says nothing;
 * - `unsettled` counts the services of which nothing is known yet: neither a record, nor that
 *   nobody answers for it.
 */
import type { IpFamily } from '../../nvme/ip-address.ts';
import type { ServiceRecord } from '../../nvme/mdns-service.ts';
import type { BusError } from '../../ports/bus.ts';
import type { Disposable } from '../../ports/disposable.ts';
import type { Clock } from '../../ports/host.ts';
import type { Log } from '../../ports/log.ts';
import { readFound, type Item } from './messages.ts';
import { PROTOCOL_NUMBER, USE_MULTICAST } from './names.ts';
import type { AvahiObjects, HeldObject } from './objects.ts';

const REFRESH_MS = 300_000;
/** avahi-daemon grants a client 1024 objects. */
const MAX_RESOLVERS = 512;

const TOO_MANY_OBJECTS = 'org.freedesktop.Avahi.TooManyObjectsError';
const INVALID = 'org.freedesktop.Avahi.Invalid';

export interface ResolversDeps {
  readonly objects: AvahiObjects;
  readonly clock: Clock;
  readonly log: Log;
  readonly changed: () => void;
  /** A service could not be asked about: `retry` is to be called some time later. */
  readonly refused: () => void;
}

export interface Resolution {
  readonly record: ServiceRecord | undefined;
  remove(): void;
}

interface Service {
  readonly item: Item;
  /** Of these families addresses are asked for, in this order. */
  readonly families: readonly IpFamily[];
  asked: number;
  record: ServiceRecord | undefined;
  object: HeldObject | undefined;
  settled: boolean;
}

export class AvahiResolvers {
  readonly #deps: ResolversDeps;
  #services = new Set<Service>();
  #waiting = new Set<Service>();
  /** Those with a resolver, and those of them that were answered, the oldest first. */
  #held = new Set<Service>();
  #answered = new Set<Service>();
  #unsettled = 0;
  /** How many resolvers may be held: less where avahi-daemon grants less. */
  #places = MAX_RESOLVERS;
  #refresh: Disposable | undefined;

  constructor(deps: ResolversDeps) {
    this.#deps = deps;
  }

  get unsettled(): number {
    return this.#unsettled;
  }

  add(item: Item, families: readonly IpFamily[]): Resolution {
    const service: Service = {
      ...{ item, families, asked: 0 },
      ...{ record: undefined, object: undefined, settled: false },
    };
    this.#services.add(service);
    this.#unsettled += 1;
    this.#waiting.add(service);
    this.#askWaiting();
    return {
      get record() {
        return service.record;
      },
      remove: () => {
        if (!this.#services.delete(service)) return;
        this.#waiting.delete(service);
        this.#giveUp(service);
        this.#settle(service);
        this.#askWaiting();
      },
    };
  }

  /** Asks again about those that were refused. */
  retry(): void {
    this.#queue((service) => !service.settled);
  }

  clear(): void {
    this.#refresh?.dispose();
    this.#refresh = undefined;
    for (const { object } of this.#held) object?.free();
    this.#services = new Set();
    this.#waiting = new Set();
    this.#held = new Set();
    this.#answered = new Set();
    this.#unsettled = 0;
    this.#places = MAX_RESOLVERS;
  }

  #queue(which: (service: Service) => boolean): void {
    for (const service of this.#services) {
      if (!this.#held.has(service) && which(service)) this.#waiting.add(service);
    }
    this.#askWaiting();
  }

  #askWaiting(): void {
    for (const service of this.#waiting) {
      if (this.#held.size >= this.#places) {
        const [oldest] = this.#answered;
        if (oldest === undefined) return;
        this.#giveUp(oldest);
        this.#refreshLater();
      }
      this.#waiting.delete(service);
      this.#ask(service);
    }
  }

  /** Those without a resolver may have changed by then. */
  #refreshLater(): void {
    this.#refresh ??= this.#deps.clock.setTimer(REFRESH_MS, () => {
      this.#refresh = undefined;
      this.#queue(() => true);
    });
  }

  #ask(service: Service): void {
    const { item } = service;
    const family = service.families[service.asked];
    if (family === undefined) {
      this.#settle(service);
      return;
    }
    this.#held.add(service);
    service.object = this.#deps.objects.make({
      member: 'ServiceResolverNew',
      signature: 'iisssiu',
      args: [
        item.interfaceIndex,
        PROTOCOL_NUMBER[item.family],
        item.name,
        item.type,
        item.domain,
        PROTOCOL_NUMBER[family],
        USE_MULTICAST,
      ],
      refused: (error) => {
        this.#refused(service, error);
      },
      signal: (member, args) => {
        if (member === 'Found') this.#found(service, args);
        else if (member === 'Failure') this.#nobodyAnswers(service);
      },
    });
  }

  #refused(service: Service, { errorName, message }: BusError): void {
    this.#deps.log.debug(`avahi-daemon does not resolve a service: ${message}`);
    this.#giveUp(service);
    if (errorName === TOO_MANY_OBJECTS && this.#held.size > 0) {
      this.#places = this.#held.size;
      this.#waiting.add(service);
    } else if (errorName.startsWith(INVALID)) {
      // A name or an interface that it does not take will not get better.
      this.#settle(service);
      this.#deps.changed();
    } else {
      this.#deps.refused();
    }
    this.#askWaiting();
  }

  #found(service: Service, args: readonly unknown[]): void {
    const record = readFound(args, service.record);
    if (record === undefined) return;
    service.record = record;
    this.#answer(service);
  }

  /** avahi-daemon has waited for 5 s. The resolver goes on and tells if an answer comes later. */
  #nobodyAnswers(service: Service): void {
    if (service.record === undefined && service.asked + 1 < service.families.length) {
      service.asked += 1;
      this.#giveUp(service);
      this.#waiting.add(service);
      this.#askWaiting();
    } else {
      this.#answer(service);
    }
  }

  #answer(service: Service): void {
    this.#settle(service);
    this.#answered.add(service);
    this.#askWaiting();
    this.#deps.changed();
  }

  #giveUp(service: Service): void {
    service.object?.free();
    service.object = undefined;
    this.#held.delete(service);
    this.#answered.delete(service);
  }

  #settle(service: Service): void {
    if (service.settled) return;
    service.settled = true;
    this.#unsettled -= 1;
  }
}
