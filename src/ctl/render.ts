/** What the commands print, from the daemons' dictionaries. Pure: text in, lines out. */
import type { Dictionary, DiscoveryLogOf, Explanation, MetricFamily } from './daemon.ts';
import { explanationLines, nameOf, namingFields } from './explanation.ts';
import { treeJson, treeLines, type SubsystemTree } from './subsystem-tree.ts';
import {
  byNames,
  CONTROLLER_ORDER,
  duration,
  json,
  paint,
  parseTimer,
  shown,
  table,
  tree,
} from './text.ts';
import type { Cell, Screen, Tone } from './text.ts';
import type { Tool } from './tools.ts';

/** What a request was answered with. */
export type Answer =
  | { readonly kind: 'trace'; readonly on: boolean }
  | {
      readonly kind: 'controllers';
      readonly detailed: boolean;
      readonly list: readonly Dictionary[];
    }
  | ({ readonly kind: 'log' } & Omit<DiscoveryLogOf, 'controller'>)
  | { readonly kind: 'logs'; readonly detailed: boolean; readonly logs: readonly DiscoveryLogOf[] }
  | { readonly kind: 'tree'; readonly tree: SubsystemTree }
  /** `text`: of a program's format, printed as it is. */
  | {
      readonly kind: 'metrics';
      readonly families: readonly MetricFamily[];
      readonly text: string;
    }
  | { readonly kind: 'explanation'; readonly explanation: Explanation }
  | {
      readonly kind: 'status';
      readonly process: Readonly<Record<string, unknown>>;
      readonly controllers: readonly ControllerStatus[];
    };

export interface ControllerStatus {
  readonly controller: Dictionary;
  /** Its log; absent for I/O controllers. */
  readonly entries?: readonly Dictionary[];
  readonly unknown?: string | undefined;
}

/** What a daemon says instead of a device's name while there is none. */
const NO_DEVICE = 'nvme?';

function field(dictionary: Dictionary, name: string): string {
  return dictionary[name] ?? '';
}

function sorted(list: readonly Dictionary[], fields: readonly string[]): readonly Dictionary[] {
  return [...list].sort(byNames(fields, field));
}

const ENTRY_ORDER = ['subtype', 'trtype', 'traddr', 'trsvcid', 'subnqn', 'portid'];

/** The remaining time of a timer, in words; undefined unless it runs. */
function remaining(timer: string): string | undefined {
  const left = parseTimer(timer)?.leftMs;
  return left === undefined ? undefined : duration(left);
}

/** What the kernel says of a device whose connection works. */
const KERNEL_LIVE = 'live';

/**
 * A controller's state in a word or two, from whatever its daemon tells of it: older daemons have
 * neither `state` nor `kernel state`.
 */
export function stateOf(controller: Dictionary): { readonly text: string; readonly tone: Tone } {
  const { connected, device, state } = controller;
  const isConnected =
    connected === undefined
      ? device !== undefined && device !== '' && device !== NO_DEVICE
      : connected.toLowerCase() === 'true';
  if (isConnected) {
    const kernelState = field(controller, 'kernel state');
    if (kernelState === '' || kernelState === KERNEL_LIVE) {
      return { text: 'connected', tone: 'good' };
    }
    // The daemon has its connection, which the kernel lost and tries to make again.
    const text = kernelState === 'connecting' ? 'reconnecting' : kernelState;
    return { text, tone: 'waiting' };
  }
  if (controller['connect operation'] !== undefined) return { text: 'connecting', tone: 'waiting' };
  const poll = remaining(field(controller, 'poll timer'));
  if (poll !== undefined) return { text: `next poll in ${poll}`, tone: 'good' };
  const left = remaining(field(controller, 'retry connect timer'));
  if (left !== undefined) return { text: `retries in ${left}`, tone: 'waiting' };
  return { text: state === undefined || state === '' ? 'not connected' : state, tone: 'bad' };
}

function cell(text: string): Cell {
  return { text: text === '' ? '-' : shown(text) };
}

function controllerRow(controller: Dictionary, fields: readonly string[]): readonly Cell[] {
  const state = stateOf(controller);
  const device = field(controller, 'device');
  return [
    cell(device === NO_DEVICE ? '' : device),
    { text: shown(state.text), tone: state.tone },
    ...fields.map((name) => cell(field(controller, name))),
  ];
}

function headingOf(controller: Dictionary, fields: readonly string[], screen: Screen): string {
  return paint(nameOf(controller, fields), 'heading', screen);
}

const ENTRY_TITLES = ['SUBTYPE', 'TRTYPE', 'TRADDR', 'TRSVCID', 'PORTID', 'SUBNQN'];

function entryLines(
  { entries, unknown }: Omit<DiscoveryLogOf, 'controller'>,
  screen: Screen,
  indent = '',
): readonly string[] {
  if (entries.length === 0) {
    if (unknown === undefined) return [`${indent}no entries`];
    return [`${indent}${unknown === '' ? 'no entries known' : `log not known: ${shown(unknown)}`}`];
  }
  const rows = sorted(entries, ENTRY_ORDER).map((entry) =>
    ['subtype', 'trtype', 'traddr', 'trsvcid', 'portid', 'subnqn'].map((name) =>
      cell(field(entry, name)),
    ),
  );
  return table(ENTRY_TITLES, rows, screen, indent);
}

/** Blocks of lines with an empty line between them. */
function separated(blocks: readonly (readonly string[])[]): readonly string[] {
  return blocks.flatMap((block, index) => (index === 0 ? block : ['', ...block]));
}

function controllersLines(
  tool: Tool,
  list: readonly Dictionary[],
  detailed: boolean,
  screen: Screen,
): readonly string[] {
  if (list.length === 0) return [`no ${tool.controllers}`];
  const ordered = sorted(list, CONTROLLER_ORDER);
  const fields = namingFields(list);
  if (!detailed) {
    const titles = ['DEVICE', 'STATE', ...fields.map((name) => name.toUpperCase())];
    const rows = ordered.map((controller) => controllerRow(controller, fields));
    return table(titles, rows, screen);
  }
  return separated(
    ordered.map((controller) => [
      headingOf(controller, fields, screen),
      ...tree(controller, screen, '  '),
    ]),
  );
}

function logsLines(
  tool: Tool,
  logs: readonly DiscoveryLogOf[],
  detailed: boolean,
  screen: Screen,
): readonly string[] {
  if (logs.length === 0) return [`no ${tool.controllers}`];
  const byController = new Map(logs.map((log) => [log.controller, log]));
  const ordered = sorted([...byController.keys()], CONTROLLER_ORDER);
  const fields = namingFields(ordered);
  return separated(
    ordered.map((controller) => [
      headingOf(controller, fields, screen),
      ...(detailed ? tree(controller, screen, '  ') : []),
      ...entryLines(byController.get(controller) ?? { entries: [] }, screen, '  '),
    ]),
  );
}

function statusLines(
  tool: Tool,
  process: Readonly<Record<string, unknown>>,
  controllers: readonly ControllerStatus[],
  screen: Screen,
): readonly string[] {
  const byController = new Map(controllers.map((status) => [status.controller, status]));
  const ordered = sorted([...byController.keys()], CONTROLLER_ORDER);
  const fields = namingFields(ordered);
  const blocks = ordered.map((controller) => {
    const status = byController.get(controller);
    return [
      headingOf(controller, fields, screen),
      ...tree(controller, screen, '  '),
      ...(status?.entries === undefined
        ? []
        : entryLines({ entries: status.entries, unknown: status.unknown }, screen, '  ')),
    ];
  });
  const none = [`no ${tool.controllers}`];
  return separated([
    [paint(tool.daemon, 'heading', screen), ...tree(process, screen, '  ')],
    ...(blocks.length === 0 ? [none] : blocks),
  ]);
}

/** An answer for people. Ends with a newline. */
export function renderText(tool: Tool, answer: Answer, screen: Screen): string {
  const lines = ((): readonly string[] => {
    switch (answer.kind) {
      case 'trace':
        return [`tron = ${String(answer.on)}`];
      case 'controllers':
        return controllersLines(tool, answer.list, answer.detailed, screen);
      case 'log':
        return entryLines(answer, screen);
      case 'logs':
        return logsLines(tool, answer.logs, answer.detailed, screen);
      case 'tree':
        return treeLines(answer.tree, screen);
      case 'metrics':
        return [answer.text.trimEnd()];
      case 'explanation':
        return explanationLines(tool, answer.explanation, screen);
      case 'status':
        return statusLines(tool, answer.process, answer.controllers, screen);
    }
  })();
  return `${lines.join('\n')}\n`;
}

/** An answer for programs: the daemon's own data and keys, in its own order. Ends with a newline. */
export function renderJson(answer: Answer): string {
  const value = ((): unknown => {
    switch (answer.kind) {
      case 'trace':
        return { tron: answer.on };
      case 'controllers':
        return answer.list;
      case 'log':
        return answer.entries;
      case 'logs':
        return answer.logs.map(({ controller, entries }) => ({
          'discovery-controller': controller,
          'log-pages': entries,
        }));
      case 'tree':
        return treeJson(answer.tree);
      case 'metrics':
        return answer.families;
      case 'explanation':
        return answer.explanation;
      case 'status':
        return {
          ...answer.process,
          controllers: answer.controllers.map(({ controller, entries }) => ({
            ...controller,
            ...(entries !== undefined && { log_pages: entries }),
          })),
        };
    }
  })();
  return `${json(value)}\n`;
}
