/** Answers of stafd, checked: what another process says is as hostile as what a network says. */
import { known, unknown } from '../core/answer.ts';
import { dictToEntry, type DiscoveryEntry } from '../nvme/discovery-log.ts';
import { tidKey, type TidKey, type TransportId } from '../nvme/transport-id.ts';
import type { Log } from '../ports/log.ts';
import { hostIdFrom, isRecord, tidFromDict } from '../runtime/json-checks.ts';
import type { ReportedDc } from './plan.ts';

/** A DC in one answer. */
export interface SaidDc extends Omit<ReportedDc, 'events' | 'readAt'> {
  /** How long ago its log was read, milliseconds; 0 if stafd does not say. */
  readonly age: number;
  /** How long ago the first of these events was heard, milliseconds. */
  readonly events?: { readonly number: number; readonly age: number } | undefined;
}

/** A DC that is gone. */
export interface SaidRemoved {
  readonly key: TidKey;
  /** Since how long stafd knows it, milliseconds; or a setting of this host is why. */
  readonly statedAt: 'by-setting' | { readonly age: number };
}

/** One answer of stafd. */
export type SaidState =
  | {
      readonly kind: 'v1';
      readonly settled: boolean;
      readonly controllers: readonly SaidDc[];
      readonly removed: readonly SaidRemoved[];
    }
  | { readonly kind: 'original'; readonly controllers: readonly SaidByOriginal[] };

export interface SaidByOriginal {
  readonly tid: TransportId;
  readonly hostId: string;
  /** Empty also if the log was not read. */
  readonly entries: readonly DiscoveryEntry[];
}

/** Throws for what is not of the documented shape: nothing follows from half an answer. */
export function parseDiscoveryState(
  text: string,
  log: Log,
): Extract<SaidState, { readonly kind: 'v1' }> {
  const state: unknown = JSON.parse(text);
  if (!isRecord(state) || state['version'] !== 1 || !Array.isArray(state['controllers'])) {
    throw new Error('its discovery state is not of a known form');
  }
  const controllers = state['controllers'].map((item: unknown): SaidDc => {
    const { hostId, pages, tid } = reportedDc(item);
    const answer = isRecord(item) && isRecord(item['log']) ? item['log'] : {};
    if (answer['state'] === 'known') {
      const fresh = answer['fresh'] === true;
      const entries = known(readEntries(pages, log));
      return { tid, hostId, log: entries, fresh, age: ageOf(answer), events: eventsOf(answer) };
    }
    const why = typeof answer['why'] === 'string' ? answer['why'] : 'stafd does not say why';
    return { tid, hostId, log: unknown(why), fresh: false, age: 0 };
  });
  const removed = (Array.isArray(state['removed']) ? state['removed'] : []).flatMap(
    (item: unknown): SaidRemoved | readonly [] => {
      const tid = isRecord(item) ? tidFromDict(item['discovery-controller']) : undefined;
      if (!isRecord(item) || tid === undefined) return [];
      const statedAt = item['by-setting'] === true ? 'by-setting' : { age: ageOf(item) };
      return { key: tidKey(tid), statedAt };
    },
  );
  return { kind: 'v1', settled: state['settled'] === true, controllers, removed };
}

function eventsOf({ event }: Readonly<Record<string, unknown>>): SaidDc['events'] {
  if (!isRecord(event)) return undefined;
  const { number } = event;
  return typeof number === 'number' && number > 0 ? { number, age: ageOf(event) } : undefined;
}

function ageOf(item: Readonly<Record<string, unknown>>): number {
  const age = item['age-ms'];
  return typeof age === 'number' && age >= 0 ? age : 0;
}

/** What nvme-stas 2.4.1's stafd says. */
export function parseAllLogPages(
  text: string,
  log: Log,
): Extract<SaidState, { readonly kind: 'original' }> {
  const list: unknown = JSON.parse(text);
  if (!Array.isArray(list)) throw new Error('its log pages are not of a known form');
  const controllers = list.map((item: unknown): SaidByOriginal => {
    const { hostId, pages, tid } = reportedDc(item);
    return { tid, hostId, entries: readEntries(pages, log) };
  });
  return { kind: 'original', controllers };
}

function reportedDc(item: unknown): {
  readonly tid: TransportId;
  readonly hostId: string;
  readonly pages: readonly unknown[];
} {
  const tid = isRecord(item) ? tidFromDict(item['discovery-controller']) : undefined;
  const pages = isRecord(item) ? item['log-pages'] : undefined;
  if (tid === undefined || !Array.isArray(pages)) {
    throw new Error('one of its discovery controllers is not of a known form');
  }
  return { tid, hostId: hostIdFrom(isRecord(item) ? item['host-id'] : undefined), pages };
}

function readEntries(pages: readonly unknown[], log: Log): readonly DiscoveryEntry[] {
  const entries: DiscoveryEntry[] = [];
  for (const page of pages) {
    const parsed = isRecord(page) ? dictToEntry(page) : { reason: 'it is not a dictionary' };
    if ('entry' in parsed && parsed.entry !== undefined) entries.push(parsed.entry);
    else log.debug(`A log page entry of stafd is not used: ${parsed.reason}`);
  }
  return Object.freeze(entries);
}
