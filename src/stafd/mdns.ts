/**
 * Discovery controllers that announce themselves by mDNS: announced, understood, found to answer,
 * offered.
 *
 * Invariants:
 * - one check a transport ID, however many announcements name it; it ends when none does any more,
 *   and begins anew when one does again;
 * - what is refused by the configuration is never tried;
 * - once it has answered, a controller is offered until no announcement names it: whether it still
 *   answers is the business of its connection;
 * - what is announced counts as announced whether it answers or not.
 */
import type { ServiceConfig } from '../config/service-config.ts';
import { refusal } from '../core/refusal.ts';
import type { FailingSpell } from '../core/retry-policy.ts';
import { escapeText } from '../nvme/escape.ts';
import {
  addressesOnManyInterfaces,
  DISCOVERY_SERVICE_TYPES,
  serviceToTid,
  type FoundAddress,
  type ServiceRecord,
  type ServiceRules,
  type ServiceTid,
} from '../nvme/mdns-service.ts';
import { printTid, tidKey, type TidKey, type TransportId } from '../nvme/transport-id.ts';
import type { Disposable } from '../ports/disposable.ts';
import { toPortError } from '../ports/errors.ts';
import type { Fabrics } from '../ports/fabrics.ts';
import type { Clock, Prober } from '../ports/host.ts';
import type { Log } from '../ports/log.ts';
import type { AnnouncedService, ServiceBrowser } from '../ports/service-browser.ts';
import { timerText, word } from '../runtime/describe.ts';
import { LogThrottle } from '../runtime/log-throttle.ts';
import { controllerFields } from '../runtime/reports.ts';
import type { ServiceSettings } from '../runtime/service-core.ts';
import type { MdnsReport } from './plan.ts';
import type { DcBrowser, Unanswered } from './service-types.ts';

const RETRY_SECONDS: readonly number[] = [2, 5, 10, 30, 60, 300, 600];
const WAKE_UP_MS = 60_000;
/** A name of 63 bytes, each shown as four characters. */
const NAME_LENGTH = 256;

const NOTHING: MdnsReport = {
  offered: [],
  announced: new Set(),
  incomplete: undefined,
  missing: false,
};

export interface MdnsDeps {
  readonly browser: ServiceBrowser;
  readonly clock: Clock;
  readonly fabrics: Pick<Fabrics, 'supportedOptions'>;
  readonly log: Log;
  readonly prober: Prober;
  /** `look` would say something else. */
  readonly changed: () => void;
}

interface Check {
  readonly tid: TransportId;
  readonly abort: AbortController;
  state: 'trying' | 'waiting' | 'reachable';
  /** Of its last failure, in words. */
  error: string | undefined;
  /** Since its first failure. */
  failing: FailingSpell | undefined;
  failures: number;
  timer: Disposable | undefined;
}

export class MdnsDiscovery implements DcBrowser {
  readonly #deps: MdnsDeps;
  readonly #lines: LogThrottle;
  #settings: ServiceSettings | undefined;
  /** Whether the kernel takes an NQN of a DC's own; undefined until it was asked. */
  #uniqueNqn: boolean | undefined;
  #understood = new WeakMap<ServiceRecord, ServiceTid>();
  readonly #checks = new Map<TidKey, Check>();
  /** What was said of services and addresses, as long as it holds. */
  #said = new Set<string>();
  #report = NOTHING;
  #stale = false;

  constructor(deps: MdnsDeps) {
    this.#deps = deps;
    this.#lines = new LogThrottle(deps.clock, deps.log, 'announcements by mDNS to complain of');
    deps.browser.onChange(() => {
      this.#changed();
    });
  }

  configure(settings: ServiceSettings): void {
    const { zeroconf, ipFamilies } = settings.config;
    this.#settings = settings;
    this.#understood = new WeakMap();
    if (zeroconf && this.#uniqueNqn === undefined) void this.#askKernel();
    const types = zeroconf ? DISCOVERY_SERVICE_TYPES : [];
    this.#deps.browser.browse({ types, families: ipFamilies });
    this.#changed();
    this.retryNow();
  }

  /** Tries what does not answer at once. */
  retryNow(): void {
    for (const check of this.#checks.values()) {
      if (check.state !== 'waiting') continue;
      check.timer?.dispose();
      void this.#try(check, { outOfTurn: true });
    }
  }

  look(): MdnsReport {
    if (this.#stale) {
      this.#stale = false;
      this.#report = this.#look();
    }
    return this.#report;
  }

  preview(next: ServiceSettings): MdnsReport {
    const { config } = next;
    if (!config.zeroconf) return NOTHING;
    if (!sameQuery(this.#settings?.config, config)) {
      return { ...NOTHING, incomplete: 'services are looked for anew from the reload on' };
    }
    const seen = this.#deps.browser.seen();
    const announced = new Map<TidKey, TransportId>();
    for (const { interfaceName, record } of seen.services) {
      const rules = this.#rules(next);
      if (record === undefined || rules === undefined) continue;
      const { tid } = serviceToTid(record, interfaceName, rules);
      if (tid !== undefined) announced.set(tidKey(tid), tid);
    }
    const wanted = [...announced].filter(([, tid]) => refusal(config, tid) === undefined);
    const isOffered = ([key]: (typeof wanted)[number]): boolean =>
      this.#checks.get(key)?.state === 'reachable';
    return {
      offered: wanted.filter(isOffered).map(([, tid]) => tid),
      announced: new Set(announced.keys()),
      incomplete: this.#incomplete(
        seen.incomplete,
        config,
        wanted.map(([key]) => this.#checks.get(key)),
      ),
      missing: seen.missing,
    };
  }

  info(): Record<string, unknown> {
    const { browser } = this.#deps;
    const services = browser.seen().services.map((service) => {
      const { tid } = this.#understand(service) ?? {};
      const reachable = tid !== undefined && this.#checks.get(tidKey(tid))?.state === 'reachable';
      const fields = tid === undefined ? {} : namedFields(tid);
      return [describe(service), { ...fields, reachable: word(reachable) }] as const;
    });
    return {
      'avahi wake up timer': timerText(WAKE_UP_MS, browser.wakeUpIn),
      'service types': this.#settings?.config.zeroconf === true ? DISCOVERY_SERVICE_TYPES : [],
      services: Object.fromEntries(services),
    };
  }

  unanswered(): readonly Unanswered[] {
    const found = new Map<TidKey, Unanswered>();
    for (const service of this.#deps.browser.seen().services) {
      const { tid } = this.#understand(service) ?? {};
      if (tid === undefined) continue;
      const check = this.#checks.get(tidKey(tid));
      if (check?.state === 'reachable') continue;
      const error = check?.error;
      const why = error === undefined ? 'it was not tried yet' : `it does not answer: ${error}`;
      found.set(tidKey(tid), { tid, why, failing: check?.failing });
    }
    return [...found.values()];
  }

  complaints(): readonly string[] {
    return [...this.#said];
  }

  dispose(): void {
    this.#deps.browser.dispose();
    for (const check of this.#checks.values()) end(check);
    this.#checks.clear();
  }

  #changed(): void {
    this.#stale = true;
    this.#deps.changed();
  }

  async #askKernel(): Promise<void> {
    try {
      this.#uniqueNqn = (await this.#deps.fabrics.supportedOptions()).has('discovery');
    } catch {
      // It was said by who asks for all of them; connecting will not do any better.
      this.#uniqueNqn = false;
    }
    this.#changed();
  }

  /** Undefined: it cannot be said yet. */
  #understand({ interfaceName, record }: AnnouncedService): ServiceTid | undefined {
    if (record === undefined || this.#settings === undefined) return undefined;
    const before = this.#understood.get(record);
    if (before !== undefined) return before;
    const rules = this.#rules(this.#settings);
    if (rules === undefined) return undefined;
    const result = serviceToTid(record, interfaceName, rules);
    this.#understood.set(record, result);
    return result;
  }

  /** Undefined while it is not known what the kernel can do. */
  #rules({ config, host }: ServiceSettings): ServiceRules | undefined {
    if (this.#uniqueNqn === undefined) return undefined;
    const { ignoreIface } = config;
    return { uniqueNqn: this.#uniqueNqn, ignoreIface, hostNqn: host.hostnqn };
  }

  /** `checks`: of all that is announced and not refused; undefined is one that is not begun yet. */
  #incomplete(
    unseen: string | undefined,
    config: ServiceConfig | undefined,
    checks: readonly (Check | undefined)[],
  ): string | undefined {
    if (unseen !== undefined) return unseen;
    if (this.#uniqueNqn === undefined && config?.zeroconf === true) {
      return 'the kernel has not told its options yet';
    }
    const untried = checks.some(
      (check) => check === undefined || (check.failures === 0 && check.state === 'trying'),
    );
    return untried ? 'services are still being tried' : undefined;
  }

  #look(): MdnsReport {
    const { config } = this.#settings ?? {};
    const seen = this.#deps.browser.seen();
    const announced = new Map<TidKey, TransportId>();
    const found: FoundAddress[] = [];
    const complaints: string[] = [];
    for (const service of seen.services) {
      const result = this.#understand(service);
      if (result === undefined) continue;
      if (result.refused !== undefined) {
        complaints.push(`mDNS service ${describe(service)} is not used: ${result.refused}`);
        continue;
      }
      const { tid } = result;
      announced.set(tidKey(tid), tid);
      found.push({ address: tid.traddr, interfaceName: service.interfaceName });
    }
    for (const [address, names] of addressesOnManyInterfaces(found)) {
      complaints.push(
        `mDNS finds the address ${address} on several interfaces: ${names.join(', ')}`,
      );
    }
    this.#complain(complaints);

    for (const [key, check] of this.#checks) {
      if (announced.has(key) && config !== undefined && refusal(config, check.tid) === undefined) {
        continue;
      }
      end(check);
      this.#checks.delete(key);
    }
    for (const [key, tid] of announced) {
      if (this.#checks.has(key) || config === undefined) continue;
      if (refusal(config, tid) !== undefined) continue;
      const abort = new AbortController();
      const check: Check = {
        ...{ tid, abort, state: 'trying', error: undefined },
        ...{ failing: undefined, failures: 0, timer: undefined },
      };
      this.#checks.set(key, check);
      void this.#try(check);
    }
    const checks = [...this.#checks.values()];
    return {
      offered: checks.filter(({ state }) => state === 'reachable').map(({ tid }) => tid),
      announced: new Set(announced.keys()),
      incomplete: this.#incomplete(seen.incomplete, config, checks),
      missing: seen.missing,
    };
  }

  /** Each complaint once, as long as it holds. */
  #complain(complaints: readonly string[]): void {
    for (const text of complaints) {
      if (!this.#said.has(text)) this.#lines.say('error', text);
    }
    this.#said = new Set(complaints);
  }

  /** `outOfTurn`: that it does not answer makes its next try no later than this one's was to be. */
  async #try(check: Check, { outOfTurn = false } = {}): Promise<void> {
    const { clock, prober } = this.#deps;
    check.state = 'trying';
    check.timer = undefined;
    const mode = this.#settings?.config.reachabilityCheck ?? 'nvme-tcp';
    const result = await prober
      .probe(check.tid, mode, check.abort.signal)
      .catch((thrown: unknown) => ({ kind: 'unreachable', error: toPortError(thrown) }) as const);
    if (check.abort.signal.aborted) return;
    const name = printTid(check.tid);
    const fields = controllerFields(check.tid);
    if (result.kind === 'reachable') {
      check.state = 'reachable';
      const tries = check.failures > 0 ? ` after ${String(check.failures + 1)} attempts` : '';
      this.#deps.log.debug(`${name} - Found by mDNS, and it answers${tries}`, fields);
      this.#changed();
      return;
    }
    check.state = 'waiting';
    if (!outOfTurn) check.failures += 1;
    const seconds = RETRY_SECONDS[check.failures - 1] ?? RETRY_SECONDS.at(-1) ?? 0;
    check.error = result.error.message;
    const now = clock.now();
    check.failing = { since: check.failing?.since ?? now, nextAt: now + seconds * 1000 };
    const text = `${name} - Found by mDNS, but it does not answer: ${result.error.message}`;
    if (check.failures === 1 && !outOfTurn)
      this.#lines.say('info', `${text}. It is tried again`, fields);
    else this.#deps.log.debug(`${text}. Retry in ${String(seconds)} s`, fields);
    check.timer = clock.setTimer(seconds * 1000, () => void this.#try(check));
    this.#changed();
  }
}

/** Whether the browser goes on with what it has found. */
function sameQuery(now: ServiceConfig | undefined, next: ServiceConfig): boolean {
  return (
    now?.zeroconf === next.zeroconf &&
    now.ipFamilies.size === next.ipFamilies.size &&
    [...next.ipFamilies].every((family) => now.ipFamilies.has(family))
  );
}

function namedFields(tid: TransportId): Record<string, string> {
  const { hostIface, subsysnqn, traddr, transport, trsvcid } = tid;
  return { transport, traddr, trsvcid, 'host-iface': hostIface, subsysnqn };
}

function end(check: Check): void {
  check.abort.abort();
  check.timer?.dispose();
}

/** `(eth0, IPv4, name.local, _nvme-disc._tcp)`; the name is of strangers. */
function describe({ family, interfaceName, name, type }: AnnouncedService): string {
  const protocol = family === 'ipv4' ? 'IPv4' : 'IPv6';
  return `(${interfaceName}, ${protocol}, ${escapeText(name, NAME_LENGTH)}.local, ${type})`;
}
