/**
 * What `stasadm doctor` knows of the host when it judges. What could not be found out is an unknown
 * answer with its reason, never an empty one.
 */
import type { OwnIdentity } from '../../config/host-identities.ts';
import type { Answer } from '../../core/answer.ts';
import type { KernelController } from '../../nvme/kernel-controller.ts';
import type { PacketFilter } from './packet-filter.ts';

export type DaemonName = 'stafd' | 'stacd';
export const DAEMONS: readonly DaemonName[] = ['stafd', 'stacd'];

/** The units that are asked about besides the daemons' own. */
export const OTHER_UNITS = [
  'nvme-discoverd.service',
  'nvmf-autoconnect.service',
  'firewalld.service',
  'ufw.service',
] as const;
export type OtherUnit = (typeof OTHER_UNITS)[number];

/** What `/dev/nvme-fabrics` is: not there, of a kernel that cannot be asked, or what it answers. */
export type FabricsDevice =
  | { readonly kind: 'missing' }
  | { readonly kind: 'silent' }
  | { readonly kind: 'options'; readonly options: ReadonlySet<string> };

export const MODULES = ['nvme-fabrics', 'nvme-tcp', 'nvme-rdma', 'nvme-fc'] as const;
export type ModuleName = (typeof MODULES)[number];

export interface KernelModule {
  readonly state: Answer<'loaded' | 'available' | 'missing'>;
  /** The file, or kernel command line, that keeps it from being loaded. */
  readonly blockedBy: string | undefined;
}

export interface Libnvme {
  readonly path: string;
  /** `1.13` */
  readonly version: string;
  /** Of 1.x. */
  readonly minor: number;
}

/** A value of sys.conf: as found, why it cannot be used, or why that was not to be seen. */
export type IdentityValue =
  | { readonly kind: 'found'; readonly value: string; readonly source: string }
  | { readonly kind: 'unusable' | 'unseen'; readonly why: string };

/** A host NQN that files name, with the ID that it is connected with. */
export interface NamedIdentity extends OwnIdentity {
  /** For people: who names it. */
  readonly by: string;
}

export interface Configuration {
  readonly errors: number;
  readonly warnings: number;
  readonly hostnqn: IdentityValue;
  readonly hostid: IdentityValue;
  /** The host's own, if it is complete, and those of `host-nqn=`. */
  readonly identities: readonly NamedIdentity[];
  readonly zeroconf: boolean;
  readonly transports: ReadonlySet<string>;
  readonly usesSecrets: boolean;
}

/** `/etc/nvme/hostnqn` and `/etc/nvme/hostid`: empty where there is none. */
export type NvmeCliIdentity = OwnIdentity;

export interface BusPolicy {
  /** The files that speak of the daemon's name. */
  readonly files: readonly string[];
  /** Whether one of them lets root own it. */
  readonly allowsOwning: boolean;
}

export type Reply = 'answers' | 'silent' | 'denied';

export interface NameOwner {
  readonly reply: Reply;
  /** Its process runs a Python interpreter: undefined if that could not be seen. */
  readonly isPython: boolean | undefined;
}

export interface Unit {
  /** systemd's word: `active`, `inactive`, `failed`, … */
  readonly active: Answer<string>;
  /** systemd's word: `enabled`, `disabled`, `masked`, `static`, …; empty if there is no such unit. */
  readonly enabled: Answer<string>;
}

/**
 * How it is with a daemon's start-up snapshot: it `fits`; it is `outdated`, made of another Node,
 * program or processor; there is none (`missing`); the last start from it `failed`, or is under way.
 */
export type Snapshot = 'fits' | 'outdated' | 'missing' | 'failed';

export interface DaemonFacts {
  readonly policy: Answer<BusPolicy>;
  /** Undefined: nobody has its name. */
  readonly owner: Answer<NameOwner | undefined>;
  readonly unit: Unit;
  /** Whether its program is that of the Python nvme-stas; undefined: there is none. */
  readonly program: Answer<'python' | 'other' | undefined>;
  /** Undefined: it is not installed so that it has one. */
  readonly snapshot: Answer<Snapshot | undefined>;
}

export interface Avahi {
  /** Whether avahi-daemon has its name; `silent`: it does not answer. */
  readonly server: Answer<'absent' | 'silent' | 'running' | 'not-running'>;
  /** Interfaces that are up and could be listened on. */
  readonly interfaces: Answer<readonly string[]>;
  /** Interfaces on which the host is in mDNS's multicast group. */
  readonly listening: Answer<readonly string[]>;
  /** Interfaces that avahi-daemon.conf leaves out. */
  readonly leftOut: readonly string[];
}

/** A rules file of the name that nvme-cli and stafd use. */
export interface RulesFile {
  readonly file: string;
  /** Whether it does nothing: a link to /dev/null, or nothing but comments. */
  readonly empty: boolean;
  /** Whether it has the text that stafd puts in place. */
  readonly isOverride: boolean;
}

/** A file or folder of the configuration. */
export interface ConfEntry {
  readonly path: string;
  readonly kind: 'file' | 'folder';
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Undefined: it cannot be read by who runs this. */
  readonly holdsSecret: boolean | undefined;
}

export interface Facts {
  readonly isRoot: boolean;
  /** Whether systemd runs here: not in a chroot. */
  readonly booted: boolean;
  /** `uname -r` */
  readonly release: string;
  readonly fabrics: Answer<FabricsDevice>;
  readonly modules: Readonly<Record<ModuleName, KernelModule>>;
  readonly controllers: Answer<readonly KernelController[]>;
  /** Undefined: there is none. */
  readonly libnvme: Answer<Libnvme | undefined>;
  readonly configuration: Answer<Configuration>;
  readonly nvmeCliIdentity: Answer<NvmeCliIdentity>;
  /** The bus itself: known if it can be reached. */
  readonly bus: Answer<undefined>;
  readonly daemons: Readonly<Record<DaemonName, DaemonFacts>>;
  readonly units: Readonly<Record<OtherUnit, Unit>>;
  readonly avahi: Avahi;
  /** Path of the program, undefined if there is none. */
  readonly nvmeCli: string | undefined;
  /** In the order in which udev prefers them. */
  readonly rules: Answer<readonly RulesFile[]>;
  /** Files that `nvmf-autoconnect.service` connects at boot. */
  readonly autoconnectFiles: readonly string[];
  readonly packetFilter: Answer<PacketFilter>;
  readonly confEntries: Answer<readonly ConfEntry[]>;
}
