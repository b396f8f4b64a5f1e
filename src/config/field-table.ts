/**
 * Every field of `controller=` and `exclude=` as data, like the options in option-table.ts: the one
 * truth for reading an entry, for what is said about a mistake in it, and for what describes it.
 */
import type { OptionKind } from './option-kind.ts';
import { OPTIONS, type Daemon } from './option-table.ts';
import { TRANSPORTS } from '../nvme/transport-id.ts';

/** What values a field takes. Those of [Global] too, which a controller may override. */
export type FieldKind =
  | Extract<OptionKind, { readonly kind: 'boolean' | 'integer' | 'choice' }>
  /** An address of the transport, or a host name where the transport has IP addresses. */
  | { readonly kind: 'traddr' }
  /** An address of the transport. */
  | { readonly kind: 'host-traddr' }
  | { readonly kind: 'port' }
  | { readonly kind: 'interface' }
  /** A host's NQN, which is one; a subsystem may have any name. */
  | { readonly kind: 'nqn' }
  | { readonly kind: 'subsystem-nqn' }
  | { readonly kind: 'uuid' }
  | { readonly kind: 'dhchap-secret' };

/** The options that are made of fields. */
export type EntryOption = 'controller' | 'exclude';

export interface FieldDescription {
  /** As it is advertised; in lower case. */
  readonly name: string;
  /** Another name that is as good. */
  readonly alias?: string;
  readonly entries: readonly EntryOption[];
  readonly value: FieldKind;
  /** Whose `controller=` is nothing without it. No field of `exclude=` is. */
  readonly mandatoryFor: readonly Daemon[];
  /** Who decides in a `controller=` without it, for daemons that do without. */
  readonly otherwise: string;
  /** It is an option of [Global] as well: described there, and decided there where it is absent. */
  readonly overrides?: true;
  readonly description: string;
}

const BOTH_ENTRIES: readonly EntryOption[] = ['controller', 'exclude'];
const CONTROLLER_ONLY: readonly EntryOption[] = ['controller'];

const OWN_FIELDS: readonly FieldDescription[] = [
  {
    name: 'transport',
    entries: BOTH_ENTRIES,
    value: { kind: 'choice', words: TRANSPORTS },
    mandatoryFor: ['stafd', 'stacd'],
    otherwise: '',
    description: 'How the controller is reached.',
  },
  {
    name: 'traddr',
    entries: BOTH_ENTRIES,
    value: { kind: 'traddr' },
    mandatoryFor: ['stafd', 'stacd'],
    otherwise: '',
    description: 'Its address.',
  },
  {
    name: 'trsvcid',
    entries: BOTH_ENTRIES,
    value: { kind: 'port' },
    mandatoryFor: [],
    otherwise: '8009 for tcp, 4420 for rdma',
    description: 'The port (tcp, rdma).',
  },
  {
    name: 'nqn',
    alias: 'subsysnqn',
    entries: BOTH_ENTRIES,
    value: { kind: 'subsystem-nqn' },
    mandatoryFor: ['stacd'],
    otherwise: 'the well-known NQN of discovery controllers',
    description: 'The NQN of the subsystem, or of the discovery controller.',
  },
  {
    name: 'host-traddr',
    entries: CONTROLLER_ONLY,
    value: { kind: 'host-traddr' },
    mandatoryFor: [],
    otherwise: 'the routing table decides',
    description: 'The address of this host to connect from. Fibre Channel needs one.',
  },
  {
    name: 'host-iface',
    entries: BOTH_ENTRIES,
    value: { kind: 'interface' },
    mandatoryFor: [],
    otherwise: 'the routing table decides',
    description: 'The interface of this host to connect through (tcp).',
  },
  {
    name: 'host-nqn',
    entries: BOTH_ENTRIES,
    value: { kind: 'nqn' },
    mandatoryFor: [],
    otherwise: 'that of sys.conf',
    description: 'The host NQN to connect with.',
  },
  {
    name: 'host-id',
    entries: CONTROLLER_ONLY,
    value: { kind: 'uuid' },
    mandatoryFor: [],
    otherwise: 'that of sys.conf; with host-nqn, the UUID in it, or else one that is made of it',
    description:
      'The host ID that goes with host-nqn. All connections of a host NQN have the same ID, and no ' +
      'other NQN has it.',
  },
  {
    name: 'dhchap-secret',
    entries: CONTROLLER_ONLY,
    value: { kind: 'dhchap-secret' },
    mandatoryFor: [],
    otherwise: 'the key of sys.conf',
    description: 'The secret that the host proves itself with, to I/O controllers only.',
  },
  {
    name: 'dhchap-ctrl-secret',
    entries: CONTROLLER_ONLY,
    value: { kind: 'dhchap-secret' },
    mandatoryFor: [],
    otherwise: 'the controller need not prove itself',
    description: 'The secret that an I/O controller has to prove itself with.',
  },
];

function isFieldKind(kind: OptionKind): kind is Extract<FieldKind, OptionKind> {
  return kind.kind === 'boolean' || kind.kind === 'integer' || kind.kind === 'choice';
}

/** The options of [Global] that one controller may have otherwise. */
const OVERRIDES: readonly FieldDescription[] = OPTIONS.flatMap(
  ({ description, key, perController, value }) =>
    perController === true && isFieldKind(value)
      ? [
          {
            name: key,
            entries: CONTROLLER_ONLY,
            value,
            mandatoryFor: [],
            otherwise: '[Global] decides',
            overrides: true as const,
            description,
          },
        ]
      : [],
);

const FIELDS: readonly FieldDescription[] = [...OWN_FIELDS, ...OVERRIDES];

/** The fields of an option, in the order in which they are described. */
export function fieldsOf(entry: EntryOption): readonly FieldDescription[] {
  return FIELDS.filter(({ entries }) => entries.includes(entry));
}

/** The field of a name (in lower case), by either of its names; undefined if the option has none. */
export function findField(entry: EntryOption, name: string): FieldDescription | undefined {
  return FIELDS.find(
    (field) => (field.name === name || field.alias === name) && field.entries.includes(entry),
  );
}
