/**
 * What both daemons count, and how it is told: `metrics` of the interfaces of version 1. Names,
 * labels and what they mean are public; docs/metrics.md has them for people.
 *
 * Invariant: labels hold only words of this program, codes and versions, never a text of a network.
 */
import { STATES, standing } from '../core/standing.ts';
import type { Report } from '../core/controller-model.ts';
import {
  Counter,
  countByWord,
  gauge,
  type Family,
  type MetricType,
  type Sample,
} from '../core/metrics.ts';
import { BusVariant } from '../ports/bus.ts';
import type { ControllerRecord } from './controller-set.ts';
import { ABSENCE_RULES, type Absence, type Row } from './explain.ts';
import type { ProcessFacts } from './process-info.ts';

/** What a family is besides its samples. */
export interface FamilyHead {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
}

export function family(head: FamilyHead, samples: readonly Sample[]): Family {
  return { ...head, samples };
}

/** What of a service is looked at when somebody asks. */
export interface CommonPicture {
  readonly controllers: { all(): readonly ControllerRecord<unknown>[] };
  readonly queueLength: number;
}

export class ServiceMetrics {
  readonly #connects = new Counter(['how'], [['made'], ['taken-over']]);
  readonly #connectFailures = new Counter(['stage', 'reason']);
  readonly #losses = new Counter(['how'], [['interrupted'], ['removed']]);
  readonly #disconnects = new Counter([], [[]]);
  readonly #disconnectFailures = new Counter(['reason']);
  readonly #commandFailures = new Counter(['command', 'reason']);
  readonly #logReads = new Counter([], [[]]);
  readonly #resyncs = new Counter([], [[]]);

  /** Something that is told to the operator, too. */
  note(report: Report): void {
    switch (report.kind) {
      case 'connected':
        this.#connects.add([report.adopted ? 'taken-over' : 'made']);
        return;
      case 'connect-failed':
      case 'held':
        this.#connectFailures.add([report.stage, report.error.code]);
        return;
      case 'lost':
        this.#losses.add(['removed']);
        return;
      case 'interrupted':
        this.#losses.add(['interrupted']);
        return;
      case 'restored':
        if (!report.noticed) this.#losses.add(['interrupted']);
        return;
      case 'op-failed':
      case 'op-refused':
        this.#commandFailures.add([report.op, report.error.code]);
        return;
      case 'disconnected':
        this.disconnected();
        return;
      case 'disconnect-failed':
        this.disconnectFailed(report.error.code);
        return;
      case 'parting':
      case 'disconnecting':
      case 'spared':
        return;
    }
  }

  disconnected(): void {
    this.#disconnects.add();
  }

  disconnectFailed(reason: string): void {
    this.#disconnectFailures.add([reason]);
  }

  /** A discovery log was read whole. */
  logRead(): void {
    this.#logReads.add();
  }

  /** Uevents were lost. */
  resync(): void {
    this.#resyncs.add();
  }

  /** What every daemon counts; `absent`: why others are not managed. */
  common(
    { controllers, queueLength }: CommonPicture,
    absent: readonly Absence[],
  ): readonly Family[] {
    const rules = absent.map(({ rule }) => rule);
    const states = controllers.all().map(({ driver }) => standing(driver.model, 0).state);
    return [
      family(HEADS.controllers, countByWord('state', STATES, states)),
      family(HEADS.absent, countByWord('rule', ABSENCE_RULES, rules)),
      family(HEADS.queue, gauge(queueLength)),
      family(HEADS.connects, this.#connects.samples()),
      family(HEADS.connectFailures, this.#connectFailures.samples()),
      family(HEADS.losses, this.#losses.samples()),
      family(HEADS.disconnects, this.#disconnects.samples()),
      family(HEADS.disconnectFailures, this.#disconnectFailures.samples()),
      family(HEADS.resyncs, this.#resyncs.samples()),
    ];
  }

  /** What only the daemon of discovery controllers counts. */
  discovery(): readonly Family[] {
    return [
      family(HEADS.logReads, this.#logReads.samples()),
      family(HEADS.commandFailures, this.#commandFailures.samples()),
    ];
  }
}

const HEADS = {
  controllers: {
    name: 'nvme_stas_controllers',
    type: 'gauge',
    help: 'Controllers that the daemon manages, by state.',
  },
  absent: {
    name: 'nvme_stas_controllers_absent',
    type: 'gauge',
    help: 'Controllers that are asked for and not managed, by the rule that holds them back.',
  },
  queue: {
    name: 'nvme_stas_connect_queue_length',
    type: 'gauge',
    help: 'Controllers that wait for their turn with the kernel.',
  },
  connects: {
    name: 'nvme_stas_connects_total',
    type: 'counter',
    help: 'Connections that were made, or found in the kernel and taken over.',
  },
  connectFailures: {
    name: 'nvme_stas_connect_failures_total',
    type: 'counter',
    help: 'Tries to connect that failed, at the probe of the address or in the kernel, by error code.',
  },
  losses: {
    name: 'nvme_stas_connection_losses_total',
    type: 'counter',
    help: 'Connections that were lost and not given up by the daemon.',
  },
  disconnects: {
    name: 'nvme_stas_disconnects_total',
    type: 'counter',
    help: 'Connections that the daemon ended.',
  },
  disconnectFailures: {
    name: 'nvme_stas_disconnect_failures_total',
    type: 'counter',
    help: 'Tries to end a connection that failed, by error code.',
  },
  resyncs: {
    name: 'nvme_stas_uevent_resyncs_total',
    type: 'counter',
    help: 'Times that uevents were lost and everything was looked at anew.',
  },
  logReads: {
    name: 'nvme_stas_log_page_fetches_total',
    type: 'counter',
    help: 'Discovery logs that were read whole.',
  },
  commandFailures: {
    name: 'nvme_stas_discovery_command_failures_total',
    type: 'counter',
    help: 'Commands to discovery controllers that failed, by command and error code.',
  },
  start: {
    name: 'nvme_stas_start_time_seconds',
    type: 'gauge',
    help: 'When the daemon was started, in seconds since 1970: counters begin then.',
  },
  cpu: {
    name: 'nvme_stas_cpu_seconds_total',
    type: 'counter',
    help: 'Processor time that the daemon has used, in seconds.',
  },
  resident: {
    name: 'nvme_stas_resident_memory_bytes',
    type: 'gauge',
    help: 'Resident memory of the daemon, in bytes.',
  },
  heap: {
    name: 'nvme_stas_heap_used_bytes',
    type: 'gauge',
    help: 'What the daemon uses of its JavaScript heap, in bytes.',
  },
  build: {
    name: 'nvme_stas_build_info',
    type: 'gauge',
    help: 'Always 1; the labels name the versions of the daemon and of libnvme.',
  },
} as const satisfies Record<string, FamilyHead>;

function processFamilies({ libnvmeVersion, usage, version }: ProcessFacts): readonly Family[] {
  const { cpuSeconds, heapUsedBytes, residentBytes, startedAt } = usage();
  const build = { suffix: '', labels: { version, libnvme: libnvmeVersion }, value: 1 };
  return [
    family(HEADS.build, [build]),
    family(HEADS.start, gauge(startedAt)),
    family(HEADS.cpu, gauge(cpuSeconds)),
    family(HEADS.resident, gauge(residentBytes)),
    family(HEADS.heap, gauge(heapUsedBytes)),
  ];
}

/** All of them as `metrics` answers, with the label that tells the daemons apart. */
export function metricRows(
  daemon: string,
  families: readonly Family[],
  facts: ProcessFacts,
): readonly Row[] {
  return [...families, ...processFamilies(facts)].map(({ help, name, samples, type }) => ({
    name: new BusVariant('s', name),
    type: new BusVariant('s', type),
    help: new BusVariant('s', help),
    samples: new BusVariant(
      'a(sa{ss}d)',
      samples.map(({ labels, suffix, value }) => [suffix, { daemon, ...labels }, value]),
    ),
  }));
}
