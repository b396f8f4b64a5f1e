/** What stafd's service is made of and whom it tells. */
import type { FailingSpell } from '../core/retry-policy.ts';
import { matchesConnection, type InterfaceAddressLike } from '../nvme/connection-match.ts';
import type { TransportId } from '../nvme/transport-id.ts';
import type { ControllerRecord } from '../runtime/controller-set.ts';
import type { ServiceDeps, ServiceSettings } from '../runtime/service-core.ts';
import type { SavedDc } from './last-known-config.ts';
import type { AnsweredEvents } from './log-events.ts';
import {
  MDNS_SOURCE,
  type DcExtra,
  type DcSnapshot,
  type LogAnswer,
  type MdnsReport,
} from './plan.ts';

/** A discovery controller with what stafd knows of it. */
export interface DcData extends DcExtra {
  readonly log: LogAnswer;
  /** The driver's `outOfReachSince`; before its first step, when it was made. */
  readonly unresponsiveSince: number | undefined;
  /** Since when mDNS is known not to announce it; undefined while it does. */
  readonly silentSince: number | undefined;
  /** When its log was last read whole since stafd started, milliseconds. */
  readonly readAt: number | undefined;
  /** Why entries of its log are not used, as it was last said: the same is not said again. */
  readonly refusal?: string | undefined;
  /** When events were heard that no reading has answered yet, milliseconds, ascending. */
  readonly heard?: readonly number[] | undefined;
  /** Since stafd started; undefined before the first. */
  readonly events?: AnsweredEvents | undefined;
}

export type DcRecord = ControllerRecord<DcData>;

/** {@link DcData.silentSince} after mDNS has said this. */
export function silentSince(
  { driver, extra, sources }: DcRecord,
  { announced, incomplete }: MdnsReport,
  now: number,
): number | undefined {
  const since =
    extra.silentSince ?? (incomplete === undefined && sources.has(MDNS_SOURCE) ? now : undefined);
  return since === undefined || announced.has(driver.key) ? undefined : since;
}

/** A DC as the plan looks at it. */
export function dcSnapshot(
  { driver, extra, sources }: DcRecord,
  interfaces: readonly InterfaceAddressLike[],
  silentSince: number | undefined,
): DcSnapshot {
  const { hostId, log, unresponsiveSince } = extra;
  const { kernel, key, tid } = driver;
  return {
    key,
    tid,
    sources,
    hostId,
    unresponsiveSince,
    silentSince,
    log,
    answersTo: (other) =>
      kernel !== undefined && matchesConnection(other, 'discovery', kernel, interfaces),
  };
}

/** A DC as it is remembered over a restart. */
export function savedDc({ driver, extra, sources }: DcRecord): SavedDc {
  const { hostId, log, origin } = extra;
  return { tid: driver.tid, origin, hostId, sources: [...sources], log };
}

/** What {@link savedDc} is made of: each is replaced when it changes. */
export function savedParts({ driver, extra, sources }: DcRecord): readonly unknown[] {
  return [driver.tid, extra.origin, extra.hostId, sources, extra.log];
}

/** Who hears of changes: the D-Bus interface. */
export interface StafdListener {
  logPagesChanged(tid: TransportId, device: string): void;
  dcRemoved(): void;
  discoveryStateChanged(): void;
  controllersChanged(): void;
}

/** What nvme-cli's udev rule would have done for DCs that are not stafd's. */
export interface NvmeCli {
  connectAll(device: string, hostTraddr: string, hostIface: string): void;
}

/** A DC that mDNS announces and that does not answer, or was not tried yet. */
export interface Unanswered {
  readonly tid: TransportId;
  readonly why: string;
  /** Of its tries; undefined before the first has failed. */
  readonly failing?: FailingSpell | undefined;
}

/** Discovery controllers that mDNS finds. */
export interface DcBrowser {
  /** Begins, goes on or ends as the configuration says; tries again what did not answer. */
  configure(settings: ServiceSettings): void;
  /** Tries again at once what does not answer. */
  retryNow(): void;
  /** What is known now; begins what this asks for. */
  look(): MdnsReport;
  /** What `look` would say right after `configure` with these; begins and changes nothing. */
  preview(settings: ServiceSettings): MdnsReport;
  /** For people: timer, service types, services. */
  info(): Record<string, unknown>;
  /** What is announced and not offered. */
  unanswered(): readonly Unanswered[];
  /** What is wrong with what is announced, a sentence each without its end; safe to print. */
  complaints(): readonly string[];
  dispose(): void;
}

export interface StafdDeps extends ServiceDeps {
  readonly nvmeCli: NvmeCli;
  readonly browser: DcBrowser;
  readonly listener: StafdListener;
}
