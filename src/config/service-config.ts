/**
 * stafd.conf and stacd.conf: text in, a frozen configuration and a list of problems out. Reading
 * never fails: whatever cannot be used is a problem, and its default applies.
 */
import type { ConnectOptions, ProbeMode } from '../nvme/connect-options.ts';
import type { IpFamily } from '../nvme/ip-address.ts';
import { makeTid, tidKey, type Transport, type TransportId } from '../nvme/transport-id.ts';
import { connectOptionKeys, readConnectOption } from './connect-option.ts';
import {
  readController,
  readExclude,
  type ConfiguredController,
  type Exclude,
} from './controller-entry.ts';
import { EntryReader } from './entry-reader.ts';
import type { ConfSource } from './ini-text.ts';
import type { OptionKind } from './option-kind.ts';
import {
  CONTROLLERS,
  DC_MANAGEMENT,
  GLOBAL,
  IOC_MANAGEMENT,
  OPTIONS,
  SERVICE_DISCOVERY,
  type Daemon,
} from './option-table.ts';
import {
  readBoolean,
  readBooleanOr,
  readChoice,
  readInteger,
  readSwitch,
  readTimeSpan,
  readWords,
  type ReadValue,
} from './option-value.ts';
import { placeText, type Place, type Problem } from './problem.ts';

export type DisconnectScope =
  'only-stas-connections' | 'all-connections-matching-disconnect-trtypes' | 'no-disconnect';

/** `auto`: a DC whose own log entry says that it keeps no persistent connections is polled. */
export type PersistentConnections = boolean | 'auto';

/** A daemon's configuration. Options of the other daemon hold their defaults. Frozen. */
export interface ServiceConfig {
  readonly daemon: Daemon;
  readonly tron: boolean;
  /** [Global]; see {@link mergeOptions} for what one controller says differently. */
  readonly options: ConnectOptions;
  readonly ignoreIface: boolean;
  readonly ipFamilies: ReadonlySet<IpFamily>;
  readonly reachabilityCheck: ProbeMode;
  readonly pleo: boolean;
  readonly zeroconf: boolean;
  readonly persistentConnections: PersistentConnections;
  /** Seconds, perhaps with a fraction; more than 0. */
  readonly pollInterval: number;
  /** Seconds, perhaps with a fraction; 0 not at all, -1 for ever. */
  readonly zeroconfPersistence: number;
  readonly disconnectScope: DisconnectScope;
  readonly disconnectTrtypes: ReadonlySet<Transport>;
  /** Per cent, 1 to 100. */
  readonly disconnectLimit: number;
  /** 0, or at least 2. */
  readonly connectAttemptsOnNcc: number;
  readonly controllers: readonly ConfiguredController[];
  readonly excludes: readonly Exclude[];
}

export interface ParsedServiceConfig {
  readonly config: ServiceConfig;
  readonly problems: readonly Problem[];
}

const DEFAULT_ZEROCONF_PERSISTENCE = 72 * 60 * 60;
const DEFAULT_POLL_INTERVAL = 15 * 60;
const DEFAULT_CTRL_LOSS_TMO = 600;
/** stafd's; stacd leaves it to the kernel. */
const DEFAULT_DISCOVERY_KATO = 30;

function kindOf<K extends OptionKind['kind']>(
  section: string,
  key: string,
  kind: K,
): Extract<OptionKind, { readonly kind: K }> {
  const value = OPTIONS.find((option) => option.section === section && option.key === key)?.value;
  if (value?.kind !== kind) throw new TypeError(`[${section}] ${key} is not of the kind ${kind}`);
  return value as Extract<OptionKind, { readonly kind: K }>;
}

/** 1 is taken as 2, the least that the option is defined for. */
function readNccAttempts(text: string): ReadValue<number> {
  const read = readInteger(kindOf(IOC_MANAGEMENT, 'connect-attempts-on-ncc', 'integer'), text);
  if (!read.ok || read.value !== 1) return read;
  const warning = { message: 'is too few, 2 is taken', allowed: '0, or 2 and more' };
  return { ok: true, value: 2, warning };
}

function defaultOptions(daemon: Daemon): ConnectOptions {
  return {
    ...(daemon === 'stafd' ? { kato: DEFAULT_DISCOVERY_KATO } : {}),
    ctrlLossTmo: DEFAULT_CTRL_LOSS_TMO,
  };
}

/** What applies where the file says nothing. */
export function defaultServiceConfig(daemon: Daemon): ServiceConfig {
  return Object.freeze({
    daemon,
    tron: false,
    options: Object.freeze(defaultOptions(daemon)),
    ignoreIface: false,
    ipFamilies: new Set<IpFamily>(['ipv4', 'ipv6']),
    reachabilityCheck: 'nvme-tcp',
    pleo: true,
    zeroconf: true,
    persistentConnections: true,
    pollInterval: DEFAULT_POLL_INTERVAL,
    zeroconfPersistence: DEFAULT_ZEROCONF_PERSISTENCE,
    disconnectScope: 'only-stas-connections',
    disconnectTrtypes: new Set<Transport>(['tcp']),
    disconnectLimit: 50,
    connectAttemptsOnNcc: 0,
    controllers: Object.freeze([]),
    excludes: Object.freeze([]),
  });
}

function readGlobalOptions(reader: EntryReader, daemon: Daemon): ConnectOptions {
  let options = defaultOptions(daemon);
  for (const key of connectOptionKeys()) {
    const given = reader.last(GLOBAL, key, (text) => readConnectOption(key, text));
    options = { ...options, ...given };
  }
  return Object.freeze(options);
}

/**
 * The option and its earlier place: as in nvme-stas 2.4.1, one `true` of the two in a file is enough.
 * Of several files, the last one that says something counts.
 */
function readPersistentConnections(
  reader: EntryReader,
  files: readonly string[],
): PersistentConnections | undefined {
  const now = reader.byFile(DC_MANAGEMENT, 'persistent-connections', (text) =>
    readBooleanOr(['auto'], text),
  );
  const legacy = reader.byFile(GLOBAL, 'persistent-connections', readBoolean);
  const file = files.findLast((each) => now.has(each) || legacy.has(each));
  if (file === undefined) return undefined;
  return legacy.get(file) === true ? true : (now.get(file) ?? false);
}

/** The first of equal controllers counts; a later one has nothing to add but confusion. */
function withoutDuplicates(
  controllers: readonly ConfiguredController[],
  reader: EntryReader,
): readonly ConfiguredController[] {
  const seen = new Map<string, Place>();
  return controllers.filter((controller) => {
    const key = tidKey(controller.tid);
    const first = seen.get(key);
    if (first === undefined) {
      seen.set(key, controller);
      return true;
    }
    reader.addAt(controller, CONTROLLERS, 'controller', {
      severity: 'warning',
      message: `is the same controller as in ${placeText(first, controller.file)}`,
      effect: 'the first one counts',
    });
    return false;
  });
}

/**
 * Reads a daemon's configuration: its file, and the files that add to it and go before it, in the
 * order in which they do so. Lists collect over all of them; of other options, the last file that
 * has one that can be read counts. Files are only named in the problems; a text is a file's content
 * (decode bytes leniently: what is not UTF-8 is refused where it matters).
 */
export function parseServiceConfig(
  daemon: Daemon,
  sources: readonly ConfSource[],
): ParsedServiceConfig {
  const reader = new EntryReader(daemon, sources);
  const fallback = defaultServiceConfig(daemon);
  const words = (section: string, key: string) => (value: string) =>
    readWords(kindOf(section, key, 'words'), value);
  const choice = (section: string, key: string) => (value: string) =>
    readChoice(kindOf(section, key, 'choice'), value);

  const ipFamilies = reader.last(GLOBAL, 'ip-family', words(GLOBAL, 'ip-family'));
  const disconnectTrtypes = reader.last(
    IOC_MANAGEMENT,
    'disconnect-trtypes',
    words(IOC_MANAGEMENT, 'disconnect-trtypes'),
  );
  const reachabilityCheck = reader.last(
    GLOBAL,
    'reachability-check',
    choice(GLOBAL, 'reachability-check'),
  );
  const disconnectScope = reader.last(
    IOC_MANAGEMENT,
    'disconnect-scope',
    choice(IOC_MANAGEMENT, 'disconnect-scope'),
  );
  const { least } = kindOf(DC_MANAGEMENT, 'poll-interval', 'time-span');
  const controllers = reader.collect(CONTROLLERS, ['controller'], (value, place, report) =>
    readController(daemon, value, place, report),
  );

  const config: ServiceConfig = Object.freeze({
    daemon,
    tron: reader.last(GLOBAL, 'tron', readBoolean) ?? fallback.tron,
    options: readGlobalOptions(reader, daemon),
    ignoreIface: reader.last(GLOBAL, 'ignore-iface', readBoolean) ?? fallback.ignoreIface,
    // The readers give words of the option table, which a test compares with these types.
    ipFamilies: ipFamilies === undefined ? fallback.ipFamilies : new Set(ipFamilies as IpFamily[]),
    reachabilityCheck: (reachabilityCheck as ProbeMode | undefined) ?? fallback.reachabilityCheck,
    pleo: reader.last(GLOBAL, 'pleo', readSwitch) ?? fallback.pleo,
    zeroconf: reader.last(SERVICE_DISCOVERY, 'zeroconf', readSwitch) ?? fallback.zeroconf,
    persistentConnections:
      readPersistentConnections(
        reader,
        sources.map(({ file }) => file),
      ) ?? fallback.persistentConnections,
    pollInterval:
      reader.last(DC_MANAGEMENT, 'poll-interval', (text) => readTimeSpan(text, least)) ??
      fallback.pollInterval,
    zeroconfPersistence:
      reader.last(DC_MANAGEMENT, 'zeroconf-connections-persistence', (text) =>
        readTimeSpan(text),
      ) ?? fallback.zeroconfPersistence,
    disconnectScope: (disconnectScope as DisconnectScope | undefined) ?? fallback.disconnectScope,
    disconnectTrtypes:
      disconnectTrtypes === undefined
        ? fallback.disconnectTrtypes
        : new Set(disconnectTrtypes as Transport[]),
    disconnectLimit:
      reader.last(IOC_MANAGEMENT, 'disconnect-limit', (text) =>
        readInteger(kindOf(IOC_MANAGEMENT, 'disconnect-limit', 'integer'), text),
      ) ?? fallback.disconnectLimit,
    connectAttemptsOnNcc:
      reader.last(IOC_MANAGEMENT, 'connect-attempts-on-ncc', readNccAttempts) ??
      fallback.connectAttemptsOnNcc,
    controllers: Object.freeze(withoutDuplicates(controllers, reader)),
    excludes: Object.freeze(
      reader.collect(CONTROLLERS, ['exclude', 'blacklist'], (value, place, report) =>
        readExclude(value, place, report),
      ),
    ),
  });
  return { config, problems: reader.sortedProblems() };
}

/**
 * A TID as the daemons compare it: without its interface where `ignore-iface` says so, with the
 * host's own NQN where it names none. For TIDs from any source.
 */
export function normalizeConfiguredTid(
  tid: TransportId,
  host: { readonly ignoreIface: boolean; readonly hostNqn: string },
): TransportId {
  return makeTid({
    ...tid,
    hostIface: host.ignoreIface ? '' : tid.hostIface,
    hostNqn: tid.hostNqn === '' ? host.hostNqn : tid.hostNqn,
  });
}
