/**
 * What stafctl and stacctl are shown in their cases: the services of the daemons, over fakes of the
 * kernel and the host, with some controllers of every state, none, or 1,000.
 */
import type { KernelView } from '../../../src/ctl/kernel-view.ts';
import { stafctl, type Tool } from '../../../src/ctl/tools.ts';
import { known, type Answer } from '../../../src/core/answer.ts';
import type { NamespaceUse } from '../../../src/nvme/block-use.ts';
import { EFLAGS_NCC } from '../../../src/nvme/discovery-log.ts';
import type { DiscoveryState } from '../../../src/stacd/plan.ts';
import { parseDiscoveryState } from '../../../src/stacd/stafd-answers.ts';
import type { EntryFields } from '../../fakes/discovery-log.ts';
import { FakeServiceBrowser } from '../../fakes/service-browser.ts';
import { HOST_NQN } from '../ctl/harness.ts';
import type { KitOptions } from '../service-kit.ts';
import { StacdBench } from '../stacd/bench.ts';
import { StafdBench } from '../stafd/bench.ts';

export const WELL_KNOWN = 'nqn.2014-08.org.nvmexpress.discovery';
const DATA = 'nqn.2014-08.org.example:data';
const LOGS = 'nqn.2014-08.org.example:logs';
const ARCHIVE = 'nqn.2014-08.org.example:old';
const HOST_ID = '30337838-5f1d-4e61-9c4e-d5ad2ad5b7ad';
const IDENTITY = { hostnqn: HOST_NQN, hostid: HOST_ID };
/** As the probe tells it. */
const REFUSED = [
  'ECONNREFUSED',
  'connection refused: nothing listens there (ECONNREFUSED)',
] as const;

/** A daemon that has been running for a while. */
export type World = StafdBench | StacdBench;

function entry(traddr: string, subnqn: string): EntryFields {
  return { traddr, subnqn, asqsz: 128 };
}

const FC = {
  transport: 'fc',
  traddr: 'nn-0x201700a09890f5bf:pn-0x201900a09890f5bf',
  trsvcid: '',
  subsysnqn: 'nqn.1992-08.com.example:discovery',
} as const;

const STAFD_CONF = `[Controllers]
controller = transport=tcp;traddr=192.0.2.10
controller = transport=tcp;traddr=192.0.2.9
controller = transport=fc;traddr=${FC.traddr};host-traddr=nn-0x20000090fae0b5f5:pn-0x10000090fae0b5f5;nqn=${FC.subsysnqn}
exclude = transport=tcp;traddr=192.0.2.11
`;

function stafd(text: string, options: KitOptions = {}, before?: StafdBench): StafdBench {
  const bench = new StafdBench(text, before, { ...IDENTITY, ...options });
  bench.log.setTracing(false);
  return bench;
}

function stacd(text: string, options: KitOptions = {}, before?: StacdBench): StacdBench {
  const bench = new StacdBench(text, before, { ...IDENTITY, ...options });
  bench.log.setTracing(false);
  return bench;
}

/** The kernel loses the connection to this address, and the daemon sees it. */
async function lose({ clock, devices }: StafdBench | StacdBench, traddr: string): Promise<void> {
  const found = devices.controllers.find((controller) => controller.traddr === traddr);
  if (found === undefined) throw new Error(`nothing is connected to ${traddr}`);
  devices.update(found.device, { state: 'connecting' });
  await clock.advance(61_000);
}

/** A port that nothing listens at, and one found by mDNS; one whose log lists what stacd has. */
async function someDcs(): Promise<StafdBench> {
  const services = new FakeServiceBrowser();
  const bench = stafd(STAFD_CONF, { services });
  bench.target('192.0.2.10', {
    subsysnqn: WELL_KNOWN,
    dctype: 'ddc',
    entries: [
      entry('192.0.2.20', DATA),
      entry('192.0.2.30', LOGS),
      entry('192.0.2.40', ARCHIVE),
      { subtype: 1, traddr: '192.0.2.11', trsvcid: '8009', subnqn: WELL_KNOWN },
    ],
  });
  bench.target('2001:db8::10', {
    subsysnqn: WELL_KNOWN,
    entries: [entry('192.0.2.21', DATA)],
  });
  bench.target(FC.traddr, FC);
  bench.prober.setUnreachable('192.0.2.9', '8009', ...REFUSED);
  services.announce({
    ...{ interfaceName: 'eth1', family: 'ipv6', name: 'storage', type: '_nvme-disc._tcp' },
    record: { address: '2001:db8::10', port: 8009, txt: [Buffer.from('p=tcp')] },
  });
  await bench.start();
  await lose(bench, FC.traddr);
  return bench;
}

const STACD_CONF = `[Controllers]
exclude = transport=tcp;traddr=192.0.2.40
`;

/** What stafd says, as stacd understands it. */
function toldBy(bench: StafdBench): Answer<DiscoveryState> {
  const tell = bench.object().methods['org.nvmexpress.staf.v1.get_discovery_state'];
  const [text] = (tell?.() ?? []) as readonly unknown[];
  const { controllers, settled } = parseDiscoveryState(String(text), bench.log);
  return known({
    ...{ settled, askedAt: bench.clock.now(), removed: new Map() },
    controllers: controllers.map(({ age, hostId, log, fresh, tid }) => ({
      ...{ hostId, log, fresh, tid, readAt: bench.clock.now() - age },
    })),
  });
}

/** What the logs of stafd's controllers list, on the same host. */
async function someIocs(): Promise<StacdBench> {
  const dcs = await someDcs();
  const bench = stacd(STACD_CONF);
  for (const device of dcs.devices.controllers) bench.devices.add(device);
  bench.target('192.0.2.20', DATA);
  bench.target('192.0.2.21', DATA);
  bench.prober.setUnreachable('192.0.2.30', '4420', ...REFUSED);
  bench.discovery = toldBy(dcs);
  await bench.start();
  bench.devices.add({
    ...{ device: 'nvme9', traddr: '192.0.2.50', trsvcid: '4420' },
    ...{ subsysnqn: 'nqn.2014-08.org.example:of-nvme-cli', hasChildren: true },
    ...{ hostnqn: HOST_NQN, hostid: HOST_ID },
  });
  await lose(bench, '192.0.2.21');
  return bench;
}

const UNRESOLVED = 'storage.example.com';

const STAFD_RULES = `[Global]
ip-family = ipv4
[Controllers]
controller = transport=tcp;traddr=2001:db8::9
controller = transport=tcp;traddr=${UNRESOLVED}
exclude = transport=tcp;traddr=192.0.2.12
`;

/** What is announced by mDNS, some of it in vain; what is configured, and cannot be connected. */
async function heldBackDcs(): Promise<StafdBench> {
  const services = new FakeServiceBrowser();
  const bench = stafd(STAFD_RULES, { services });
  const announce = (address: string, name: string, txt = 'p=tcp'): void => {
    services.announce({
      ...{ interfaceName: 'eth1', family: 'ipv4', name, type: '_nvme-disc._tcp' },
      record: { address, port: 8009, txt: [Buffer.from(txt)] },
    });
  };
  bench.target('192.0.2.10', {
    subsysnqn: WELL_KNOWN,
    entries: [entry('192.0.2.20', DATA), { ...entry('192.0.2.21', DATA), subtype: 9 }],
  });
  announce('192.0.2.10', 'storage');
  announce('192.0.2.11', 'silent');
  announce('192.0.2.12', 'laboratory');
  announce('192.0.2.13', 'odd', 'p=ftp');
  bench.prober.setUnreachable('192.0.2.11', '8009', ...REFUSED);
  await bench.start();
  await bench.clock.advance(60_000);
  return bench;
}

const STACD_RULES = `[Global]
ip-family = ipv4
[I/O controller connection management]
connect-attempts-on-ncc = 2
[Controllers]
controller = transport=tcp;traddr=${UNRESOLVED};trsvcid=4420;nqn=${ARCHIVE}
`;

/** What a log lists and a setting holds back: an entry with NCC, an address family. */
async function heldBackIocs(): Promise<StacdBench> {
  const dcs = stafd('[Controllers]\ncontroller = transport=tcp;traddr=192.0.2.10\n');
  dcs.target('192.0.2.10', {
    subsysnqn: WELL_KNOWN,
    entries: [
      { ...entry('192.0.2.20', LOGS), eflags: EFLAGS_NCC },
      { ...entry('2001:db8::20', DATA), adrfam: 2 },
    ],
  });
  await dcs.start();
  const bench = stacd(STACD_RULES);
  bench.prober.setUnreachable('192.0.2.20', '4420', ...REFUSED);
  bench.discovery = toldBy(dcs);
  await bench.start();
  await bench.clock.advance(60_000);
  return bench;
}

const MANY = Array.from({ length: 1000 }, (_, index) => index);

function numbered(network: number, index: number): string {
  return `10.${String(network)}.${String(index >> 8)}.${String(index & 255)}`;
}

/** 1,000, of which ten do not answer; the first lists 1,000 subsystems. */
async function manyDcs(): Promise<StafdBench> {
  const lines = MANY.map((index) => `controller = transport=tcp;traddr=${numbered(0, index)}\n`);
  const bench = stafd(`[Controllers]\n${lines.join('')}`);
  for (const index of MANY) {
    const traddr = numbered(0, index);
    if (index % 100 === 7) bench.prober.setUnreachable(traddr, '8009', ...REFUSED);
    const entries = MANY.map((one) => entry(numbered(1, one), `${DATA}${String(one)}`));
    bench.target(traddr, { subsysnqn: WELL_KNOWN, entries: index === 0 ? entries : [] });
  }
  await bench.start();
  await bench.clock.advance(60_000);
  return bench;
}

async function manyIocs(): Promise<StacdBench> {
  const dcs = stafd('[Controllers]\ncontroller = transport=tcp;traddr=192.0.2.10\n');
  const entries = MANY.map((index) => entry(numbered(1, index), `${DATA}${String(index)}`));
  dcs.target('192.0.2.10', { subsysnqn: WELL_KNOWN, entries });
  await dcs.start();
  const bench = stacd('');
  for (const index of MANY) {
    const traddr = numbered(1, index);
    if (index % 100 === 7) bench.prober.setUnreachable(traddr, '4420', ...REFUSED);
    bench.target(traddr, `${DATA}${String(index)}`);
  }
  bench.discovery = toldBy(dcs);
  await bench.start();
  await bench.clock.advance(60_000);
  return bench;
}

/** Some controllers of every state. */
export function someOf(tool: Tool): Promise<World> {
  return tool === stafctl ? someDcs() : someIocs();
}

/** No controllers, and nothing that asks for any. */
export function emptyOf(tool: Tool): Promise<World> {
  if (tool === stafctl) return stafd('').start();
  const bench = stacd('');
  bench.discovery = known({
    ...{ settled: true, askedAt: bench.clock.now(), removed: new Map(), controllers: [] },
  });
  return bench.start();
}

/** What is asked for and not connected, each by another rule. */
export function heldBack(tool: Tool): Promise<World> {
  return tool === stafctl ? heldBackDcs() : heldBackIocs();
}

export function manyOf(tool: Tool): Promise<World> {
  return tool === stafctl ? manyDcs() : manyIocs();
}

/** One whose log is empty. */
export function withEmptyLog(): Promise<World> {
  const bench = stafd('[Controllers]\ncontroller = transport=tcp;traddr=192.0.2.10\n');
  bench.target('192.0.2.10', { subsysnqn: WELL_KNOWN });
  return bench.start();
}

/** Two at the same address, from two interfaces. */
export function twins(): Promise<World> {
  const lines = ['eth0', 'eth1'].map(
    (iface) => `controller = transport=tcp;traddr=192.0.2.10;host-iface=${iface}\n`,
  );
  const bench = stafd(`[Controllers]\n${lines.join('')}`);
  bench.target('192.0.2.10', { subsysnqn: WELL_KNOWN });
  return bench.start();
}

/** A path that was lost comes back. */
export async function heal(world: World): Promise<void> {
  const [traddr, trsvcid] =
    world instanceof StafdBench
      ? (['192.0.2.9', '8009'] as const)
      : (['192.0.2.30', '4420'] as const);
  if (world instanceof StafdBench) world.target(traddr, { subsysnqn: WELL_KNOWN });
  else world.target(traddr, LOGS);
  world.prober.setReachable(traddr, trsvcid);
  await world.clock.advance(30_000);
}

/** The daemon ends, and is started again with another configuration; it finds the same kernel. */
export async function restarted(world: World): Promise<World> {
  const { clock } = world;
  await world.service.stop();
  await clock.advance(3_000);
  const line = (traddr: string): string => `controller = transport=tcp;traddr=${traddr}\n`;
  if (world instanceof StafdBench) {
    const text = `[Controllers]\n${line('192.0.2.10')}${line('192.0.2.60')}`;
    const next = stafd(text, { clock }, world);
    next.prober.probes.hold();
    return next.start();
  }
  const text = `${STACD_CONF}${line('192.0.2.60;trsvcid=4420;nqn=nqn.2014-08.org.example:new')}`;
  const next = stacd(text, { clock }, world);
  next.discovery = world.discovery;
  next.prober.probes.hold();
  return next.start();
}

const SHARED: Omit<NamespaceUse, 'otherPaths'> = {
  block: 'nvme3n1',
  uses: [
    { kind: 'mount', device: 'nvme3n1p1', at: '/srv/data', fileSystem: 'xfs' },
    { kind: 'holder', device: 'dm-3', holder: 'LVM', name: 'vg-data' },
  ],
};

/** What the kernel has, and what is in use on it. */
export function kernelOf({ devices: { controllers } }: World): KernelView {
  const paths = (subsysnqn: string): readonly string[] =>
    controllers.filter((each) => each.subsysnqn === subsysnqn).map(({ device }) => device);
  const uses = controllers
    .filter(({ cntrltype }) => cntrltype === 'io')
    .map(({ device, subsysnqn }): readonly [string, readonly NamespaceUse[]] => {
      const otherPaths = paths(subsysnqn).filter((other) => other !== device);
      return [
        device,
        [
          subsysnqn === DATA
            ? { ...SHARED, otherPaths }
            : { block: `${device}n1`, uses: [], otherPaths },
        ],
      ];
    });
  return {
    ...{ controllers, uses: new Map(uses) },
    bytes: new Map([
      [SHARED.block, 1.5 * 2 ** 40],
      ['nvme9n1', 100 * 2 ** 30],
    ]),
  };
}
