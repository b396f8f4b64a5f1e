import { known } from '../core/answer.ts';
import {
  decodeEntries,
  keepsPersistentConnections,
  type RefusedEntry,
} from '../nvme/discovery-log.ts';
import { printTid } from '../nvme/transport-id.ts';
import type { RawDiscoveryLog } from '../ports/fabrics.ts';
import type { Log } from '../ports/log.ts';
import { deviceOf } from '../runtime/describe.ts';
import { controllerFields } from '../runtime/reports.ts';
import { answered } from './log-events.ts';
import type { StafdMetrics } from './metrics.ts';
import type { DcRecord } from './service-types.ts';

/** Why entries of a log are not used, in one line for all of them; undefined if all are. */
function describeRefused(refused: readonly RefusedEntry[]): string | undefined {
  const [first] = refused;
  if (first === undefined) return undefined;
  const more = refused.length > 1 ? ` (and ${refused.length - 1} more)` : '';
  return `${first.reason}: ${first.text}${more}`;
}

/** When a log was read: milliseconds. */
export interface ReadingTimes {
  readonly begunAt: number;
  readonly now: number;
}

/**
 * Takes over a log that was read whole from a DC, unless that is on its way out.
 *
 * @returns whether the DC keeps persistent connections.
 */
export function takeLog(
  record: DcRecord,
  raw: RawDiscoveryLog,
  { begunAt, now }: ReadingTimes,
  log: Log,
  metrics: StafdMetrics,
): boolean {
  const { driver } = record;
  const { entries, refused } = decodeEntries(raw.entries, raw.count);
  const persistent = keepsPersistentConnections(entries);
  if (driver.disposing) return persistent;
  const device = deviceOf(driver);
  const fields = controllerFields(driver.tid, device);
  const prefix = `${printTid(driver.tid)} | ${device}`;
  const before = record.extra.log;
  const generation = raw.generation.toString();
  const again =
    before.kind === 'known' &&
    before.value.fresh &&
    before.value.generation === generation &&
    before.value.entries.length === entries.length;
  const read = `${prefix} - Received discovery log pages (num records=${String(entries.length)})`;
  if (again) log.debug(read, fields);
  else log.info(read, fields);
  const refusal = describeRefused(refused);
  if (refusal !== undefined && refusal !== record.extra.refusal) {
    log.warning(`${prefix} - Refused a log page entry: ${refusal}`, fields);
  }
  metrics.entriesRefused(refused.length);
  const events = answered(record.extra, begunAt);
  if (events.events !== undefined && events.events !== record.extra.events) {
    metrics.eventAnswered(now - events.events.heardAt);
  }
  record.extra = {
    ...record.extra,
    ...events,
    log: known({ generation, entries, fresh: true }),
    readAt: now,
    refusal,
  };
  return persistent;
}
