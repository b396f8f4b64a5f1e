/**
 * What stacd disconnects, of its own and of others' connections, and how often it tries a subsystem
 * that its discovery controller says is not connected to the CDC.
 *
 * Two connections are made by nvme-cli before stacd starts, one of them over the kernel's loop
 * transport; nobody asks for them.
 */
import { expect } from 'vitest';
import { CONTROLLERS, IOC_MANAGEMENT } from '../../../src/config/option-table.ts';
import { hostActivity, watchHosts } from '../hosts.ts';
import { entries, identity, LOCAL_PORT, stafdConf, type KernelView, type Lab } from '../lab.ts';
import { install, option, runnable, section, type Files } from './effect.ts';

const NAMES = ['foreign', 'loop', 'first', 'second', 'third'] as const;

type Name = (typeof NAMES)[number];

function nqnOf(name: string): string {
  return `nqn.2024-01.org.example:${name}`;
}

function conf(management: readonly string[], ...names: readonly Name[]): string {
  return (
    section(IOC_MANAGEMENT, ...management) +
    section(
      CONTROLLERS,
      ...names.map(
        (name) => `controller = transport=tcp;traddr=127.0.0.1;trsvcid=4420;nqn=${nqnOf(name)}`,
      ),
    )
  );
}

const SCOPE = {
  none: 'disconnect-scope = no-disconnect',
  own: 'disconnect-scope = only-stas-connections',
  all: 'disconnect-scope = all-connections-matching-disconnect-trtypes',
} as const;

function attemptsOnNcc(count: number): string {
  return `connect-attempts-on-ncc = ${String(count)}`;
}

/** What is configured, moment by moment; each moment's title says what is expected after it. */
const MOMENTS = {
  start: conf([SCOPE.none, attemptsOnNcc(1)], 'first'),
  'its own one stays': conf([SCOPE.none, attemptsOnNcc(3)]),
  'it is taken over again': conf([SCOPE.own, attemptsOnNcc(2)], 'first', 'second'),
  'its own one goes': conf([SCOPE.own, attemptsOnNcc(2)], 'second'),
  'other transports are asked for': conf(
    [SCOPE.all, 'disconnect-trtypes = fc+rdma', attemptsOnNcc(2)],
    ...(['second', 'third'] as const),
  ),
  'what nobody asks for goes': conf(
    [SCOPE.all, 'disconnect-trtypes = rdma+tcp', attemptsOnNcc(0)],
    ...(['second', 'third'] as const),
  ),
} as const;

/** Afterwards, with the same configuration: one that somebody connects while stacd runs, or not. */
const LATER_MOMENTS = ['added while stacd runs', 'added before it starts, without stafd'] as const;
const LAST = 'and with stafd';

type Moment = keyof typeof MOMENTS | (typeof LATER_MOMENTS)[number] | typeof LAST;

const STAFD: Files = { stafd: stafdConf('transport=tcp;traddr=127.0.0.1') };

/** Two that the target does not know: the kernel's attempts at them can be counted. */
const REFUSED = [
  { id: 'ncc', eflags: ['ncc'], port: 4421 },
  { id: 'no-ncc', eflags: [], port: 4422 },
] as const;

interface Seen {
  readonly kernel: Readonly<Record<Moment, readonly KernelView[]>>;
  /** How often the kernel tried to connect after a reload, by port, when so many were allowed. */
  readonly tried: Readonly<Record<number, Readonly<Record<number, number>>>>;
  /** How often to the one with NCC from when it was held until the next reload, by what happened. */
  readonly held: { readonly stillSet: number; readonly cleared: number };
}

async function attempts(here: Lab): Promise<Readonly<Record<number, number>>> {
  const { connections } = await hostActivity(here.machine);
  const count = (wanted: number): number =>
    connections.filter(({ commands, port }) => port === wanted && commands).length;
  return Object.fromEntries(REFUSED.map(({ port }) => [port, count(port)]));
}

async function observe(here: Lab): Promise<Seen> {
  await here.reset();
  await here.targets({
    ports: [
      LOCAL_PORT,
      ...REFUSED.map(({ port }) => ({ ...LOCAL_PORT, id: port, service: String(port) }) as const),
      { id: 2, transport: 'loop' },
    ],
    subsystems: [
      ...NAMES.map((name) => ({ nqn: nqnOf(name), ports: [name === 'loop' ? 2 : 1] })),
      // A port listens when it has a subsystem.
      { nqn: nqnOf('other'), ports: REFUSED.map(({ port }) => port) },
    ],
  });
  const [entry] = entries(1);
  await here.addDc({
    entries: REFUSED.map(({ eflags, id, port }) => ({
      ...entry,
      ...{ id, eflags, trsvcid: String(port), subnqn: nqnOf(id) },
    })),
  });
  await here.machine.sh(
    `modprobe nvme-loop; nvme connect -t tcp -a 127.0.0.1 -s 4420 -n ${nqnOf('foreign')}; nvme connect -t loop -n ${nqnOf('loop')}`,
    { timeoutMs: 180_000 },
  );
  await watchHosts(here.machine);

  const kernel: Partial<Record<Moment, readonly KernelView[]>> = {};
  const moment = async (
    name: keyof typeof MOMENTS,
    settled: () => Promise<unknown>,
  ): Promise<void> => {
    await install(here, { ...STAFD, stacd: MOMENTS[name] });
    await here.systemctl(name === 'start' ? 'start stafd stacd' : 'reload stacd');
    await settled();
    kernel[name] = await here.kernel();
  };
  const listed = (...names: readonly Name[]): Promise<unknown> =>
    here.listUntil(
      'stacctl',
      (all) =>
        NAMES.every(
          (name) =>
            names.includes(name) ===
            all.some(
              ({ connected, subsysnqn }) => subsysnqn === nqnOf(name) && connected === 'True',
            ),
        ),
      180_000,
    );
  const gone = (name: Name): Promise<unknown> =>
    here.kernelUntil(
      `${name} gone`,
      (all) => !all.some(({ subsysnqn }) => subsysnqn === nqnOf(name)),
      180_000,
    );
  const [{ port: ncc }, { port: other }] = REFUSED;
  /** Attempts at both since `from`, once there are so many at one of them. */
  const since = async (
    from: Seen['tried'][number],
    port: number,
    count: number,
  ): Promise<Seen['tried'][number]> => {
    const end = Date.now() + 180_000;
    for (;;) {
      const made = await attempts(here);
      const counted = Object.fromEntries(
        REFUSED.map(({ port: each }) => [each, (made[each] ?? 0) - (from[each] ?? 0)]),
      );
      if ((counted[port] ?? 0) >= count) return counted;
      if (Date.now() > end) throw new Error(`too few attempts: ${JSON.stringify(made)}`);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  };
  const untilHeld = (): Promise<unknown> =>
    here.listUntil('stacctl', (all) =>
      all.some(
        ({ state, subsysnqn }) =>
          subsysnqn === nqnOf(REFUSED[0].id) && state === 'held (not connected to CDC)',
      ),
    );
  const change = (eflags: readonly string[]): Promise<unknown> =>
    here.dc({ op: 'change-entry', entry: REFUSED[0].id, fields: { eflags } });

  // Every reload begins to count anew.
  const tried: Record<number, Seen['tried'][number]> = {};
  await moment('start', () => listed('first'));
  await untilHeld();
  tried[1] = await since({}, ncc, 0);
  let from = await attempts(here);
  await moment('its own one stays', () => listed());
  await untilHeld();
  // More than those that are allowed where NCC is set.
  tried[3] = await since(from, other, 4);
  const [before3, after3] = [from[ncc] ?? 0, (await attempts(here))[ncc] ?? 0];
  from = await attempts(here);
  await moment('it is taken over again', () => listed('first', 'second'));
  await untilHeld();
  tried[2] = await since(from, ncc, 0);
  from = await attempts(here);
  await change([]);
  const { [ncc]: cleared = 0 } = await since(from, ncc, 3);
  await change(['ncc']);
  await moment('its own one goes', () => gone('first'));
  await moment('other transports are asked for', async () => {
    await listed('second', 'third');
    // stacd looks at everything again 1 s after the third was connected.
    await new Promise((resolve) => setTimeout(resolve, 4_000));
  });
  from = await attempts(here);
  await moment('what nobody asks for goes', () => gone('foreign'));
  tried[0] = await since(from, ncc, 5);

  const connectForeign = `nvme connect -t tcp -a 127.0.0.1 -s 4420 -n ${nqnOf('foreign')}`;
  await here.machine.sh(connectForeign, { timeoutMs: 180_000 });
  await gone('foreign');
  kernel['added while stacd runs'] = await here.kernel();
  await here.systemctl('stop stacd stafd');
  await here.machine.sh(connectForeign, { timeoutMs: 180_000 });
  await here.systemctl('start stacd');
  await listed('second', 'third');
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  kernel['added before it starts, without stafd'] = await here.kernel();
  await here.systemctl('start stafd');
  await gone('foreign');
  kernel[LAST] = await here.kernel();
  return {
    kernel: kernel as Seen['kernel'],
    tried,
    held: { stillSet: after3 - before3 - (tried[3][ncc] ?? 0), cleared },
  };
}

/** The identity of a connection at a moment; undefined if it is not there. */
function at({ kernel }: Seen, moment: Moment, name: Name): string | undefined {
  const found = kernel[moment].find(({ subsysnqn }) => subsysnqn === nqnOf(name));
  return found === undefined ? undefined : identity(found);
}

export const disconnecting = runnable<Seen>({
  title: 'disconnecting',
  files: [STAFD, ...Object.values(MOMENTS).map((stacd) => ({ stacd }))],
  observe,
  effects: [
    {
      of: [option('stacd', IOC_MANAGEMENT, 'disconnect-scope')],
      does: '= no-disconnect: drops nothing, not even what stacd made',
      check: (seen) => {
        expect(at(seen, 'start', 'first')).toBeDefined();
        expect(at(seen, 'its own one stays', 'first')).toBe(at(seen, 'start', 'first'));
      },
    },
    {
      of: [option('stacd', IOC_MANAGEMENT, 'disconnect-scope')],
      does: '= only-stas-connections: drops what stacd has, and leaves what others made',
      check: (seen) => {
        expect(at(seen, 'it is taken over again', 'first')).toBe(at(seen, 'start', 'first'));
        expect(at(seen, 'its own one goes', 'first')).toBeUndefined();
        const before = at(seen, 'start', 'foreign');
        expect(before).toBeDefined();
        expect(at(seen, 'its own one goes', 'foreign')).toBe(before);
      },
    },
    {
      of: [option('stacd', IOC_MANAGEMENT, 'disconnect-trtypes')],
      does: 'spares the transports that it does not name',
      check: (seen) => {
        const before = at(seen, 'start', 'foreign');
        expect(at(seen, 'other transports are asked for', 'foreign')).toBe(before);
        const loop = at(seen, 'start', 'loop');
        expect(loop).toBeDefined();
        expect(at(seen, 'what nobody asks for goes', 'loop')).toBe(loop);
      },
    },
    {
      of: [
        option('stacd', IOC_MANAGEMENT, 'disconnect-scope'),
        option('stacd', IOC_MANAGEMENT, 'disconnect-trtypes'),
      ],
      does: 'drop what nobody asks for of the transports that are named, and nothing else',
      check: (seen) => {
        const last = 'what nobody asks for goes';
        expect(at(seen, last, 'foreign')).toBeUndefined();
        for (const name of ['second', 'third'] as const) {
          const before = at(seen, 'other transports are asked for', name);
          expect(before).toBeDefined();
          expect(at(seen, last, name)).toBe(before);
        }
      },
    },
    {
      of: [option('stacd', IOC_MANAGEMENT, 'disconnect-scope')],
      does: '= all-…: looks again after each connection that is made, and at the start, once stafd has told everything',
      check: (seen) => {
        const [added, early] = LATER_MOMENTS;
        expect(at(seen, added, 'foreign')).toBeUndefined();
        expect(at(seen, early, 'foreign')).toBeDefined();
        expect(at(seen, LAST, 'foreign')).toBeUndefined();
        for (const name of ['second', 'third', 'loop'] as const) {
          const before = at(seen, 'what nobody asks for goes', name);
          expect(before).toBeDefined();
          for (const moment of [...LATER_MOMENTS, LAST] as const) {
            expect(at(seen, moment, name)).toBe(before);
          }
        }
      },
    },
    {
      of: [option('stacd', IOC_MANAGEMENT, 'connect-attempts-on-ncc')],
      does: '= n: stops after n attempts where NCC is set, and only there; 1 is taken as 2, and 0 tries on',
      check: ({ held, tried }) => {
        const [{ port: ncc }, { port: other }] = REFUSED;
        expect([1, 2, 3].map((count) => tried[count]?.[ncc])).toEqual([2, 2, 3]);
        expect(tried[3]?.[other]).toBeGreaterThan(3);
        expect(held.stillSet).toBe(0);
        expect(tried[0]?.[ncc]).toBeGreaterThan(4);
      },
    },
    {
      of: [option('stacd', IOC_MANAGEMENT, 'connect-attempts-on-ncc')],
      does: 'counts no more once NCC is cleared: tries again, and on',
      check: ({ held }) => {
        expect(held.cleared).toBeGreaterThan(2);
      },
    },
  ],
});
