/** stacd's object on the bus: dbus/org.nvmexpress.stac.xml is the contract. */
import xml from '../../dbus/org.nvmexpress.stac.xml';
import { entryToDict } from '../nvme/discovery-log.ts';
import { tidKey, type TidKey } from '../nvme/transport-id.ts';
import type { Bus, ExportedObject } from '../ports/bus.ts';
import type { Clock } from '../ports/host.ts';
import type { TraceableLog } from '../ports/log.ts';
import { controllerDetails, controllerId, controllerInfo, word } from '../runtime/describe.ts';
import { tidFromDict } from '../runtime/json-checks.ts';
import {
  debugProperties,
  processInfo,
  tidOfStrings,
  type ProcessFacts,
  type TidStrings,
} from '../runtime/process-info.ts';
import { previewReload, type PresentFiles } from '../runtime/reload-preview.ts';
import { metricRows } from '../runtime/service-metrics.ts';
import type { IocRecord, StacdService } from './service.ts';

export const STACD_BUS_NAME = 'org.nvmexpress.stac';
const PATH = '/org/nvmexpress/stac';
const MAIN = 'org.nvmexpress.stac';
const V1 = 'org.nvmexpress.stac.v1';
const DEBUG = 'org.nvmexpress.stac.debug';

export interface StacdObjectDeps {
  readonly service: StacdService;
  readonly clock: Clock;
  readonly log: TraceableLog;
  readonly facts: () => ProcessFacts;
  readonly present: () => PresentFiles;
}

/** Tells the bus that controllers changed; the state can be read before the signal is sent. */
export function stacdSignals(bus: Bus): () => void {
  return () => {
    bus.emitSignal(PATH, V1, 'controllers_changed', []);
  };
}

export function stacdObject(deps: StacdObjectDeps): ExportedObject {
  const { clock, log, service } = deps;
  return {
    path: PATH,
    introspectionXml: xml,
    methods: {
      [`${MAIN}.list_controllers`]: (detailed: boolean) => [
        service.controllers().map((record) =>
          detailed
            ? {
                ...controllerDetails(record.driver, record.extra.options, clock.now()),
                ...own(record),
              }
            : controllerId(record.driver, record.extra.options),
        ),
      ],
      [`${V1}.list_controllers`]: () => [service.explain().controllers],
      [`${V1}.explain`]: () => {
        const { absent, controllers, notes } = service.explain();
        return [controllers, absent, notes];
      },
      [`${V1}.metrics`]: () => [metricRows('stacd', service.metrics(), deps.facts())],
      [`${V1}.preview_reload`]: async (removedDcs: readonly unknown[]) => {
        const removed = tidKeys(removedDcs);
        const preview = await previewReload(deps, (next) => service.preview(next, removed));
        return [JSON.stringify(preview)];
      },
      [`${DEBUG}.process_info`]: () => [
        JSON.stringify({
          ...processInfo(deps.facts(), log, service.settings.host, service.disposing()),
          'connect queue': service.queueLength,
          nbft: service.bootTables(),
          'held back': service.heldBack(),
        }),
      ],
      [`${DEBUG}.controller_info`]: (...strings: TidStrings) => {
        const record = find(service, strings);
        if (record === undefined) return ['{}'];
        const info = controllerInfo(record.driver, record.extra.options, clock.now());
        return [JSON.stringify({ ...info, ...own(record) })];
      },
    },
    properties: debugProperties(DEBUG, log),
  };
}

/** Those of dictionaries that name a controller; nothing follows from others. */
function tidKeys(dicts: readonly unknown[]): ReadonlySet<TidKey> {
  return new Set(
    dicts.flatMap((dict) => {
      const tid = tidFromDict(dict);
      return tid === undefined ? [] : [tidKey(tid)];
    }),
  );
}

function own(record: IocRecord): Record<string, string> {
  const { entry, ncc } = record.extra;
  return {
    dlpe: entry === undefined ? '' : JSON.stringify(entryToDict(entry)),
    'dlpe.eflags.ncc': word(ncc),
    ...(record.keptBecause === undefined ? {} : { 'kept because': record.keptBecause }),
  };
}

function find(service: StacdService, strings: TidStrings): IocRecord | undefined {
  const tid = tidOfStrings(strings, service.settings.host);
  if (tid === undefined) return undefined;
  return service.controller(tidKey(tid));
}
