/** What stacd remembers over a restart: its I/O controllers and who asked for each. */
import { tidToDict, type TransportId } from '../nvme/transport-id.ts';
import { hostIdFrom, isRecord, stringList, tidFromDict } from '../runtime/json-checks.ts';

export const STACD_LKC_VERSION = 1;

export interface SavedIoc {
  readonly tid: TransportId;
  /** As in {@link IocExtra}. */
  readonly hostId: string;
  readonly sources: readonly string[];
}

/** JSON: `[{tid, host-id, sources}]`. */
export function dumpLkc(saved: readonly SavedIoc[]): unknown {
  return saved.map(({ hostId, sources, tid }) => ({
    tid: tidToDict(tid),
    'host-id': hostId,
    sources,
  }));
}

/** Undefined for anything that this version would not have written. */
export function parseLkc(content: unknown): readonly SavedIoc[] | undefined {
  if (!Array.isArray(content)) return undefined;
  const saved: SavedIoc[] = [];
  for (const item of content as readonly unknown[]) {
    if (!isRecord(item)) return undefined;
    const tid = tidFromDict(item['tid']);
    const sources = stringList(item['sources']);
    if (tid === undefined || sources === undefined) return undefined;
    // Nothing is ever kept that no source asked for.
    if (sources.length === 0) return undefined;
    saved.push({ tid, hostId: hostIdFrom(item['host-id']), sources });
  }
  return saved;
}
