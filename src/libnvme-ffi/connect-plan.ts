/**
 * From a connect request to what libnvme is given, as plain data.
 *
 * libnvme joins the fields with commas and writes them to /dev/nvme-fabrics; it checks none. So
 * every string is checked here once more, whoever checked it before: nothing that could begin
 * another option gets any further.
 */
import type { ConnectOptions } from '../nvme/connect-options.ts';
import { checkInterfaceName } from '../nvme/ip-address.ts';
import { checkNqn, checkSubsystemNqn } from '../nvme/nqn.ts';
import type { Secret } from '../nvme/secret.ts';
import { checkHostTraddr, checkTraddr, checkTrsvcid } from '../nvme/transport-address.ts';
import { TRANSPORTS, WELL_KNOWN_DISCOVERY_NQN } from '../nvme/transport-id.ts';
import type { Transport, TransportId } from '../nvme/transport-id.ts';
import { PortError } from '../ports/errors.ts';
import type { ConnectRequest, FabricsOptions } from '../ports/fabrics.ts';

/** Members of `struct nvme_fabrics_config` to set; the others keep libnvme's defaults. */
export type FabricsConfigValues = Readonly<Record<string, number | boolean>>;

export interface ConnectPlan {
  readonly subsysnqn: string;
  readonly transport: string;
  /** null: not passed. */
  readonly traddr: string | null;
  readonly trsvcid: string | null;
  readonly hostTraddr: string | null;
  readonly hostIface: string | null;
  readonly hostnqn: string;
  readonly hostid: string;
  readonly discovery: boolean;
  readonly config: FabricsConfigValues;
  readonly hostKey: Secret | undefined;
  readonly controllerKey: Secret | undefined;
  /** Options that were asked for and that this kernel, transport or libnvme does not take. */
  readonly dropped: readonly string[];
}

function refuse(what: string, why: string): PortError {
  return new PortError(`connect: the ${what} ${why}`, {
    code: 'EINVAL',
    errorClass: 'final',
    errno: 22,
  });
}

const HOST_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** TP8006: `DHHC-1:hash:base64:`. The text is never part of a message. */
const DHCHAP_SECRET = /^DHHC-1:[0-9]{2}:[A-Za-z0-9+/]{1,128}={0,2}:$/;

function checkSecret(what: string, secret: Secret | undefined): void {
  if (secret === undefined || DHCHAP_SECRET.test(secret.reveal())) return;
  throw refuse(what, 'is not a DH-HMAC-CHAP secret (DHHC-1:…:…:)');
}

/** Throws a final PortError for the first string that must not reach the kernel. */
function checkStrings(tid: TransportId, request: ConnectRequest): void {
  if (!TRANSPORTS.includes(tid.transport)) throw refuse('transport', 'is not known');
  const reasons: readonly (readonly [string, string | undefined])[] = [
    [
      'traddr',
      tid.traddr === '' && tid.transport === 'loop'
        ? undefined
        : checkTraddr(tid.transport, tid.traddr),
    ],
    ['trsvcid', checkTrsvcid(tid.transport, tid.trsvcid)],
    ['subsystem NQN', checkSubsystemNqn(tid.subsysnqn)],
    ['host NQN', checkNqn(tid.hostNqn)],
    [
      'host-traddr',
      tid.hostTraddr === '' ? undefined : checkHostTraddr(tid.transport, tid.hostTraddr),
    ],
    ['host-iface', tid.hostIface === '' ? undefined : checkInterfaceName(tid.hostIface)],
    ['host ID', HOST_ID.test(request.host.hostid) ? undefined : 'is not a UUID'],
  ];
  for (const [what, why] of reasons) {
    if (why !== undefined) throw refuse(what, why);
  }
  checkSecret('host key', request.options.dhchapSecret ?? request.host.key);
  checkSecret('dhchap-ctrl-secret', request.options.dhchapCtrlSecret);
}

/** A numeric or boolean option, the kernel's name and libnvme's member for it: they are the same. */
type PlainOption = Exclude<keyof ConnectOptions, 'dhchapSecret' | 'dhchapCtrlSecret'>;

interface OptionRow {
  readonly option: PlainOption;
  readonly member: string;
  /** Only I/O controllers have I/O queues. */
  readonly ioOnly?: true;
  readonly min?: number;
}

/**
 * libnvme takes 0 for "not given" in all of these but ctrl_loss_tmo; only for keep_alive_tmo does
 * that word matter, and there the kernel makes no difference either: 0 and nothing are both 5 s for
 * an I/O controller, and no keep-alive for a discovery controller.
 */
const OPTIONS: readonly OptionRow[] = [
  { option: 'nrIoQueues', member: 'nr_io_queues', ioOnly: true },
  { option: 'nrWriteQueues', member: 'nr_write_queues', ioOnly: true },
  { option: 'nrPollQueues', member: 'nr_poll_queues', ioOnly: true },
  { option: 'queueSize', member: 'queue_size', ioOnly: true },
  { option: 'kato', member: 'keep_alive_tmo' },
  { option: 'reconnectDelay', member: 'reconnect_delay' },
  { option: 'ctrlLossTmo', member: 'ctrl_loss_tmo', min: -1 },
  { option: 'disableSqflow', member: 'disable_sqflow' },
  { option: 'hdrDigest', member: 'hdr_digest' },
  { option: 'dataDigest', member: 'data_digest' },
];

/**
 * Options that a transport does not take: the kernel refuses a whole connect for one of them
 * (measured on Linux 6.12), and most come from [Global], which is meant for all transports.
 */
const NOT_TAKEN: Readonly<Record<Transport, readonly string[]>> = {
  tcp: [],
  rdma: ['host_iface', 'hdr_digest', 'data_digest'],
  fc: ['host_iface', 'nr_write_queues', 'nr_poll_queues', 'hdr_digest', 'data_digest'],
  loop: [
    ...['host_traddr', 'host_iface', 'reconnect_delay', 'ctrl_loss_tmo'],
    ...['nr_write_queues', 'nr_poll_queues', 'hdr_digest', 'data_digest'],
  ],
};

/** Only these have services. */
const HAS_TRSVCID: Readonly<Record<Transport, boolean>> = {
  tcp: true,
  rdma: true,
  fc: false,
  loop: false,
};

const INT_MAX = 0x7fff_ffff;

function isPassable(value: number | boolean, min: number): boolean {
  if (typeof value === 'boolean') return true;
  return Number.isInteger(value) && value >= min && value <= INT_MAX;
}

/**
 * Checks a request and maps it.
 *
 * @throws PortError, final: `EINVAL` for a string or number that must not reach the kernel,
 *   `EOPNOTSUPP` for a unique discovery NQN on a kernel without TP8013: it would make an I/O
 *   controller of it.
 */
export function planConnect(request: ConnectRequest, supported: FabricsOptions): ConnectPlan {
  const { tid, options, discovery, host } = request;
  checkStrings(tid, request);
  const wellKnown = tid.subsysnqn === WELL_KNOWN_DISCOVERY_NQN;
  if (wellKnown && !discovery) {
    // The kernel would make a persistent discovery controller of it, whatever was meant.
    throw refuse('subsystem NQN', 'is the discovery NQN, which no I/O controller has');
  }
  if (discovery && !wellKnown && !supported.has('discovery')) {
    throw new PortError(
      'connect: this kernel knows discovery controllers only by the well-known NQN',
      { code: 'EOPNOTSUPP', errorClass: 'final', errno: 95 },
    );
  }

  const dropped: string[] = [];
  const passed = (name: string): boolean => {
    if (supported.has(name) && !NOT_TAKEN[tid.transport].includes(name)) return true;
    dropped.push(name);
    return false;
  };

  const config: Record<string, number | boolean> = {};
  for (const { option, member, ioOnly, min = 0 } of OPTIONS) {
    const value = options[option];
    if (value === undefined || value === false) continue;
    if (ioOnly === true && discovery) continue;
    if (!isPassable(value, min)) throw refuse(member, `cannot be ${value}`);
    if (passed(member)) config[member] = value;
  }

  // libnvme prefers the host's key to the controller's: with a root of its own for each controller
  // the one that is meant can always be the host's.
  let hostKey = options.dhchapSecret ?? host.key;
  let controllerKey = options.dhchapCtrlSecret;
  if (discovery) {
    // No version of libnvme passes them for a discovery controller.
    if (options.dhchapSecret !== undefined) dropped.push('dhchap_secret');
    if (controllerKey !== undefined) dropped.push('dhchap_ctrl_secret');
    hostKey = undefined;
    controllerKey = undefined;
  }
  if (hostKey !== undefined && !passed('dhchap_secret')) hostKey = undefined;
  if (controllerKey !== undefined && !passed('dhchap_ctrl_secret')) controllerKey = undefined;

  const orNull = (text: string): string | null => (text === '' ? null : text);
  return {
    subsysnqn: tid.subsysnqn,
    transport: tid.transport,
    traddr: orNull(tid.traddr),
    trsvcid: HAS_TRSVCID[tid.transport] ? orNull(tid.trsvcid) : null,
    hostTraddr: tid.hostTraddr !== '' && passed('host_traddr') ? tid.hostTraddr : null,
    hostIface: tid.hostIface !== '' && passed('host_iface') ? tid.hostIface : null,
    hostnqn: tid.hostNqn,
    hostid: host.hostid,
    discovery,
    config,
    hostKey,
    controllerKey,
    dropped,
  };
}
