/**
 * Which discovery controllers stafd wants, and on what evidence one is dropped. Pure.
 *
 * Wanted = configured ∪ boot firmware ∪ mDNS ∪ referrals of wanted DCs. Referrals are followed from
 * the other three, so that two DCs that refer to each other do not keep each other alive.
 */
import type { ServiceConfig } from '../config/service-config.ts';
import { isBootSource } from '../core/boot-controllers.ts';
import type { Answer } from '../core/answer.ts';
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
import { addressKey } from '../core/address-rules.ts';
import { refusal } from '../core/refusal.ts';
import { BY_SETTING } from '../core/removal-brake.ts';
import type { ConnectOptions } from '../nvme/connect-options.ts';
import { entryToTid, type DiscoveryEntry } from '../nvme/discovery-log.ts';
import { tidKey, type TidKey, type TransportId } from '../nvme/transport-id.ts';
import { expiry } from './expiry.ts';

/** How a DC came to be known; the first that applies, in this order. */
export type Origin = 'configured' | 'discovered' | 'referral';

export const MDNS_SOURCE: SourceId = 'mdns';

const REFERRAL = 'referral:';

export function referralSource(referrer: TidKey): SourceId {
  return `${REFERRAL}${referrer}`;
}

/** Undefined for a source that is no referral. */
export function referrerOf(source: SourceId): TidKey | undefined {
  return source.startsWith(REFERRAL) ? (source.slice(REFERRAL.length) as TidKey) : undefined;
}

/** The last log that was read whole from a DC. */
export type LogAnswer = Answer<KnownLog>;

export interface KnownLog {
  readonly generation: string;
  readonly entries: readonly DiscoveryEntry[];
  /**
   * Read since the start of the daemon. One that was remembered still says what to connect to, but
   * may be older than what was connected: that an entry is missing in it proves nothing.
   */
  readonly fresh: boolean;
}

export interface DcExtra {
  readonly origin: Origin;
  /** Overrides of its configuration line; empty for DCs that are not configured. */
  readonly options: ConnectOptions;
  /** What its host NQN is connected with; empty where the NQN decides. A referral inherits it. */
  readonly hostId: string;
}

export interface ConfiguredInput {
  readonly source: SourceId;
  readonly options: ConnectOptions;
  readonly hostId: string;
  readonly answer: Answer<TransportId>;
}

/** What mDNS says now. What it has found is wanted at once, however much is still to be found. */
export interface MdnsReport {
  /** Announced, and found to answer. */
  readonly offered: readonly TransportId[];
  /** All that is announced, whether it answers or not. */
  readonly announced: ReadonlySet<TidKey>;
  /** Why more may be announced than is known; undefined: what is missing is not announced. */
  readonly incomplete: string | undefined;
  /** `incomplete` because there is no avahi-daemon, which may be meant. */
  readonly missing: boolean;
}

export interface StafdSnapshot {
  /** Milliseconds, monotonic. */
  readonly now: number;
  readonly config: ServiceConfig;
  /** The configuration's and the boot firmware's. */
  readonly configured: readonly ConfiguredInput[];
  /** Why `configured` may lack some of the boot firmware's; undefined if it has all. */
  readonly bootDoubt: string | undefined;
  readonly mdns: MdnsReport;
  readonly controllers: readonly DcSnapshot[];
}

export interface DcSnapshot extends ExistingController {
  readonly hostId: string;
  /**
   * When its connection was last lost or first tried without success; undefined while it is
   * connected, or answers its polls.
   */
  readonly unresponsiveSince: number | undefined;
  /** Since when mDNS is known not to announce it; gaps in which it was unknown do not count. */
  readonly silentSince: number | undefined;
  readonly log: LogAnswer;
  /** Whether its connection, which it has, is the one that this TID asks for. */
  answersTo(tid: TransportId): boolean;
}

export type DcAction = ControllerAction<DcExtra>;

export function planDiscoveryControllers(snapshot: StafdSnapshot): readonly DcAction[] {
  const configured = new Map(snapshot.configured.map((entry) => [entry.source, entry]));
  const byKey = new Map(snapshot.controllers.map((dc) => [dc.key, dc]));
  const { awaited, followed, wanted } = wantedControllers(snapshot, byKey, configured);
  const reported = reportedGone(snapshot, byKey, configured, followed);
  return planControllers({
    existing: snapshot.controllers,
    wanted,
    refusal: (tid) => refusal(snapshot.config, tid),
    evidence: (source, controller) => {
      const dc = byKey.get(controller.key);
      if (dc !== undefined && awaited.has(dc.key)) {
        return { kind: 'unknown', why: 'its log was not read under its other transport ID yet' };
      }
      const referrer = referrerOf(source);
      return referrer === undefined
        ? ownEvidence(snapshot, configured, byKey, source, dc)
        : referralEvidence(snapshot, referrer, byKey, followed, reported);
    },
  });
}

/** Of a source that is no referral. */
function ownEvidence(
  snapshot: StafdSnapshot,
  configured: BySource,
  byKey: ByKey,
  source: SourceId,
  dc: DcSnapshot | undefined,
): SourceEvidence {
  return source === MDNS_SOURCE
    ? mdnsEvidence(snapshot, dc)
    : configuredEvidence(snapshot, configured, byKey, source);
}

/**
 * Of those whose referrals do not count any more: the ones that are gone by what others said. The
 * rest, and what they refer to, a setting of this host gives up.
 */
function reportedGone(
  snapshot: StafdSnapshot,
  byKey: ByKey,
  configured: BySource,
  followed: ReadonlySet<TidKey>,
): ReadonlySet<TidKey> {
  const reported = new Set<TidKey>();
  const referred = new Map<TidKey, TidKey[]>();
  for (const dc of snapshot.controllers) {
    if (followed.has(dc.key) || refusal(snapshot.config, dc.tid) !== undefined) continue;
    for (const source of dc.sources) {
      const referrer = referrerOf(source);
      if (referrer === undefined) {
        const evidence = ownEvidence(snapshot, configured, byKey, source, dc);
        const bySetting = evidence.kind === 'absent' && evidence.statedAt === BY_SETTING;
        if (!bySetting) reported.add(dc.key);
      } else if (!byKey.has(referrer) || followed.has(referrer)) {
        reported.add(dc.key);
      } else {
        const there = referred.get(referrer);
        if (there === undefined) referred.set(referrer, [dc.key]);
        else there.push(dc.key);
      }
    }
  }
  // The set grows while it is walked.
  for (const key of reported) for (const other of referred.get(key) ?? []) reported.add(other);
  return reported;
}

/**
 * Those whose connection is asked for by another TID (an interface is named now, or no longer), the
 * log of which was not read yet: until it is, nobody else knows what their own logs list.
 */
function awaitedDcs(
  { config, controllers }: StafdSnapshot,
  byKey: ByKey,
  wanted: Wanted['wanted'],
): readonly DcSnapshot[] {
  const unread = new Map<string, TransportId[]>();
  for (const { key, tid } of wanted.values()) {
    const log = byKey.get(key)?.log;
    if ((log?.kind === 'known' && log.value.fresh) || refusal(config, tid) !== undefined) continue;
    const address = addressKey(tid.transport, tid.traddr);
    const there = unread.get(address);
    if (there === undefined) unread.set(address, [tid]);
    else there.push(tid);
  }
  return controllers.filter(
    (dc) =>
      !wanted.has(dc.key) &&
      unread.get(addressKey(dc.tid.transport, dc.tid.traddr))?.some((tid) => dc.answersTo(tid)),
  );
}

/**
 * One whose name has moved stays until the log was read there: only then it is known what of that
 * which its own log lists is still listed, and whether there is a DC at all.
 */
function configuredEvidence(
  snapshot: StafdSnapshot,
  configured: BySource,
  byKey: ByKey,
  source: SourceId,
): SourceEvidence {
  const boot = isBootSource(source);
  const answer = configured.get(source)?.answer;
  if (answer?.kind === 'unknown') return { kind: 'unknown', why: answer.why };
  if (answer !== undefined) {
    const what = boot ? 'its interface has another name' : 'its name has another address';
    const log = byKey.get(tidKey(answer.value))?.log;
    return log?.kind === 'known' && log.value.fresh
      ? { kind: 'absent', why: `${what} now`, statedAt: snapshot.now }
      : { kind: 'unknown', why: `${what} now, and the log was not read there yet` };
  }
  if (!boot) {
    return { kind: 'absent', why: 'the configuration no longer lists it', statedAt: BY_SETTING };
  }
  return snapshot.bootDoubt === undefined
    ? { kind: 'absent', why: 'the boot firmware does not list it', statedAt: snapshot.now }
    : { kind: 'unknown', why: snapshot.bootDoubt };
}

interface Wanted {
  /** See {@link awaitedDcs}. */
  readonly awaited: ReadonlySet<TidKey>;
  readonly wanted: ReadonlyMap<TidKey, WantedController<DcExtra>>;
  /** The DCs whose referrals count: those that are wanted or that stay for want of evidence. */
  readonly followed: ReadonlySet<TidKey>;
}

type ByKey = ReadonlyMap<TidKey, DcSnapshot>;
type BySource = ReadonlyMap<SourceId, ConfiguredInput>;

/** What is asked for, whether it may be connected or not. */
export function wantedControllers(
  snapshot: StafdSnapshot,
  byKey: ByKey,
  configured: BySource,
): Wanted {
  const wanted = new Map<TidKey, GatheredController<DcExtra>>();
  const roots = new Map<TidKey, TransportId>();
  const want = (tid: TransportId, source: SourceId, extra: DcExtra): void => {
    const key = tidKey(tid);
    const before = wanted.get(key);
    // The first to ask has precedence: configured, then discovered, then referral.
    if (before !== undefined) {
      addSource(before, source);
      return;
    }
    const there = byKey.get(key)?.sources;
    const sources = there?.size === 1 && there.has(source) ? there : new Set([source]);
    wanted.set(key, { key, tid, sources, own: undefined, extra });
  };
  for (const { answer, hostId, options, source } of snapshot.configured) {
    if (answer.kind !== 'known') continue;
    want(answer.value, source, { origin: 'configured', options, hostId });
  }
  for (const tid of snapshot.mdns.offered) {
    want(tid, MDNS_SOURCE, { origin: 'discovered', options: {}, hostId: '' });
  }
  for (const { key, tid } of wanted.values()) roots.set(key, tid);
  // Those that stay without being wanted (mDNS silent, name unresolved) still refer to others.
  for (const dc of snapshot.controllers) {
    if (!roots.has(dc.key) && stays(snapshot, configured, byKey, dc)) roots.set(dc.key, dc.tid);
  }
  const hostIdOf = (key: TidKey): string =>
    wanted.get(key)?.extra.hostId ?? byKey.get(key)?.hostId ?? '';
  for (;;) {
    const followed = followReferrals(snapshot, byKey, roots, hostIdOf, want);
    // What these refer to may be asked for by another TID in its turn.
    const awaited = awaitedDcs(snapshot, byKey, wanted);
    const count = roots.size;
    for (const { key, tid } of awaited) roots.set(key, tid);
    if (roots.size === count) {
      return { awaited: new Set(awaited.map(({ key }) => key)), followed, wanted };
    }
  }
}

/** From DC to DC by their logs; where a log is not known, to those that it once referred to. */
function followReferrals(
  snapshot: StafdSnapshot,
  byKey: ByKey,
  roots: ReadonlyMap<TidKey, TransportId>,
  hostIdOf: (key: TidKey) => string,
  want: (tid: TransportId, source: SourceId, extra: DcExtra) => void,
): ReadonlySet<TidKey> {
  const referredBy = new Map<SourceId, DcSnapshot[]>();
  for (const dc of snapshot.controllers) {
    for (const source of dc.sources) {
      if (!source.startsWith(REFERRAL)) continue;
      const referred = referredBy.get(source);
      if (referred === undefined) referredBy.set(source, [dc]);
      else referred.push(dc);
    }
  }
  const followed = new Set<TidKey>();
  const queue = new Map(roots);
  // The queue grows while it is walked; a key that is in it keeps its place.
  for (const [key, referrer] of queue) {
    if (refusal(snapshot.config, referrer) !== undefined) continue;
    followed.add(key);
    const log = byKey.get(key)?.log;
    if (log?.kind === 'known') {
      for (const entry of log.value.entries) {
        if (entry.subtype !== 'referral') continue;
        const tid = entryToTid(entry, referrer);
        const extra: DcExtra = { origin: 'referral', options: {}, hostId: hostIdOf(key) };
        want(tid, referralSource(key), extra);
        queue.set(tidKey(tid), tid);
      }
    }
    if (log?.kind !== 'known' || !log.value.fresh) {
      for (const dc of referredBy.get(referralSource(key)) ?? []) queue.set(dc.key, dc.tid);
    }
  }
  return followed;
}

/** Whether a source other than a referral keeps it for want of evidence. */
function stays(
  snapshot: StafdSnapshot,
  configured: BySource,
  byKey: ByKey,
  dc: DcSnapshot,
): boolean {
  for (const source of dc.sources) {
    if (source.startsWith(REFERRAL)) continue;
    if (ownEvidence(snapshot, configured, byKey, source, dc).kind === 'unknown') return true;
  }
  return false;
}

/**
 * A DC that mDNS found stays while it is announced or connected, and for a while after both ended:
 * what its log lists stays with it.
 */
function mdnsEvidence(snapshot: StafdSnapshot, dc: DcSnapshot | undefined): SourceEvidence {
  const { config, mdns, now } = snapshot;
  if (dc !== undefined && mdns.announced.has(dc.key)) {
    return { kind: 'unknown', why: 'announced by mDNS, though it was not found to answer' };
  }
  if (mdns.incomplete !== undefined) return { kind: 'unknown', why: mdns.incomplete };
  if (dc === undefined) {
    return { kind: 'absent', why: 'mDNS no longer reports it', statedAt: now };
  }
  if (dc.unresponsiveSince === undefined) {
    return { kind: 'unknown', why: 'connected, though mDNS is silent about it' };
  }
  if (config.zeroconfPersistence < 0) {
    return { kind: 'unknown', why: 'kept for ever, though mDNS is silent' };
  }
  if (now < (expiry(config, dc) ?? Infinity)) {
    return { kind: 'unknown', why: 'kept for a while, though mDNS is silent about it' };
  }
  const why = 'mDNS no longer reports it and it does not answer';
  return { kind: 'absent', why, statedAt: now };
}

/** A referral is gone when its referrer is, or when the referrer's log was read without it. */
function referralEvidence(
  { now }: StafdSnapshot,
  referrer: TidKey,
  byKey: ByKey,
  followed: ReadonlySet<TidKey>,
  reported: ReadonlySet<TidKey>,
): SourceEvidence {
  if (!followed.has(referrer)) {
    const bySetting = byKey.has(referrer) && !reported.has(referrer);
    const statedAt = bySetting ? BY_SETTING : now;
    return { kind: 'absent', why: 'the referring controller is gone', statedAt };
  }
  const log = byKey.get(referrer)?.log;
  if (log === undefined) {
    return { kind: 'unknown', why: 'the referring controller was not read yet' };
  }
  if (log.kind === 'unknown') {
    return { kind: 'unknown', why: `the referring controller's log is unknown: ${log.why}` };
  }
  return log.value.fresh
    ? { kind: 'absent', why: 'the referring controller no longer lists it', statedAt: now }
    : { kind: 'unknown', why: "the referring controller's log was not read since the start" };
}
