/** stafd's object on the bus: dbus/org.nvmexpress.staf.xml is the contract. */
import xml from '../../dbus/org.nvmexpress.staf.xml';
import { entryToDict } from '../nvme/discovery-log.ts';
import { BY_SETTING } from '../core/removal-brake.ts';
import { identityFor } from '../nvme/host-id.ts';
import { tidKey, tidToDict } from '../nvme/transport-id.ts';
import type { Bus, ExportedObject } from '../ports/bus.ts';
import type { Clock } from '../ports/host.ts';
import type { TraceableLog } from '../ports/log.ts';
import {
  asctime,
  controllerDetails,
  controllerId,
  controllerInfo,
  timerText,
} from '../runtime/describe.ts';
import {
  debugProperties,
  processInfo,
  tidOfStrings,
  type ProcessFacts,
  type TidStrings,
} from '../runtime/process-info.ts';
import { previewReload, type PresentFiles } from '../runtime/reload-preview.ts';
import { metricRows } from '../runtime/service-metrics.ts';
import { expiry } from './expiry.ts';
import type { DcRecord, StafdListener } from './service-types.ts';
import type { StafdService } from './service.ts';

export const STAFD_BUS_NAME = 'org.nvmexpress.staf';
const PATH = '/org/nvmexpress/staf';
const MAIN = 'org.nvmexpress.staf';
const DEBUG = 'org.nvmexpress.staf.debug';
const V1 = 'org.nvmexpress.staf.v1';

export interface StafdObjectDeps {
  readonly service: StafdService;
  readonly clock: Clock;
  readonly log: TraceableLog;
  readonly facts: () => ProcessFacts;
  readonly present: () => PresentFiles;
}

/** Tells the bus what changed; the state can be read before the signal is sent. */
export function stafdSignals(bus: Bus): StafdListener {
  return {
    logPagesChanged: (tid, device) => {
      bus.emitSignal(PATH, MAIN, 'log_pages_changed', [
        tid.transport,
        tid.traddr,
        tid.trsvcid,
        tid.subsysnqn,
        tid.hostTraddr,
        tid.hostIface,
        tid.hostNqn,
        device,
      ]);
    },
    dcRemoved: () => {
      bus.emitSignal(PATH, MAIN, 'dc_removed', []);
    },
    discoveryStateChanged: () => {
      bus.emitSignal(PATH, V1, 'discovery_state_changed', []);
    },
    controllersChanged: () => {
      bus.emitSignal(PATH, V1, 'controllers_changed', []);
    },
  };
}

export function stafdObject(deps: StafdObjectDeps): ExportedObject {
  const { clock, log, service } = deps;
  const find = (strings: TidStrings): DcRecord | undefined => {
    const tid = tidOfStrings(strings, service.settings.host);
    if (tid === undefined) return undefined;
    return service.controller(tidKey(tid));
  };
  const describe = (record: DcRecord, detailed: boolean): Record<string, string> =>
    detailed
      ? { ...controllerDetails(record.driver, record.extra.options, clock.now()), ...own(record) }
      : controllerId(record.driver, record.extra.options);
  const own = (record: DcRecord): Record<string, string> => {
    const { origin } = record.extra;
    if (origin !== 'discovered') return { origin };
    const { config } = service.settings;
    const seconds = config.zeroconfPersistence;
    const due = expiry(config, record.extra);
    const remaining = due === undefined ? undefined : due - clock.now();
    const forMs = remaining === undefined ? undefined : seconds * 1000 - remaining;
    return {
      origin,
      'unresponsive timer': timerText(Math.max(0, seconds) * 1000, remaining),
      'unresponsive timeout': seconds < 0 ? 'forever' : `${String(seconds)} sec`,
      'unresponsive time':
        forMs === undefined ? '---' : asctime(new Date(clock.wallTime().getTime() - forMs)),
    };
  };
  const hostId = ({ driver, extra }: DcRecord): string =>
    identityFor(service.settings.host, driver.tid.hostNqn, extra.hostId).hostid;
  const pages = (record: DcRecord): readonly Record<string, string>[] =>
    record.extra.log.kind === 'known' ? record.extra.log.value.entries.map(entryToDict) : [];
  const age = (at: number | undefined): { readonly 'age-ms'?: number } =>
    at === undefined || at === BY_SETTING ? {} : { 'age-ms': Math.ceil(clock.now() - at) };
  const eventOf = ({ extra: { events } }: DcRecord): Record<string, unknown> =>
    events === undefined ? {} : { event: { number: events.number, ...age(events.heardAt) } };
  return {
    path: PATH,
    introspectionXml: xml,
    methods: {
      [`${MAIN}.list_controllers`]: (detailed: boolean) => [
        service.controllers().map((record) => describe(record, detailed)),
      ],
      [`${MAIN}.get_log_pages`]: (...tid: TidStrings) => {
        const record = find(tid);
        return [record === undefined ? [] : pages(record)];
      },
      [`${MAIN}.get_all_log_pages`]: (detailed: boolean) => [
        JSON.stringify(
          service.controllers().map((record) => ({
            'discovery-controller': describe(record, detailed),
            'log-pages': pages(record),
          })),
        ),
      ],
      [`${V1}.list_controllers`]: () => [service.explain().controllers],
      [`${V1}.explain`]: () => {
        const { absent, controllers, notes } = service.explain();
        return [controllers, absent, notes];
      },
      [`${V1}.get_discovery_state`]: () => [
        JSON.stringify({
          version: 1,
          settled: service.settled,
          controllers: service.controllers().map((record) => {
            const { log: answer } = record.extra;
            return {
              'discovery-controller': describe(record, false),
              'host-id': hostId(record),
              log:
                answer.kind === 'known'
                  ? {
                      state: 'known',
                      generation: answer.value.generation,
                      fresh: answer.value.fresh,
                      ...age(record.extra.readAt),
                      ...eventOf(record),
                    }
                  : { state: 'unknown', why: answer.why },
              'log-pages': pages(record),
            };
          }),
          removed: service.removed().map(({ statedAt, tid }) => ({
            'discovery-controller': tidToDict(tid),
            'by-setting': statedAt === BY_SETTING,
            ...age(statedAt),
          })),
        }),
      ],
      [`${V1}.read_logs_again`]: () => {
        service.readLogsAgain();
        return [];
      },
      [`${V1}.metrics`]: () => [metricRows('stafd', service.metrics(), deps.facts())],
      [`${V1}.preview_reload`]: async () => [
        JSON.stringify(await previewReload(deps, (next) => service.preview(next))),
      ],
      [`${DEBUG}.process_info`]: () => [
        JSON.stringify({
          ...processInfo(deps.facts(), log, service.settings.host, service.disposing()),
          'connect queue': service.queueLength,
          nbft: service.bootTables(),
          settled: service.settled,
          avahi: service.mdnsInfo(),
        }),
      ],
      [`${DEBUG}.controller_info`]: (...tid: TidStrings) => {
        const record = find(tid);
        if (record === undefined) return ['{}'];
        const info = controllerInfo(record.driver, record.extra.options, clock.now());
        return [JSON.stringify({ ...info, ...own(record) })];
      },
    },
    properties: debugProperties(DEBUG, log),
  };
}
