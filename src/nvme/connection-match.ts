/**
 * Whether a connection that the kernel already has is the one that a candidate asks for, so that it
 * is adopted instead of made twice. All of it is evidence from sysfs; the older the kernel, the
 * less there is, and the more is presumed (see {@link ConnectionMatch}).
 */
import { equalIpAddresses, parseIpAddress, sameIpAddress, type IpAddress } from './ip-address.ts';
import { foldTraddr, sameTraddr } from './transport-address.ts';
import { WELL_KNOWN_DISCOVERY_NQN, type TransportId } from './transport-id.ts';

/** A controller as sysfs shows it; strings are empty where sysfs has none. */
export interface KernelControllerLike {
  readonly transport: string;
  readonly traddr: string;
  readonly trsvcid: string;
  readonly hostTraddr: string;
  readonly hostIface: string;
  /** The connection's source address (kernel 6.1+, tcp), empty while it is not connected. */
  readonly srcAddr: string;
  readonly subsysnqn: string;
  readonly hostnqn: string;
  /** Empty before kernel 5.18. */
  readonly cntrltype: string;
  readonly hasChildren: boolean;
}

/** An address of this host; the first of a family is its interface's primary one. */
export interface InterfaceAddressLike {
  readonly name: string;
  readonly address: string;
}

export type ControllerKind = 'discovery' | 'io';

/**
 * `presumed`: nothing contradicts, but the kernel does not tell how the connection is bound (older
 * than 6.1, or not connected now). It counts as a match; whoever adopts says so at debug level.
 */
export type ConnectionMatch = 'no' | 'match' | 'presumed';

/**
 * Whether sysfs tells the kind of the controller: kernels before 5.18 do not, and `reserved` is what
 * later ones show for controllers older than NVMe 1.4, which report no type.
 */
function saysItsType(kernel: KernelControllerLike): boolean {
  return kernel.cntrltype !== '' && kernel.cntrltype !== 'reserved';
}

/**
 * Whether the device is a discovery controller. The absence of children decides only where the
 * controller's type is not known: an I/O controller without namespaces has none either.
 */
export function isDiscoveryController(kernel: KernelControllerLike): boolean {
  if (kernel.transport === 'pcie') return false;
  if (kernel.subsysnqn === WELL_KNOWN_DISCOVERY_NQN) return true;
  return saysItsType(kernel) ? kernel.cntrltype === 'discovery' : !kernel.hasChildren;
}

/** Whether the device is an I/O controller; never true of a local PCIe controller. */
export function isIoController(kernel: KernelControllerLike): boolean {
  if (kernel.transport === 'pcie' || isDiscoveryController(kernel)) return false;
  return kernel.cntrltype === 'io' || kernel.hasChildren;
}

/** Whether a device leads where this TID does, by what every kernel shows. */
export function sameTarget(
  tid: TransportId,
  kernel: Pick<KernelControllerLike, 'traddr' | 'transport' | 'trsvcid'>,
): boolean {
  if (kernel.transport !== tid.transport || kernel.trsvcid !== tid.trsvcid) return false;
  return sameTraddr(kernel.traddr, tid.traddr);
}

/** Whether a controller is reached through this pair of Fibre Channel ports. */
export function isBehindFcPort(
  tid: TransportId,
  port: Pick<TransportId, 'hostTraddr' | 'traddr'>,
): boolean {
  if (tid.transport !== 'fc' || !sameTraddr(tid.traddr, port.traddr)) return false;
  return tid.hostTraddr === '' || sameTraddr(tid.hostTraddr, port.hostTraddr);
}

/** Names of the interfaces that own `address`; more than one for link-local addresses. */
function interfacesWith(
  address: IpAddress,
  interfaces: readonly InterfaceAddressLike[],
): readonly string[] {
  return interfaces
    .filter((entry) => {
      if (address.scope !== '' && address.scope !== entry.name) return false;
      const own = parseIpAddress(entry.address);
      return own !== undefined && equalIpAddresses(own, address);
    })
    .map((entry) => entry.name);
}

/** What the source address of a live connection says (kernel 6.1+). */
function matchTcpSource(
  candidate: TransportId,
  source: IpAddress,
  interfaces: readonly InterfaceAddressLike[],
): ConnectionMatch {
  if (candidate.hostTraddr !== '') {
    const wanted = parseIpAddress(candidate.hostTraddr);
    if (wanted === undefined || !equalIpAddresses(wanted, source)) return 'no';
  }
  if (
    candidate.hostIface !== '' &&
    !interfacesWith(source, interfaces).includes(candidate.hostIface)
  ) {
    return 'no';
  }
  return 'match';
}

/** Compares with how the connection was asked for, where the kernel does not tell how it came out. */
function matchTcpRequest(
  candidate: TransportId,
  kernel: KernelControllerLike,
  interfaces: readonly InterfaceAddressLike[],
): ConnectionMatch {
  const own = parseIpAddress(kernel.hostTraddr);
  let result: ConnectionMatch = 'match';

  if (candidate.hostTraddr !== '') {
    const wanted = parseIpAddress(candidate.hostTraddr);
    if (wanted === undefined) return 'no';
    if (own !== undefined) {
      if (!equalIpAddresses(wanted, own)) return 'no';
    } else if (kernel.hostIface !== '') {
      // Without a host_traddr the connection leaves by the interface's primary address.
      const primary = interfaces
        .filter((entry) => entry.name === kernel.hostIface)
        .map((entry) => parseIpAddress(entry.address))
        .find((address) => address?.family === wanted.family);
      if (primary === undefined) result = 'presumed';
      else if (!equalIpAddresses(primary, wanted)) return 'no';
    } else {
      result = 'presumed';
    }
  }

  if (candidate.hostIface !== '') {
    if (kernel.hostIface !== '') {
      if (kernel.hostIface !== candidate.hostIface) return 'no';
    } else if (own !== undefined) {
      if (!interfacesWith(own, interfaces).includes(candidate.hostIface)) return 'no';
    } else {
      result = 'presumed';
    }
  }
  return result;
}

function matchHostSide(
  candidate: TransportId,
  kernel: KernelControllerLike,
  interfaces: readonly InterfaceAddressLike[],
): ConnectionMatch {
  switch (candidate.transport) {
    case 'tcp': {
      if (candidate.hostTraddr === '' && candidate.hostIface === '') return 'match';
      const source = parseIpAddress(kernel.srcAddr);
      return source === undefined
        ? matchTcpRequest(candidate, kernel, interfaces)
        : matchTcpSource(candidate, source, interfaces);
    }
    case 'fc':
      return foldTraddr(candidate.hostTraddr) === foldTraddr(kernel.hostTraddr) ? 'match' : 'no';
    case 'rdma':
      return candidate.hostTraddr === '' || sameIpAddress(candidate.hostTraddr, kernel.hostTraddr)
        ? 'match'
        : 'no';
    case 'loop':
      return 'match';
  }
}

/**
 * Compares a candidate of a kind with a device. `candidate` is complete: its trsvcid and host NQN
 * are filled in, its host-iface is dropped where `ignore-iface` says so.
 */
export function matchConnection(
  candidate: TransportId,
  kind: ControllerKind,
  kernel: KernelControllerLike,
  interfaces: readonly InterfaceAddressLike[],
): ConnectionMatch {
  if (!(kind === 'discovery' ? isDiscoveryController(kernel) : isIoController(kernel))) return 'no';
  if (candidate.transport !== kernel.transport) return 'no';
  if (candidate.trsvcid !== kernel.trsvcid) return 'no';
  if (candidate.hostNqn !== kernel.hostnqn) return 'no';
  // TP8013: a DC reached by the well-known NQN may answer with one of its own.
  if (
    candidate.subsysnqn !== WELL_KNOWN_DISCOVERY_NQN &&
    candidate.subsysnqn !== kernel.subsysnqn
  ) {
    return 'no';
  }
  const sameAddress =
    candidate.transport === 'tcp' || candidate.transport === 'rdma'
      ? sameIpAddress(candidate.traddr, kernel.traddr)
      : foldTraddr(candidate.traddr) === foldTraddr(kernel.traddr);
  return sameAddress ? matchHostSide(candidate, kernel, interfaces) : 'no';
}

/** {@link matchConnection} as a decision: a presumed match is one. */
export function matchesConnection(
  candidate: TransportId,
  kind: ControllerKind,
  kernel: KernelControllerLike,
  interfaces: readonly InterfaceAddressLike[],
): boolean {
  return matchConnection(candidate, kind, kernel, interfaces) !== 'no';
}
