/**
 * Every option of stafd.conf, stacd.conf and sys.conf as data: the one truth for reading a file,
 * for what is said about a mistake in it, and for the comments of the files that are installed.
 */

import type { OptionKind } from './option-kind.ts';

export type Daemon = 'stafd' | 'stacd';

/** The files in /etc/stas that an option may stand in. */
export type ConfigFile = Daemon | 'sys';

export interface OptionDescription {
  readonly section: string;
  readonly key: string;
  readonly files: readonly ConfigFile[];
  readonly value: OptionKind;
  /** As it would stand in the file; absent where nothing is the default. */
  readonly defaults: Readonly<Partial<Record<ConfigFile, string>>>;
  /** Where {@link defaults} has none: who decides. */
  readonly otherwise?: string;
  /** May also be a field of `controller=`, which then decides for that controller. */
  readonly perController?: boolean;
  /** The name or place that it has now: read, and not advertised. */
  readonly legacyOf?: string;
  readonly description: string;
}

export const GLOBAL = 'Global';
export const SERVICE_DISCOVERY = 'Service Discovery';
export const DC_MANAGEMENT = 'Discovery controller connection management';
export const IOC_MANAGEMENT = 'I/O controller connection management';
export const CONTROLLERS = 'Controllers';
export const HOST = 'Host';

const BOTH: readonly Daemon[] = ['stafd', 'stacd'];
/** What the kernel's option parser reads into an `int`. */
const INT_MAX = 2 ** 31 - 1;
/** Queue identifiers have 16 bits, and 0 is the admin queue. */
const MAX_QUEUES = 65535;
const KERNEL_DECIDES = 'the kernel decides';

function integer(min: number, max: number = INT_MAX): OptionKind {
  return { kind: 'integer', min, max };
}

function seconds(min: number, also?: number): OptionKind {
  const base = { kind: 'integer', min, max: INT_MAX, unit: 'seconds' } as const;
  return also === undefined ? base : { ...base, also };
}

function both(text: string): Readonly<Partial<Record<ConfigFile, string>>> {
  return { stafd: text, stacd: text };
}

export const OPTIONS: readonly OptionDescription[] = [
  {
    section: GLOBAL,
    key: 'tron',
    files: BOTH,
    value: { kind: 'boolean' },
    defaults: both('false'),
    description: 'Trace on: also log what is only of use to somebody who follows a problem.',
  },
  {
    section: GLOBAL,
    key: 'hdr-digest',
    files: BOTH,
    value: { kind: 'boolean' },
    defaults: both('false'),
    perController: true,
    description: 'Protect the headers of NVMe/TCP packets by a CRC32C digest.',
  },
  {
    section: GLOBAL,
    key: 'data-digest',
    files: BOTH,
    value: { kind: 'boolean' },
    defaults: both('false'),
    perController: true,
    description: 'Protect the data of NVMe/TCP packets by a CRC32C digest.',
  },
  {
    section: GLOBAL,
    key: 'kato',
    files: BOTH,
    value: seconds(0),
    defaults: { stafd: '30' },
    otherwise: KERNEL_DECIDES,
    perController: true,
    description:
      'Keep-alive timeout: a controller that hears nothing from this host for so long gives the ' +
      'connection up. 0 turns keep-alive off.',
  },
  {
    section: GLOBAL,
    key: 'nr-io-queues',
    files: ['stacd'],
    value: integer(1, MAX_QUEUES),
    defaults: {},
    otherwise: KERNEL_DECIDES,
    perController: true,
    description: 'How many I/O queues a connection has.',
  },
  {
    section: GLOBAL,
    key: 'nr-write-queues',
    files: ['stacd'],
    value: integer(1, MAX_QUEUES),
    defaults: {},
    otherwise: KERNEL_DECIDES,
    perController: true,
    description: 'How many more queues are made that only write.',
  },
  {
    section: GLOBAL,
    key: 'nr-poll-queues',
    files: ['stacd'],
    value: integer(1, MAX_QUEUES),
    defaults: {},
    otherwise: KERNEL_DECIDES,
    perController: true,
    description: 'How many more queues are made that are polled, for low latency.',
  },
  {
    section: GLOBAL,
    key: 'queue-size',
    files: BOTH,
    value: integer(16, 1024),
    defaults: {},
    otherwise: KERNEL_DECIDES,
    perController: true,
    description: 'How many commands an I/O queue holds.',
  },
  {
    section: GLOBAL,
    key: 'reconnect-delay',
    files: BOTH,
    value: seconds(1),
    defaults: {},
    otherwise: KERNEL_DECIDES,
    perController: true,
    description: 'How long the kernel waits between two attempts to restore a lost connection.',
  },
  {
    section: GLOBAL,
    key: 'ctrl-loss-tmo',
    files: BOTH,
    value: seconds(0, -1),
    defaults: both('600'),
    perController: true,
    description:
      'How long the kernel tries to restore a lost connection before it gives the controller up. ' +
      '-1: for ever; 0: it does not try.',
  },
  {
    section: GLOBAL,
    key: 'disable-sqflow',
    files: BOTH,
    value: { kind: 'boolean' },
    defaults: {},
    otherwise: KERNEL_DECIDES,
    perController: true,
    description: 'Leave out the flow control of submission queues.',
  },
  {
    section: GLOBAL,
    key: 'ignore-iface',
    files: BOTH,
    value: { kind: 'boolean' },
    defaults: both('false'),
    description:
      'Let the routing table choose the interface of a connection, whatever interface the ' +
      'controller was found on or is configured with.',
  },
  {
    section: GLOBAL,
    key: 'ip-family',
    files: BOTH,
    value: { kind: 'words', words: ['ipv4', 'ipv6'] },
    defaults: both('ipv4+ipv6'),
    description: 'Connect to controllers at addresses of these families only.',
  },
  {
    section: GLOBAL,
    key: 'reachability-check',
    files: BOTH,
    value: { kind: 'choice', words: ['nvme-tcp', 'tcp', 'disabled'] },
    defaults: both('nvme-tcp'),
    description:
      'How the address of an NVMe/TCP controller is tried before the kernel is asked to connect: ' +
      'addresses that answer go first, so that dead ones do not delay them. nvme-tcp: connect and ' +
      'exchange the first packets of the protocol; tcp: connect only; disabled: no trial.',
  },
  {
    section: GLOBAL,
    key: 'pleo',
    files: ['stafd'],
    value: { kind: 'switch' },
    defaults: { stafd: 'enabled' },
    description:
      'Port local entries only: ask a direct discovery controller that can do so to report only ' +
      'what is reachable through the port that it was asked on.',
  },
  {
    section: GLOBAL,
    key: 'persistent-connections',
    files: ['stafd'],
    value: { kind: 'boolean' },
    defaults: {},
    legacyOf: `[${DC_MANAGEMENT}] persistent-connections`,
    description: 'An earlier place of the option.',
  },
  {
    section: SERVICE_DISCOVERY,
    key: 'zeroconf',
    files: ['stafd'],
    value: { kind: 'switch' },
    defaults: { stafd: 'enabled' },
    description: 'Find discovery controllers by mDNS (DNS-SD), through avahi-daemon.',
  },
  {
    section: DC_MANAGEMENT,
    key: 'persistent-connections',
    files: ['stafd'],
    value: { kind: 'boolean', also: ['auto'] },
    defaults: { stafd: 'true' },
    description:
      'Keep connections to discovery controllers when stafd stops. false: disconnect them. auto: ' +
      'keep them, but connect those that say that they keep none (EPCSD) only to read their log.',
  },
  {
    section: DC_MANAGEMENT,
    key: 'poll-interval',
    files: ['stafd'],
    value: { kind: 'time-span', least: 1 },
    defaults: { stafd: '15 minutes' },
    description:
      'With persistent-connections=auto: the time from one reading of such a log to the next.',
  },
  {
    section: DC_MANAGEMENT,
    key: 'zeroconf-connections-persistence',
    files: ['stafd'],
    value: { kind: 'time-span' },
    defaults: { stafd: '72hours' },
    description:
      'How long a discovery controller that mDNS reported once, reports no more, and that is not ' +
      'connected, is still tried. Seconds or a time span such as "3 days 5 hours"; 0: not at all; ' +
      '-1: for ever.',
  },
  {
    section: IOC_MANAGEMENT,
    key: 'disconnect-scope',
    files: ['stacd'],
    value: {
      kind: 'choice',
      words: [
        'only-stas-connections',
        'all-connections-matching-disconnect-trtypes',
        'no-disconnect',
      ],
    },
    defaults: { stacd: 'only-stas-connections' },
    description:
      'Which I/O controllers stacd disconnects when they are no longer wanted (neither configured ' +
      'nor reported by a discovery controller, or excluded). only-stas-connections: those that it ' +
      'connected or took over; all-connections-matching-disconnect-trtypes: every one of the ' +
      'transports below, whoever connected it; no-disconnect: none.',
  },
  {
    section: IOC_MANAGEMENT,
    key: 'disconnect-trtypes',
    files: ['stacd'],
    value: { kind: 'words', words: ['tcp', 'rdma', 'fc'], lenient: true },
    defaults: { stacd: 'tcp' },
    description:
      'The transports of disconnect-scope=all-connections-matching-disconnect-trtypes, joined by +.',
  },
  {
    section: IOC_MANAGEMENT,
    key: 'disconnect-limit',
    files: ['stacd'],
    value: { kind: 'integer', min: 1, max: 100, unit: '%' },
    defaults: { stacd: '50' },
    description:
      'How many of its connections, in per cent, stacd drops at once because a discovery controller ' +
      'no longer lists them. More than that (and more than 4), or the last path to a block device ' +
      'in use, is dropped only when the discovery log says the same again 30 s later. What this ' +
      'file removes or excludes is dropped at once. 100: everything is.',
  },
  {
    section: IOC_MANAGEMENT,
    key: 'connect-attempts-on-ncc',
    files: ['stacd'],
    value: integer(0),
    defaults: { stacd: '0' },
    description:
      'How often stacd tries to connect to a subsystem whose discovery controller reports that it ' +
      'is not connected to its CDC (NCC), which may mean that this host must not reach it. 0: ' +
      'without end; otherwise 2 or more.',
  },
  {
    section: CONTROLLERS,
    key: 'controller',
    files: BOTH,
    value: { kind: 'controller' },
    defaults: {},
    otherwise: 'no controller is configured',
    description: 'A controller to connect to. One line each; may be repeated.',
  },
  {
    section: CONTROLLERS,
    key: 'exclude',
    files: BOTH,
    value: { kind: 'exclude' },
    defaults: {},
    otherwise: 'no controller is excluded',
    description:
      'Controllers not to connect to, wherever they come from: all those that agree with every ' +
      'field that is named. It goes before controller=. One line each; may be repeated.',
  },
  {
    section: CONTROLLERS,
    key: 'blacklist',
    files: BOTH,
    value: { kind: 'exclude' },
    defaults: {},
    legacyOf: 'exclude',
    description: 'An earlier name of the option.',
  },
  {
    section: HOST,
    key: 'nqn',
    files: ['sys'],
    value: { kind: 'text-or-file' },
    defaults: { sys: 'file:///etc/nvme/hostnqn' },
    description: "The host's NQN. Mandatory; `stasadm hostnqn` makes one.",
  },
  {
    section: HOST,
    key: 'id',
    files: ['sys'],
    value: { kind: 'text-or-file' },
    defaults: { sys: 'file:///etc/nvme/hostid' },
    description: "The host's identifier, a UUID. Mandatory; `stasadm hostid` makes one.",
  },
  {
    section: HOST,
    key: 'key',
    files: ['sys'],
    value: { kind: 'text-or-file', secret: true },
    defaults: { sys: 'file:///etc/nvme/hostkey' },
    description:
      "The host's DH-HMAC-CHAP secret (DHHC-1:...), for I/O controllers that authenticate hosts.",
  },
  {
    section: HOST,
    key: 'symname',
    files: ['sys'],
    value: { kind: 'text-or-file' },
    defaults: {},
    otherwise: 'the host has no symbolic name',
    description:
      'A name for people, which is sent when the host registers with a discovery controller.',
  },
];

/** The option of a file; undefined if it has none of that name there. Keys are in lower case. */
export function findOption(
  file: ConfigFile,
  section: string,
  key: string,
): OptionDescription | undefined {
  return OPTIONS.find(
    (option) => option.section === section && option.key === key && option.files.includes(file),
  );
}

/** The options of a file, in the order in which it describes them. */
export function optionsOf(file: ConfigFile): readonly OptionDescription[] {
  return OPTIONS.filter((option) => option.files.includes(file));
}

/** The sections of a file, in order. */
export function sectionsOf(file: ConfigFile): readonly string[] {
  return [...new Set(optionsOf(file).map((option) => option.section))];
}
