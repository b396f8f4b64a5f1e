/**
 * Which controllers are connected to, how their addresses are tried before, and through which
 * interface: both daemons side by side, with the same kinds of controllers.
 */
import { expect } from 'vitest';
import { CONTROLLERS, GLOBAL } from '../../../src/config/option-table.ts';
import { hostActivity, watchHosts, type HostConnection } from '../hosts.ts';
import { liveDc, liveIo, type KernelView, type Lab } from '../lab.ts';
import {
  field,
  install,
  NO_MDNS,
  option,
  runnable,
  section,
  type Effect,
  type Files,
} from './effect.ts';

/** The name that the kernel's loop transport knows the target by, where a host names one. */
const LOOP = 'inside';
const DC_NQN = 'nqn.2024-01.org.example:dc';
const OTHER_HOST = 'nqn.2024-01.org.example:another-host';
const AS_OTHER_HOST = `host-nqn=${OTHER_HOST};host-id=5b0e7f3a-6d21-4f0c-9d53-0a1b2c3d4e5f`;

function nqnOf(name: string): string {
  return `nqn.2024-01.org.example:${name}`;
}

type Daemon = 'stafd' | 'stacd';

/** A controller of a test: its fields, and what picks it out among the kernel's. */
interface Target {
  readonly fields: string;
  readonly port: number;
  readonly is: (kernel: KernelView) => boolean;
}

function io(name: string, fields: string): Target {
  return {
    fields: `${fields};nqn=${nqnOf(name)}`,
    port: Number(/trsvcid=(\d+)/.exec(fields)?.[1] ?? 0),
    is: ({ subsysnqn }) => subsysnqn === nqnOf(name),
  };
}

/** A DC has a port of its own. */
function dc(port: number, fields: string): Target {
  return {
    fields: `${fields};trsvcid=${String(port)}`,
    port,
    is: ({ address, cntrltype }) =>
      cntrltype === 'discovery' && address?.includes(`trsvcid=${String(port)}`) === true,
  };
}

/** What `exclude=` has fields for, and a controller that one of them alone picks out. */
interface Targets {
  readonly plain: Target;
  readonly byField: Readonly<Record<string, readonly [Target, exclude: string]>>;
  readonly blacklisted: readonly [Target, exclude: string];
  readonly ipv6: Target;
  readonly ipv6OnInterface: Target;
}

const TARGETS: Readonly<Record<Daemon, Targets>> = {
  stacd: {
    plain: io('plain', 'transport=tcp;traddr=127.0.0.1;trsvcid=4420'),
    byField: {
      transport: [io('transport', `transport=loop;traddr=${LOOP}`), 'transport=loop'],
      traddr: [io('traddr', 'transport=tcp;traddr=127.0.0.2;trsvcid=4420'), 'traddr=127.0.0.2'],
      trsvcid: [io('trsvcid', 'transport=tcp;traddr=127.0.0.1;trsvcid=4431'), 'trsvcid=4431'],
      nqn: [io('nqn', 'transport=tcp;traddr=127.0.0.1;trsvcid=4420'), `nqn=${nqnOf('nqn')}`],
      'host-iface': [
        io('host-iface', 'transport=tcp;traddr=127.0.0.1;trsvcid=4420;host-iface=lo'),
        'host-iface=lo',
      ],
      'host-nqn': [
        io('host-nqn', `transport=tcp;traddr=127.0.0.1;trsvcid=4420;${AS_OTHER_HOST}`),
        `host-nqn=${OTHER_HOST}`,
      ],
    },
    blacklisted: [
      io('blacklist', 'transport=tcp;traddr=127.0.0.3;trsvcid=4420'),
      'traddr=127.0.0.3',
    ],
    ipv6: io('ipv6', 'transport=tcp;traddr=::1;trsvcid=4430'),
    ipv6OnInterface: io('ipv6-iface', 'transport=tcp;traddr=::1;trsvcid=4432;host-iface=lo'),
  },
  stafd: {
    plain: dc(8009, 'transport=tcp;traddr=127.0.0.1'),
    byField: {
      transport: [
        {
          fields: `transport=loop;traddr=${LOOP}`,
          port: 0,
          is: ({ cntrltype, transport }) => cntrltype === 'discovery' && transport === 'loop',
        },
        'transport=loop',
      ],
      traddr: [dc(8010, 'transport=tcp;traddr=127.0.0.2'), 'traddr=127.0.0.2'],
      trsvcid: [dc(8011, 'transport=tcp;traddr=127.0.0.1'), 'trsvcid=8011'],
      nqn: [dc(8012, `transport=tcp;traddr=127.0.0.1;nqn=${DC_NQN}`), `nqn=${DC_NQN}`],
      'host-iface': [dc(8013, 'transport=tcp;traddr=127.0.0.1;host-iface=lo'), 'host-iface=lo'],
      'host-nqn': [
        dc(8017, `transport=tcp;traddr=127.0.0.1;${AS_OTHER_HOST}`),
        `host-nqn=${OTHER_HOST}`,
      ],
    },
    blacklisted: [dc(8014, 'transport=tcp;traddr=127.0.0.3'), 'traddr=127.0.0.3'],
    ipv6: dc(8015, 'transport=tcp;traddr=::1'),
    ipv6OnInterface: dc(8016, 'transport=tcp;traddr=::1;host-iface=lo'),
  },
};

function all({ blacklisted, byField, ipv6, plain }: Targets): readonly Target[] {
  return [plain, ...Object.values(byField).map(([target]) => target), blacklisted[0], ipv6];
}

function controllers(targets: readonly Target[]): readonly string[] {
  return targets.map(({ fields }) => `controller = ${fields}`);
}

/** One moment's files of both daemons. */
function files(of: (targets: Targets) => string): Files {
  return { stafd: NO_MDNS + of(TARGETS.stafd), stacd: of(TARGETS.stacd) };
}

const EXCLUDED = files(
  (targets) =>
    section(GLOBAL, 'ip-family = ipv4', 'reachability-check = nvme-tcp') +
    section(
      CONTROLLERS,
      ...controllers(all(targets)),
      ...Object.values(targets.byField).map(([, exclude]) => `exclude = ${exclude}`),
      `blacklist = ${targets.blacklisted[1]}`,
    ),
);

const OPEN = files(
  (targets) =>
    section(GLOBAL, 'reachability-check = tcp') +
    section(CONTROLLERS, ...controllers(all(targets))),
);

const IPV6 = files(
  (targets) =>
    section(GLOBAL, 'ip-family = ipv6', 'reachability-check = disabled', 'ignore-iface = true') +
    section(CONTROLLERS, ...controllers([...all(targets), targets.ipv6OnInterface])),
);

interface Seen {
  readonly excluded: readonly KernelView[];
  readonly open: readonly KernelView[];
  readonly ipv6: readonly KernelView[];
  readonly wire: readonly HostConnection[];
  /** Connect commands that the DC with an NQN of its own received. */
  readonly dcConnects: readonly Readonly<Record<string, unknown>>[];
}

async function observe(here: Lab): Promise<Seen> {
  await here.reset();
  const names = [
    ...Object.keys(TARGETS.stacd.byField),
    ...['plain', 'blacklist', 'ipv6', 'ipv6-iface'],
  ];
  await here.targets({
    ports: [
      { id: 1, transport: 'tcp', address: '0.0.0.0', service: '4420' },
      { id: 2, transport: 'tcp', address: '0.0.0.0', service: '4431' },
      { id: 3, transport: 'tcp', address: '::1', service: '4430' },
      { id: 4, transport: 'tcp', address: '::1', service: '4432' },
      { id: 5, transport: 'loop', address: LOOP },
    ],
    subsystems: names.map((name) => ({
      nqn: nqnOf(name),
      // The DC of the loop port lists what is on it.
      ports: name === 'transport' ? [5] : [1, 2, 3, 4],
    })),
  });
  await here.addDc({
    listen: [8009, 8010, 8011, 8013, 8014, 8017].map((port) => ({ address: '0.0.0.0', port })),
  });
  await here.addDc({
    name: 'unique',
    subnqn: DC_NQN,
    listen: [{ address: '127.0.0.1', port: 8012 }],
  });
  await here.addDc({
    name: 'ipv6',
    listen: [8015, 8016].map((port) => ({ address: '::1', port })),
  });
  await here.machine.sh('modprobe nvme-loop');
  await watchHosts(here.machine);

  const until = (what: string, wanted: (targets: Targets) => readonly Target[]) =>
    here.kernelUntil(
      what,
      (kernel) => {
        const live = [liveDc(kernel), liveIo(kernel)];
        return [TARGETS.stafd, TARGETS.stacd].map(wanted).every((targets, index) => {
          const connected = live[index] ?? [];
          return (
            connected.length === targets.length && targets.every(({ is }) => connected.some(is))
          );
        });
      },
      180_000,
    );
  await install(here, EXCLUDED);
  await here.systemctl('start stafd stacd');
  const excluded = await until('those that are not excluded', ({ plain }) => [plain]);
  await install(here, OPEN);
  await here.systemctl('reload stafd stacd');
  const open = await until('all', all);
  await install(here, IPV6);
  await here.systemctl('reload stafd stacd');
  const ipv6 = await until('those with IPv6', (targets) => [
    // Loop addresses have no family.
    targets.byField['transport']?.[0] ?? targets.plain,
    targets.ipv6,
    targets.ipv6OnInterface,
  ]);
  const { connections } = await hostActivity(here.machine);
  const { commands } = await here.dc({
    op: 'get-commands',
    controller: 'unique',
    command: 'connect',
  });
  return {
    excluded,
    open,
    ipv6,
    wire: connections,
    dcConnects: commands as Seen['dcConnects'],
  };
}

/** What was done to try the port of a target before the kernel's own connection. */
function trials({ wire }: Seen, target: Target): readonly string[] {
  const connections = wire.filter(({ port }) => port === target.port);
  const kernel = connections.findIndex(({ commands }) => commands);
  expect(kernel).not.toBe(-1);
  return connections.slice(0, kernel).map(({ icReq }) => (icReq ? 'nvme-tcp' : 'tcp'));
}

function effectsOf(daemon: Daemon): readonly Effect<Seen>[] {
  const targets = TARGETS[daemon];
  const onlyPlain = (kernel: readonly KernelView[]): boolean =>
    kernel.some(targets.plain.is) &&
    !all(targets).some((target) => target !== targets.plain && kernel.some(target.is));
  const excludes: Effect<Seen> = {
    of: [option(daemon, CONTROLLERS, 'exclude')],
    does: 'goes before controller=, and what it does not name is connected',
    check: ({ excluded }) => {
      expect(onlyPlain(excluded)).toBe(true);
    },
  };
  const oneExcluded = (of: string, target: Target): Effect<Seen> => ({
    of: [of],
    does: 'keeps out the one that it names, which is connected without it',
    check: ({ excluded, open }) => {
      expect(excluded.some(target.is)).toBe(false);
      expect(open.some(target.is)).toBe(true);
    },
  });
  return [
    excludes,
    ...Object.entries(targets.byField).map(([name, [target]]) =>
      oneExcluded(field(daemon, 'exclude', name), target),
    ),
    oneExcluded(option(daemon, CONTROLLERS, 'blacklist'), targets.blacklisted[0]),
    {
      of: [field(daemon, 'controller', 'transport')],
      does: 'is the transport',
      check: ({ open }) => {
        const [loop] = targets.byField['transport'] ?? [];
        expect(loop && open.find(loop.is)?.transport).toBe('loop');
        expect(open.find(targets.plain.is)?.transport).toBe('tcp');
      },
    },
    {
      of: [option(daemon, GLOBAL, 'ip-family')],
      does: 'keeps out the other family, and disconnects it on a reload',
      check: ({ excluded, ipv6, open, wire }) => {
        expect(excluded.some(targets.ipv6.is)).toBe(false);
        expect(open.some(targets.ipv6.is)).toBe(true);
        expect(open.some(targets.plain.is)).toBe(true);
        expect(ipv6.some(targets.ipv6.is)).toBe(true);
        expect(ipv6.some(targets.plain.is)).toBe(false);
        // Not even tried before the reload allowed it.
        expect(wire.find(({ port }) => port === targets.ipv6.port)?.icReq).toBeUndefined();
      },
    },
    {
      of: [option(daemon, GLOBAL, 'reachability-check')],
      does: 'chooses what is tried first: an ICReq, a TCP connection, nothing',
      check: (seen) => {
        const [byTrsvcid] = targets.byField['trsvcid'] ?? [targets.plain];
        expect(trials(seen, targets.plain)).toContain('nvme-tcp');
        expect(new Set(trials(seen, byTrsvcid))).toEqual(new Set(['tcp']));
        expect(trials(seen, targets.ipv6OnInterface)).toEqual([]);
      },
    },
    {
      of: [option(daemon, GLOBAL, 'ignore-iface')],
      does: 'leaves the interface to the routing table',
      check: ({ ipv6, open }) => {
        const [onInterface] = targets.byField['host-iface'] ?? [targets.plain];
        expect(open.find(onInterface.is)?.address).toContain('host_iface=lo');
        const address = ipv6.find(targets.ipv6OnInterface.is)?.address;
        expect(address).toContain('traddr=::1');
        expect(address).not.toContain('host_iface');
      },
    },
  ];
}

export const addresses = runnable<Seen>({
  title: 'which addresses',
  files: [EXCLUDED, OPEN, IPV6],
  observe,
  effects: [
    ...effectsOf('stafd'),
    ...effectsOf('stacd'),
    {
      of: [field('stafd', 'controller', 'nqn')],
      does: 'is the NQN of the discovery controller',
      check: ({ dcConnects, open }) => {
        const [named] = TARGETS.stafd.byField['nqn'] ?? [];
        expect(named && open.find(named.is)?.subsysnqn).toBe(DC_NQN);
        const [command] = dcConnects;
        expect(command?.['subnqn']).toBe(DC_NQN);
      },
    },
  ],
});
