/**
 * What an NVMe boot firmware table says (NVM Express Boot Specification 1.0 and 1.1; "figure" below
 * is a figure of 1.0). Every text was checked: none has a control character, and what can go into a
 * connect request is fit for one.
 */

/** Why a table as a whole is of no use. */
export type NbftErrorCode =
  'too-short' | 'signature' | 'length' | 'checksum' | 'revision' | 'heap' | 'control';

export class NbftError extends Error {
  override readonly name = 'NbftError';
  readonly code: NbftErrorCode;

  constructor(code: NbftErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Host descriptor (figure 9). */
export interface NbftHost {
  /** As a UUID in the order of the bytes, as nvme-cli gives it to the kernel; empty if all zero. */
  readonly id: string;
  /** An administrator chose the ID; else it is a default of the firmware's driver. */
  readonly idConfigured: boolean;
  readonly nqn: string;
  /** An administrator chose the NQN; else it is a default of the firmware's driver. */
  readonly nqnConfigured: boolean;
  readonly primary: 'not-indicated' | 'unselected' | 'selected' | 'reserved';
}

/** Host fabric interface with its transport information for NVMe/TCP (figures 11 and 13). */
export interface NbftHfi {
  readonly index: number;
  readonly pciSbdf: number;
  /** `52:54:00:b8:19:b9` */
  readonly mac: string;
  /** 0: none. */
  readonly vlan: number;
  /** NL_PREFIX_ORIGIN of Windows; 0 if not used. */
  readonly ipOrigin: number;
  readonly address: string;
  readonly prefixLength: number;
  readonly gateway: string;
  readonly routeMetric: number;
  readonly primaryDns: string;
  readonly secondaryDns: string;
  /** Empty unless the address came from DHCP. */
  readonly dhcpServer: string;
  /** Empty if there is none. */
  readonly hostName: string;
  readonly defaultRoute: boolean;
  readonly dhcp: boolean;
}

/** What a security profile asks for (figure 21); its lists of algorithms are not read. */
export interface NbftSecurity {
  readonly index: number;
  readonly authentication: SecurityNeed;
  readonly secureChannel: SecurityNeed;
}

export type SecurityNeed = 'not-supported' | 'not-required' | 'required' | 'reserved';

/** Discovery descriptor (figure 24). */
export interface NbftDiscovery {
  readonly index: number;
  /** Index of the HFI to reach it by; 0 if none is named. */
  readonly hfi: number;
  /** Index of its security profile; 0 if it has none. */
  readonly security: number;
  readonly uri: string;
  readonly transport: 'tcp' | 'rdma';
  /** An IP address. */
  readonly traddr: string;
  /** Empty if the URI names no port. */
  readonly trsvcid: string;
  /** The well-known NQN if the table names none; empty if it names one that cannot be used. */
  readonly nqn: string;
}

/**
 * Subsystem namespace descriptor (figure 15). What of its address could not be read is empty; the
 * NQN or the address is there.
 */
export interface NbftSubsystem {
  readonly index: number;
  /** Empty for a transport that the specification does not define. */
  readonly transport: 'tcp' | '';
  readonly traddr: string;
  readonly trsvcid: string;
  readonly nqn: string;
  /** Index of the discovery descriptor that it was found by; 0 if by none. */
  readonly discovery: number;
  /** Index of its security profile; 0 if it has none. */
  readonly security: number;
  /** Indexes of the HFIs that it is reached by, the primary one first; only those that exist. */
  readonly hfis: readonly number[];
  readonly portId: number;
  readonly nsid: number;
  /** 0: none, 1: EUI-64, 2: NGUID, 3: UUID. */
  readonly nidType: number;
  /** 32 hexadecimal digits. */
  readonly nid: string;
  readonly headerDigest: boolean;
  readonly dataDigest: boolean;
  readonly controllerId: number;
  /** 0 unless an administrator chose it. */
  readonly asqsz: number;
  /** Empty if there is none. */
  readonly dhcpRootPath: string;
  readonly discovered: boolean;
  readonly unavailable: boolean;
}

/** The lists of descriptors, and the one descriptor that is no list. */
export type NbftPart = 'host' | 'HFI' | 'security profile' | 'discovery' | 'SSNS';

/** Something in a table that is not used. Both texts are safe to print. */
export interface NbftProblem {
  readonly part: NbftPart;
  /** Place in its list, from 1; 0: the list as a whole. */
  readonly place: number;
  readonly reason: string;
  /** Nothing is left that tells which connection it means. */
  readonly unidentified: boolean;
}

export interface NbftTable {
  readonly host: NbftHost | undefined;
  readonly hfis: readonly NbftHfi[];
  readonly securities: readonly NbftSecurity[];
  readonly discoveries: readonly NbftDiscovery[];
  readonly subsystems: readonly NbftSubsystem[];
  readonly problems: readonly NbftProblem[];
}
