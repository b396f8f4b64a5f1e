/** What stafd remembers over a restart: its DCs with origin, sources and log pages. */
import { known, unknown } from '../core/answer.ts';
import { dictToEntry, entryToDict, type DiscoveryEntry } from '../nvme/discovery-log.ts';
import { tidToDict, type TransportId } from '../nvme/transport-id.ts';
import { hostIdFrom, isRecord, stringList, tidFromDict } from '../runtime/json-checks.ts';
import type { LogAnswer, Origin } from './plan.ts';

export const STAFD_LKC_VERSION = 1;

export interface SavedDc {
  readonly tid: TransportId;
  readonly origin: Origin;
  /** As in {@link DcExtra}. */
  readonly hostId: string;
  readonly sources: readonly string[];
  readonly log: LogAnswer;
}

export interface SavedState {
  /** The list of DCs was complete: see StafdService.settled. */
  readonly settled: boolean;
  readonly controllers: readonly SavedDc[];
}

/**
 * JSON: `{settled, controllers: [{tid, origin, host-id, sources, log: null | {generation, entries}}]}`.
 */
export function dumpLkc({ controllers, settled }: SavedState): unknown {
  return {
    settled,
    controllers: controllers.map(({ tid, origin, hostId, sources, log }) => ({
      tid: tidToDict(tid),
      origin,
      'host-id': hostId,
      sources,
      log:
        log.kind === 'known'
          ? { generation: log.value.generation, entries: log.value.entries.map(entryToDict) }
          : null,
    })),
  };
}

/** Undefined for anything that this version would not have written. */
export function parseLkc(content: unknown): SavedState | undefined {
  if (!isRecord(content) || typeof content['settled'] !== 'boolean') return undefined;
  if (!Array.isArray(content['controllers'])) return undefined;
  const saved: SavedDc[] = [];
  for (const item of content['controllers'] as readonly unknown[]) {
    if (!isRecord(item)) return undefined;
    const tid = tidFromDict(item['tid']);
    const origin = parseOrigin(item['origin']);
    const sources = stringList(item['sources']);
    const log = parseLog(item['log']);
    if (tid === undefined || origin === undefined || sources === undefined || log === undefined) {
      return undefined;
    }
    // Nothing is ever kept that no source asked for.
    if (sources.length === 0) return undefined;
    saved.push({ tid, origin, hostId: hostIdFrom(item['host-id']), sources, log });
  }
  return { settled: content['settled'], controllers: saved };
}

function parseOrigin(value: unknown): Origin | undefined {
  return value === 'configured' || value === 'discovered' || value === 'referral'
    ? value
    : undefined;
}

function parseLog(value: unknown): LogAnswer | undefined {
  if (value === null) return unknown('it was not read yet');
  if (!isRecord(value) || typeof value['generation'] !== 'string') return undefined;
  if (!Array.isArray(value['entries'])) return undefined;
  const entries: DiscoveryEntry[] = [];
  for (const dict of value['entries'] as readonly unknown[]) {
    if (!isRecord(dict)) return undefined;
    const parsed = dictToEntry(dict);
    if (parsed.entry === undefined) return undefined;
    entries.push(parsed.entry);
  }
  return known({ generation: value['generation'], entries, fresh: false });
}
