/** A daemon's D-Bus side with whatever data a test gives it: no daemon behind. */
import stacXml from '../../../dbus/org.nvmexpress.stac.xml';
import stafXml from '../../../dbus/org.nvmexpress.staf.xml';
import type { Tool } from '../../../src/ctl/tools.ts';
import { BusVariant, type Bus } from '../../../src/ports/bus.ts';

export type Dictionary = Readonly<Record<string, string>>;

export interface StandInController {
  /** What list_controllers(false) says. */
  readonly plain: Dictionary;
  /** What list_controllers(true) adds. */
  readonly details?: Dictionary;
  /** Absent: its log is not known. */
  readonly logPages?: readonly Dictionary[];
}

/** What `explain` answers, in plain values. */
export interface StandInExplanation {
  readonly controllers: readonly Readonly<Record<string, unknown>>[];
  readonly absent: readonly Readonly<Record<string, unknown>>[];
  readonly notes: readonly string[];
}

export interface StandInState {
  explanation?: StandInExplanation;
  /** What `metrics` answers. */
  readonly families?: readonly Readonly<Record<string, BusVariant>>[];
  readonly controllers: readonly StandInController[];
  readonly processInfo: Readonly<Record<string, unknown>>;
  /** What preview_reload answers, and what it was last asked with. */
  readonly preview?: string;
  previewedWith?: readonly unknown[];
  tron: boolean;
  /** Like another stafd, it does not tell what it knows of the logs. */
  readonly stateless?: boolean;
}

function tid(controller: Dictionary): string {
  const fields = ['transport', 'traddr', 'trsvcid', 'subsysnqn'];
  return JSON.stringify(
    [...fields, 'host-traddr', 'host-iface', 'host-nqn'].map((field) => controller[field]),
  );
}

/** The types that the interface gives to the values of a row. */
function variants(row: Readonly<Record<string, unknown>>): Readonly<Record<string, BusVariant>> {
  const signature = (key: string, value: unknown): string =>
    Array.isArray(value) ? 'as' : typeof value === 'string' ? 's' : key === 'attempts' ? 'u' : 'd';
  return Object.fromEntries(
    Object.entries(row).map(([key, value]) => [key, new BusVariant(signature(key, value), value)]),
  );
}

/** Publishes the state as the daemon of `tool` would, and takes its name. */
export async function standIn(bus: Bus, tool: Tool, state: StandInState): Promise<void> {
  const { interfaceName: main, debugInterface: debug } = tool;
  const described = (controller: StandInController, detailed: boolean): Dictionary =>
    detailed ? { ...controller.plain, ...controller.details } : controller.plain;
  const find = (wanted: readonly string[]): StandInController | undefined =>
    state.controllers.find(({ plain }) => tid(plain) === JSON.stringify(wanted));
  const discovery = {
    [`${main}.get_log_pages`]: (...wanted: string[]) => [find(wanted)?.logPages ?? []],
    [`${main}.get_all_log_pages`]: (detailed: boolean) => [
      JSON.stringify(
        state.controllers.map((controller) => ({
          'discovery-controller': described(controller, detailed),
          'log-pages': controller.logPages ?? [],
        })),
      ),
    ],
    [`${main}.v1.get_discovery_state`]: () => {
      if (state.stateless === true) throw new Error('no such method');
      const controllers = state.controllers.map((controller) => ({
        'discovery-controller': described(controller, false),
        log:
          controller.logPages === undefined
            ? { state: 'unknown', why: 'it was not read yet' }
            : { state: 'known', generation: '1', fresh: true },
      }));
      return [JSON.stringify({ version: 1, settled: true, controllers })];
    },
    [`${main}.v1.read_logs_again`]: () => [],
  };
  bus.export({
    path: tool.path,
    introspectionXml: tool.hasLogPages ? stafXml : stacXml,
    methods: {
      [`${main}.list_controllers`]: (detailed: boolean) => [
        state.controllers.map((controller) => described(controller, detailed)),
      ],
      [`${main}.v1.list_controllers`]: () => [(state.explanation?.controllers ?? []).map(variants)],
      [`${main}.v1.explain`]: () => {
        const { absent = [], controllers = [], notes = [] } = state.explanation ?? {};
        return [controllers.map(variants), absent.map(variants), notes];
      },
      [`${main}.v1.metrics`]: () => [state.families ?? []],
      [`${main}.v1.preview_reload`]: (...args: unknown[]) => {
        state.previewedWith = args;
        return [state.preview ?? '{}'];
      },
      [`${debug}.process_info`]: () => [JSON.stringify(state.processInfo)],
      [`${debug}.controller_info`]: (...wanted: string[]) => {
        const found = find(wanted);
        return [JSON.stringify(found === undefined ? {} : described(found, true))];
      },
      ...(tool.hasLogPages ? discovery : {}),
    },
    properties: {
      [`${debug}.tron`]: { get: () => state.tron, set: (on: boolean) => void (state.tron = on) },
      [`${debug}.log_level`]: { get: () => (state.tron ? 'DEBUG' : 'INFO') },
    },
  });
  await bus.requestName(tool.busName);
}
