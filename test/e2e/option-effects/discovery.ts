/**
 * How stafd introduces itself to a discovery controller, what it asks it for, what both daemons say
 * of themselves, and what of it remains when stafd stops.
 */
import { expect } from 'vitest';
import { CONTROLLERS, DC_MANAGEMENT, GLOBAL, HOST } from '../../../src/config/option-table.ts';
import {
  entries,
  identity,
  liveDc,
  liveIo,
  LOCAL_PORT,
  subsystemNqn,
  subsystems,
  type KernelView,
  type Lab,
} from '../lab.ts';
import {
  inFile,
  install,
  NO_MDNS,
  option,
  runnable,
  section,
  type Effect,
  type Files,
} from './effect.ts';

const CONTROLLER = section(CONTROLLERS, 'controller = transport=tcp;traddr=127.0.0.1');

interface HostWords {
  readonly nqn: string;
  readonly id: string;
  readonly symname: string;
}

const LITERAL: HostWords = {
  nqn: 'nqn.2024-01.org.example:host-literal',
  id: '11111111-2222-4333-8444-555555555555',
  symname: 'literal-name',
};
const FROM_FILES: HostWords = {
  nqn: 'nqn.2024-01.org.example:host-from-file',
  id: '66666666-7777-4888-9999-aaaaaaaaaaaa',
  symname: 'name-from-file',
};

function host(words: HostWords): string {
  return section(HOST, ...Object.entries(words).map(([key, text]) => `${key} = ${String(text)}`));
}

function registered(words: HostWords): HostWords {
  return { ...words, id: words.id.replaceAll('-', '') };
}

function fileOf(key: string): string {
  return `/run/e2e-${key}`;
}

const TRACING: Files = {
  sys: host(LITERAL),
  stafd:
    section(GLOBAL, 'tron = true', 'pleo = enabled') +
    NO_MDNS +
    section(DC_MANAGEMENT, 'persistent-connections = false') +
    CONTROLLER,
  stacd: section(GLOBAL, 'tron = true'),
};

const QUIET: Files = {
  stafd:
    section(GLOBAL, 'tron = false', 'pleo = disabled') +
    NO_MDNS +
    section(DC_MANAGEMENT, 'persistent-connections = true') +
    CONTROLLER,
  stacd: section(GLOBAL, 'tron = false'),
};

const LEGACY: Files = {
  sys: host({
    nqn: `file://${fileOf('nqn')}`,
    id: `file://${fileOf('id')}`,
    symname: `file://${fileOf('symname')}`,
  }),
  stafd: section(GLOBAL, 'persistent-connections = false') + NO_MDNS + CONTROLLER,
};

/** A DIM command, as the simulated discovery controller records it. */
interface Registration {
  readonly entries: readonly {
    readonly nqn: string;
    /** Hexadecimal digits alone. */
    readonly hostid: string;
    readonly symbolicName: string;
  }[];
}

/** What a daemon says of itself on the bus. */
interface Tracing {
  readonly tron: string;
  readonly level: string;
}

interface Seen {
  readonly tracing: Readonly<Record<'stafd' | 'stacd', Tracing>>;
  readonly quiet: Readonly<Record<'stafd' | 'stacd', Tracing>>;
  /** Lines of level debug, while tracing and afterwards. */
  readonly debugLines: Readonly<Record<'stafd' | 'stacd', readonly [number, number]>>;
  /** Log specific field of Get Log Page, 2 is PLEO: before and after the reload. */
  readonly lsps: readonly [readonly unknown[], readonly unknown[]];
  readonly withPleo: readonly KernelView[];
  readonly withoutPleo: readonly KernelView[];
  readonly registrations: readonly HostWords[];
  readonly fromFiles: readonly KernelView[];
  /** After stafd was stopped, with the option and with its earlier form. */
  readonly stopped: Readonly<Record<'now' | 'legacy', readonly KernelView[]>>;
}

async function tracing(here: Lab): Promise<Seen['tracing']> {
  const of = async (daemon: 'stafd' | 'stacd'): Promise<Tracing> => {
    const name = daemon.slice(0, 4);
    const text = await here.machine.sh(
      `busctl get-property org.nvmexpress.${name} /org/nvmexpress/${name} org.nvmexpress.${name}.debug tron log_level`,
    );
    const [tron = '', level = ''] = text.trim().split('\n');
    return { tron, level };
  };
  const [stafd, stacd] = await Promise.all([of('stafd'), of('stacd')]);
  return { stafd, stacd };
}

async function debugLines(here: Lab, daemon: 'stafd' | 'stacd'): Promise<number> {
  const text = await here.machine.sh(
    `journalctl --sync; journalctl -b -t ${daemon} -p debug..debug -o cat | wc -l`,
  );
  return Number(text);
}

async function observe(here: Lab): Promise<Seen> {
  await here.reset();
  await here.targets({ ports: [LOCAL_PORT], subsystems: subsystems(2) });
  const listed = entries(2).map((entry, index) => ({ ...entry, portid: index + 1 }));
  await here.addDc({ dctype: 'ddc', pleo: true, entries: listed });
  for (const [key, text] of Object.entries(FROM_FILES)) {
    await here.machine.writeFile(fileOf(key), `${String(text)} and what follows it\n`);
  }
  const taken = async (filter: Readonly<Record<string, unknown>>): Promise<readonly unknown[]> =>
    (await here.dc({ op: 'get-commands', controller: 'dc', ...filter }))[
      'commands'
    ] as readonly unknown[];
  const lsps = async (): Promise<readonly unknown[]> =>
    (await taken({ lid: 0x70 })).map((command) => (command as { lsp: unknown }).lsp);
  const registrations: HostWords[] = [];
  const noteRegistration = async (): Promise<void> => {
    await here.dc({ op: 'wait-commands', controller: 'dc', command: 'dim', timeoutMs: 120_000 });
    const dims = (await taken({ command: 'dim' })) as readonly Registration[];
    const [entry] = dims.at(-1)?.entries ?? [];
    if (entry === undefined) throw new Error('the host registered without an entry');
    const { hostid, nqn, symbolicName } = entry;
    registrations.push({ nqn, id: hostid, symname: symbolicName });
  };
  const connected = (what: string, iocs: number): Promise<readonly KernelView[]> =>
    here.kernelUntil(
      what,
      (all) => liveDc(all).length === 1 && liveIo(all).length === iocs,
      180_000,
    );
  const stop = async (daemons: string): Promise<readonly KernelView[]> => {
    await here.systemctl(`stop ${daemons}`);
    return here.kernel();
  };

  await install(here, TRACING);
  const [stafdBefore, stacdBefore] = [
    await debugLines(here, 'stafd'),
    await debugLines(here, 'stacd'),
  ];
  await here.systemctl('start stafd stacd');
  const withPleo = await connected('the entry of the port that was asked', 1);
  const traced = await tracing(here);
  await noteRegistration();
  const lspsWith = await lsps();
  await install(here, QUIET);
  await here.systemctl('reload stafd stacd');
  const withoutPleo = await connected('all entries', 2);
  const [stafdTraced, stacdTraced] = [
    await debugLines(here, 'stafd'),
    await debugLines(here, 'stacd'),
  ];
  const quiet = await tracing(here);
  const lspsWithout = await lsps();
  await taken({ command: 'dim' });
  await here.systemctl('reload stafd stacd');
  await noteRegistration();
  const stafdQuiet = await debugLines(here, 'stafd');
  const stacdQuiet = await debugLines(here, 'stacd');
  const now = await stop('stafd stacd');

  await install(here, LEGACY);
  await here.machine.sh('nvme disconnect-all', { timeoutMs: 180_000 });
  await taken({ command: 'dim' });
  await here.systemctl('start stafd');
  const fromFiles = await connected('the DC by another name', 0);
  await noteRegistration();
  const legacy = await stop('stafd');
  return {
    tracing: traced,
    quiet,
    debugLines: {
      stafd: [stafdTraced - stafdBefore, stafdQuiet - stafdTraced],
      stacd: [stacdTraced - stacdBefore, stacdQuiet - stacdTraced],
    },
    lsps: [lspsWith, lspsWithout],
    withPleo,
    withoutPleo,
    registrations,
    fromFiles,
    stopped: { now, legacy },
  };
}

function tron(daemon: 'stafd' | 'stacd'): Effect<Seen> {
  return {
    of: [option(daemon, GLOBAL, 'tron')],
    does: 'logs debug lines, and shows on the bus, from start or reload to reload',
    check: ({ debugLines, quiet, tracing }) => {
      expect(tracing[daemon]).toEqual({ tron: 'b true', level: 's "DEBUG"' });
      expect(quiet[daemon]).toEqual({ tron: 'b false', level: 's "INFO"' });
      const [traced, afterwards] = debugLines[daemon];
      expect(traced).toBeGreaterThan(0);
      expect(afterwards).toBe(0);
    },
  };
}

export const discovery = runnable<Seen>({
  title: 'discovery controllers and the host',
  files: [TRACING, QUIET, LEGACY],
  observe,
  effects: [
    tron('stafd'),
    tron('stacd'),
    {
      of: [option('stafd', GLOBAL, 'pleo')],
      does: 'asks for the entries of the port alone, and a reload for all of them',
      check: ({ lsps: [enabled, disabled], withPleo, withoutPleo }) => {
        expect(enabled).not.toHaveLength(0);
        expect(new Set(enabled)).toEqual(new Set([2]));
        expect(liveIo(withPleo).map(({ subsysnqn }) => subsysnqn)).toEqual([subsystemNqn(0)]);
        expect(disabled.at(-1)).toBe(0);
        expect(liveIo(withoutPleo).map(identity)).toEqual(
          expect.arrayContaining(liveIo(withPleo).map(identity)),
        );
      },
    },
    ...(['nqn', 'id', 'symname'] as const).map((key): Effect<Seen> => ({
      of: [option('sys', HOST, key)],
      does: 'is what the host registers and connects with',
      check: ({ registrations, withPleo }) => {
        expect(registrations[0]?.[key]).toBe(registered(LITERAL)[key]);
        for (const { hostid, hostnqn } of withPleo) {
          expect({ hostid, hostnqn }).toEqual({ hostid: LITERAL.id, hostnqn: LITERAL.nqn });
        }
      },
    })),
    ...(['nqn', 'id', 'symname'] as const).map((key): Effect<Seen> => ({
      of: [inFile('sys', HOST, key)],
      does: 'is the first word of the file',
      check: ({ fromFiles, registrations }) => {
        expect(registrations.at(-1)?.[key]).toBe(registered(FROM_FILES)[key]);
        for (const { hostid, hostnqn } of fromFiles) {
          expect({ hostid, hostnqn }).toEqual({ hostid: FROM_FILES.id, hostnqn: FROM_FILES.nqn });
        }
      },
    })),
    {
      of: [option('stafd', DC_MANAGEMENT, 'persistent-connections')],
      does: '= true: leaves the DC connected when stafd stops, since a reload',
      check: ({ stopped, withoutPleo }) => {
        expect(stopped.now.map(identity)).toEqual(withoutPleo.map(identity));
      },
    },
    {
      of: [option('stafd', GLOBAL, 'persistent-connections')],
      does: '= false: disconnects it, in its earlier place',
      check: ({ fromFiles, stopped }) => {
        expect(liveDc(fromFiles)).toHaveLength(1);
        expect(stopped.legacy).toEqual([]);
      },
    },
  ],
});
