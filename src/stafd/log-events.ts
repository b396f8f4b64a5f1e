/**
 * How long it takes from a DC's word that its log changed (an asynchronous event) to the reading that
 * answers it.
 *
 * A reading answers the events that were heard before its first command was sent: one that comes
 * later is answered by the next. Pure.
 */
import type { DcData } from './service-types.ts';

/** The events that the last reading answered which answered any. */
export interface AnsweredEvents {
  /** How many readings have answered events, this one included. */
  readonly number: number;
  /** When the first of its events was heard, milliseconds. */
  readonly heardAt: number;
}

/** Unanswered events that are remembered; only the first of those that a reading answers matters. */
const MAX_HEARD = 16;

/** An event was heard: milliseconds. */
export function heard(extra: DcData, now: number): DcData {
  const before = extra.heard ?? [];
  return before.length < MAX_HEARD ? { ...extra, heard: [...before, now] } : extra;
}

/** A log was read whole by commands that began at `begunAt`. */
export function answered(
  { events, heard: times = [] }: DcData,
  begunAt: number,
): Pick<DcData, 'events' | 'heard'> {
  const heardAt = times.find((at) => at <= begunAt);
  return {
    heard: times.filter((at) => at > begunAt),
    events: heardAt === undefined ? events : { number: (events?.number ?? 0) + 1, heardAt },
  };
}
