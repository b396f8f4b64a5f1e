/** Rows of the table of checks, and changes of the healthy host that they are made of. */
import { known, unknown } from '../../../../src/core/answer.ts';
import type {
  Avahi,
  Configuration,
  DaemonFacts,
  Facts,
  KernelModule,
  RulesFile,
  Unit,
} from '../../../../src/stasadm/doctor/facts.ts';
import type { Severity } from '../../../../src/stasadm/doctor/finding.ts';
import { NO_FILTER, type PacketFilter } from '../../../../src/stasadm/doctor/packet-filter.ts';
import { CONFIGURATION, daemonFacts, HEALTHY, LIVE, LOADED } from './healthy.ts';

export const NOT_SEEN = unknown('it could not be seen');
export const USER = { isRoot: false } as const;

export function configured(changes: Partial<Configuration>): Partial<Facts> {
  return { configuration: known({ ...CONFIGURATION, ...changes }) };
}

export function connected(...changes: readonly Partial<typeof LIVE>[]): Partial<Facts> {
  return { controllers: known(changes.map((change) => ({ ...LIVE, ...change }))) };
}

export function tcpModule(change: Partial<KernelModule>): Partial<Facts> {
  return { modules: { ...HEALTHY.modules, 'nvme-tcp': { ...LOADED, ...change } } };
}

export function stafd(change: Partial<DaemonFacts>): Partial<Facts> {
  return { daemons: { ...HEALTHY.daemons, stafd: daemonFacts('staf', change) } };
}

export function unit(name: keyof Facts['units'], state: Unit): Partial<Facts> {
  return { units: { ...HEALTHY.units, [name]: state } };
}

export function avahi(change: Partial<Avahi>): Partial<Facts> {
  return { avahi: { ...HEALTHY.avahi, ...change } };
}

export function filter(change: Partial<PacketFilter>): Partial<Facts> {
  return { packetFilter: known({ ...NO_FILTER, ...change }) };
}

export function rules(...files: readonly RulesFile[]): Partial<Facts> {
  return { rules: known(files) };
}

export const POLICY = '/usr/share/dbus-1/system.d/org.nvmexpress.staf.conf';
export const SHIPPED: RulesFile = {
  file: '/usr/lib/udev/rules.d/70-nvmf-autoconnect.rules',
  empty: false,
  isOverride: false,
};
export const RUNNING: Unit = { active: known('active'), enabled: known('enabled') };
export const NOT_RUNNING = { owner: known(undefined) };

export type Row = readonly [
  id: string,
  what: string,
  change: Partial<Facts>,
  severity: Severity,
  seen: string,
  remedy?: string,
];
