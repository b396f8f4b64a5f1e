/** A daemon as the commands see it: its D-Bus interface, with answers checked for their shape. */
import { BusVariant } from '../ports/bus.ts';
import type { Bus } from '../ports/bus.ts';
import type { Tool } from './tools.ts';

/** A controller or a log page entry, as the daemons describe it (aa{ss}). */
export type Dictionary = Readonly<Record<string, string>>;

/** One discovery controller with its log, of get_all_log_pages. */
export interface DiscoveryLogOf {
  readonly controller: Dictionary;
  readonly entries: readonly Dictionary[];
  /** Of one that is not known: why, or nothing if that cannot be told. Absent of one that is. */
  readonly unknown?: string | undefined;
}

/** One controller of the v1 interface: the values of its a{sv}, checked where they are used. */
export type Row = Readonly<Record<string, unknown>>;

/** What a daemon says of how its controllers stand, and of what it does without. */
export interface Explanation {
  readonly controllers: readonly Row[];
  readonly absent: readonly Row[];
  readonly notes: readonly string[];
}

/** What a daemon counts of one thing, in the terms of OpenMetrics. */
export interface MetricFamily {
  /** Of a counter, with its `_total`. */
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly samples: readonly {
    /** What follows the name. */
    readonly suffix: string;
    readonly labels: Dictionary;
    readonly value: number;
  }[];
}

/** The daemon answered with something that its interface does not allow. */
export class UnexpectedAnswer extends Error {
  override readonly name = 'UnexpectedAnswer';
}

/** As long as libdbus waits, so that a daemon that is slow for us is slow for everybody. */
const TIMEOUT_MS = 25_000;

const PROPERTIES = 'org.freedesktop.DBus.Properties';

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function dictionary(value: unknown): Dictionary {
  if (!isObject(value)) throw new UnexpectedAnswer('not a dictionary');
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      typeof item === 'string' ? item : JSON.stringify(item),
    ]),
  );
}

function dictionaries(value: unknown): readonly Dictionary[] {
  if (!Array.isArray(value)) throw new UnexpectedAnswer('not a list');
  return value.map(dictionary);
}

function rows(value: unknown): readonly Row[] {
  if (!Array.isArray(value)) throw new UnexpectedAnswer('not a list');
  return value.map((item: unknown) => {
    if (!isObject(item)) throw new UnexpectedAnswer('not a dictionary');
    return item;
  });
}

const METRIC_NAME = /^[a-z_:][a-z0-9_:]*$/i;
const LABEL_NAME = /^[a-z_][a-z0-9_]*$/i;
const METRIC_TYPES = ['counter', 'gauge', 'histogram'] as const;

function sample(value: unknown): MetricFamily['samples'][number] {
  if (!Array.isArray(value)) throw new UnexpectedAnswer('not a sample');
  const [suffix, given, number] = value as readonly unknown[];
  const labels = dictionary(given);
  const named = Object.keys(labels).every((name) => LABEL_NAME.test(name));
  if (typeof suffix !== 'string' || !/^[a-z_]*$/.test(suffix) || !named) {
    throw new UnexpectedAnswer('not the name of a sample');
  }
  if (typeof number !== 'number') throw new UnexpectedAnswer('not a number');
  return { suffix, labels, value: number };
}

/** Of a type that is not known, of a later version: nothing. */
function metricFamily({ help, name, samples, type: word }: Row): readonly MetricFamily[] {
  if (typeof name !== 'string' || !METRIC_NAME.test(name) || typeof help !== 'string') {
    throw new UnexpectedAnswer('not the name of a metric');
  }
  if (typeof word !== 'string' || !Array.isArray(samples)) {
    throw new UnexpectedAnswer('not a metric');
  }
  const type = METRIC_TYPES.find((known) => known === word);
  return type === undefined ? [] : [{ name, type, help, samples: samples.map(sample) }];
}

function parseJson(value: unknown): unknown {
  try {
    return JSON.parse(String(value));
  } catch (error) {
    throw new UnexpectedAnswer('not JSON', { cause: error });
  }
}

function parseObject(value: unknown): Readonly<Record<string, unknown>> {
  const parsed = parseJson(value);
  if (!isObject(parsed)) throw new UnexpectedAnswer('not an object');
  return parsed;
}

/** The seven strings that name a controller, in the order of the methods that take them. */
function tidOf(controller: Row): readonly string[] {
  return [
    'transport',
    'traddr',
    'trsvcid',
    'subsysnqn',
    'host-traddr',
    'host-iface',
    'host-nqn',
  ].map((field) => {
    const value = controller[field];
    return typeof value === 'string' ? value : '';
  });
}

/** Tells controllers apart. */
export function controllerKey(controller: Row): string {
  return JSON.stringify(tidOf(controller));
}

/** Every method rejects with BusError, or with UnexpectedAnswer. */
export class Daemon {
  readonly #bus: Bus;
  readonly #tool: Tool;

  constructor(bus: Bus, tool: Tool) {
    this.#bus = bus;
    this.#tool = tool;
  }

  async listControllers(detailed: boolean): Promise<readonly Dictionary[]> {
    const { interfaceName } = this.#tool;
    return dictionaries(await this.#call(interfaceName, 'list_controllers', 'b', [detailed]));
  }

  async processInfo(): Promise<Readonly<Record<string, unknown>>> {
    return parseObject(await this.#call(this.#tool.debugInterface, 'process_info', '', []));
  }

  async logPages(controller: Dictionary): Promise<readonly Dictionary[]> {
    const { interfaceName } = this.#tool;
    const tid = tidOf(controller);
    return dictionaries(await this.#call(interfaceName, 'get_log_pages', 'sssssss', tid));
  }

  async allLogPages(detailed: boolean): Promise<readonly DiscoveryLogOf[]> {
    const { interfaceName } = this.#tool;
    const parsed = parseJson(await this.#call(interfaceName, 'get_all_log_pages', 'b', [detailed]));
    if (!Array.isArray(parsed)) throw new UnexpectedAnswer('not a list');
    return parsed.map((item: unknown) => {
      if (!isObject(item)) throw new UnexpectedAnswer('not an object');
      return {
        controller: dictionary(item['discovery-controller']),
        entries: dictionaries(item['log-pages']),
      };
    });
  }

  /** Why stafd does not know the logs that it does not know, by `controllerKey`. */
  async unknownLogs(): Promise<ReadonlyMap<string, string>> {
    const { v1Interface } = this.#tool;
    const answer = parseObject(await this.#call(v1Interface, 'get_discovery_state', '', []));
    return new Map(
      rows(answer['controllers']).flatMap(({ 'discovery-controller': controller, log }) => {
        if (!isObject(log)) throw new UnexpectedAnswer('not an object');
        if (log['state'] !== 'unknown') return [];
        return [[controllerKey(dictionary(controller)), String(log['why'])] as const];
      }),
    );
  }

  async controllers(): Promise<readonly Row[]> {
    return rows(await this.#call(this.#tool.v1Interface, 'list_controllers', '', []));
  }

  async explain(): Promise<Explanation> {
    const [controllers, absent, notes] = await this.#callAll(
      this.#tool.v1Interface,
      'explain',
      '',
      [],
    );
    if (!Array.isArray(notes)) throw new UnexpectedAnswer('not a list');
    return { controllers: rows(controllers), absent: rows(absent), notes: notes.map(String) };
  }

  async metrics(): Promise<readonly MetricFamily[]> {
    return rows(await this.#call(this.#tool.v1Interface, 'metrics', '', [])).flatMap(metricFamily);
  }

  /** What its interface documents; `removedDcs` is for stacd only. */
  async previewReload(removedDcs: readonly Dictionary[]): Promise<unknown> {
    const { daemon, v1Interface } = this.#tool;
    const [signature, args] = daemon === 'stafd' ? ['', []] : ['aa{ss}', [removedDcs]];
    return parseJson(await this.#call(v1Interface, 'preview_reload', signature, args));
  }

  /** Resolves with what the daemon says after the change. */
  async setTracing(on: boolean): Promise<boolean> {
    const { debugInterface } = this.#tool;
    const value = new BusVariant('b', on);
    await this.#call(PROPERTIES, 'Set', 'ssv', [debugInterface, 'tron', value]);
    return (await this.#call(PROPERTIES, 'Get', 'ss', [debugInterface, 'tron'])) === true;
  }

  async #call(
    interfaceName: string,
    member: string,
    inSignature: string,
    args: readonly unknown[],
  ): Promise<unknown> {
    const [answer] = await this.#callAll(interfaceName, member, inSignature, args);
    return answer;
  }

  async #callAll(
    interfaceName: string,
    member: string,
    inSignature: string,
    args: readonly unknown[],
  ): Promise<readonly unknown[]> {
    return this.#bus.call({
      destination: this.#tool.busName,
      path: this.#tool.path,
      interfaceName,
      member,
      inSignature,
      args,
      timeoutMs: TIMEOUT_MS,
    });
  }
}
