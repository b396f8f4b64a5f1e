/**
 * Which I/O controllers stacd wants, and on what evidence one is dropped. Pure.
 *
 * Wanted = configured ∪ the NVM subsystems in the logs that stafd reports. What stafd cannot say
 * (it is away, a log was not read yet) is unknown, and drops nothing.
 *
 * Logs are never changed in place: what was made of one is remembered with it.
 */
import type { ServiceConfig } from '../config/service-config.ts';
import type { Answer } from '../core/answer.ts';
import { tidsByPlace } from '../core/connection-places.ts';
import {
  addSource,
  planControllers,
  type ControllerAction,
  type ExistingController,
  type GatheredController,
  type SourceEvidence,
  type SourceId,
  type WantedController,
} from '../core/plan-controllers.ts';
import { refusal } from '../core/refusal.ts';
import { BY_SETTING } from '../core/removal-brake.ts';
import { isIoController, matchesConnection } from '../nvme/connection-match.ts';
import type { InterfaceAddressLike } from '../nvme/connection-match.ts';
import type { ConnectOptions } from '../nvme/connect-options.ts';
import {
  entryToTid,
  hasNcc,
  type DiscoveryEntry,
  type EntrySource,
} from '../nvme/discovery-log.ts';
import type { KernelController } from '../nvme/kernel-controller.ts';
import { tidKey, type TidKey, type TransportId } from '../nvme/transport-id.ts';

/** One DC as stafd reports it. */
export interface ReportedDc {
  readonly tid: TransportId;
  /** Of its host NQN; empty if stafd does not say: then the NQN decides. */
  readonly hostId: string;
  /** The last log that was read whole; unknown until the first. */
  readonly log: Answer<readonly DiscoveryEntry[]>;
  /**
   * The log was read since stafd started, and that an entry is missing in it counts. One that stafd
   * remembers from before may be older than what was connected since.
   */
  readonly fresh: boolean;
  /** When it was read, milliseconds; where stafd does not say, when it was asked. */
  readonly readAt: number;
  /** The events that it was last read for, if it ever was. */
  readonly events?: ReportedEvents | undefined;
}

/** Events (AEN) by which a DC said that its log changed, and which one reading answered. */
export interface ReportedEvents {
  /** Grows with each reading that answers any. */
  readonly number: number;
  /** When stafd heard the first of them, milliseconds. */
  readonly heardAt: number;
}

/** What stafd says. */
export interface DiscoveryState {
  /** Its list of DCs is complete: one that is missing was removed. */
  readonly settled: boolean;
  /** When it was asked for this, milliseconds. */
  readonly askedAt: number;
  readonly controllers: readonly ReportedDc[];
  /**
   * DCs that this stafd listed before and lists no longer: it removed them. When that was stated
   * last, milliseconds; BY_SETTING where a setting of this host is why.
   */
  readonly removed: ReadonlyMap<TidKey, number>;
}

export interface IocExtra {
  /** Overrides of its configuration line; empty for those that were discovered. */
  readonly options: ConnectOptions;
  /**
   * What its host NQN is connected with; empty where the NQN decides. What a log lists inherits it
   * from the DC.
   */
  readonly hostId: string;
  /** The log page entry that it comes from. */
  readonly entry: DiscoveryEntry | undefined;
  /** The DDC that lists it is not connected to a CDC. */
  readonly ncc: boolean;
}

export interface ConfiguredInput {
  readonly source: SourceId;
  readonly options: ConnectOptions;
  readonly hostId: string;
  readonly answer: Answer<TransportId>;
}

export interface StacdSnapshot {
  /** Milliseconds, monotonic. */
  readonly now: number;
  readonly config: ServiceConfig;
  /** For log entries of DCs that name no host NQN. */
  readonly hostNqn: string;
  readonly configured: readonly ConfiguredInput[];
  readonly discovery: Answer<DiscoveryState>;
  readonly controllers: readonly ExistingController[];
  /** Those of them that are connected. */
  readonly connected: ReadonlySet<TidKey>;
}

export type IocAction = ControllerAction<IocExtra>;

/** The source of what one DC's log lists. */
export function logSource(dc: TransportId): SourceId {
  return `${LOG}${tidKey(dc)}`;
}

const LOG = 'log:';

export function planIoControllers(snapshot: StacdSnapshot): readonly IocAction[] {
  const configured = new Map(snapshot.configured.map((entry) => [entry.source, entry]));
  const { discovery } = snapshot;
  const reported = new Map(
    discovery.kind === 'known'
      ? discovery.value.controllers.map((dc) => [logSource(dc.tid), dc])
      : [],
  );
  const statedAt = discovery.kind === 'known' ? completeAt(discovery.value) : -Infinity;
  return planControllers({
    existing: snapshot.controllers,
    wanted: wantedControllers(snapshot),
    refusal: (tid) => refusal(snapshot.config, tid),
    evidence: (source) => {
      if (source.startsWith(LOG)) return logEvidence(discovery, reported, source, statedAt);
      const entry = configured.get(source);
      if (entry === undefined) {
        const why = 'the configuration no longer lists it';
        return { kind: 'absent', why, statedAt: BY_SETTING };
      }
      if (entry.answer.kind === 'unknown') return { kind: 'unknown', why: entry.answer.why };
      // A name server does not know whether the subsystem has moved, too: its new place proves it.
      return snapshot.connected.has(tidKey(entry.answer.value))
        ? { kind: 'absent', why: 'its name has another address now', statedAt: snapshot.now }
        : { kind: 'unknown', why: 'its name has another address now, which is not connected yet' };
    },
  });
}

/** `completeSince`: see {@link completeAt}. */
function logEvidence(
  discovery: Answer<DiscoveryState>,
  reported: ReadonlyMap<SourceId, ReportedDc>,
  source: SourceId,
  completeSince: number,
): SourceEvidence {
  if (discovery.kind === 'unknown') return { kind: 'unknown', why: discovery.why };
  const dc = reported.get(source);
  if (dc === undefined) {
    const { removed, settled } = discovery.value;
    const removedAt = removed.get(source.slice(LOG.length) as TidKey);
    if (removedAt === undefined && !settled) {
      return { kind: 'unknown', why: 'stafd has not found all discovery controllers yet' };
    }
    const statedAt = removedAt ?? completeSince;
    return { kind: 'absent', why: 'its discovery controller was removed', statedAt };
  }
  if (dc.log.kind === 'unknown') {
    return { kind: 'unknown', why: `its discovery log is unknown: ${dc.log.why}` };
  }
  return dc.fresh
    ? { kind: 'absent', why: 'its discovery controller no longer lists it', statedAt: dc.readAt }
    : { kind: 'unknown', why: 'what is known of its discovery log proves no absence yet' };
}

/**
 * When the list of DCs was last found to be complete: others are listed by the logs of these. One
 * that was not read since stafd started may list any, so that nothing is stated then.
 */
export function completeAt({ askedAt, controllers }: DiscoveryState): number {
  return controllers.reduce(
    (oldest, { fresh, readAt }) => Math.min(oldest, fresh ? readAt : -Infinity),
    askedAt,
  );
}

export function wantedControllers(
  snapshot: Omit<StacdSnapshot, 'controllers' | 'connected' | 'now'>,
): ReadonlyMap<TidKey, WantedController<IocExtra>> {
  const wanted = new Map<TidKey, GatheredController<IocExtra>>();
  for (const { answer, hostId, options, source } of snapshot.configured) {
    if (answer.kind === 'unknown') continue;
    const tid = answer.value;
    const key = tidKey(tid);
    const before = wanted.get(key);
    if (before !== undefined) addSource(before, source);
    else {
      const extra = { options, hostId, entry: undefined, ncc: false };
      wanted.set(key, { key, tid, sources: new Set([source]), own: undefined, extra });
    }
  }
  if (snapshot.discovery.kind === 'unknown') return wanted;
  for (const dc of snapshot.discovery.value.controllers) {
    if (dc.log.kind === 'unknown') continue;
    const source = logSource(dc.tid);
    const sources = new Set([source]);
    for (const { entry, key, ncc, tid } of listedIocs(
      dc.log.value,
      entrySource(dc.tid, snapshot),
    )) {
      const before = wanted.get(key);
      if (before === undefined) {
        const extra = { options: {}, hostId: dc.hostId, entry, ncc };
        wanted.set(key, { key, tid, sources, own: undefined, extra });
        continue;
      }
      addSource(before, source);
      const { extra } = before;
      if (extra.entry !== undefined && (!extra.ncc || ncc)) continue;
      // One path to it that is open is enough.
      before.extra = { ...extra, entry: extra.entry ?? entry, ncc: extra.ncc && ncc };
    }
  }
  return wanted;
}

interface ListedIoc {
  readonly entry: DiscoveryEntry;
  readonly tid: TransportId;
  readonly key: TidKey;
  readonly ncc: boolean;
}

/** What was made of a log last, and from where: each pass looks at all of them again. */
const listed = new WeakMap<
  readonly DiscoveryEntry[],
  { readonly from: EntrySource; readonly iocs: readonly ListedIoc[] }
>();

function listedIocs(log: readonly DiscoveryEntry[], from: EntrySource): readonly ListedIoc[] {
  const before = listed.get(log);
  if (
    before?.from.hostNqn === from.hostNqn &&
    before.from.hostIface === from.hostIface &&
    before.from.hostTraddr === from.hostTraddr
  ) {
    return before.iocs;
  }
  const iocs: ListedIoc[] = [];
  for (const entry of log) {
    if (entry.subtype !== 'nvme') continue;
    const tid = entryToTid(entry, from);
    iocs.push({ entry, tid, key: tidKey(tid), ncc: hasNcc(entry) });
  }
  listed.set(log, { from, iocs });
  return iocs;
}

function entrySource(
  dc: TransportId,
  { config, hostNqn }: Pick<StacdSnapshot, 'config' | 'hostNqn'>,
): EntrySource {
  return {
    hostTraddr: dc.hostTraddr,
    hostIface: config.ignoreIface ? '' : dc.hostIface,
    hostNqn: dc.hostNqn === '' ? hostNqn : dc.hostNqn,
  };
}

/** Whether the connection of a controller that is no longer wanted stays in the kernel. */
export function keepsConnection(config: ServiceConfig, tid: TransportId): boolean {
  switch (config.disconnectScope) {
    case 'only-stas-connections':
      return false;
    case 'all-connections-matching-disconnect-trtypes':
      return !config.disconnectTrtypes.has(tid.transport);
    case 'no-disconnect':
      return true;
  }
}

/**
 * Connections that nobody wants, for the scope that drops those of others too; `kernel` without
 * those that must never be dropped. Undefined unless
 * everything is known: an incomplete picture would show wanted ones as unwanted.
 */
export function unwantedConnections(
  snapshot: StacdSnapshot,
  kernel: readonly KernelController[],
  heldInstances: ReadonlySet<string>,
  interfaces: readonly InterfaceAddressLike[],
): readonly KernelController[] | undefined {
  const { config, discovery } = snapshot;
  if (config.disconnectScope !== 'all-connections-matching-disconnect-trtypes') return [];
  if (snapshot.configured.some(({ answer }) => answer.kind === 'unknown')) return undefined;
  if (discovery.kind === 'unknown' || !discovery.value.settled) return undefined;
  const unread = ({ fresh, log }: ReportedDc): boolean => log.kind === 'unknown' || !fresh;
  if (discovery.value.controllers.some(unread)) return undefined;
  const wanted = [...wantedControllers(snapshot).values()].map(({ tid }) => tid);
  const wantedAt = tidsByPlace(wanted.filter((tid) => refusal(config, tid) === undefined));
  const transports: ReadonlySet<string> = config.disconnectTrtypes;
  return kernel.filter(
    (controller) =>
      transports.has(controller.transport) &&
      isIoController(controller) &&
      !heldInstances.has(controller.instance) &&
      !wantedAt(controller).some((tid) => matchesConnection(tid, 'io', controller, interfaces)),
  );
}
