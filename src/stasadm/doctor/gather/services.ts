/** What files say of services: units, programs, the bus's policy, udev's rules. */
import { readlinkSync } from 'node:fs';
import overrideText from '../../../../udev/70-nvmf-autoconnect.rules';
import { known, unknown, type Answer } from '../../../core/answer.ts';
import type { BusPolicy, DaemonFacts, DaemonName, RulesFile } from '../facts.ts';
import { exists, hasName, namesIn, textOf } from './files.ts';
import type { World } from './world.ts';

const POLICY_FOLDERS = ['/usr/share/dbus-1/system.d', '/etc/dbus-1/system.d'];

function withoutComments(xml: string): string {
  let rest = '';
  let at = 0;
  for (;;) {
    const start = xml.indexOf('<!--', at);
    if (start === -1) return rest + xml.slice(at);
    rest += xml.slice(at, start);
    const end = xml.indexOf('-->', start + 4);
    if (end === -1) return rest;
    at = end + 3;
  }
}

/** Whether a policy (busconfig) lets somebody own a name. */
export function allowsOwning(text: string, name: string): boolean {
  return [...withoutComments(text).matchAll(/<allow\b([^<>]*)>/g)].some(([, attributes = '']) =>
    [`own="${name}"`, `own='${name}'`].some((own) => attributes.includes(own)),
  );
}

export function gatherPolicy(world: World, name: string): Answer<BusPolicy> {
  const files: string[] = [];
  let allows = false;
  for (const folder of POLICY_FOLDERS) {
    const path = `${folder}/${name}.conf`;
    const text = textOf(world, path);
    if (text.kind === 'unknown') return text;
    if (text.value === undefined) continue;
    files.push(path);
    allows ||= allowsOwning(text.value, name);
  }
  return known({ files, allowsOwning: allows });
}

export function gatherProgram(world: World, daemon: DaemonName): DaemonFacts['program'] {
  const text = textOf(world, `/usr/sbin/${daemon}`);
  if (text.kind === 'unknown') return text;
  if (text.value === undefined) return known(undefined);
  const [first = ''] = text.value.split('\n', 1);
  return known(/^#!.*\bpython/.test(first) ? 'python' : 'other');
}

const UNIT_FOLDERS = [
  '/etc/systemd/system',
  '/run/systemd/system',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
];

/** What the unit files say, for where systemd cannot be asked: its own words. */
export function enabledByFiles(world: World, unit: string): Answer<string> {
  const found = UNIT_FOLDERS.find((folder) => hasName(world, `${folder}/${unit}`));
  if (found === undefined) return known('');
  if (linkTarget(world, `${found}/${unit}`) === '/dev/null') return known('masked');
  for (const folder of UNIT_FOLDERS) {
    const names = namesIn(world, folder);
    if (names.kind === 'unknown') return names;
    const wanting = names.value.filter((name) => /\.(?:wants|requires)$/.test(name));
    if (wanting.some((name) => hasName(world, `${folder}/${name}/${unit}`))) {
      return known('enabled');
    }
  }
  return known('disabled');
}

function linkTarget({ root }: World, path: string): string | undefined {
  try {
    return readlinkSync(root + path);
  } catch {
    return undefined;
  }
}

const RULES = '70-nvmf-autoconnect.rules';
const RULES_FOLDERS = [
  '/etc/udev/rules.d',
  '/run/udev/rules.d',
  '/usr/local/lib/udev/rules.d',
  '/usr/lib/udev/rules.d',
];

function isEmpty(text: string): boolean {
  return text.split('\n').every((line) => /^\s*(?:#.*)?$/.test(line));
}

export function gatherRules(world: World): Answer<readonly RulesFile[]> {
  const files: RulesFile[] = [];
  for (const folder of RULES_FOLDERS) {
    const file = `${folder}/${RULES}`;
    const text = textOf(world, file);
    if (text.kind === 'unknown') return text;
    if (text.value === undefined) continue;
    files.push({ file, empty: isEmpty(text.value), isOverride: text.value === overrideText });
  }
  return known(files);
}

const NVME_PROGRAMS = ['/usr/sbin/nvme', '/usr/bin/nvme', '/usr/local/sbin/nvme', '/sbin/nvme'];

export function gatherNvmeCli(world: World): string | undefined {
  return NVME_PROGRAMS.find((path) => exists(world, path));
}

/** Those of `nvme connect-all` that have something in them. */
export function gatherAutoconnectFiles(world: World): readonly string[] {
  return ['/etc/nvme/discovery.conf', '/etc/nvme/config.json'].filter((path) => {
    const text = textOf(world, path);
    // One that cannot be read may have.
    return text.kind === 'unknown' || (text.value !== undefined && !isEmpty(text.value));
  });
}

/** Whether a process runs a Python interpreter; undefined if it is not shown. */
export function isPythonProcess(world: World, pid: number): boolean | undefined {
  const text = textOf(world, `/proc/${String(pid)}/cmdline`);
  if (text.kind === 'unknown' || text.value === undefined) return undefined;
  const [program = ''] = text.value.split('\0');
  return program === '' ? undefined : /(?:^|\/)python[0-9.]*$/.test(program);
}

export const NO_SYSTEM = 'no systemd runs here';

export function notBooted(): Answer<never> {
  return unknown(NO_SYSTEM);
}
