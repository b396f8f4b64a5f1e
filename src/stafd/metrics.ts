/** What stafd counts besides what both daemons do; see runtime/service-metrics.ts. */
import { Counter, gauge, Histogram, LATENCY_SECONDS, type Family } from '../core/metrics.ts';
import { family } from '../runtime/service-metrics.ts';

export class StafdMetrics {
  readonly #events = new Counter([], [[]]);
  readonly #refused = new Counter([], [[]]);
  readonly #eventToRead = new Histogram(LATENCY_SECONDS);

  /** A DC said that its log changed. */
  eventHeard(): void {
    this.#events.add();
  }

  /** A log was read that answers events, of which the first was heard so many milliseconds ago. */
  eventAnswered(ms: number): void {
    this.#eventToRead.observe(ms / 1000);
  }

  entriesRefused(count: number): void {
    this.#refused.add([], count);
  }

  families(settled: boolean): readonly Family[] {
    return [
      family(
        {
          name: 'nvme_stas_settled',
          type: 'gauge',
          help: 'Whether all sources of discovery controllers have answered since the start: 1 or 0.',
        },
        gauge(settled ? 1 : 0),
      ),
      family(
        {
          name: 'nvme_stas_log_page_events_total',
          type: 'counter',
          help: 'Events (AEN) by which a discovery controller said that its log changed.',
        },
        this.#events.samples(),
      ),
      family(
        {
          name: 'nvme_stas_log_page_entries_refused_total',
          type: 'counter',
          help: 'Entries of discovery logs that were refused, each time that a log was read.',
        },
        this.#refused.samples(),
      ),
      family(
        {
          name: 'nvme_stas_event_to_log_read_seconds',
          type: 'histogram',
          help: 'From the event (AEN) that a discovery log changed to the log read whole.',
        },
        this.#eventToRead.samples(),
      ),
    ];
  }
}
