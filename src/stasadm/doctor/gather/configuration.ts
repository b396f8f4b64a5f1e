/** What the configuration files say, and who may read and write them. */
import { readdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { withHostIds, type OwnIdentity } from '../../../config/host-identities.ts';
import type { Daemon } from '../../../config/option-table.ts';
import { parseServiceConfig, type ServiceConfig } from '../../../config/service-config.ts';
import { parseSysConfig, type ParsedSysConfig } from '../../../config/sys-config.ts';
import { known, unknown, type Answer } from '../../../core/answer.ts';
import { ConfFileError, readConfFile, readConfFiles } from '../../../platform/conf-files.ts';
import { hasCode } from '../../../platform/system-error.ts';
import { checkConfig } from '../../check-config.ts';
import type {
  ConfEntry,
  Configuration,
  IdentityValue,
  NamedIdentity,
  NvmeCliIdentity,
} from '../facts.ts';
import { textOf, whyNot } from './files.ts';
import type { World } from './world.ts';

const FOLDER = '/etc/stas';
const FILES: readonly (readonly [Daemon, string])[] = [
  ['stafd', `${FOLDER}/stafd.conf`],
  ['stacd', `${FOLDER}/stacd.conf`],
];

interface SysFacts {
  readonly parsed: ParsedSysConfig;
  /** Files that could not be read for want of permission. */
  readonly denied: ReadonlySet<string>;
}

function isDenied({ code }: ConfFileError): boolean {
  return code === 'EACCES' || code === 'EPERM';
}

/** Throws ConfFileError if sys.conf itself cannot be read. */
function readSys({ root, sysConf }: World): SysFacts {
  const denied = new Set<string>();
  const parsed = parseSysConfig(sysConf, readConfFile(sysConf, root), (path) => {
    try {
      return readConfFile(path, root);
    } catch (thrown) {
      if (!(thrown instanceof ConfFileError)) throw thrown;
      if (isDenied(thrown)) denied.add(path);
      return { why: thrown.why, privateFile: isDenied(thrown) };
    }
  });
  return { parsed, denied };
}

function firstWord(text: string): string {
  return text.trim().split(/\s+/)[0] ?? '';
}

function identityValue(
  world: World,
  { denied, parsed }: SysFacts,
  key: 'nqn' | 'id',
): IdentityValue {
  const source = parsed.sources[key] ?? world.sysConf;
  const missing = parsed.missing.find((each) => each.key === key);
  if (missing !== undefined) {
    return denied.has(source)
      ? { kind: 'unseen', why: `${source} is not for everybody to read` }
      : { kind: 'unusable', why: missing.problem.message };
  }
  const { identity } = parsed;
  if (identity !== undefined) {
    return { kind: 'found', value: key === 'nqn' ? identity.hostnqn : identity.hostid, source };
  }
  // Valid, and of no use without the other one: then the parser does not give it.
  const text = source === world.sysConf ? undefined : textOf(world, source);
  const value = text?.kind === 'known' ? firstWord(text.value ?? '') : '';
  return { kind: 'found', value: value === '' ? 'valid' : value, source };
}

function identitiesOf(
  own: OwnIdentity | undefined,
  configs: readonly ServiceConfig[],
): readonly NamedIdentity[] {
  const named = configs.flatMap(({ controllers, daemon }) =>
    controllers.flatMap(({ hostId, tid }) =>
      hostId === '' ? [] : [{ hostnqn: tid.hostNqn, hostid: hostId, by: `${daemon}.conf` }],
    ),
  );
  const own1 = own === undefined ? [] : [{ ...own, by: 'this host' }];
  return [...own1.map(({ by, hostid, hostnqn }) => ({ hostnqn, hostid, by })), ...named];
}

export function gatherConfiguration(world: World): Answer<Configuration> {
  try {
    const { isRoot, root, sysConf } = world;
    const sys = readSys(world);
    const { identity } = sys.parsed;
    const configs = FILES.map(([daemon, file]) => {
      const { config } = parseServiceConfig(daemon, readConfFiles(file, root).sources);
      return withHostIds(config, identity).config;
    });
    const { problems } = checkConfig({ files: [], as: undefined, sysConf, root, isRoot });
    const controllers = configs.flatMap((config) => config.controllers);
    const hasSecret = ({ dhchapCtrlSecret, dhchapSecret }: ServiceConfig['options']): boolean =>
      dhchapSecret !== undefined || dhchapCtrlSecret !== undefined;
    return known({
      errors: problems.filter(({ severity }) => severity === 'error').length,
      warnings: problems.filter(({ severity }) => severity === 'warning').length,
      hostnqn: identityValue(world, sys, 'nqn'),
      hostid: identityValue(world, sys, 'id'),
      identities: identitiesOf(identity, configs),
      zeroconf: configs.find(({ daemon }) => daemon === 'stafd')?.zeroconf ?? true,
      transports: new Set(controllers.map(({ tid }) => tid.transport)),
      usesSecrets:
        identity?.key !== undefined || controllers.some(({ options }) => hasSecret(options)),
    });
  } catch (thrown) {
    if (thrown instanceof ConfFileError) return unknown(thrown.message);
    throw thrown;
  }
}

export function gatherNvmeCliIdentity(world: World): Answer<NvmeCliIdentity> {
  const hostnqn = textOf(world, '/etc/nvme/hostnqn');
  if (hostnqn.kind === 'unknown') return hostnqn;
  const hostid = textOf(world, '/etc/nvme/hostid');
  if (hostid.kind === 'unknown') return hostid;
  return known({ hostnqn: firstWord(hostnqn.value ?? ''), hostid: firstWord(hostid.value ?? '') });
}

/** Whether the text of a configuration file has a secret in it, wherever it stands. */
export function holdsSecret(text: string): boolean {
  return text
    .split('\n')
    .some(
      (line) =>
        !/^\s*[#;]/.test(line) && /DHHC-|NVMeTLSkey|dhchap-(?:ctrl-)?secret\s*[=:]/i.test(line),
    );
}

interface Place {
  readonly path: string;
  /** Somebody listed it, so it must be there. */
  readonly listed: boolean;
}

function dropIns({ root }: World, folder: string): readonly Place[] {
  let names: readonly string[];
  try {
    names = readdirSync(root + folder);
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT', 'ENOTDIR')) return [];
    throw thrown;
  }
  return names
    .filter((name) => name.endsWith('.conf') && !name.startsWith('.'))
    .sort()
    .map((name) => ({ path: `${folder}/${name}`, listed: true }));
}

function entryOf(world: World, { listed, path }: Place): ConfEntry | undefined {
  let stat;
  try {
    stat = statSync(world.root + path);
  } catch (thrown) {
    if (!listed && hasCode(thrown, 'ENOENT', 'ENOTDIR')) return undefined;
    throw thrown;
  }
  const { gid, mode, uid } = stat;
  const rest = { path, mode: mode & 0o7777, uid, gid };
  if (stat.isDirectory()) return { ...rest, kind: 'folder', holdsSecret: false };
  const text = textOf(world, path);
  return {
    ...rest,
    kind: 'file',
    holdsSecret: text.kind === 'unknown' ? undefined : holdsSecret(text.value ?? ''),
  };
}

export function gatherConfEntries(world: World): Answer<readonly ConfEntry[]> {
  try {
    const place = (path: string): Place => ({ path, listed: false });
    const sources = Object.values(sourcesOf(world));
    const places: readonly Place[] = [
      place(FOLDER),
      ...FILES.flatMap(([, file]) => [
        place(file),
        place(`${file}.d`),
        ...dropIns(world, `${file}.d`),
      ]),
      place(world.sysConf),
      ...sources.flatMap((source) =>
        source.startsWith('/') ? [place(dirname(source)), place(source)] : [],
      ),
    ];
    const unique = new Map(places.map((each) => [each.path, each]));
    return known(
      [...unique.values()].flatMap((each) => {
        const entry = entryOf(world, each);
        return entry === undefined ? [] : [entry];
      }),
    );
  } catch (thrown) {
    const path = thrown instanceof Error && 'path' in thrown ? String(thrown.path) : FOLDER;
    return unknown(whyNot(path, thrown));
  }
}

function sourcesOf(world: World): ParsedSysConfig['sources'] {
  try {
    return readSys(world).parsed.sources;
  } catch (thrown) {
    // That it cannot be read is told of the configuration; the files of the others still count.
    if (thrown instanceof ConfFileError) return {};
    throw thrown;
  }
}
