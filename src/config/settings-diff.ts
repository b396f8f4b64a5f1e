/** What differs between two configurations, in the words of the files. Pure; no secret comes out. */
import { changedOptions, changedSecret } from './connect-option.ts';
import type { Exclude } from './controller-entry.ts';
import {
  CONTROLLERS,
  DC_MANAGEMENT,
  GLOBAL,
  HOST,
  IOC_MANAGEMENT,
  SERVICE_DISCOVERY,
  type Daemon,
} from './option-table.ts';
import type { ServiceConfig } from './service-config.ts';
import type { Identity } from './sys-config.ts';

/** An option that has another value; null where it has none, and its default applies. */
export interface SettingChange {
  readonly section: string;
  readonly key: string;
  readonly from: string | null;
  readonly to: string | null;
}

type Words = (config: ServiceConfig) => string;

interface Setting {
  readonly section: string;
  readonly key: string;
  readonly daemon?: Daemon;
  readonly words: Words;
}

function switched(on: boolean): string {
  return on ? 'enabled' : 'disabled';
}

/** Every option but those of connections, controllers and `tron`, which is also set by other means. */
const SETTINGS: readonly Setting[] = [
  { section: GLOBAL, key: 'ignore-iface', words: (config) => String(config.ignoreIface) },
  { section: GLOBAL, key: 'ip-family', words: (config) => [...config.ipFamilies].join('+') },
  { section: GLOBAL, key: 'reachability-check', words: (config) => config.reachabilityCheck },
  { section: GLOBAL, key: 'pleo', daemon: 'stafd', words: (config) => switched(config.pleo) },
  {
    section: SERVICE_DISCOVERY,
    key: 'zeroconf',
    daemon: 'stafd',
    words: (config) => switched(config.zeroconf),
  },
  {
    section: DC_MANAGEMENT,
    key: 'persistent-connections',
    daemon: 'stafd',
    words: (config) => String(config.persistentConnections),
  },
  {
    section: DC_MANAGEMENT,
    key: 'poll-interval',
    daemon: 'stafd',
    words: (config) => String(config.pollInterval),
  },
  {
    section: DC_MANAGEMENT,
    key: 'zeroconf-connections-persistence',
    daemon: 'stafd',
    words: (config) => String(config.zeroconfPersistence),
  },
  {
    section: IOC_MANAGEMENT,
    key: 'disconnect-scope',
    daemon: 'stacd',
    words: (config) => config.disconnectScope,
  },
  {
    section: IOC_MANAGEMENT,
    key: 'disconnect-trtypes',
    daemon: 'stacd',
    words: (config) => [...config.disconnectTrtypes].join('+'),
  },
  {
    section: IOC_MANAGEMENT,
    key: 'disconnect-limit',
    daemon: 'stacd',
    words: (config) => String(config.disconnectLimit),
  },
  {
    section: IOC_MANAGEMENT,
    key: 'connect-attempts-on-ncc',
    daemon: 'stacd',
    words: (config) => String(config.connectAttemptsOnNcc),
  },
];

/** The options of [Global] and of the other sections, and what is excluded. */
export function changedSettings(from: ServiceConfig, to: ServiceConfig): readonly SettingChange[] {
  const changes: SettingChange[] = [];
  for (const { option, ...values } of changedOptions(from.options, to.options)) {
    changes.push({ section: GLOBAL, key: option, ...values });
  }
  for (const { daemon, key, section, words } of SETTINGS) {
    if (daemon !== undefined && daemon !== to.daemon) continue;
    const [before, after] = [words(from), words(to)];
    if (before !== after) changes.push({ section, key, from: before, to: after });
  }
  return [...changes, ...changedExcludes(from.excludes, to.excludes)];
}

/** In no order: an exclusion counts wherever it stands. */
function changedExcludes(
  from: readonly Exclude[],
  to: readonly Exclude[],
): readonly SettingChange[] {
  const before = new Set(from.map(excludeWords));
  const after = new Set(to.map(excludeWords));
  const exclude = { section: CONTROLLERS, key: 'exclude' };
  return [
    ...[...before].filter((it) => !after.has(it)).map((it) => ({ ...exclude, from: it, to: null })),
    ...[...after].filter((it) => !before.has(it)).map((it) => ({ ...exclude, from: null, to: it })),
  ];
}

function excludeWords(exclude: Exclude): string {
  const fields: readonly (readonly [string, string | undefined])[] = [
    ['transport', exclude.transport],
    ['traddr', exclude.traddr],
    ['trsvcid', exclude.trsvcid],
    ['nqn', exclude.subsysnqn],
    ['host-iface', exclude.hostIface],
    ['host-nqn', exclude.hostNqn],
  ];
  return fields
    .flatMap(([name, value]) => (value === undefined ? [] : `${name}=${value}`))
    .join(';');
}

/** Who the host is. */
export function changedIdentity(from: Identity, to: Identity): readonly SettingChange[] {
  const changes: SettingChange[] = [];
  const compare = (key: string, before: string | null, after: string | null): void => {
    if (before !== after) changes.push({ section: HOST, key, from: before, to: after });
  };
  compare('nqn', from.hostnqn, to.hostnqn);
  compare('id', from.hostid, to.hostid);
  compare('symname', from.symname ?? null, to.symname ?? null);
  const key = changedSecret('key', from.key, to.key);
  if (key !== undefined) compare('key', key.from, key.to);
  return changes;
}
