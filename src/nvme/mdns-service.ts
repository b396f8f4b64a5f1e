/**
 * DNS-SD services of discovery controllers (TP8009): what a service says of itself, made a transport
 * ID or refused. Every byte of it comes from whoever can send a multicast packet.
 */
import { escapeText } from './escape.ts';
import {
  checkInterfaceName,
  isLinkLocal,
  isUnspecifiedAddress,
  parseIpAddress,
} from './ip-address.ts';
import { checkSubsystemNqn } from './nqn.ts';
import { checkTraddr, checkTrsvcid } from './transport-address.ts';
import { makeTid, WELL_KNOWN_DISCOVERY_NQN } from './transport-id.ts';
import type { Transport, TransportId } from './transport-id.ts';

/** The service types that discovery controllers announce themselves by. */
export const DISCOVERY_SERVICE_TYPES: readonly string[] = ['_nvme-disc._tcp', '_nvme-disc._udp'];

/** Where a service is and what its TXT record holds, one string an element. */
export interface ServiceRecord {
  readonly address: string;
  readonly port: number;
  readonly txt: readonly Uint8Array[];
}

export interface ServiceRules {
  /** The kernel can connect to a discovery controller by an NQN of its own (TP8013). */
  readonly uniqueNqn: boolean;
  readonly ignoreIface: boolean;
  /** The host's own NQN. */
  readonly hostNqn: string;
}

/** `refused` says why the service is not used, and of what; it is safe to print. */
export type ServiceTid =
  | { readonly tid: TransportId; readonly refused?: undefined }
  | { readonly tid?: undefined; readonly refused: string };

const TRANSPORT_OF_PROTOCOL: ReadonlyMap<string, Transport> = new Map([
  ['tcp', 'tcp'],
  ['roce', 'rdma'],
  ['iwarp', 'rdma'],
  ['rdma', 'rdma'],
]);

/** RFC 6763, 6.4: printable ASCII without `=`. */
const KEY = /^[ -<>-~]+$/;

/** Longest value that is shown of a refused service. */
const SHOWN_LENGTH = 80;

/**
 * The pairs of a TXT record by key in lower case. RFC 6763, 6.4: keys have no case, the first of a
 * repeated key counts, a string without a key is no pair, and a key without a value has none.
 */
export function parseTxt(txt: readonly Uint8Array[]): ReadonlyMap<string, Uint8Array> {
  const pairs = new Map<string, Uint8Array>();
  for (const bytes of txt) {
    const equals = bytes.indexOf(0x3d);
    if (equals < 1) continue;
    const key = String.fromCharCode(...bytes.subarray(0, equals)).toLowerCase();
    if (KEY.test(key) && !pairs.has(key)) pairs.set(key, bytes.subarray(equals + 1));
  }
  return pairs;
}

/** Without the spaces around it; undefined if it is not UTF-8. */
function textOf(value: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value).trim();
  } catch {
    return undefined;
  }
}

/**
 * The controller that a service names, as it is reached from the interface that it was found on. A
 * TCP connection is bound to that interface; where none is, a link-local address gets it as its
 * scope, without which nothing can connect to it.
 */
export function serviceToTid(
  record: ServiceRecord,
  interfaceName: string,
  rules: ServiceRules,
): ServiceTid {
  const pairs = parseTxt(record.txt);
  const shown = (value: string | Uint8Array): string => `"${escapeText(value, SHOWN_LENGTH)}"`;

  const protocol = pairs.get('p');
  if (protocol === undefined) return { refused: 'its TXT record has no "p", the protocol' };
  const transport = TRANSPORT_OF_PROTOCOL.get(textOf(protocol)?.toLowerCase() ?? '');
  if (transport === undefined) return { refused: `the protocol ${shown(protocol)} is not known` };

  const nqn = pairs.get('nqn');
  let subsysnqn = WELL_KNOWN_DISCOVERY_NQN;
  if (nqn !== undefined && rules.uniqueNqn) {
    const text = textOf(nqn);
    if (text === undefined) return { refused: `the NQN ${shown(nqn)} is not UTF-8` };
    const reason = text === '' ? undefined : checkSubsystemNqn(text);
    if (reason !== undefined) return { refused: `the NQN ${shown(nqn)} ${reason}` };
    if (text !== '') subsysnqn = text;
  }

  const address = parseIpAddress(record.address);
  if (address?.scope !== '' || isUnspecifiedAddress(record.address)) {
    return { refused: `the address ${shown(record.address)} is not one to connect to` };
  }
  const iface = checkInterfaceName(interfaceName);
  if (iface !== undefined) return { refused: `the interface ${shown(interfaceName)} ${iface}` };
  const hostIface = transport === 'tcp' && !rules.ignoreIface ? interfaceName : '';
  const scope = hostIface === '' && isLinkLocal(address) ? `%${interfaceName}` : '';
  const traddr = `${record.address}${scope}`;
  const trsvcid = String(record.port);
  const reason = checkTraddr(transport, traddr);
  if (reason !== undefined) return { refused: `the address ${shown(traddr)} ${reason}` };
  const port = checkTrsvcid(transport, trsvcid);
  if (port !== undefined) return { refused: `the port ${shown(trsvcid)} ${port}` };
  return {
    tid: makeTid({ transport, traddr, trsvcid, subsysnqn, hostIface, hostNqn: rules.hostNqn }),
  };
}

/** An address where a service was found. */
export interface FoundAddress {
  readonly address: string;
  readonly interfaceName: string;
}

/**
 * Addresses that were found on more than one interface, with the interfaces, both sorted: a sign of
 * networks that are mixed up. A link-local address is no such sign: every link has its own.
 */
export function addressesOnManyInterfaces(
  found: readonly FoundAddress[],
): readonly (readonly [address: string, interfaceNames: readonly string[]])[] {
  const byAddress = new Map<string, { readonly text: string; readonly names: Set<string> }>();
  for (const { address: text, interfaceName } of found) {
    const address = parseIpAddress(text);
    if (address === undefined || isLinkLocal(address)) continue;
    const key = address.bytes.join('.');
    const entry = byAddress.get(key) ?? { text, names: new Set() };
    byAddress.set(key, entry);
    entry.names.add(interfaceName);
  }
  return [...byAddress.values()]
    .filter(({ names }) => names.size > 1)
    .map(({ names, text }) => [text, [...names].sort()] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
}
