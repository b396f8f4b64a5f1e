/**
 * Which discovery controllers stafd wants, and on what evidence one is dropped. Pure.
 *
 * Wanted = configured ∪ boot firmware ∪ mDNS ∪ referrals of wanted DCs. Referrals are followed from
 * the other three, so that two DCs that refer to each other do not keep each other alive.
 */
import { mergeOptions } from '../config/connect-option.ts';
import { matchesExclude } from '../config/exclude.ts';
import type { ServiceConfig } from '../config/service-config.ts';
import { addressRefusal } from '../core/address-rules.ts';
import type { Answer } from '../core/answer.ts';
import {
  planControllers,
  type ControllerAction,
  type ExistingController,
  type SourceEvidence,
  type SourceId,
  type WantedController,
} from '../core/plan-controllers.ts';
import type { ConnectOptions } from '../nvme/connect-options.ts';
import { entryToTid, type DiscoveryEntry } from '../nvme/discovery-log.ts';
import { tidKey, type TidKey, type TransportId } from '../nvme/transport-id.ts';

/** How a DC came to be known; the first that applies, in this order. */
export type Origin = 'configured' | 'discovered' | 'referral';

export const MDNS_SOURCE: SourceId = 'mdns';

export function referralSource(referrer: TidKey): SourceId {
  return `referral:${referrer}`;
}

/** The last log that was read whole from a DC. */
export type LogAnswer = Answer<{
  readonly generation: string;
  readonly entries: readonly DiscoveryEntry[];
}>;

export interface DcExtra {
  readonly origin: Origin;
  /** Overrides of its configuration line; empty for DCs that are not configured. */
  readonly options: ConnectOptions;
}

export interface ConfiguredInput {
  readonly source: SourceId;
  readonly options: ConnectOptions;
  readonly answer: Answer<TransportId>;
}

export interface StafdSnapshot {
  /** Milliseconds, monotonic. */
  readonly now: number;
  readonly config: ServiceConfig;
  readonly configured: readonly ConfiguredInput[];
  /** TIDs that mDNS reports now. */
  readonly mdns: Answer<readonly TransportId[]>;
  readonly controllers: readonly DcSnapshot[];
}

export interface DcSnapshot extends ExistingController {
  readonly connected: boolean;
  /** When its connection was last lost or first tried without success; undefined if connected. */
  readonly unresponsiveSince: number | undefined;
  readonly log: LogAnswer;
}

export type DcAction = ControllerAction<DcExtra>;

export function planDiscoveryControllers(snapshot: StafdSnapshot): readonly DcAction[] {
  const wanted = wantedControllers(snapshot);
  const byKey = new Map(snapshot.controllers.map((dc) => [dc.key, dc]));
  const configured = new Map(snapshot.configured.map((entry) => [entry.source, entry]));
  return planControllers({
    existing: snapshot.controllers,
    wanted,
    refusal: (tid) => refusal(snapshot.config, tid),
    evidence: (source, controller) => {
      const dc = byKey.get(controller.key);
      if (source === MDNS_SOURCE) return mdnsEvidence(snapshot, dc);
      const entry = configured.get(source);
      if (entry !== undefined) {
        return entry.answer.kind === 'unknown'
          ? { kind: 'unknown', why: entry.answer.why }
          : { kind: 'absent', why: 'its name has another address now' };
      }
      if (source.startsWith('referral:')) return referralEvidence(source, byKey, wanted);
      return { kind: 'absent', why: 'the configuration no longer lists it' };
    },
  });
}

/** An explicit setting that forbids the controller, in words. */
function refusal(config: ServiceConfig, tid: TransportId): string | undefined {
  const exclude = matchesExclude(tid, config.excludes);
  if (exclude !== undefined) return `excluded by line ${String(exclude.line)}`;
  return addressRefusal(tid, config.ipFamilies);
}

function wantedControllers(snapshot: StafdSnapshot): Map<TidKey, WantedController<DcExtra>> {
  const wanted = new Map<TidKey, WantedController<DcExtra>>();
  const roots: TransportId[] = [];
  const want = (tid: TransportId, source: SourceId, extra: DcExtra): void => {
    const key = tidKey(tid);
    const before = wanted.get(key);
    if (before === undefined) roots.push(tid);
    const sources = new Set(before?.sources).add(source);
    // The first to ask has precedence: configured, then discovered, then referral.
    wanted.set(key, { key, tid, sources, extra: before?.extra ?? extra });
  };
  for (const entry of snapshot.configured) {
    if (entry.answer.kind === 'known') {
      const { options } = entry;
      want(entry.answer.value, entry.source, { origin: 'configured', options });
    }
  }
  if (snapshot.mdns.kind === 'known') {
    for (const tid of snapshot.mdns.value) {
      want(tid, MDNS_SOURCE, { origin: 'discovered', options: {} });
    }
  }
  followReferrals(snapshot, roots, want);
  return wanted;
}

/** From DC to DC by their logs; `want` appends each newly reached one to `reached`. */
function followReferrals(
  snapshot: StafdSnapshot,
  reached: readonly TransportId[],
  want: (tid: TransportId, source: SourceId, extra: DcExtra) => void,
): void {
  const byKey = new Map(snapshot.controllers.map((dc) => [dc.key, dc]));
  // Those that stay without being wanted (mDNS silent, name unresolved) still refer to others.
  const queue: TransportId[] = [...reached];
  const seen = new Set(queue.map(tidKey));
  for (const dc of snapshot.controllers) {
    if (!seen.has(dc.key) && stays(snapshot, dc)) {
      seen.add(dc.key);
      queue.push(dc.tid);
    }
  }
  // The queue grows while it is walked.
  for (const referrer of queue) {
    if (refusal(snapshot.config, referrer) !== undefined) continue;
    const dc = byKey.get(tidKey(referrer));
    if (dc?.log.kind !== 'known') continue;
    for (const entry of dc.log.value.entries) {
      if (entry.subtype !== 'referral') continue;
      const tid = entryToTid(entry, dc.tid);
      want(tid, referralSource(dc.key), { origin: 'referral', options: {} });
      const key = tidKey(tid);
      if (!seen.has(key)) {
        seen.add(key);
        queue.push(tid);
      }
    }
  }
}

/** Whether a source other than a referral keeps it for want of evidence. */
function stays(snapshot: StafdSnapshot, dc: DcSnapshot): boolean {
  for (const source of dc.sources) {
    if (source === MDNS_SOURCE && mdnsEvidence(snapshot, dc).kind === 'unknown') return true;
    const entry = snapshot.configured.find((candidate) => candidate.source === source);
    if (entry?.answer.kind === 'unknown') return true;
  }
  return false;
}

function mdnsEvidence(snapshot: StafdSnapshot, dc: DcSnapshot | undefined): SourceEvidence {
  if (snapshot.mdns.kind === 'unknown') return { kind: 'unknown', why: snapshot.mdns.why };
  if (dc === undefined) return { kind: 'absent', why: 'mDNS no longer reports it' };
  if (dc.connected) return { kind: 'unknown', why: 'connected, though mDNS is silent about it' };
  const seconds = snapshot.config.zeroconfPersistence;
  if (seconds < 0) return { kind: 'unknown', why: 'kept for ever, though mDNS is silent' };
  const since = dc.unresponsiveSince ?? snapshot.now;
  if (snapshot.now - since < seconds * 1000) {
    return { kind: 'unknown', why: 'kept for a while, though mDNS is silent about it' };
  }
  return { kind: 'absent', why: 'mDNS no longer reports it and it does not answer' };
}

/** A referral is gone when its referrer is, or when the referrer's log was read without it. */
function referralEvidence(
  source: SourceId,
  byKey: ReadonlyMap<TidKey, DcSnapshot>,
  wanted: ReadonlyMap<TidKey, WantedController<DcExtra>>,
): SourceEvidence {
  const referrerKey = source.slice('referral:'.length) as TidKey;
  const referrer = byKey.get(referrerKey);
  if (referrer === undefined) {
    return wanted.has(referrerKey)
      ? { kind: 'unknown', why: 'the referring controller was not read yet' }
      : { kind: 'absent', why: 'the referring controller is gone' };
  }
  return referrer.log.kind === 'unknown'
    ? { kind: 'unknown', why: `the referring controller's log is unknown: ${referrer.log.why}` }
    : { kind: 'absent', why: 'the referring controller no longer lists it' };
}

/** [Global] options with those of the controller's own line on top. */
export function effectiveOptions(config: ServiceConfig, extra: DcExtra): ConnectOptions {
  return mergeOptions(config.options, extra.options);
}
