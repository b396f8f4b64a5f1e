/**
 * Options of connections: one connection for each field of `controller=`, one without any, then
 * [Global] with all of them for those that are added by a reload. Every controller has a port of
 * its own, by which its connection is known.
 */
import { expect } from 'vitest';
import { CONTROLLERS, GLOBAL } from '../../../src/config/option-table.ts';
import { hostActivity, watchHosts, type HostActivity } from '../hosts.ts';
import { identity, liveDc, liveIo, type KernelView, type Lab } from '../lab.ts';
import {
  DC_ROWS,
  IOC_ONLY,
  IOC_ROWS,
  type Connection,
  type ConnectionRow,
} from './connection-rows.ts';
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
import { SECRETS } from './secrets.ts';

type Daemon = 'stafd' | 'stacd';

/** A `controller=` line without its port. */
interface Line {
  readonly name: string;
  readonly fields: string;
}

const FIRST_PORT: Readonly<Record<Daemon, number>> = { stafd: 8009, stacd: 4420 };

const ROWS: Readonly<Record<Daemon, readonly ConnectionRow[]>> = {
  stafd: DC_ROWS,
  stacd: IOC_ROWS,
};

/** Fields that say where to and from, and what the kernel calls them in its address. */
const ROUTES: readonly (readonly [key: string, text: string, shown: string])[] = [
  ['traddr', '127.0.0.2', 'traddr=127.0.0.2'],
  ['host-traddr', '127.0.0.9', 'host_traddr=127.0.0.9'],
  ['host-iface', 'lo', 'host_iface=lo'],
];

const OTHER_HOST = {
  nqn: 'nqn.2024-01.org.example:another-host',
  id: '5b0e7f3a-6d21-4f0c-9d53-0a1b2c3d4e5f',
};

function firstLines(daemon: Daemon): readonly Line[] {
  return [
    { name: 'plain', fields: '' },
    ...ROWS[daemon].map(({ key, field: [text] }) => ({ name: key, fields: `${key}=${text}` })),
    ...ROUTES.map(([key, text]) => ({ name: key, fields: `${key}=${text}` })),
    { name: 'another-host', fields: `host-nqn=${OTHER_HOST.nqn};host-id=${OTHER_HOST.id}` },
  ];
}

/** Added by the reload that sets [Global]. */
function laterLines(daemon: Daemon): readonly Line[] {
  const overrides = ROWS[daemon].map(({ key, override: [text] }) => `${key}=${text}`);
  return [
    { name: 'global', fields: '' },
    { name: 'override', fields: overrides.join(';') },
  ];
}

const NOT_FOR_DCS: readonly string[] = [
  ...Object.entries(IOC_ONLY).map(([key, text]) => `${key}=${text}`),
  `dhchap-secret=${SECRETS.host}`,
  `dhchap-ctrl-secret=${SECRETS.controller}`,
];

const FIRST_LINES: Readonly<Record<Daemon, readonly Line[]>> = {
  stafd: [...firstLines('stafd'), { name: 'not-for-dcs', fields: NOT_FOR_DCS.join(';') }],
  stacd: firstLines('stacd'),
};

const LINES: Readonly<Record<Daemon, readonly Line[]>> = {
  stafd: [...FIRST_LINES.stafd, ...laterLines('stafd')],
  stacd: [...FIRST_LINES.stacd, ...laterLines('stacd')],
};

function portOf(daemon: Daemon, name: string): number {
  const index = LINES[daemon].findIndex((line) => line.name === name);
  if (index < 0) throw new Error(`${daemon} has no line ${name}`);
  return FIRST_PORT[daemon] + index;
}

function nqnOf(name: string): string {
  return `nqn.2024-01.org.example:${name}`;
}

function controllers(daemon: Daemon, lines: readonly Line[]): string {
  return section(
    CONTROLLERS,
    ...lines.map(({ fields, name }) => {
      const address = fields.startsWith('traddr') ? '' : 'traddr=127.0.0.1;';
      const nqn = daemon === 'stacd' ? `nqn=${nqnOf(name)};` : '';
      const port = String(portOf(daemon, name));
      return `controller = transport=tcp;${address}trsvcid=${port};${nqn}${fields}`;
    }),
  );
}

function global(daemon: Daemon): readonly string[] {
  return ROWS[daemon].map(({ global: [text], key }) => `${key} = ${text}`);
}

const FIRST: Files = {
  stafd: NO_MDNS + controllers('stafd', FIRST_LINES.stafd),
  stacd: controllers('stacd', FIRST_LINES.stacd),
};

const LATER: Files = {
  stafd:
    NO_MDNS +
    section(GLOBAL, ...global('stafd'), 'queue-size = 32') +
    controllers('stafd', LINES.stafd),
  stacd: section(GLOBAL, ...global('stacd')) + controllers('stacd', LINES.stacd),
};

interface Seen {
  readonly first: readonly KernelView[];
  readonly last: readonly KernelView[];
  readonly activity: HostActivity;
}

async function observe(here: Lab): Promise<Seen> {
  await here.reset();
  await here.targets({
    ports: LINES.stacd.map(({ name }, index) => ({
      id: index + 1,
      transport: 'tcp',
      address: '0.0.0.0',
      service: portOf('stacd', name),
    })),
    subsystems: LINES.stacd.map(({ name }, index) => ({ nqn: nqnOf(name), ports: [index + 1] })),
  });
  await here.addDc({
    listen: LINES.stafd.map(({ name }) => ({ address: '0.0.0.0', port: portOf('stafd', name) })),
  });
  await watchHosts(here.machine);

  const until = (
    what: string,
    lines: Readonly<Record<Daemon, readonly Line[]>>,
  ): Promise<readonly KernelView[]> =>
    here.kernelUntil(
      what,
      (all) =>
        liveIo(all).filter(({ namespaces }) => namespaces.length > 0).length ===
          lines.stacd.length && liveDc(all).length === lines.stafd.length,
      180_000,
    );
  await install(here, FIRST);
  await here.systemctl('start stafd stacd');
  const first = await until('a connection for each line', FIRST_LINES);
  await install(here, LATER);
  await here.systemctl('reload stafd stacd');
  const last = await until('those that were added', LINES);
  return { first, last, activity: await hostActivity(here.machine) };
}

/** The one connection that a line leads to. */
function connectionOf({ activity, last }: Seen, daemon: Daemon, name: string): Connection {
  const port = portOf(daemon, name);
  const kernel = last.find(
    ({ address }) => address?.split(',').includes(`trsvcid=${String(port)}`) === true,
  );
  const wire = activity.connections.find(
    (connection) => connection.port === port && connection.commands,
  );
  // The last one: the name may have been that of one that failed.
  const connect = activity.connects.findLast(
    ({ device, qid }) => device === kernel?.device && qid === 0,
  );
  if (kernel === undefined || wire === undefined || connect === undefined) {
    throw new Error(`${name} is not connected: ${JSON.stringify({ kernel, wire, connect })}`);
  }
  return { kernel, wire, connect };
}

function rowEffects(daemon: Daemon, row: ConnectionRow): readonly Effect<Seen>[] {
  const { does, field: own, global, key, override, plain, see } = row;
  return [
    {
      of: [field(daemon, 'controller', key)],
      does: `${does}, of that connection alone`,
      check: (seen) => {
        expect(see(connectionOf(seen, daemon, 'plain'))).toEqual(plain);
        expect(own[1]).not.toEqual(plain);
        expect(see(connectionOf(seen, daemon, key))).toEqual(own[1]);
      },
    },
    {
      of: [option(daemon, GLOBAL, key)],
      does: `${does}, where a line does not say otherwise`,
      check: (seen) => {
        expect(global[1]).not.toEqual(plain);
        expect(see(connectionOf(seen, daemon, 'global'))).toEqual(global[1]);
        expect(override[1]).not.toEqual(global[1]);
        expect(see(connectionOf(seen, daemon, 'override'))).toEqual(override[1]);
      },
    },
  ];
}

function effectsOf(daemon: Daemon): readonly Effect<Seen>[] {
  return [
    {
      of: [option(daemon, CONTROLLERS, 'controller')],
      does: 'is connected, and a reload that changes [Global] does not disturb it',
      check: ({ first, last }) => {
        const connected = daemon === 'stafd' ? liveDc(first) : liveIo(first);
        expect(connected).toHaveLength(FIRST_LINES[daemon].length);
        expect(last.map(identity)).toEqual(expect.arrayContaining(connected.map(identity)));
      },
    },
    ...ROWS[daemon].flatMap((row) => rowEffects(daemon, row)),
    ...ROUTES.map(([key, , shown]): Effect<Seen> => ({
      of: [field(daemon, 'controller', key)],
      does: 'is part of the address that the kernel has',
      check: (seen) => {
        expect(connectionOf(seen, daemon, key).kernel.address?.split(',')).toContain(shown);
      },
    })),
    {
      of: [field(daemon, 'controller', 'host-traddr')],
      does: 'is where the target sees the host',
      check: (seen) => {
        expect(connectionOf(seen, daemon, 'host-traddr').wire.host).toBe('127.0.0.9');
      },
    },
    {
      of: [field(daemon, 'controller', 'trsvcid')],
      does: 'is the port',
      check: (seen) => {
        const port = portOf(daemon, 'override');
        expect(port).not.toBe(FIRST_PORT[daemon]);
        expect(connectionOf(seen, daemon, 'override').wire.port).toBe(port);
      },
    },
    {
      of: [field(daemon, 'controller', 'host-nqn'), field(daemon, 'controller', 'host-id')],
      does: 'are who the host is for this controller',
      check: (seen) => {
        const { hostid, hostnqn } = connectionOf(seen, daemon, 'another-host').kernel;
        expect({ hostid, hostnqn }).toEqual({ hostid: OTHER_HOST.id, hostnqn: OTHER_HOST.nqn });
      },
    },
  ];
}

export const connections = runnable<Seen>({
  title: 'options of connections',
  files: [FIRST, LATER],
  observe,
  effects: [
    ...effectsOf('stafd'),
    ...effectsOf('stacd'),
    {
      of: [field('stacd', 'controller', 'nqn')],
      does: 'is the subsystem',
      check: (seen) => {
        const { kernel } = connectionOf(seen, 'stacd', 'plain');
        expect(kernel.subsysnqn).toBe(nqnOf('plain'));
      },
    },
    {
      of: [
        option('stafd', GLOBAL, 'queue-size'),
        ...[...Object.keys(IOC_ONLY), 'dhchap-secret', 'dhchap-ctrl-secret'].map((key) =>
          field('stafd', 'controller', key),
        ),
      ],
      does: 'changes nothing for a DC, which has no I/O queues and no authentication',
      check: (seen) => {
        const plain = connectionOf(seen, 'stafd', 'plain');
        const { queue_count, sqsize } = plain.kernel;
        for (const name of ['not-for-dcs', 'global']) {
          const { connect, kernel } = connectionOf(seen, 'stafd', name);
          expect(kernel).toMatchObject({ queue_count, sqsize });
          expect(connect.sqsize).toBe(plain.connect.sqsize);
        }
        const { dhchap_secret } = connectionOf(seen, 'stafd', 'not-for-dcs').kernel;
        expect(dhchap_secret).toBe(plain.kernel.dhchap_secret);
      },
    },
  ],
});
