/**
 * What the real NVMe targets of a test offer: a small JSON document, checked before use.
 *
 * {
 *   "ports": [{ "id": 1, "transport": "tcp", "address": "127.0.0.1", "service": "4420" }],
 *   "subsystems": [{ "nqn": "nqn.2024-01.org.example:one", "ports": [1] }]
 * }
 */
import { isIPv4, isIPv6 } from 'node:net';

export interface TargetSpec {
  readonly ports: readonly PortSpec[];
  readonly subsystems: readonly SubsystemSpec[];
}

/**
 * A listener, a port of a Fibre Channel adapter, or the kernel's loop transport. `id` names it in
 * configfs and is its PORTID.
 */
export type PortSpec = IpPortSpec | FcPortSpec | LoopPortSpec;

export interface IpPortSpec {
  readonly id: number;
  readonly transport: 'tcp' | 'rdma';
  /** IPv4 or IPv6; a link-local address has its scope: `fe80::1%eth0`. rdma: of an RDMA device. */
  readonly address: string;
  /** Default: 4420. */
  readonly service: string;
  /** What the discovery controllers of this port say beside its subsystems. */
  readonly referrals: readonly ReferralSpec[];
}

export interface FcPortSpec {
  readonly id: number;
  readonly transport: 'fc';
  /** `nn-0x…:pn-0x…` of a target port that the machine has. */
  readonly address: string;
  readonly referrals: readonly ReferralSpec[];
}

export interface LoopPortSpec {
  readonly id: number;
  readonly transport: 'loop';
  /** The word that a host that names an address has to name; default: none. */
  readonly address?: string;
  readonly referrals: readonly ReferralSpec[];
}

/** The document as a test writes it: with what it leaves to the defaults. */
export interface TargetDocument {
  readonly ports?: readonly {
    readonly id: number;
    readonly transport: PortSpec['transport'];
    readonly address?: string;
    readonly service?: string | number;
    readonly referrals?: readonly (Pick<ReferralSpec, 'address'> &
      Partial<Omit<ReferralSpec, 'service'>> & { readonly service?: string | number })[];
  }[];
  readonly subsystems?: readonly (Pick<SubsystemSpec, 'nqn'> &
    Partial<Omit<SubsystemSpec, 'hosts'>> & {
      readonly hosts?: 'any' | readonly (string | HostSpec)[];
    })[];
}

/** Another discovery controller. */
export interface ReferralSpec {
  readonly address: string;
  /** Default: 8009. */
  readonly service: string;
  /** PORTID of the entry; default: 0. */
  readonly portId: number;
}

export interface SubsystemSpec {
  readonly nqn: string;
  /** The ports that offer it; none: it exists, and nobody can find it. */
  readonly ports: readonly number[];
  /** Who may connect; default: `any`. */
  readonly hosts: 'any' | readonly HostSpec[];
  /** Default: one of 64 MiB with ID 1. */
  readonly namespaces: readonly NamespaceSpec[];
  /** At most 20 bytes; default: what the kernel makes up. */
  readonly serial?: string;
  /** At most 40 bytes; default: the kernel's. */
  readonly model?: string;
}

/** A host, in JSON also just its NQN. Keys are in the form `DHHC-1:…`. */
export interface HostSpec {
  readonly nqn: string;
  readonly dhchapKey?: string;
  readonly dhchapControllerKey?: string;
}

/** A namespace without content: reads give zeros, writes are dropped. */
export interface NamespaceSpec {
  readonly id: number;
  readonly sizeMiB: number;
}

/** The document is not a TargetSpec; the message names the place. */
export class TargetSpecError extends Error {
  readonly code = 'invalid-target-spec';
  /** Where in the document: `subsystems[2].nqn`. */
  readonly place: string;

  constructor(place: string, problem: string) {
    super(`${place === '' ? 'the document' : place}: ${problem}`);
    this.name = 'TargetSpecError';
    this.place = place;
  }
}

/** Checks parsed JSON and fills in the defaults. Throws TargetSpecError. */
export function targetSpec(document: unknown): TargetSpec {
  const top = fields(document, '', ['ports', 'subsystems']);
  const ports = list(top['ports'] ?? [], 'ports').map(portSpec);
  unique(ports, 'ports', 'id', (port) => port.id);
  const known = new Set(ports.map((port) => port.id));
  const subsystems = list(top['subsystems'] ?? [], 'subsystems').map((entry, index) =>
    subsystemSpec(entry, index, known),
  );
  unique(subsystems, 'subsystems', 'nqn', (subsystem) => subsystem.nqn);
  checkHostKeys(subsystems);
  return { ports, subsystems };
}

/** `count` subsystems that differ in their number, counted from 1, all on the given ports. */
export function numberedSubsystems(
  count: number,
  ports: readonly number[],
  prefix = 'nqn.2024-01.org.example:subsystem',
): readonly SubsystemSpec[] {
  return Array.from({ length: count }, (_, index) => ({
    nqn: `${prefix}${index + 1}`,
    ports,
    hosts: 'any' as const,
    namespaces: [{ id: 1, sizeMiB: 64 }],
  }));
}

function portSpec(entry: unknown, index: number): PortSpec {
  const place = `ports[${index}]`;
  const names = ['id', 'transport', 'address', 'service', 'referrals'];
  const port = fields(entry, place, names);
  const id = integer(port['id'], `${place}.id`, 1, 65535);
  const referrals = list(port['referrals'] ?? [], `${place}.referrals`).map((referral, number) =>
    referralSpec(referral, `${place}.referrals[${number}]`),
  );
  switch (port['transport']) {
    case 'tcp':
    case 'rdma':
      return {
        id,
        transport: port['transport'],
        address: address(port['address'], `${place}.address`),
        service: service(port['service'] ?? '4420', `${place}.service`),
        referrals,
      };
    case 'fc':
      noService(port, place);
      return {
        id,
        transport: 'fc',
        address: fcAddress(port['address'], `${place}.address`),
        referrals,
      };
    case 'loop':
      noService(port, place);
      return { id, transport: 'loop', ...optionalText(port, 'address', place, 255), referrals };
    default:
      throw new TargetSpecError(`${place}.transport`, 'must be "tcp", "rdma", "fc" or "loop"');
  }
}

function noService(port: Readonly<Record<string, unknown>>, place: string): void {
  if (!('service' in port)) return;
  throw new TargetSpecError(`${place}.service`, `${String(port['transport'])} has none`);
}

function referralSpec(entry: unknown, place: string): ReferralSpec {
  const referral = fields(entry, place, ['address', 'service', 'portId']);
  return {
    address: address(referral['address'], `${place}.address`),
    service: service(referral['service'] ?? '8009', `${place}.service`),
    portId: integer(referral['portId'] ?? 0, `${place}.portId`, 0, 65535),
  };
}

function subsystemSpec(entry: unknown, index: number, ports: ReadonlySet<number>): SubsystemSpec {
  const place = `subsystems[${index}]`;
  const names = ['nqn', 'ports', 'hosts', 'namespaces', 'serial', 'model'];
  const subsystem = fields(entry, place, names);
  const offeredOn = list(subsystem['ports'] ?? [], `${place}.ports`).map((port, number) => {
    const at = `${place}.ports[${number}]`;
    const id = integer(port, at, 1, 65535);
    if (!ports.has(id)) throw new TargetSpecError(at, `there is no port ${id}`);
    return id;
  });
  const namespaces = list(subsystem['namespaces'] ?? [{ id: 1 }], `${place}.namespaces`).map(
    (namespace, number) => namespaceSpec(namespace, `${place}.namespaces[${number}]`),
  );
  unique(namespaces, `${place}.namespaces`, 'id', (namespace) => namespace.id);
  return {
    nqn: nqn(subsystem['nqn'], `${place}.nqn`),
    ports: [...new Set(offeredOn)],
    hosts: hosts(subsystem['hosts'] ?? 'any', `${place}.hosts`),
    namespaces,
    ...optionalText(subsystem, 'serial', place, 20),
    ...optionalText(subsystem, 'model', place, 40),
  };
}

function namespaceSpec(entry: unknown, place: string): NamespaceSpec {
  const namespace = fields(entry, place, ['id', 'sizeMiB']);
  return {
    id: integer(namespace['id'], `${place}.id`, 1, 1024),
    sizeMiB: integer(namespace['sizeMiB'] ?? 64, `${place}.sizeMiB`, 1, 1 << 20),
  };
}

function hosts(value: unknown, place: string): SubsystemSpec['hosts'] {
  if (value === 'any') return 'any';
  const result = list(value, place, '"any" or a list of host NQNs').map((entry, index) => {
    const at = `${place}[${index}]`;
    if (typeof entry === 'string') return { nqn: nqn(entry, at) };
    const host = fields(entry, at, ['nqn', 'dhchapKey', 'dhchapControllerKey']);
    return {
      nqn: nqn(host['nqn'], `${at}.nqn`),
      ...optionalKey(host, 'dhchapKey', at),
      ...optionalKey(host, 'dhchapControllerKey', at),
    };
  });
  unique(result, place, 'nqn', (host) => host.nqn);
  return result;
}

/** The kernel keeps one key for a host, whichever subsystem it connects to. */
function checkHostKeys(subsystems: readonly SubsystemSpec[]): void {
  const seen = new Map<string, string>();
  subsystems.forEach((subsystem, index) => {
    if (subsystem.hosts === 'any') return;
    for (const host of subsystem.hosts) {
      const keys = JSON.stringify([host.dhchapKey, host.dhchapControllerKey]);
      if ((seen.get(host.nqn) ?? keys) !== keys) {
        const problem = `${host.nqn} has other keys in another subsystem`;
        throw new TargetSpecError(`subsystems[${index}].hosts`, problem);
      }
      seen.set(host.nqn, keys);
    }
  });
}

function fields(
  value: unknown,
  place: string,
  names: readonly string[],
): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TargetSpecError(place, 'must be an object');
  }
  const unknownName = Object.keys(value).find((name) => !names.includes(name));
  if (unknownName !== undefined) {
    const problem = `unknown field ${JSON.stringify(unknownName)} (known: ${names.join(', ')})`;
    throw new TargetSpecError(place, problem);
  }
  return value as Readonly<Record<string, unknown>>;
}

function list(value: unknown, place: string, what = 'a list'): readonly unknown[] {
  if (!Array.isArray(value)) throw new TargetSpecError(place, `must be ${what}`);
  return value;
}

function integer(value: unknown, place: string, least: number, most: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    throw new TargetSpecError(place, `must be a whole number from ${least} to ${most}`);
  }
  return value;
}

function address(value: unknown, place: string): string {
  const scopeless = typeof value === 'string' ? value.replace(/%[\w.-]{1,15}$/, '') : '';
  if (typeof value !== 'string' || !(isIPv4(value) || isIPv6(scopeless))) {
    throw new TargetSpecError(place, 'must be an IPv4 or IPv6 address');
  }
  return value;
}

function fcAddress(value: unknown, place: string): string {
  if (typeof value !== 'string' || !/^nn-0x[0-9a-f]{16}:pn-0x[0-9a-f]{16}$/.test(value)) {
    throw new TargetSpecError(place, 'must be a Fibre Channel address: nn-0x…:pn-0x…');
  }
  return value;
}

function service(value: unknown, place: string): string {
  const text = typeof value === 'number' ? String(value) : value;
  if (typeof text !== 'string' || !/^[1-9]\d{0,4}$/.test(text) || Number(text) > 65535) {
    throw new TargetSpecError(place, 'must be a TCP port, 1 to 65535');
  }
  return text;
}

/** An NQN is the name of a directory and a word of a shell script here: printable ASCII, no slash. */
function nqn(value: unknown, place: string): string {
  if (typeof value !== 'string' || !/^nqn\.[!-.0-~]+$/.test(value) || value.length > 223) {
    throw new TargetSpecError(
      place,
      'must be an NQN: "nqn." and printable ASCII without "/", at most 223 bytes',
    );
  }
  return value;
}

function optionalText<K extends string>(
  record: Readonly<Record<string, unknown>>,
  name: K,
  place: string,
  most: number,
): Partial<Record<K, string>> {
  const value = record[name];
  if (value === undefined) return {};
  // The kernel cuts spaces off the ends, so such a text would never be equal to what it reports.
  const valid = typeof value === 'string' && /^[!-~]([ -~]*[!-~])?$/.test(value);
  if (!valid || value.length > most) {
    throw new TargetSpecError(`${place}.${name}`, `must be ASCII text, at most ${most} bytes`);
  }
  return { [name]: value } as Partial<Record<K, string>>;
}

function optionalKey<K extends string>(
  record: Readonly<Record<string, unknown>>,
  name: K,
  place: string,
): Partial<Record<K, string>> {
  const value = record[name];
  if (value === undefined) return {};
  if (typeof value !== 'string' || !/^DHHC-1:0[0-3]:[A-Za-z0-9+/=]+:$/.test(value)) {
    throw new TargetSpecError(`${place}.${name}`, 'must be a key in the form DHHC-1:00:…:');
  }
  return { [name]: value } as Partial<Record<K, string>>;
}

function unique<T>(
  items: readonly T[],
  place: string,
  name: string,
  keyOf: (item: T) => string | number,
): void {
  const seen = new Map<string | number, number>();
  items.forEach((item, index) => {
    const first = seen.get(keyOf(item));
    if (first !== undefined) {
      const problem = `${JSON.stringify(keyOf(item))} is taken by ${place}[${first}]`;
      throw new TargetSpecError(`${place}[${index}].${name}`, problem);
    }
    seen.set(keyOf(item), index);
  });
}
