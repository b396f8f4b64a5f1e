/** Options of one connection, as [Global] and the fields of `controller=` write them. */
import type { ConnectOptions } from '../nvme/connect-options.ts';
import type { Secret } from '../nvme/secret.ts';
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

/** An option that has another value; null where it has none, and another decides. */
export interface OptionChange {
  /** As the files name it. */
  readonly option: string;
  readonly from: string | null;
  readonly to: string | null;
}

/** What differs in effect, in the words of the files. Of a secret, that it does. */
export function changedOptions(from: ConnectOptions, to: ConnectOptions): readonly OptionChange[] {
  const changes: (OptionChange | undefined)[] = [];
  for (const [option, member] of BOOLEANS) {
    // Each of them is a flag: what is not set is false.
    const [before, after] = [from[member] ?? false, to[member] ?? false];
    changes.push(changed(option, String(before), String(after)));
  }
  for (const [option, member] of NUMBERS) {
    changes.push(changed(option, words(from[member]), words(to[member])));
  }
  changes.push(
    changedSecret('dhchap-secret', from.dhchapSecret, to.dhchapSecret),
    changedSecret('dhchap-ctrl-secret', from.dhchapCtrlSecret, to.dhchapCtrlSecret),
  );
  return changes.filter((change) => change !== undefined);
}

function words(value: number | undefined): string | null {
  return value === undefined ? null : String(value);
}

function changed(option: string, from: string | null, to: string | null): OptionChange | undefined {
  return from === to ? undefined : { option, from, to };
}

/** That there is another secret, and not a word about which. */
export function changedSecret(
  option: string,
  from: Secret | undefined,
  to: Secret | undefined,
): OptionChange | undefined {
  const same = from === undefined || to === undefined ? from === to : from.equals(to);
  if (same) return undefined;
  const other = from === undefined ? 'a secret' : 'another secret';
  return {
    option,
    from: from === undefined ? null : 'a secret',
    to: to === undefined ? null : other,
  };
}
