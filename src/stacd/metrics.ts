/** What stacd counts besides what both daemons do; see runtime/service-metrics.ts. */
import { gauge, type Family } from '../core/metrics.ts';
import { family } from '../runtime/service-metrics.ts';
import type { EventLatency } from './event-latency.ts';

export interface StacdFigures {
  /** What stafd says is known. */
  readonly stafdAnswers: boolean;
  /** Removals that are held back. */
  readonly heldBack: number;
  readonly latency: EventLatency;
}

export function stacdFamilies({
  heldBack,
  latency,
  stafdAnswers,
}: StacdFigures): readonly Family[] {
  return [
    family(
      {
        name: 'nvme_stas_stafd_answers',
        type: 'gauge',
        help: 'Whether it is known what stafd says: 1 or 0.',
      },
      gauge(stafdAnswers ? 1 : 0),
    ),
    family(
      {
        name: 'nvme_stas_removals_held_back',
        type: 'gauge',
        help: 'Connections that are to be dropped and are held until that is confirmed.',
      },
      gauge(heldBack),
    ),
    family(
      {
        name: 'nvme_stas_event_to_connected_seconds',
        type: 'histogram',
        help: 'From the event (AEN) that a discovery log changed, as stafd heard it, to the connection of what the log lists since then.',
      },
      latency.samples(),
    ),
  ];
}
