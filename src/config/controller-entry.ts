/** The values of `controller=` and `exclude=`: `name=value` fields joined by `;`. */
import type { ConnectOptions } from '../nvme/connect-options.ts';
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
import { checkDhchapSecret, DHCHAP_SECRET_FORM } from './dhchap-secret.ts';
import type { Daemon } from './option-table.ts';

/** A controller of the file. Its traddr may be a host name; its hostNqn is empty if not given. */
export interface ConfiguredController {
  readonly tid: TransportId;
  /** What the entry itself says: it goes before [Global]. */
  readonly options: ConnectOptions;
  readonly line: number;
}

/** Fields that a controller must all agree with to be excluded; at least one is there. */
export interface Exclude {
  readonly transport?: Transport;
  readonly traddr?: string;
  readonly trsvcid?: string;
  readonly subsysnqn?: string;
  readonly hostIface?: string;
  readonly hostNqn?: string;
  readonly line: number;
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
const TRANSPORT_WORDS = TRANSPORTS.join(', ');

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
    let name = field.slice(0, equals).trim().toLowerCase();
    if (name === 'nqn') name = 'subsysnqn';
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

interface FieldRule {
  readonly check: (transport: Transport, text: string) => string | undefined;
  readonly allowed?: string;
}

/** The fields of a transport ID except the transport itself. */
const TID_RULES: ReadonlyMap<string, FieldRule> = new Map<string, FieldRule>([
  [
    'traddr',
    { check: checkConfiguredTraddr, allowed: 'an address of the transport or a host name' },
  ],
  ['trsvcid', { check: checkTrsvcid, allowed: '1 to 65535' }],
  ['subsysnqn', { check: (_, text) => checkSubsystemNqn(text) }],
  ['host-traddr', { check: checkHostTraddr, allowed: 'an address of the transport' }],
  ['host-iface', { check: (_, text) => checkInterfaceName(text) }],
  ['host-nqn', { check: (_, text) => checkNqn(text) }],
]);

const SECRET_FIELDS = ['dhchap-secret', 'dhchap-ctrl-secret'] as const;

function readSecret(
  field: string,
  text: string | undefined,
  report: ReportNote,
): Secret | undefined {
  if (text === undefined) return undefined;
  const reason = checkDhchapSecret(text);
  if (reason === undefined) return new Secret(text);
  report({
    severity: 'error',
    field,
    value: text,
    message: reason,
    allowed: DHCHAP_SECRET_FORM,
    effect: SKIPPED,
  });
  return undefined;
}

function readOptions(fields: ReadonlyMap<string, string>, report: ReportNote): ConnectOptions {
  let options: ConnectOptions = {};
  for (const [field, value] of fields) {
    const read = readConnectOption(field, value);
    if (read === undefined) continue;
    if (read.ok) options = { ...options, ...read.value };
    else report({ severity: 'error', field, value, ...read.fault, effect: '[Global] decides' });
  }
  const [secretField, ctrlSecretField] = SECRET_FIELDS;
  const dhchapSecret = readSecret(secretField, fields.get(secretField), report);
  const dhchapCtrlSecret = readSecret(ctrlSecretField, fields.get(ctrlSecretField), report);
  return Object.freeze({
    ...options,
    ...(dhchapSecret === undefined ? {} : { dhchapSecret }),
    ...(dhchapCtrlSecret === undefined ? {} : { dhchapCtrlSecret }),
  });
}

/**
 * Reads one `controller=` value; undefined if it names no controller. Malformed fields are reported
 * and skipped; without its mandatory fields the controller is.
 */
export function readController(
  daemon: Daemon,
  text: string,
  line: number,
  report: ReportNote,
): ConfiguredController | undefined {
  const { fields } = splitFields(text, SKIPPED, report);
  const missing = (message: string): void => {
    report({ severity: 'error', message, effect: CONTROLLER_SKIPPED });
  };

  const transport = fields.get('transport');
  if (transport === undefined) {
    missing('has no transport');
    return undefined;
  }
  if (!isTransport(transport)) {
    report({
      severity: 'error',
      field: 'transport',
      value: transport,
      message: 'is not a transport',
      allowed: TRANSPORT_WORDS,
      effect: CONTROLLER_SKIPPED,
    });
    return undefined;
  }

  for (const [field, value] of [...fields]) {
    const rule = TID_RULES.get(field);
    const known =
      rule !== undefined ||
      field === 'transport' ||
      (SECRET_FIELDS as readonly string[]).includes(field) ||
      readConnectOption(field, value) !== undefined;
    const message = known ? rule?.check(transport, value) : 'is not a field of a controller';
    if (message === undefined) continue;
    fields.delete(field);
    const note = { severity: 'error', field, value, message, effect: SKIPPED } as const;
    report(rule?.allowed === undefined ? note : { ...note, allowed: rule.allowed });
  }

  const traddr = fields.get('traddr');
  if (traddr === undefined) {
    missing('has no traddr');
    return undefined;
  }
  const subsysnqn =
    fields.get('subsysnqn') ?? (daemon === 'stafd' ? WELL_KNOWN_DISCOVERY_NQN : undefined);
  if (subsysnqn === undefined) {
    missing('has no nqn');
    return undefined;
  }

  const tid = makeTid({
    transport,
    traddr,
    trsvcid: fields.get('trsvcid') ?? '',
    subsysnqn,
    hostTraddr: fields.get('host-traddr') ?? '',
    hostIface: fields.get('host-iface') ?? '',
    hostNqn: fields.get('host-nqn') ?? '',
  });
  return Object.freeze({ tid, options: readOptions(fields, report), line });
}

/**
 * Why a traddr to exclude can match nothing, or undefined. Where no transport is named, loop is not
 * thought of: its addresses are any words, and no mistake would be found.
 */
function checkExcludedTraddr(transport: Transport | undefined, traddr: string): string | undefined {
  const candidates: readonly Transport[] = transport === undefined ? ['tcp', 'fc'] : [transport];
  const reasons = candidates.map((candidate) => checkConfiguredTraddr(candidate, traddr));
  return reasons.includes(undefined) ? undefined : reasons[0];
}

/** Why a field of `exclude=` is not usable, or undefined. */
function checkExcludeField(
  field: string,
  value: string,
  transport: Transport | undefined,
): Pick<FieldNote, 'message' | 'allowed'> | undefined {
  if (field === 'transport') {
    return isTransport(value)
      ? undefined
      : { message: 'is not a transport', allowed: TRANSPORT_WORDS };
  }
  const rule = TID_RULES.get(field);
  if (rule === undefined) {
    return {
      message: 'is not a field of exclude',
      allowed: 'transport, traddr, trsvcid, nqn, host-iface, host-nqn',
    };
  }
  const message =
    field === 'traddr'
      ? checkExcludedTraddr(transport, value)
      : rule.check(transport ?? 'tcp', value);
  if (message === undefined) return undefined;
  return rule.allowed === undefined ? { message } : { message, allowed: rule.allowed };
}

/**
 * Reads one `exclude=` value; undefined if it excludes nothing. An entry with a mistake excludes
 * nothing at all: without the mistaken field it would exclude more than was meant.
 */
export function readExclude(text: string, line: number, report: ReportNote): Exclude | undefined {
  const { fields, malformed } = splitFields(text, EXCLUDE_SKIPPED, report);
  let usable = !malformed;
  if (fields.delete('host-traddr')) {
    const message = 'does not apply to exclude';
    report({ severity: 'warning', field: 'host-traddr', message, effect: SKIPPED });
  }
  const transportText = fields.get('transport') ?? '';
  const transport = isTransport(transportText) ? transportText : undefined;
  for (const [field, value] of fields) {
    const fault = checkExcludeField(field, value, transport);
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
    ...pick('subsysnqn', 'subsysnqn'),
    ...pick('hostIface', 'host-iface'),
    ...pick('hostNqn', 'host-nqn'),
    line,
  });
}
