/** The values of `controller=` and `exclude=`: `name=value` fields joined by `;`. */
import type { ConnectOptions } from '../nvme/connect-options.ts';
import { checkHostId } from '../nvme/host-id.ts';
import { checkInterfaceName, parseIpAddress } from '../nvme/ip-address.ts';
import { checkNqn, checkSubsystemNqn } from '../nvme/nqn.ts';
import { Secret } from '../nvme/secret.ts';
import {
  checkHostName,
  checkHostTraddr,
  checkTraddr,
  checkTrsvcid,
} from '../nvme/transport-address.ts';
import {
  makeTid,
  TRANSPORTS,
  WELL_KNOWN_DISCOVERY_NQN,
  type Transport,
  type TransportId,
} from '../nvme/transport-id.ts';
import { readConnectOption } from './connect-option.ts';
import { checkDhchapSecret, checkNoSecret } from './dhchap-secret.ts';
import {
  fieldsOf,
  findField,
  type EntryOption,
  type FieldDescription,
  type FieldKind,
} from './field-table.ts';
import type { Daemon } from './option-table.ts';
import { allowedText } from './option-value.ts';
import type { Place } from './problem.ts';

/** A controller of the file. Its traddr may be a host name; its hostNqn is empty if not given. */
export interface ConfiguredController extends Place {
  readonly tid: TransportId;
  /** What the entry itself says: it goes before [Global]. */
  readonly options: ConnectOptions;
  /** Of the connection, beside its host NQN; empty if the entry names none: see withHostIds. */
  readonly hostId: string;
}

/** Fields that a controller must all agree with to be excluded; at least one is there. */
export interface Exclude extends Place {
  readonly transport?: Transport;
  readonly traddr?: string;
  readonly trsvcid?: string;
  readonly subsysnqn?: string;
  readonly hostIface?: string;
  readonly hostNqn?: string;
}

/** Something to say about one field, or about the whole entry where `field` is absent. */
export interface FieldNote {
  readonly severity: 'error' | 'warning';
  readonly field?: string;
  readonly value?: string;
  readonly message: string;
  readonly allowed?: string;
  readonly effect: string;
}

export type ReportNote = (note: FieldNote) => void;

/** More than every field at its longest: what is longer is no controller. */
const MAX_ENTRY_LENGTH = 8192;

const SKIPPED = 'the field is skipped';
const CONTROLLER_SKIPPED = 'the controller is skipped';
const EXCLUDE_SKIPPED = 'the entry excludes nothing';

function isTransport(text: string): text is Transport {
  return (TRANSPORTS as readonly string[]).includes(text);
}

interface SplitEntry {
  readonly fields: Map<string, string>;
  /** Whether something in it is no field. */
  readonly malformed: boolean;
}

/**
 * Splits an entry into fields; the last one of a name counts. Only the first `=` divides a field:
 * the base64 of a secret ends in others.
 */
function splitFields(text: string, effect: string, report: ReportNote): SplitEntry {
  const fields = new Map<string, string>();
  let malformed = false;
  if (text.length > MAX_ENTRY_LENGTH) {
    report({ severity: 'error', message: `is longer than ${MAX_ENTRY_LENGTH} characters`, effect });
    return { fields, malformed: true };
  }
  for (const token of text.split(';')) {
    const field = token.trim();
    if (field === '') continue;
    const equals = field.indexOf('=');
    if (equals <= 0) {
      const message = 'is not of the form name=value';
      report({ severity: 'error', value: field, message, effect });
      malformed = true;
      continue;
    }
    const written = field.slice(0, equals).trim().toLowerCase();
    const name = findField('controller', written)?.name ?? written;
    if (fields.has(name)) {
      const message = 'is given more than once';
      report({ severity: 'warning', field: name, message, effect: 'the last one counts' });
    }
    fields.set(name, field.slice(equals + 1).trim());
  }
  return { fields, malformed };
}

/** Why a text is neither an address of the transport nor a name to be resolved to one. */
function checkConfiguredTraddr(transport: Transport, traddr: string): string | undefined {
  const mayBeName = transport === 'tcp' || transport === 'rdma';
  if (!mayBeName || parseIpAddress(traddr) !== undefined || /[:[\]%]/.test(traddr)) {
    return checkTraddr(transport, traddr);
  }
  return checkHostName(traddr);
}

/**
 * Why the text of a field is not one of its kind, or undefined. Without a transport, as in
 * `exclude=`, an address may be that of any but loop: loop's are any words, and no mistake in one
 * would be found.
 */
function checkField(
  kind: FieldKind,
  transport: Transport | undefined,
  text: string,
): string | undefined {
  const secret = kind.kind === 'dhchap-secret' ? undefined : checkNoSecret(text);
  if (secret !== undefined) return secret;
  switch (kind.kind) {
    case 'choice':
      return kind.words.includes(text) ? undefined : 'is not one of the words';
    case 'traddr': {
      const candidates = transport === undefined ? (['tcp', 'fc'] as const) : [transport];
      const reasons = candidates.map((candidate) => checkConfiguredTraddr(candidate, text));
      return reasons.includes(undefined) ? undefined : reasons[0];
    }
    case 'host-traddr':
      return checkHostTraddr(transport ?? 'tcp', text);
    case 'port':
      return checkTrsvcid(transport ?? 'tcp', text);
    case 'interface':
      return checkInterfaceName(text);
    case 'nqn':
      return checkNqn(text);
    case 'subsystem-nqn':
      return checkSubsystemNqn(text);
    case 'uuid':
      return checkHostId(text);
    case 'dhchap-secret':
      return checkDhchapSecret(text);
    case 'boolean':
    case 'integer':
      // Read by readConnectOption, which says what is wrong.
      return undefined;
  }
}

/** Why a field cannot be used; undefined if it can. */
function fieldFault(
  entry: EntryOption,
  description: FieldDescription | undefined,
  transport: Transport | undefined,
  text: string,
): Pick<FieldNote, 'message' | 'allowed'> | undefined {
  if (description === undefined) {
    const allowed = fieldsOf(entry)
      .map(({ name }) => name)
      .join(', ');
    return { message: `is not a field of ${entry}`, allowed };
  }
  const message = checkField(description.value, transport, text);
  return message === undefined ? undefined : { message, allowed: allowedText(description.value) };
}

function readOptions(fields: ReadonlyMap<string, string>, report: ReportNote): ConnectOptions {
  let options: ConnectOptions = {};
  for (const [field, value] of fields) {
    const read = readConnectOption(field, value);
    if (read === undefined) continue;
    if (read.ok) options = { ...options, ...read.value };
    else report({ severity: 'error', field, value, ...read.fault, effect: '[Global] decides' });
  }
  const secret = fields.get('dhchap-secret');
  const ctrlSecret = fields.get('dhchap-ctrl-secret');
  return Object.freeze({
    ...options,
    ...(secret === undefined ? {} : { dhchapSecret: new Secret(secret) }),
    ...(ctrlSecret === undefined ? {} : { dhchapCtrlSecret: new Secret(ctrlSecret) }),
  });
}

/**
 * Reads one `controller=` value; undefined if it names no controller. Malformed fields are reported
 * and skipped; without its mandatory fields the controller is.
 */
export function readController(
  daemon: Daemon,
  text: string,
  place: Place,
  report: ReportNote,
): ConfiguredController | undefined {
  const { fields } = splitFields(text, SKIPPED, report);
  const transportText = fields.get('transport') ?? '';
  const transport = isTransport(transportText) ? transportText : undefined;
  const refused = new Set<string>();
  for (const [field, value] of [...fields]) {
    const description = findField('controller', field);
    const fault = fieldFault('controller', description, transport, value);
    if (fault === undefined) continue;
    fields.delete(field);
    refused.add(field);
    const mandatory = description?.mandatoryFor.includes(daemon) === true;
    const effect = mandatory ? CONTROLLER_SKIPPED : SKIPPED;
    report({ severity: 'error', field, value, ...fault, effect });
  }
  for (const { mandatoryFor, name } of fieldsOf('controller')) {
    if (fields.has(name) || refused.has(name) || !mandatoryFor.includes(daemon)) continue;
    report({ severity: 'error', message: `has no ${name}`, effect: CONTROLLER_SKIPPED });
    refused.add(name);
  }
  const traddr = fields.get('traddr');
  const subsysnqn =
    fields.get('nqn') ?? (daemon === 'stafd' ? WELL_KNOWN_DISCOVERY_NQN : undefined);
  if (transport === undefined || traddr === undefined || subsysnqn === undefined) return undefined;

  const tid = makeTid({
    transport,
    traddr,
    trsvcid: fields.get('trsvcid') ?? '',
    subsysnqn,
    hostTraddr: fields.get('host-traddr') ?? '',
    hostIface: fields.get('host-iface') ?? '',
    hostNqn: fields.get('host-nqn') ?? '',
  });
  return Object.freeze({
    tid,
    options: readOptions(fields, report),
    hostId: fields.get('host-id') ?? '',
    ...place,
  });
}

/**
 * Reads one `exclude=` value; undefined if it excludes nothing. An entry with a mistake excludes
 * nothing at all: without the mistaken field it would exclude more than was meant. A host-traddr,
 * which is no mistake of form, is passed over with a warning, as nvme-stas passes it over.
 */
export function readExclude(text: string, place: Place, report: ReportNote): Exclude | undefined {
  const { fields, malformed } = splitFields(text, EXCLUDE_SKIPPED, report);
  let usable = !malformed;
  if (fields.delete('host-traddr')) {
    const message = 'does not apply to exclude';
    report({ severity: 'warning', field: 'host-traddr', message, effect: SKIPPED });
  }
  const transportText = fields.get('transport') ?? '';
  const transport = isTransport(transportText) ? transportText : undefined;
  for (const [field, value] of fields) {
    const fault = fieldFault('exclude', findField('exclude', field), transport, value);
    if (fault === undefined) continue;
    usable = false;
    report({ severity: 'error', field, value, ...fault, effect: EXCLUDE_SKIPPED });
  }
  if (!usable) return undefined;
  if (fields.size === 0) {
    report({ severity: 'warning', message: 'names no field', effect: EXCLUDE_SKIPPED });
    return undefined;
  }
  const pick = <K extends string>(member: K, field: string): Partial<Record<K, string>> => {
    const value = fields.get(field);
    return value === undefined ? {} : ({ [member]: value } as Record<K, string>);
  };
  return Object.freeze({
    ...(transport === undefined ? {} : { transport }),
    ...pick('traddr', 'traddr'),
    ...pick('trsvcid', 'trsvcid'),
    ...pick('subsysnqn', 'nqn'),
    ...pick('hostIface', 'host-iface'),
    ...pick('hostNqn', 'host-nqn'),
    ...place,
  });
}
