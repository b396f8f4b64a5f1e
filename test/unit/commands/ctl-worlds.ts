/** What stafctl and stacctl are shown in their cases: some controllers of every state, none, 1,000. */
import type { KernelView } from '../../../src/ctl/kernel-view.ts';
import { stacctl, stafctl, type Tool } from '../../../src/ctl/tools.ts';
import type { NamespaceUse } from '../../../src/nvme/block-use.ts';
import { BusVariant } from '../../../src/ports/bus.ts';
import { kernelController } from '../core/machine-world.ts';
import { controller, entry, HOST_NQN } from '../ctl/harness.ts';
import { row } from '../ctl/rows.ts';
import type { StandInController, StandInState } from '../ctl/stand-in.ts';

export const WELL_KNOWN = 'nqn.2014-08.org.nvmexpress.discovery';
const DATA = 'nqn.2014-08.org.example:data';
const LOGS = 'nqn.2014-08.org.example:logs';
const REFUSED = 'connect: connection refused: nothing listens there (ECONNREFUSED)';
const LISTED = `listed by the discovery log of (tcp, 192.0.2.10, 8009, ${WELL_KNOWN})`;

export type Rows = readonly ReturnType<typeof row>[];

const CONFIGURED = 'configured by /etc/stas/stafd.conf, line 12';

/** A row for a controller of the plain interface: both tell of the same. */
function rowOf({ details = {}, plain }: StandInController, fields: object) {
  const { device = '', traddr = '', ...rest } = plain;
  const isConnected = details['connected'] === 'True';
  const state = { device: isConnected ? device : '', state: isConnected ? 'connected' : 'waiting' };
  return row(traddr, { ...rest, ...state, ...fields });
}

const UP = { connected: 'True', 'retry connect timer': '60.0s [off]' };
const TRYING = {
  ...{ connected: 'False', 'connect attempts': '7', state: 'waiting' },
  'retry connect timer': '30.0s [12.4s]',
};

const LOG = [
  entry({ traddr: '192.0.2.21', subnqn: DATA }),
  entry({ traddr: '192.0.2.20', subnqn: DATA }),
  entry({ subtype: 'referral', traddr: '192.0.2.11', trsvcid: '8009', subnqn: WELL_KNOWN }),
];

export const dcs = [
  controller(
    { traddr: '192.0.2.10' },
    { details: { ...UP, origin: 'configured', 'connect attempts': '0' }, logPages: LOG },
  ),
  controller({ traddr: '192.0.2.9', device: 'nvme?' }, { details: TRYING }),
  controller(
    {
      ...{ transport: 'fc', traddr: 'nn-0x201700a09890f5bf:pn-0x201900a09890f5bf', trsvcid: '' },
      ...{ 'host-traddr': 'nn-0x20000090fae0b5f5:pn-0x10000090fae0b5f5', device: 'nvme12' },
      subsysnqn: 'nqn.1992-08.com.example:discovery',
    },
    { details: { ...UP, 'kernel state': 'connecting' } },
  ),
  controller({ traddr: '2001:db8::10', 'host-iface': 'eth1', device: 'nvme1' }, { details: UP }),
];

const iocs = [
  controller(
    { traddr: '192.0.2.21', trsvcid: '4420', subsysnqn: DATA, device: 'nvme10' },
    { details: { ...UP, 'kernel state': 'connecting' } },
  ),
  controller(
    { traddr: '192.0.2.20', trsvcid: '4420', subsysnqn: DATA, device: 'nvme2' },
    { details: { ...UP, 'connect attempts': '0', dlpe: '' } },
  ),
  controller(
    { traddr: '192.0.2.30', trsvcid: '4420', subsysnqn: LOGS, device: 'nvme?' },
    { details: TRYING },
  ),
];

const LOST = {
  ...{ state: 'reconnecting', why: 'the kernel lost the connection (its state is connecting)' },
  ...{ 'out-of-reach-ms': 4200, sources: [LISTED] },
};
const WAITING = {
  ...{ why: REFUSED, 'last-error': REFUSED, 'last-error-code': 'ECONNREFUSED', attempts: 7 },
  ...{ next: 'it is tried again', 'next-in-ms': 12_400, 'out-of-reach-ms': 125_000 },
};

export function rowsOf(tool: Tool): Rows {
  if (tool === stafctl) {
    return dcs.map((dc, index) =>
      rowOf(dc, index === 2 ? LOST : index === 1 ? WAITING : { sources: [CONFIGURED] }),
    );
  }
  return iocs.map((ioc, index) =>
    rowOf(
      ioc,
      index === 0 ? LOST : index === 2 ? { ...WAITING, sources: [LISTED] } : { sources: [LISTED] },
    ),
  );
}

export function absentOf(tool: Tool): Rows {
  const excluded = `excluded by /etc/stas/${tool.daemon}.conf, line 3`;
  return [
    row('192.0.2.40', {
      ...{ subsysnqn: 'nqn.2014-08.org.example:old', rule: 'refused', why: excluded },
      sources: [LISTED],
    }),
  ];
}

const NOTES = [
  `The discovery log of (tcp, 192.0.2.9, 8009, ${WELL_KNOWN}) is not known: not connected`,
];

/** A family of metrics with a sample for each of these labels. */
function family(
  daemon: string,
  [name, type, help]: readonly [string, string, string],
  samples: readonly (readonly [Readonly<Record<string, string>>, number])[],
): Readonly<Record<string, BusVariant>> {
  return {
    name: new BusVariant('s', `nvme_stas_${name}`),
    type: new BusVariant('s', type),
    help: new BusVariant('s', help),
    samples: new BusVariant(
      'a(sa{ss}d)',
      samples.map(([labels, value]) => ['', { daemon, ...labels }, value]),
    ),
  };
}

function familiesOf({ daemon }: Tool, counts: Readonly<Record<string, number>>) {
  const states = Object.entries(counts).map(([state, count]) => [{ state }, count] as const);
  const refused = { stage: 'probe', reason: 'ECONNREFUSED' };
  return [
    family(daemon, ['controllers', 'gauge', 'Controllers by state.'], states),
    family(
      daemon,
      ['connect_failures_total', 'counter', 'Failed attempts to connect.'],
      [[refused, 7]],
    ),
  ];
}

export function someOf(tool: Tool): StandInState {
  return {
    families: familiesOf(tool, { connected: 2, waiting: 1 }),
    controllers: tool === stafctl ? dcs : iocs,
    explanation: { controllers: rowsOf(tool), absent: absentOf(tool), notes: NOTES },
    processInfo: {
      ...{ tron: false, 'log-level': 'INFO', hostnqn: HOST_NQN, hostkey: 'is set' },
      ...(tool === stafctl && {
        avahi: { 'service types': ['_nvme-disc._tcp'], 'avahi wake up timer': '60.0s [off]' },
      }),
      'terminator.audit timer': '60.0s [off]',
    },
    tron: false,
  };
}

export function emptyOf(tool: Tool): StandInState {
  return {
    ...{ ...someOf(tool), controllers: [], families: [] },
    explanation: { controllers: [], absent: [], notes: [] },
  };
}

const MANY = Array.from({ length: 1000 }, (_, index) => index);

export function manyOf(tool: Tool): StandInState {
  const controllers = MANY.map((index) =>
    controller(
      {
        ...{
          traddr: `10.0.${String(index >> 8)}.${String(index & 255)}`,
          device: `nvme${String(index)}`,
        },
        ...(tool === stacctl && { trsvcid: '4420', subsysnqn: `${DATA}${String(index)}` }),
      },
      { details: index % 100 === 7 ? TRYING : UP, logPages: [] },
    ),
  );
  const [first, ...others] = controllers;
  const log = MANY.map((index) =>
    entry({
      traddr: `10.1.${String(index >> 8)}.${String(index & 255)}`,
      subnqn: `${DATA}${String(index)}`,
    }),
  );
  return {
    ...someOf(tool),
    families: familiesOf(tool, { connected: 990, waiting: 10 }),
    controllers: first === undefined ? [] : [{ ...first, logPages: log }, ...others],
    explanation: {
      controllers: controllers.map((each) =>
        rowOf(
          each,
          each.details === TRYING ? { ...WAITING, sources: [LISTED] } : { sources: [LISTED] },
        ),
      ),
      ...{ absent: [], notes: [] },
    },
  };
}

function connection(device: string, traddr: string, subsysnqn: string, fields = {}) {
  const basis = { device, instance: device, traddr, trsvcid: '4420', cntrltype: 'io' };
  return kernelController({ ...basis, subsysnqn, hasChildren: true, ...fields });
}

const SHARED: Pick<NamespaceUse, 'block' | 'uses'> = {
  block: 'nvme2n1',
  uses: [
    { kind: 'mount', device: 'nvme2n1p1', at: '/srv/data', fileSystem: 'xfs' },
    { kind: 'holder', device: 'dm-3', holder: 'LVM', name: 'vg-data' },
  ],
};

export const KERNEL: KernelView = {
  controllers: [
    connection('nvme10', '192.0.2.21', DATA, { state: 'connecting', hostIface: 'eth1' }),
    connection('nvme2', '192.0.2.20', DATA, { hostIface: 'eth0' }),
    connection('nvme5', '192.0.2.50', 'nqn.2014-08.org.example:of-nvme-cli'),
  ],
  uses: new Map([
    ['nvme2', [{ ...SHARED, otherPaths: [] }]],
    ['nvme10', [{ ...SHARED, otherPaths: ['nvme2'] }]],
    ['nvme5', [{ block: 'nvme5n1', uses: [], otherPaths: [] }]],
  ]),
  bytes: new Map([
    ['nvme2n1', 1.5 * 2 ** 40],
    ['nvme5n1', 100 * 2 ** 30],
  ]),
};

export const MANY_IN_KERNEL: KernelView = {
  controllers: MANY.map((index) =>
    connection(`nvme${String(index)}`, `10.0.${String(index >> 8)}.${String(index & 255)}`, DATA),
  ),
  uses: new Map(MANY.map((index) => [`nvme${String(index)}`, [{ ...SHARED, otherPaths: [] }]])),
  bytes: KERNEL.bytes,
};
