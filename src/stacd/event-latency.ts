/**
 * How long it takes from a DC's word that its log changed, as stafd heard it, until a subsystem that
 * the log lists since then is connected.
 *
 * Invariants:
 * - only what was added by the first pass that saw the events of a DC counts as listed since then;
 *   events of before the first look at a DC are nobody's;
 * - what is waited for is managed: `look` drops the rest.
 */
import type { Answer } from '../core/answer.ts';
import { Histogram, LATENCY_SECONDS, type Sample } from '../core/metrics.ts';
import type { SourceId } from '../core/plan-controllers.ts';
import type { TidKey } from '../nvme/transport-id.ts';
import { logSource, type DiscoveryState } from './plan.ts';

export class EventLatency {
  readonly #histogram = new Histogram(LATENCY_SECONDS);
  /** The number of the last events of each log. */
  #seen: ReadonlyMap<SourceId, number> = new Map();
  /** Logs with new events, and when the first of them was heard, milliseconds. */
  #news: ReadonlyMap<SourceId, number> = new Map();
  /** Controllers that are not connected yet, and since when they are waited for. */
  readonly #waiting = new Map<TidKey, number>();

  /** A pass begins. `managed`: the controllers that there are. */
  look(discovery: Answer<DiscoveryState>, managed: (key: TidKey) => boolean): void {
    for (const key of this.#waiting.keys()) if (!managed(key)) this.#waiting.delete(key);
    this.#news = new Map();
    if (discovery.kind === 'unknown') return;
    const news = new Map<SourceId, number>();
    const seen = new Map<SourceId, number>();
    for (const { events, tid } of discovery.value.controllers) {
      const source = logSource(tid);
      const before = this.#seen.get(source);
      seen.set(source, events?.number ?? 0);
      if (events === undefined || before === undefined || events.number <= before) continue;
      news.set(source, events.heardAt);
    }
    [this.#seen, this.#news] = [seen, news];
  }

  /** In this pass, a controller was added that these ask for. */
  added(key: TidKey, sources: ReadonlySet<SourceId>): void {
    const times = [...sources].flatMap((source) => this.#news.get(source) ?? []);
    // What somebody asks for besides may have been asked for long before.
    if (times.length === 0 || times.length < sources.size) return;
    this.#waiting.set(key, Math.min(...times));
  }

  /** `own`: stacd made the connection; one that it found there says nothing of its own pace. */
  connected(key: TidKey, own: boolean, now: number): void {
    const since = this.#waiting.get(key);
    this.#waiting.delete(key);
    if (since !== undefined && own) this.#histogram.observe((now - since) / 1000);
  }

  samples(): readonly Sample[] {
    return this.#histogram.samples();
  }
}
