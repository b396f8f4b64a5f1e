/**
 * Controllers as the interfaces of version 1 tell of them, a{sv}: how each stands, where it comes
 * from, and what is not connected and why. Keys are public: they are added, never changed.
 */
import type { ServiceConfig } from '../config/service-config.ts';
import type { SourceId, WantedController } from '../core/plan-controllers.ts';
import { refusal } from '../core/refusal.ts';
import type { FailingSpell } from '../core/retry-policy.ts';
import { standing } from '../core/standing.ts';
import { tidToDict, type TidKey, type TransportId } from '../nvme/transport-id.ts';
import { BusVariant } from '../ports/bus.ts';
import type { ConfiguredAnswer } from './configured-controllers.ts';
import type { ControllerDriver } from './controller-driver.ts';
import type { ControllerRecord } from './controller-set.ts';
import type { ServiceExtra } from './service-core.ts';

/** a{sv} */
export type Row = Readonly<Record<string, BusVariant>>;

/** What the daemon does without: an empty list says that it misses nothing. */
export interface Explanation {
  readonly controllers: readonly Row[];
  /** What somebody asks for and no controller was made of. */
  readonly absent: readonly Row[];
  /** What is not known yet, and what of what is heard cannot be used; one sentence each. */
  readonly notes: readonly string[];
}

/**
 * Why no controller was made of something. Words are added, never changed.
 *
 * - `refused`: a setting forbids it: an exclude, an address family
 * - `unresolved`: its host name, or the interface of its boot table, has no address yet
 * - `unreachable`: mDNS announces it, and it does not answer
 * - `disconnecting`: one of the same transport ID is still being disconnected
 */
export const ABSENCE_RULES = ['refused', 'unresolved', 'unreachable', 'disconnecting'] as const;

export type AbsenceRule = (typeof ABSENCE_RULES)[number];

export interface Absence {
  readonly tid: TransportId;
  readonly rule: AbsenceRule;
  readonly why: string;
  readonly sources: readonly string[];
  /** Where it is tried again by itself. */
  readonly retry?: Retry | undefined;
}

/** What is tried again: since when it has failed, what happens next, in how many milliseconds. */
interface Retry {
  readonly outOfReachMs: number;
  readonly next: string;
  readonly nextInMs: number;
}

/** `next`: begins a sentence. Undefined where nothing has failed. */
export function retryOf(
  failing: FailingSpell | undefined,
  next: string,
  now: number,
): Retry | undefined {
  if (failing === undefined) return undefined;
  const { nextAt, since } = failing;
  return { outOfReachMs: now - since, next, nextInMs: Math.max(0, nextAt - now) };
}

/** Who asks, in words. */
export type InWords = (sources: ReadonlySet<SourceId>) => readonly string[];

export interface Asked {
  readonly config: ServiceConfig;
  readonly configured: readonly ConfiguredAnswer[];
  /** What is asked for, whether it may be connected or not. */
  readonly wanted: ReadonlyMap<TidKey, WantedController<unknown>>;
  readonly live: readonly ControllerRecord<ServiceExtra>[];
  /** Those that are being disconnected. */
  readonly disposing: ReadonlySet<TidKey>;
  /** Milliseconds, monotonic. */
  readonly now: number;
}

/** What is asked for and not among the live controllers. */
export function absencesOf(asked: Asked, inWords: InWords): readonly Absence[] {
  const { config, configured, disposing, live, now, wanted } = asked;
  const unresolved = configured.flatMap(({ answer, failing, source, tid }): Absence[] => {
    if (answer.kind === 'known') return [];
    const retry = retryOf(failing, 'it is looked up again', now);
    const sources = inWords(new Set([source]));
    return [{ tid, rule: 'unresolved', why: answer.why, sources, retry }];
  });
  const there = new Set(live.map(({ driver }) => driver.key));
  const missing = [...wanted.values()].filter(({ key }) => !there.has(key));
  const absent = missing.flatMap(({ key, sources, tid }): Absence[] => {
    const refused = refusal(config, tid);
    if (refused !== undefined) {
      return [{ tid, rule: 'refused', why: refused, sources: inWords(sources) }];
    }
    // Otherwise it was heard of a moment ago, and is added by the next pass.
    if (!disposing.has(key)) return [];
    const why = 'it is disconnected first, and connected again when that is done';
    return [{ tid, rule: 'disconnecting', why, sources: inWords(sources) }];
  });
  return [...unresolved, ...absent];
}

function tidVariants(tid: TransportId): Row {
  const entries = Object.entries(tidToDict(tid));
  return Object.fromEntries(entries.map(([key, value]) => [key, new BusVariant('s', value)]));
}

/** `sources`: who asks for it, in words. */
export function controllerRow(
  { driver, keptBecause }: ControllerRecord<ServiceExtra>,
  sources: readonly string[],
  now: number,
): Row {
  const { kernel, model } = driver;
  const stands = standing(model, now);
  const { lastError } = model;
  return {
    ...tidVariants(driver.tid),
    device: new BusVariant('s', kernel?.device ?? ''),
    'kernel-state': new BusVariant('s', kernel?.state ?? ''),
    state: new BusVariant('s', stands.state),
    why: new BusVariant('s', stands.why),
    next: new BusVariant('s', stands.next),
    ...milliseconds('next-in-ms', stands.nextInMs),
    ...milliseconds('out-of-reach-ms', stands.outOfReachMs),
    attempts: new BusVariant('u', model.attempts),
    sources: new BusVariant('as', sources),
    'kept-because': new BusVariant('s', keptBecause ?? ''),
    'last-error': new BusVariant('s', lastError?.message ?? ''),
    'last-error-code': new BusVariant('s', lastError?.code ?? ''),
  };
}

/** All of its row that is no time, and nothing of who asks for it. */
export function visible({ kernel, model }: ControllerDriver): string {
  const { next, state, why } = standing(model, 0);
  const { attempts, lastError } = model;
  return JSON.stringify([kernel?.device, kernel?.state, state, why, next, attempts, lastError]);
}

export function absenceRow({ retry, rule, sources, tid, why }: Absence): Row {
  return {
    ...tidVariants(tid),
    rule: new BusVariant('s', rule),
    why: new BusVariant('s', why),
    ...(retry !== undefined && { next: new BusVariant('s', retry.next) }),
    ...milliseconds('next-in-ms', retry?.nextInMs),
    ...milliseconds('out-of-reach-ms', retry?.outOfReachMs),
    sources: new BusVariant('as', sources),
  };
}

/** Absent where there is no such time. */
function milliseconds(key: string, value: number | undefined): Row {
  return value === undefined ? {} : { [key]: new BusVariant('d', Math.round(value)) };
}
