/**
 * What can be set about one simulated controller, at start and while it runs. Every member has a
 * default, so that a test says only what it is about.
 */
import { asArray, asHex, asInteger, asU64, Fields, InputError, isObject, without } from './json.ts';
import type { JsonObject } from './json.ts';
import { readTextField } from './text.ts';

export const WELL_KNOWN_NQN = 'nqn.2014-08.org.nvmexpress.discovery';

/** Bytes put over an otherwise right data structure. */
export interface Patch {
  readonly offset: number;
  readonly bytes: Buffer;
}

export interface Settings {
  /** Discovery Controller Type: 0 none, 1 DDC, 2 CDC (TP8010). */
  readonly dctype: number;
  /** The NQN that Identify returns: the well-known one, or a unique one (TP8013). */
  readonly subnqn: string;
  /** Whether Connect to the well-known NQN is accepted when subnqn is a unique one. */
  readonly wellKnown: boolean;
  /** Whether log page 00h exists. */
  readonly supportedLogPages: boolean;
  /** Whether PLEO is supported, and said to be so in log page 00h. */
  readonly pleo: boolean;
  /** Identify text fields, as they go on the wire. */
  readonly model: Buffer;
  readonly serial: Buffer;
  readonly firmware: Buffer;
  readonly ieee: number;
  /** VS and VER: 0x00020100 is 2.1.0. */
  readonly version: number;
  /** Keep alive granularity, 100 ms units; 0: no keep alive. */
  readonly kas: number;
  /** Power of two of 4 KiB; 0: no limit. */
  readonly mdts: number;
  readonly maxcmd: number;
  /** 0's based. */
  readonly aerl: number;
  /** Controller attributes; bit 6 is traffic based keep alive. */
  readonly ctratt: number;
  /** 0's based, MQES of CAP. */
  readonly mqes: number;
  readonly identifyPatch: readonly Patch[];
  /** Digests that are agreed to when the host asks for them. */
  readonly headerDigest: boolean;
  readonly dataDigest: boolean;
  /** Spare the response capsule: SUCCESS in the last C2HData. */
  readonly successFlag: boolean;
  /** Bytes of one C2HData PDU. */
  readonly maxC2hData: number;
  /** Close the connection of a host that lets its keep alive expire. */
  readonly enforceKato: boolean;
  /** Announce a change of the discovery log in OAES, and send the event. */
  readonly aen: boolean;
  /** Hold an event back until the host read the log with RAE cleared (clause 5.1.2). */
  readonly aenMasking: boolean;
  /** What the log page says instead of the truth. */
  readonly numrec: bigint | null;
  readonly genctr: bigint | null;
  readonly recfmt: number;
  readonly logPatch: readonly Patch[];
  /** Move the generation counter after this many further reads of the log; -1: after every one. */
  readonly bumpReads: number;
}

const DCTYPE = { none: 0, ddc: 1, cdc: 2 } as const;
const U32 = 0xffffffff;

export const DEFAULTS: JsonObject = {
  dctype: 'none',
  subnqn: WELL_KNOWN_NQN,
  model: 'Simulated Discovery Controller',
  serial: 'SIM0000001',
  firmware: '1.0',
};

function readPatches(value: unknown, path: string): Patch[] {
  return asArray(value, path).map((item, index) => {
    const fields = new Fields(item, `${path}[${String(index)}]`);
    const offset = asInteger(fields.raw('offset'), fields.where('offset'), 0, U32);
    const bytes = asHex(fields.raw('hex'), fields.where('hex'));
    fields.done();
    return { offset, bytes };
  });
}

function orNull<T>(read: (value: unknown, path: string) => T) {
  return (value: unknown, path: string): T | null => (value === null ? null : read(value, path));
}

function text(fields: Fields, name: string, size: number): Buffer {
  return readTextField(fields.raw(name), fields.where(name), size, 'space');
}

/** Takes the settings from `fields`, with the defaults for what is not there. @throws InputError */
function takeSettings(fields: Fields): Settings {
  const subnqn = fields.string('subnqn');
  if (Buffer.byteLength(subnqn) > 223) {
    throw new InputError(fields.where('subnqn'), 'is longer than 223 bytes');
  }
  return {
    dctype: fields.choice('dctype', DCTYPE, 0, 255),
    subnqn,
    wellKnown: fields.boolean('wellKnown', true),
    supportedLogPages: fields.boolean('supportedLogPages', true),
    pleo: fields.boolean('pleo', false),
    model: text(fields, 'model', 40),
    serial: text(fields, 'serial', 20),
    firmware: text(fields, 'firmware', 8),
    ieee: fields.integer('ieee', 0, 0, 0xffffff),
    version: fields.integer('version', 0x00020100, 0, U32),
    kas: fields.integer('kas', 10, 0, 0xffff),
    mdts: fields.integer('mdts', 0, 0, 255),
    maxcmd: fields.integer('maxcmd', 128, 0, 0xffff),
    aerl: fields.integer('aerl', 3, 0, 255),
    ctratt: fields.integer('ctratt', 0, 0, U32),
    mqes: fields.integer('mqes', 127, 1, 0xffff),
    identifyPatch: fields.optional('identifyPatch', readPatches) ?? [],
    headerDigest: fields.boolean('headerDigest', true),
    dataDigest: fields.boolean('dataDigest', true),
    successFlag: fields.boolean('successFlag', true),
    maxC2hData: fields.integer('maxC2hData', 0x20000, 4, 0x100000),
    enforceKato: fields.boolean('enforceKato', true),
    aen: fields.boolean('aen', true),
    aenMasking: fields.boolean('aenMasking', true),
    numrec: fields.optional('numrec', orNull(asU64)) ?? null,
    genctr: fields.optional('genctr', orNull(asU64)) ?? null,
    recfmt: fields.integer('recfmt', 0, 0, 0xffff),
    logPatch: fields.optional('logPatch', readPatches) ?? [],
    bumpReads: fields.integer('bumpReads', 0, -1, U32),
  };
}

/** Settings with the JSON that they came from, which a later change is laid over. */
export interface ScriptedSettings {
  readonly settings: Settings;
  readonly source: JsonObject;
}

/** Lays `change` over `base` and reads the result. Unknown members are refused. @throws InputError */
export function readSettings(base: JsonObject, change: unknown, path: string): ScriptedSettings {
  if (!isObject(change)) throw new InputError(path, 'is not an object');
  const source = { ...base, ...change };
  const fields = new Fields(source, path);
  const settings = takeSettings(fields);
  fields.done();
  return { settings, source };
}

/** Where a controller listens. `port` 0 takes a free one. `portid` is what PLEO selects by. */
export interface Listen {
  readonly address: string;
  readonly port: number;
  readonly portid: number;
}

export interface ControllerConfig {
  readonly name: string;
  readonly listen: readonly Listen[];
  readonly listening: boolean;
  readonly entries: readonly unknown[];
  readonly settings: ScriptedSettings;
  /** Commands kept in the record; the oldest go first. */
  readonly recordLimit: number;
}

/**
 * One controller of the configuration file or of `add-controller`: name, listen, listening,
 * entries, recordLimit, and any setting. @throws InputError
 */
export function readController(value: unknown, path: string): ControllerConfig {
  const fields = new Fields(value, path);
  const name = fields.string('name');
  if (name === '') throw new InputError(fields.where('name'), 'is empty');
  const listen = asArray(fields.raw('listen'), fields.where('listen')).map((item, index) => {
    const at = new Fields(item, `${fields.where('listen')}[${String(index)}]`);
    const result = {
      address: at.string('address'),
      port: at.integer('port', 8009, 0, 0xffff),
      portid: at.integer('portid', 1, 0, 0xffff),
    };
    at.done();
    return result;
  });
  const listening = fields.boolean('listening', true);
  const entries = fields.optional('entries', asArray) ?? [];
  const recordLimit = fields.integer('recordLimit', 20_000, 1, 1_000_000);
  const own = ['name', 'listen', 'listening', 'entries', 'recordLimit'];
  const rest = without(fields.object, own);
  const settings = readSettings(DEFAULTS, rest, path);
  return { name, listen, listening, entries, settings, recordLimit };
}

/** The configuration file: `{"controllers": […]}`, names unique. @throws InputError */
export function readConfig(value: unknown): readonly ControllerConfig[] {
  const fields = new Fields(value, '');
  const controllers = asArray(fields.raw('controllers'), 'controllers').map((item, index) =>
    readController(item, `controllers[${String(index)}]`),
  );
  fields.done();
  const names = new Set(controllers.map(({ name }) => name));
  if (names.size !== controllers.length) {
    throw new InputError('controllers', 'two controllers have the same name');
  }
  return controllers;
}
