/** What `stasadm diff` is run against: daemons that tell previews, and what is in use. */
import type { ReloadPreview } from '../../../src/core/reload-preview.ts';
import type { Screen } from '../../../src/ctl/text.ts';
import { stacctl, stafctl } from '../../../src/ctl/tools.ts';
import { runDiff } from '../../../src/stasadm/diff/run.ts';
import type { LiveOptions } from '../../../src/stasadm/diff/live-options.ts';
import type { NamespaceUse } from '../../../src/ports/block-use.ts';
import type { Bus } from '../../../src/ports/bus.ts';
import { FakeBusDaemon } from '../../fakes/fake-bus.ts';
import { standIn, type StandInState } from '../ctl/stand-in.ts';

const HOST = 'nqn.2014-08.org.nvmexpress:uuid:f2782346-4809-484a-9a8b-952a04b57ba4';
const DISCOVERY = 'nqn.2014-08.org.nvmexpress.discovery';

export function dc(traddr: string, device = 'nvme?') {
  return {
    ...{ transport: 'tcp', traddr, trsvcid: '8009', subsysnqn: DISCOVERY },
    ...{ 'host-traddr': '', 'host-iface': '', 'host-nqn': HOST, device },
  };
}

function ioc(traddr: string, name: string, device = 'nvme?') {
  const subsysnqn = `nqn.2014-08.org.example:${name}`;
  return { ...dc(traddr, device), trsvcid: '4420', subsysnqn };
}

function tid(controller: ReturnType<typeof dc>) {
  return Object.fromEntries(Object.entries(controller).filter(([field]) => field !== 'device'));
}

export const NOTHING: ReloadPreview = {
  ...{ version: 1, refused: null, problems: [], settings: [] },
  ...{ add: [], remove: [], change: [], keep: [], notes: [] },
};

export const STAFD: ReloadPreview = {
  ...NOTHING,
  problems: ['/etc/stas/stafd.conf:7:8: [Global] kato: "x" is not a whole number; 10 applies'],
  settings: [{ section: 'Global', key: 'kato', from: '30', to: '10' }],
  add: [{ controller: dc('192.0.2.11'), sources: ['configured'] }],
  remove: [
    {
      controller: dc('192.0.2.10', 'nvme0'),
      why: 'the configuration no longer lists it',
      connection: 'disconnected',
      follows: false,
    },
  ],
  change: [
    {
      controller: dc('192.0.2.12', 'nvme1'),
      options: { kato: '10', 'ctrl-loss-tmo': '600' },
      changes: [{ option: 'kato', from: '30', to: '10' }],
    },
    {
      controller: { ...dc('192.0.2.9'), 'host-iface': 'eth0' },
      options: { kato: '10', 'ctrl-loss-tmo': '600' },
      changes: [{ option: 'kato', from: '30', to: '10' }],
      sources: { from: ['configured', 'referral'], to: ['referral'] },
    },
    {
      controller: dc('192.0.2.14', 'nvme11'),
      becomes: tid({ ...dc('192.0.2.14'), 'host-iface': 'eth1' }),
      options: { kato: '10', 'ctrl-loss-tmo': '600' },
      changes: [],
    },
  ],
  notes: [
    { kind: 'open', about: '(tcp, dc.example, 8009)', why: 'dc.example is being looked up' },
    { kind: 'kept', about: '(tcp, 192.0.2.13, 8009)', why: 'connected, though mDNS is silent' },
    { kind: 'refused', about: '(tcp, fd00::1, 8009)', why: 'ipv6 is disabled by ip-family' },
  ],
};

const REMOVED = { why: 'its discovery controller was removed', follows: true } as const;

export const STACD: ReloadPreview = {
  ...NOTHING,
  remove: [
    { ...REMOVED, controller: ioc('192.0.2.20', 'b', 'nvme10'), connection: 'disconnected' },
    { ...REMOVED, controller: ioc('192.0.2.20', 'a', 'nvme2'), connection: 'disconnected' },
    { ...REMOVED, controller: ioc('192.0.2.21', 'a', 'nvme3'), connection: 'disconnected' },
    { ...REMOVED, controller: ioc('192.0.2.22', 'c'), connection: 'none' },
    {
      controller: ioc('192.0.2.23', 'd', 'nvme4'),
      why: 'excluded by /etc/stas/stacd.conf, line 3',
      connection: 'stays',
      follows: false,
    },
    {
      controller: ioc('192.0.2.26', 'g', 'nvme7'),
      ...{ why: 'excluded by /etc/stas/stacd.conf, line 4', follows: false },
      ...{ connection: 'stays', spared: 'the boot path (SSNS 1 of NBFT)' },
    },
  ],
  keep: [
    { controller: ioc('192.0.2.24', 'e', 'nvme5'), options: { kato: '5', 'ctrl-loss-tmo': '600' } },
    { controller: ioc('192.0.2.25', 'f', 'nvme6'), options: { 'ctrl-loss-tmo': '-1' } },
  ],
};

export const USES: ReadonlyMap<string, readonly NamespaceUse[]> = new Map([
  [
    'nvme2',
    [
      {
        block: 'nvme2n1',
        uses: [{ kind: 'mount', device: 'nvme2n1p1', at: '/srv/data', fileSystem: 'xfs' }],
        otherPaths: ['nvme3'],
      },
      {
        block: 'nvme2n2',
        uses: [{ kind: 'swap', device: 'nvme2n2' }],
        otherPaths: ['nvme3', 'nvme7'],
      },
    ],
  ],
  ['nvme10', [{ block: 'nvme10n1', uses: [], otherPaths: [] }]],
]);

export interface DiffWorld {
  readonly stafd?: unknown;
  readonly stacd?: unknown;
  readonly uses?: ReadonlyMap<string, readonly NamespaceUse[]> | Error;
  readonly live?: Readonly<Record<string, LiveOptions>>;
  readonly openBus?: () => Promise<Bus>;
  readonly screen?: Screen;
  readonly json?: boolean;
  readonly exitCode?: boolean;
}

/** Runs `stasadm diff` against stand-ins of the daemons. */
export async function diff(world: DiffWorld) {
  const daemon = new FakeBusDaemon();
  const state = (preview: unknown): StandInState => ({
    ...{ controllers: [], processInfo: {}, tron: false },
    preview: typeof preview === 'string' ? preview : JSON.stringify(preview),
  });
  const stacd = state(world.stacd);
  if (world.stafd !== undefined) await standIn(daemon.connect(), stafctl, state(world.stafd));
  if (world.stacd !== undefined) await standIn(daemon.connect(), stacctl, stacd);
  let [stdout, stderr] = ['', ''];
  let asked: readonly string[] = [];
  const status = await runDiff(
    { output: world.json === true ? 'json' : 'text', exitCode: world.exitCode === true },
    {
      screen: world.screen ?? { colour: false, width: undefined },
      stdout: (text) => void (stdout += text),
      stderr: (text) => void (stderr += text),
      openBus: world.openBus ?? (() => Promise.resolve(daemon.connect())),
      blockUses: {
        read: (controllers) => {
          asked = controllers;
          const uses = world.uses ?? new Map<string, readonly NamespaceUse[]>();
          return uses instanceof Error ? Promise.reject(uses) : Promise.resolve(uses);
        },
      },
      liveOptions: (device) => Promise.resolve(world.live?.[device] ?? {}),
    },
  );
  return { status, stdout, stderr, asked, stacd };
}

export const LIVE = { nvme5: { kato: '15', 'ctrl-loss-tmo': '600' }, nvme1: { kato: '30' } };
