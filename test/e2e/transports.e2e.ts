/**
 * All transports side by side, on the kernel's own hosts and targets: each connects, is adopted, and
 * is disconnected as disconnect-scope says. Each scenario goes on from the one before it.
 *
 * Every transport has two ports of the target. The first one's discovery controller, reached by the
 * same transport, lists `log`. Behind the second are those that only an administrator names: `line`,
 * which stacd connects; `hand` and `other`, which are made by hand. Nobody asks for `other`, ever.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { TRANSPORTS, type Transport } from '../../src/nvme/transport-id.ts';
import {
  closeFibreChannel,
  closeRdma,
  FC_HOST_TRADDR,
  fcTraddr,
  linkFibreChannel,
  openFibreChannel,
  openRdma,
  RDMA_ADDRESS,
} from './fabrics.ts';
import {
  identity,
  liveDc,
  liveIo,
  PATIENCE_MS,
  stafdConf,
  type Dict,
  type KernelView,
  type Lab,
} from './lab.ts';
import { lab } from './vitest-lab.ts';

type Name = 'log' | 'line' | 'hand' | 'other';

/** Of the namespaces behind each transport, in MiB: by it they are told from each other. */
const SIZES: Readonly<Record<Transport, number>> = { tcp: 1, rdma: 2, fc: 3, loop: 4 };

const PORTS = [
  { id: 1, transport: 'tcp', address: '127.0.0.1', service: '4421' },
  { id: 2, transport: 'tcp', address: '127.0.0.1', service: '4420' },
  { id: 3, transport: 'rdma', address: RDMA_ADDRESS, service: '4421' },
  { id: 4, transport: 'rdma', address: RDMA_ADDRESS, service: '4420' },
  { id: 5, transport: 'fc', address: fcTraddr(1) },
  { id: 6, transport: 'fc', address: fcTraddr(2) },
  { id: 7, transport: 'loop', address: 'first' },
  { id: 8, transport: 'loop', address: 'second' },
] as const;

function portOf(transport: Transport, name: Name): number {
  const first = PORTS.findIndex((port) => port.transport === transport);
  return PORTS[name === 'log' ? first : first + 1]?.id ?? 0;
}

/** The same port in the spelling without `0x`. */
const FC_OTHERWISE = fcTraddr(2).replaceAll('0x', '');

/** The second ports as /dev/nvme-fabrics is given them. */
const BY_HAND: Readonly<Record<Transport, string>> = {
  tcp: 'transport=tcp,traddr=127.0.0.1,trsvcid=4420',
  rdma: `transport=rdma,traddr=${RDMA_ADDRESS},trsvcid=4420`,
  fc: `transport=fc,traddr=${FC_OTHERWISE},host_traddr=${FC_HOST_TRADDR}`,
  loop: 'transport=loop,traddr=second',
};

/** The second ports in a `controller=` line; 4420 is the default of rdma. */
const SECOND: Readonly<Record<Transport, string>> = {
  tcp: 'transport=tcp;traddr=127.0.0.1;trsvcid=4420',
  rdma: `transport=rdma;traddr=${RDMA_ADDRESS}`,
  fc: `transport=fc;traddr=${fcTraddr(2)};host-traddr=${FC_HOST_TRADDR}`,
  loop: 'transport=loop;traddr=second',
};

/** As an `exclude=` names them. */
const EXCLUDED: Readonly<Record<Transport, string>> = {
  tcp: 'transport=tcp;traddr=::ffff:127.0.0.1;trsvcid=4420',
  rdma: `transport=rdma;traddr=::ffff:${RDMA_ADDRESS};trsvcid=4420`,
  fc: `transport=fc;traddr=${FC_OTHERWISE}`,
  loop: 'transport=loop;traddr=second',
};

const DCS = stafdConf(
  'transport=tcp;traddr=127.0.0.1;trsvcid=4421',
  `transport=rdma;traddr=${RDMA_ADDRESS};trsvcid=4421;host-traddr=${RDMA_ADDRESS}`,
  `transport=fc;traddr=${fcTraddr(1)};host-traddr=${FC_HOST_TRADDR}`,
  'transport=loop;traddr=first',
);

function nqn(name: Name, transport: Transport): string {
  return `nqn.2024-01.org.example:${name}-${transport}`;
}

function each(...names: readonly Name[]): readonly string[] {
  return names.flatMap((name) => TRANSPORTS.map((transport) => nqn(name, transport)));
}

interface StacdConf {
  readonly management?: readonly string[];
  /** All transports of these. */
  readonly lines?: readonly Name[];
  readonly excludes?: readonly string[];
}

function stacdConf({ excludes = [], lines = [], management = [] }: StacdConf): string {
  return [
    '[I/O controller connection management]',
    ...management,
    '[Controllers]',
    ...lines.flatMap((name) =>
      TRANSPORTS.map((it) => `controller = ${SECOND[it]};nqn=${nqn(name, it)}`),
    ),
    ...excludes.map((exclude) => `exclude = ${exclude}`),
    '',
  ].join('\n');
}

const OWN = 'disconnect-scope = only-stas-connections';
const NONE = 'disconnect-scope = no-disconnect';
const ALL = 'disconnect-scope = all-connections-matching-disconnect-trtypes';

describe('connections of all transports', () => {
  let here: Lab;
  /** By their NQN, those that are to be the same ones ever after. */
  const connections = new Map<string, string>();

  beforeAll(async () => {
    here = await lab();
    await here.reset();
    const { machine } = here;
    // What appears on Fibre Channel is nvme-cli's to connect; here it is stacd's.
    await machine.sh('systemctl mask --runtime nvmf-connect@.service');
    await Promise.all([openFibreChannel(machine), openRdma(machine)]);
    await linkFibreChannel(machine, 1);
    await linkFibreChannel(machine, 2);
    await here.targets({
      ports: PORTS,
      subsystems: TRANSPORTS.flatMap((transport) =>
        (['log', 'line', 'hand', 'other'] as const).map((name) => ({
          nqn: nqn(name, transport),
          ports: [portOf(transport, name)],
          namespaces: [{ id: 1, sizeMiB: SIZES[transport] }],
        })),
      ),
    });
    return async () => {
      await here.reset();
      await closeFibreChannel(machine);
      await closeRdma(machine);
      await machine.sh('systemctl unmask --runtime nvmf-connect@.service');
    };
  });

  async function reload(stacd: StacdConf): Promise<void> {
    await here.configure('stacd', stacdConf(stacd));
    await here.systemctl('reload stacd');
  }

  /** Waits until stacd has these and no others, all of them connected. */
  async function held(...names: readonly Name[]): Promise<readonly Dict[]> {
    const wanted = [...each(...names)].sort();
    const listed = await here.listUntil(
      'stacctl',
      (all) => all.length === wanted.length && all.every(({ connected }) => connected === 'True'),
    );
    expect(listed.map(({ subsysnqn }) => subsysnqn).sort()).toEqual(wanted);
    return listed;
  }

  /** The kernel has exactly these I/O connections, one each, live; those known are the same ones. */
  function expectOnly(kernel: readonly KernelView[], wanted: readonly string[]): void {
    const io = kernel.filter(({ cntrltype }) => cntrltype !== 'discovery');
    expect(io.map(({ subsysnqn }) => subsysnqn).sort()).toEqual([...wanted].sort());
    expect(new Set(io.map(({ state }) => state))).toEqual(new Set(['live']));
    for (const controller of io) {
      const before = connections.get(controller.subsysnqn ?? '');
      if (before !== undefined) expect(identity(controller)).toBe(before);
    }
  }

  function remember(kernel: readonly KernelView[]): void {
    for (const controller of liveIo(kernel)) {
      connections.set(controller.subsysnqn ?? '', identity(controller));
    }
  }

  /** Waits until the kernel has exactly these I/O connections. */
  async function only(wanted: readonly string[]): Promise<readonly KernelView[]> {
    const kernel = await here.kernelUntil(
      'what is left',
      (all) => all.filter(({ cntrltype }) => cntrltype !== 'discovery').length === wanted.length,
    );
    expectOnly(kernel, wanted);
    for (const name of [...connections.keys()]) {
      if (!wanted.includes(name)) connections.delete(name);
    }
    return kernel;
  }

  /** Reads each connection's namespace whole and writes to it: how many bytes were read, in MiB. */
  async function transferred(kernel: readonly KernelView[]): Promise<Record<string, number>> {
    const disks = liveIo(kernel).map(({ namespaces, subsysnqn }) => ({
      subsysnqn: subsysnqn ?? '',
      // nvme2c3n1 is the path by controller 3 to the disk nvme2n1.
      disk: namespaces[0]?.replace(/c[0-9]+/, '') ?? 'none',
    }));
    const output = await here.machine.sh(
      disks
        .map(
          ({ disk, subsysnqn }) =>
            `dd if=/dev/zero of=/dev/${disk} bs=4k count=16 oflag=direct status=none && echo "${subsysnqn} $(dd if=/dev/${disk} bs=128k iflag=direct status=none | wc -c)"`,
        )
        .join('\n'),
      { timeoutMs: PATIENCE_MS },
    );
    const lines = output.trim().split('\n');
    return Object.fromEntries(
      lines.map((line) => {
        const [name = '', bytes] = line.split(' ');
        return [name, Number(bytes) / (1 << 20)];
      }),
    );
  }

  function sizes(...names: readonly Name[]): Record<string, number> {
    return Object.fromEntries(
      names.flatMap((name) => TRANSPORTS.map((it) => [nqn(name, it), SIZES[it]])),
    );
  }

  it('are made of controller= lines, and of what a discovery controller of each lists', async () => {
    await here.configure('stafd', DCS);
    await here.configure('stacd', stacdConf({ lines: ['line'] }));
    await here.systemctl('start stafd stacd');
    await held('line', 'log');
    const kernel = await here.kernel();
    expectOnly(kernel, each('line', 'log'));
    expect(
      liveDc(kernel)
        .map(({ transport }) => transport)
        .sort(),
    ).toEqual([...TRANSPORTS].sort());
    remember(kernel);
  });

  it('are taken over when a line asks for those that somebody else made', async () => {
    await here.machine.sh(
      (['hand', 'other'] as const)
        .flatMap((name) =>
          TRANSPORTS.map(
            (it) =>
              `echo "${BY_HAND[it]},nqn=${nqn(name, it)},hostnqn=$(cat /etc/nvme/hostnqn),hostid=$(cat /etc/nvme/hostid)" > /dev/nvme-fabrics`,
          ),
        )
        .join('\n'),
      { timeoutMs: PATIENCE_MS },
    );
    const made = await here.kernel();
    remember(made);
    await reload({ lines: ['line', 'hand'] });
    const listed = await held('line', 'log', 'hand');
    const kernel = await here.kernel();
    expectOnly(kernel, each('line', 'log', 'hand', 'other'));
    for (const { device, subsysnqn } of listed) {
      expect([subsysnqn, device]).toEqual([
        subsysnqn,
        kernel.find((controller) => controller.subsysnqn === subsysnqn)?.device,
      ]);
    }
    expect(await transferred(kernel)).toEqual(sizes('line', 'log', 'hand', 'other'));
  });

  it('are the same after a restart of both daemons', async () => {
    const dcs = liveDc(await here.kernel()).map(identity);
    await here.systemctl('restart stafd stacd');
    await held('line', 'log', 'hand');
    await here.listUntil(
      'stafctl',
      (all) =>
        all.length === TRANSPORTS.length && all.every(({ connected }) => connected === 'True'),
    );
    // Time for a second connection to be made.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const kernel = await here.kernel();
    expectOnly(kernel, each('line', 'log', 'hand', 'other'));
    expect(liveDc(kernel).map(identity).sort()).toEqual([...dcs].sort());
  });

  it('stay, all of them, with disconnect-scope=no-disconnect, and are taken over again', async () => {
    await reload({
      management: [NONE],
      lines: ['hand'],
      excludes: each('log').map((name) => `nqn=${name}`),
    });
    await held('hand');
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expectOnly(await here.kernel(), each('line', 'log', 'hand', 'other'));
    await reload({ management: [OWN], lines: ['line', 'hand'] });
    await held('line', 'log', 'hand');
    expectOnly(await here.kernel(), each('line', 'log', 'hand', 'other'));
  });

  it('go with only-stas-connections if stacd had them, and stay if it had not', async () => {
    await here.configure('stafd', stafdConf());
    await here.systemctl('reload stafd');
    await reload({
      management: [OWN],
      lines: ['hand'],
      excludes: TRANSPORTS.map((it) => `${EXCLUDED[it]};nqn=${nqn('hand', it)}`),
    });
    await here.kernelUntil('no discovery controllers', (all) => liveDc(all).length === 0);
    await only(each('other'));
  });

  it('go with all-connections-… if nobody asks for them, of the transports that are named', async () => {
    const management = [ALL, 'disconnect-trtypes = rdma+fc'];
    await reload({ management, lines: ['line', 'hand'] });
    await held('line', 'hand');
    const kernel = await only([
      ...each('line', 'hand'),
      ...[nqn('other', 'tcp'), nqn('other', 'loop')],
    ]);
    remember(kernel);
    // Without disconnect-trtypes it is tcp; what stacd itself made of others stays, too.
    await reload({ management: [ALL], lines: ['line'] });
    await only([
      ...each('line'),
      ...(['rdma', 'fc', 'loop'] as const).map((it) => nqn('hand', it)),
      nqn('other', 'loop'),
    ]);
    await held('line');
    await reload({ management: [ALL, 'disconnect-trtypes = tcp+rdma+fc'], lines: ['line'] });
    const left = await only([...each('line'), nqn('hand', 'loop'), nqn('other', 'loop')]);
    expect(await transferred(left)).toEqual({
      ...sizes('line'),
      [nqn('hand', 'loop')]: SIZES.loop,
      [nqn('other', 'loop')]: SIZES.loop,
    });
  });
});
