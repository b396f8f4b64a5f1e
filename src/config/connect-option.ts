/** Options of one connection, as [Global] and the fields of `controller=` write them. */
import type { ConnectOptions } from '../nvme/connect-options.ts';
import { GLOBAL, OPTIONS } from './option-table.ts';
import { readBoolean, readInteger, type ReadValue } from './option-value.ts';

type NameOf<T> = {
  [K in keyof ConnectOptions]-?: NonNullable<ConnectOptions[K]> extends T ? K : never;
}[keyof ConnectOptions];

const BOOLEANS: ReadonlyMap<string, NameOf<boolean>> = new Map([
  ['hdr-digest', 'hdrDigest'],
  ['data-digest', 'dataDigest'],
  ['disable-sqflow', 'disableSqflow'],
]);

const NUMBERS: ReadonlyMap<string, NameOf<number>> = new Map([
  ['nr-io-queues', 'nrIoQueues'],
  ['nr-write-queues', 'nrWriteQueues'],
  ['nr-poll-queues', 'nrPollQueues'],
  ['queue-size', 'queueSize'],
  ['kato', 'kato'],
  ['reconnect-delay', 'reconnectDelay'],
  ['ctrl-loss-tmo', 'ctrlLossTmo'],
]);

/** The keys of files, by the members of {@link ConnectOptions}, secrets excepted. */
export function connectOptionKeys(): readonly string[] {
  return [...BOOLEANS.keys(), ...NUMBERS.keys()];
}

/** Reads one option; undefined if `key` is not one of a connection. The value holds just that one. */
export function readConnectOption(
  key: string,
  text: string,
): ReadValue<ConnectOptions> | undefined {
  const boolean = BOOLEANS.get(key);
  if (boolean !== undefined) {
    const read = readBoolean(text);
    return read.ok ? { ok: true, value: { [boolean]: read.value } } : read;
  }
  const number = NUMBERS.get(key);
  if (number === undefined) return undefined;
  const kind = OPTIONS.find((option) => option.section === GLOBAL && option.key === key)?.value;
  if (kind?.kind !== 'integer') return undefined;
  const read = readInteger(kind, text);
  return read.ok ? { ok: true, value: { [number]: read.value } } : read;
}

/** What a controller's own options leave open, [Global] decides. */
export function mergeOptions(global: ConnectOptions, override: ConnectOptions): ConnectOptions {
  return Object.freeze({ ...global, ...override });
}

/**
 * The options as the dictionary of D-Bus and JSON, in the words of the configuration. Secrets are
 * left out: they never leave the process.
 */
export function optionsToDict(options: ConnectOptions): Record<string, string> {
  const dict: Record<string, string> = {};
  for (const [key, member] of BOOLEANS) {
    const value = options[member];
    if (value !== undefined) dict[key] = value ? 'True' : 'False';
  }
  for (const [key, member] of NUMBERS) {
    const value = options[member];
    if (value !== undefined) dict[key] = String(value);
  }
  return dict;
}
