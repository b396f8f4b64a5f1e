/**
 * The controllers of the configuration file, their host names resolved.
 *
 * Invariants:
 * - a name that does not resolve is `unknown`, disturbs no other entry, and is tried again;
 * - a name that resolved once keeps its address while the resolver still lists it, so that a name
 *   with many addresses does not wander, and also while the resolver cannot be asked;
 * - an answer that belongs to an earlier configuration is dropped.
 */
import type { ConfiguredController } from '../config/controller-entry.ts';
import type { Place } from '../config/problem.ts';
import { normalizeConfiguredTid, type ServiceConfig } from '../config/service-config.ts';
import { known, unknown, type Answer } from '../core/answer.ts';
import type { SourceId } from '../core/plan-controllers.ts';
import { retryDelayMs, type FailingSpell } from '../core/retry-policy.ts';
import type { ConnectOptions } from '../nvme/connect-options.ts';
import { ipFamily, type IpFamily } from '../nvme/ip-address.ts';
import { makeTid, printTid, tidKey, type TransportId } from '../nvme/transport-id.ts';
import type { Disposable } from '../ports/disposable.ts';
import { toPortError } from '../ports/errors.ts';
import type { Clock, Resolver } from '../ports/host.ts';
import type { Log } from '../ports/log.ts';
import { controllerFields } from './reports.ts';

/** A name that resolved is looked at again this often: addresses change. */
const REFRESH_MS = 300_000;

export interface ConfiguredAnswer {
  readonly source: SourceId;
  /** The line that it is of; undefined for the boot firmware's. */
  readonly place: Place | undefined;
  /** As it is written: its traddr may be a host name. */
  readonly tid: TransportId;
  readonly options: ConnectOptions;
  /** As in {@link ConfiguredController}. */
  readonly hostId: string;
  readonly answer: Answer<TransportId>;
  /** While its name cannot be looked up. */
  readonly failing?: FailingSpell | undefined;
}

export interface ConfiguredRules {
  readonly ignoreIface: boolean;
  /** The host's own NQN, for entries that name none. */
  readonly hostNqn: string;
  readonly ipFamilies: ReadonlySet<IpFamily>;
}

/** The rules of a daemon's settings. */
export function configuredRules(settings: {
  readonly config: Pick<ServiceConfig, 'ignoreIface' | 'ipFamilies'>;
  readonly host: { readonly hostnqn: string };
}): ConfiguredRules {
  const { ignoreIface, ipFamilies } = settings.config;
  return { ignoreIface, hostNqn: settings.host.hostnqn, ipFamilies };
}

interface Entry extends ConfiguredAnswer {
  answer: Answer<TransportId>;
  failing?: FailingSpell | undefined;
  failures: number;
  timer: Disposable | undefined;
}

export interface ConfiguredDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly resolver: Resolver;
  readonly log: Log;
  readonly changed: () => void;
}

/** The source of one configured entry: its TID as written, host name included. */
export function configuredSource(tid: TransportId): SourceId {
  return `configured:${tidKey(tid)}`;
}

export class ConfiguredControllers implements Disposable {
  readonly #deps: ConfiguredDeps;
  #entries = new Map<SourceId, Entry>();
  #rules: ConfiguredRules | undefined;

  constructor(deps: ConfiguredDeps) {
    this.#deps = deps;
  }

  /** Takes over a configuration; names are asked for again, known addresses stay meanwhile. */
  set(controllers: readonly ConfiguredController[], rules: ConfiguredRules): void {
    const next = this.preview(controllers, rules);
    for (const entry of this.#entries.values()) entry.timer?.dispose();
    this.#entries = new Map();
    this.#rules = rules;
    for (const configured of next) {
      const entry: Entry = { ...configured, failures: 0, timer: undefined };
      this.#entries.set(entry.source, entry);
      if (needsResolving(entry.tid)) void this.#resolve(entry);
    }
  }

  /** What `list` would be right after `set` with the same, which is not done. */
  preview(
    controllers: readonly ConfiguredController[],
    rules: ConfiguredRules,
  ): readonly ConfiguredAnswer[] {
    const answers = new Map<SourceId, ConfiguredAnswer>();
    for (const { file, hostId, line, options, tid: written } of controllers) {
      const tid = normalizeConfiguredTid(written, rules);
      const source = configuredSource(tid);
      // Different lines may be one controller by the rules: the first one counts.
      if (answers.has(source)) continue;
      const old = this.#entries.get(source)?.answer;
      const answer = needsResolving(tid)
        ? (old ?? unknown(`${tid.traddr} is being looked up`))
        : known(tid);
      answers.set(source, { source, place: { file, line }, tid, options, hostId, answer });
    }
    return [...answers.values()];
  }

  /** Asks at once for the names that did not resolve. */
  retryNow(): void {
    for (const entry of this.#entries.values()) {
      // Without a timer it is being asked for.
      if (entry.failures === 0 || entry.timer === undefined) continue;
      entry.timer.dispose();
      void this.#resolve(entry);
    }
  }

  list(): readonly ConfiguredAnswer[] {
    return [...this.#entries.values()];
  }

  dispose(): void {
    for (const entry of this.#entries.values()) entry.timer?.dispose();
    this.#entries = new Map();
  }

  async #resolve(entry: Entry): Promise<void> {
    const { clock, log, random, resolver } = this.#deps;
    entry.timer = undefined;
    let delayMs = REFRESH_MS;
    try {
      const addresses = await resolver.resolve(entry.tid.traddr);
      if (addresses.length === 0) throw new Error('it has no address');
      if (this.#entries.get(entry.source) !== entry) return;
      if (entry.failures > 0) {
        const text = `${printTid(entry.tid)} - ${entry.tid.traddr} has an address again`;
        log.info(text, controllerFields(entry.tid));
      }
      this.#take(entry, addresses);
      entry.failures = 0;
      entry.failing = undefined;
    } catch (thrown) {
      if (this.#entries.get(entry.source) !== entry) return;
      entry.failures += 1;
      delayMs = retryDelayMs(entry.failures, random());
      const now = clock.now();
      entry.failing = { since: entry.failing?.since ?? now, nextAt: now + delayMs };
      const { message } = toPortError(thrown);
      const text = `${printTid(entry.tid)} - Cannot resolve ${entry.tid.traddr}: ${message}`;
      const fields = controllerFields(entry.tid);
      if (entry.failures === 1) log.error(text, fields);
      else log.debug(text, fields);
      if (entry.answer.kind === 'unknown') entry.answer = unknown(message);
    }
    entry.timer = clock.setTimer(delayMs, () => void this.#resolve(entry));
  }

  #take(entry: Entry, addresses: readonly string[]): void {
    const families = this.#rules?.ipFamilies;
    const usable = addresses.filter((address) => {
      const family = ipFamily(address);
      return family !== undefined && (families === undefined || families.has(family));
    });
    // Without a usable one, the first is taken and refused with the reason by the plan.
    const candidates = usable.length > 0 ? usable : addresses;
    const current = entry.answer.kind === 'known' ? entry.answer.value.traddr : undefined;
    if (current !== undefined && candidates.includes(current)) return;
    const [first] = candidates;
    if (first === undefined) return;
    const text = `${printTid(entry.tid)} - ${entry.tid.traddr} is ${first}`;
    this.#deps.log.debug(text, controllerFields(entry.tid));
    entry.answer = known(makeTid({ ...entry.tid, traddr: first }));
    this.#deps.changed();
  }
}

function needsResolving(tid: TransportId): boolean {
  return (
    (tid.transport === 'tcp' || tid.transport === 'rdma') && ipFamily(tid.traddr) === undefined
  );
}
