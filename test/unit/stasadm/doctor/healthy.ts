/** What is known of a host that lacks nothing; tests change what they are about. */
import { known } from '../../../../src/core/answer.ts';
import type { KernelController } from '../../../../src/nvme/kernel-controller.ts';
import type {
  Configuration,
  ConfEntry,
  DaemonFacts,
  Facts,
  KernelModule,
  Unit,
} from '../../../../src/stasadm/doctor/facts.ts';
import { NO_FILTER } from '../../../../src/stasadm/doctor/packet-filter.ts';

export const NQN = 'nqn.2014-08.org.nvmexpress:uuid:f2782346-4809-484a-9a8b-952a04b57ba4';
export const ID = '30337838-5f1d-4e61-9c4e-d5ad2ad5b7ad';
export const OTHER_ID = '11111111-1111-4111-8111-111111111111';

export const LIVE: KernelController = {
  device: 'nvme3',
  instance: '42',
  transport: 'tcp',
  traddr: '192.0.2.1',
  trsvcid: '4420',
  hostTraddr: '',
  hostIface: '',
  srcAddr: '192.0.2.100',
  subsysnqn: 'nqn.2014-08.org.example:data',
  hostnqn: NQN,
  hostid: ID,
  cntrltype: 'io',
  dctype: '',
  model: 'Linux',
  serial: '1',
  cntlid: '1',
  state: 'live',
  hasChildren: true,
};

export const CONFIGURATION: Configuration = {
  errors: 0,
  warnings: 0,
  hostnqn: { kind: 'found', value: NQN, source: '/etc/nvme/hostnqn' },
  hostid: { kind: 'found', value: ID, source: '/etc/nvme/hostid' },
  identities: [{ hostnqn: NQN, hostid: ID, by: 'this host' }],
  zeroconf: true,
  transports: new Set(['tcp']),
  usesSecrets: true,
};

export const LOADED: KernelModule = { state: known('loaded'), blockedBy: undefined };
export const NO_UNIT: Unit = { active: known('inactive'), enabled: known('') };

export function entry(path: string, rest: Partial<ConfEntry> = {}): ConfEntry {
  return { path, kind: 'file', mode: 0o644, uid: 0, gid: 0, holdsSecret: false, ...rest };
}

export function daemonFacts(name: 'staf' | 'stac', rest: Partial<DaemonFacts> = {}): DaemonFacts {
  const files = [`/usr/share/dbus-1/system.d/org.nvmexpress.${name}.conf`];
  return {
    policy: known({ files, allowsOwning: true }),
    owner: known({ reply: 'answers', isPython: false }),
    unit: { active: known('active'), enabled: known('enabled') },
    program: known('other'),
    snapshot: known('fits'),
    ...rest,
  };
}

export const OVERRIDE = {
  file: '/run/udev/rules.d/70-nvmf-autoconnect.rules',
  empty: false,
  isOverride: true,
};

export const HEALTHY: Facts = {
  isRoot: true,
  booted: true,
  release: '6.12.43-amd64',
  fabrics: known({
    kind: 'options',
    options: new Set(['host_iface', 'discovery', 'dhchap_secret', 'traddr']),
  }),
  modules: { 'nvme-fabrics': LOADED, 'nvme-tcp': LOADED, 'nvme-rdma': LOADED, 'nvme-fc': LOADED },
  controllers: known([LIVE]),
  libnvme: known({ path: '/lib/x86_64-linux-gnu/libnvme.so.1', version: '1.13', minor: 13 }),
  configuration: known(CONFIGURATION),
  nvmeCliIdentity: known({ hostnqn: NQN, hostid: ID }),
  bus: known(undefined),
  daemons: { stafd: daemonFacts('staf'), stacd: daemonFacts('stac') },
  units: {
    'nvme-discoverd.service': NO_UNIT,
    'nvmf-autoconnect.service': NO_UNIT,
    'firewalld.service': NO_UNIT,
    'ufw.service': NO_UNIT,
  },
  avahi: {
    server: known('running'),
    interfaces: known(['eth0', 'eth1']),
    listening: known(['lo', 'eth0', 'eth1']),
    leftOut: [],
  },
  nvmeCli: '/usr/sbin/nvme',
  rules: known([OVERRIDE]),
  autoconnectFiles: [],
  packetFilter: known(NO_FILTER),
  confEntries: known([
    entry('/etc/stas', { kind: 'folder', mode: 0o755 }),
    entry('/etc/stas/stacd.conf', { mode: 0o600, holdsSecret: true }),
  ]),
};
