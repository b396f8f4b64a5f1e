/**
 * The record of everything that hosts did: connections, PDUs that matter and every command.
 *
 * Invariants: records are in the order of arrival, `seq` grows by one and is never used twice,
 * also over `take`; a record is there before its command is answered; at most `limit` are kept.
 */
import type { JsonObject } from './json.ts';

export interface CommandRecord {
  readonly seq: number;
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly controller: string;
  readonly connection: number;
  /** Command name (`get-log-page`), or `accept`, `icreq`, `garbage`, `close`. */
  readonly command: string;
  /** Empty before Connect. */
  readonly hostnqn: string;
  readonly details: JsonObject;
  /** Status it was completed with; `held` or `pending` before, `none` if it never will be. */
  status: string;
}

export interface RecordFilter {
  readonly command?: string | undefined;
  readonly lid?: number | undefined;
  readonly hostnqn?: string | undefined;
  readonly connection?: number | undefined;
  /** Only records with a higher seq. */
  readonly after?: number | undefined;
}

export function matches(record: CommandRecord, filter: RecordFilter): boolean {
  return (
    (filter.command === undefined || record.command === filter.command) &&
    (filter.lid === undefined || record.details['lid'] === filter.lid) &&
    (filter.hostnqn === undefined || record.hostnqn === filter.hostnqn) &&
    (filter.connection === undefined || record.connection === filter.connection) &&
    (filter.after === undefined || record.seq > filter.after)
  );
}

/** One record as it goes out over the control socket. */
export function flatten(record: CommandRecord): JsonObject {
  const { details, ...rest } = record;
  return { ...rest, ...details };
}

export class Recorder {
  readonly #limit: number;
  readonly #listeners = new Set<() => void>();
  #records: CommandRecord[] = [];
  #seq = 0;
  #lost = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Records dropped because nobody took them. */
  get lost(): number {
    return this.#lost;
  }

  add(entry: Omit<CommandRecord, 'seq'>): CommandRecord {
    const record: CommandRecord = { seq: ++this.#seq, ...entry };
    this.#records.push(record);
    if (this.#records.length > this.#limit) {
      const excess = this.#records.length - this.#limit;
      this.#records.splice(0, excess);
      this.#lost += excess;
    }
    this.changed();
    return record;
  }

  /** To be called when the status of a record was filled in. */
  changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /** The records that match; unless `keep`, exactly these are removed from the record. */
  take(filter: RecordFilter, keep: boolean): CommandRecord[] {
    const taken = this.#records.filter((record) => matches(record, filter));
    if (!keep) this.#records = this.#records.filter((record) => !matches(record, filter));
    return taken;
  }

  count(filter: RecordFilter): number {
    return this.#records.filter((record) => matches(record, filter)).length;
  }

  /** Calls `listener` after every change until the function returned is called. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
