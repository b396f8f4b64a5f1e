/** The rows of the benchmark in the virtual machine. */
import { entries, LOCAL_PORT, subsystemNqn, subsystems, type Lab } from '../../e2e/lab.ts';
import { connectAll, original, ours, PROGRAMS, type Contender } from './contenders.ts';
import { clear, timed, use, type ProcessUse, type Timed } from './measure.ts';
import type { Group, Result } from './results.ts';

/** Takes each measured value, once for each run. */
export type Recorder = (
  group: Group,
  what: string,
  contender: Contender,
  unit: Result['unit'],
  value: number,
) => void;

export type Scenario = (lab: Lab, runs: number, record: Recorder) => Promise<void>;

const DAEMONS: readonly Contender[] = [ours, original];
const EVERYBODY: readonly Contender[] = [...DAEMONS, connectAll];

/** Seconds; a peer that takes longer is not waited for. */
export const LIMIT = 300;
/** The same beside dead paths, where it is known that it does. */
export const DEAD_LIMIT = 90;

/** When the last of so many came; Infinity if it did not. */
function last({ at, done }: Timed, count: number): number {
  return done ? (at[count - 1] ?? Infinity) : Infinity;
}

async function offer(lab: Lab, live: number, dead: readonly object[] = []): Promise<void> {
  await lab.dc({ op: 'set-entries', entries: [...dead, ...entries(live)] });
}

/** CPU seconds that a contender has used for what it did: its daemons', or the command's. */
function cpuOf(uses: Readonly<Record<string, ProcessUse>>, { command }: Timed): number {
  const all = Object.values(uses);
  return all.length === 0 ? command.cpu : all.reduce((sum, { cpu }) => sum + cpu, 0);
}

const settle = (seconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** The daemons with nothing to connect to: what a cold start takes at least. */
async function ownStart(lab: Lab, runs: number, record: Recorder): Promise<void> {
  await lab.dc({ op: 'set-entries', entries: [] });
  for (let run = 0; run < runs; run += 1) {
    await ours.prepare(lab);
    const { command } = await timed(lab, 'connected', 0, LIMIT, ours.command);
    record('cold', "the daemons' own start", ours, 's', command.seconds ?? Infinity);
    await clear(lab, ours);
  }
}

/** From nothing to all that a discovery controller lists. */
export function cold(counts: readonly number[]): Scenario {
  return async (lab, runs, record) => {
    await ownStart(lab, runs, record);
    for (const count of counts) {
      await lab.targets({ ports: [LOCAL_PORT], subsystems: subsystems(count) });
      await offer(lab, count);
      for (let run = 0; run < runs; run += 1) {
        for (const contender of EVERYBODY) {
          await contender.prepare(lab);
          const result = await timed(lab, 'connected', count, LIMIT, contender.command);
          const what = `cold start to ${String(count)} live`;
          record('cold', what, contender, 's', last(result, count));
          await memory(lab, contender, count, record, result);
          await clear(lab, contender);
        }
      }
    }
  };
}

async function memory(
  lab: Lab,
  contender: Contender,
  count: number,
  record: Recorder,
  result: Timed,
): Promise<void> {
  const at = await use(lab, contender);
  record('cold', `CPU of that, ${String(count)} live`, contender, 's', cpuOf(at, result));
  if (!contender.isDaemon || count < 64) return;
  // What the start has left behind may go.
  await settle(20);
  for (const [daemon, { privateDirty, pss }] of Object.entries(await use(lab, contender))) {
    const of = `of ${daemon}, ${String(count)} controllers`;
    record('cold', `Private_Dirty ${of}`, contender, 'kB', privateDirty);
    record('cold', `Pss ${of}`, contender, 'kB', pss);
  }
}

/** Where nobody is, in three ways. `entry`: of the n-th of them. */
const DEAD = {
  'black-holed': (index: number) => ({ traddr: `198.51.100.${String(index + 10)}` }),
  refusing: () => ({ trsvcid: '4431' }),
  mute: () => ({ trsvcid: '4432' }),
} as const satisfies Readonly<Record<string, (index: number) => object>>;

function deadEntries(kind: keyof typeof DEAD, count: number): readonly object[] {
  return Array.from({ length: count }, (_, index) => ({
    ...entries(1)[0],
    id: `dead${String(index)}`,
    subnqn: subsystemNqn(1000 + index),
    ...DEAD[kind](index),
  }));
}

const LIVE = 24;

/** Live paths beside dead ones, which the log names first. */
export const dead: Scenario = async (lab, runs, record) => {
  await lab.machine.sh(
    [
      'ip link add bench-hole type dummy; ip address add 198.51.100.1/24 dev bench-hole',
      'ip link set bench-hole up',
      `systemd-run --quiet --unit=bench-mute ${PROGRAMS}/mute.pl 4432`,
    ].join('; '),
  );
  try {
    await lab.targets({ ports: [LOCAL_PORT], subsystems: subsystems(LIVE) });
    for (let run = 0; run < runs; run += 1) {
      // Peers wait minutes for each dead path: once is enough to see it.
      const who = run === 0 ? EVERYBODY : [ours];
      await beside(lab, 'no dead path', [], EVERYBODY, record);
      for (const kind of Object.keys(DEAD) as (keyof typeof DEAD)[]) {
        for (const count of [16, 64]) {
          const what = `${String(count)} ${kind}`;
          await beside(lab, what, deadEntries(kind, count), who, record);
        }
      }
    }
  } finally {
    await lab.machine.sh('ip link del bench-hole; systemctl stop bench-mute; true');
  }
};

async function beside(
  lab: Lab,
  what: string,
  deadPaths: readonly object[],
  who: readonly Contender[],
  record: Recorder,
): Promise<void> {
  await offer(lab, LIVE, deadPaths);
  for (const contender of who) {
    await contender.prepare(lab);
    const result = await timed(lab, 'connected', LIVE, DEAD_LIMIT, contender.command);
    const row = `${String(LIVE)} live, ${what}`;
    record('dead', row, contender, 's', last(result, LIVE));
    record(
      'dead',
      `CPU of that, ${what}`,
      contender,
      's',
      cpuOf(await use(lab, contender), result),
    );
    await clear(lab, contender);
  }
}

/** Seconds that a contender gets to know what it has connected. */
const CALM = 10;

async function connected(
  lab: Lab,
  contender: Contender,
  count: number,
  options: Parameters<Contender['prepare']>[1] = {},
): Promise<void> {
  await contender.prepare(lab, options);
  const { done } = await timed(lab, 'connected', count, LIMIT, contender.command);
  if (!done) throw new Error(`${contender.name} does not connect ${String(count)}`);
  await settle(CALM);
}

/** From the kernel's word of the event on, until the last of so many came or went. */
function sinceEvent(timing: Timed, count: number): number {
  return timing.aen === null ? Infinity : last(timing, count) - timing.aen;
}

/** An event of the discovery controller, until the connection is there or gone. */
export const events: Scenario = async (lab, runs, record) => {
  await lab.targets({ ports: [LOCAL_PORT], subsystems: subsystems(LIVE + 1) });
  const control = (request: object): string =>
    `/usr/local/lib/e2e/dc-control.sh /run/e2e-dc.sock '${JSON.stringify(request)}'`;
  const [entry] = entries(1, '127.0.0.1', LIVE);
  const ids = [entry?.['id']];
  for (const contender of DAEMONS) {
    await offer(lab, LIVE);
    await connected(lab, contender, LIVE);
    for (let run = 0; run < runs; run += 1) {
      const add = control({ op: 'add-entries', entries: [entry] });
      const come = await timed(lab, 'connected', LIVE + 1, LIMIT, add);
      record('events', 'event to live', contender, 's', sinceEvent(come, LIVE + 1));
      await settle(CALM);
      const remove = control({ op: 'remove-entries', ids });
      const gone = await timed(lab, 'removed', 1, LIMIT, remove);
      record('events', 'event to gone', contender, 's', sinceEvent(gone, 1));
      await settle(CALM);
    }
    await clear(lab, contender);
  }
};

const OUTAGE = 20;

/** A target that nobody reaches for a while, its discovery controller with it. */
export const outage: Scenario = async (lab, runs, record) => {
  await lab.targets({ ports: [LOCAL_PORT], subsystems: subsystems(LIVE) });
  await offer(lab, LIVE);
  const ways = [
    { what: 'the kernel reconnects' },
    { what: 'the kernel has given up', ctrlLossTmo: OUTAGE / 2 },
  ];
  for (const { what, ...options } of ways) {
    for (let run = 0; run < runs; run += 1) {
      for (const contender of DAEMONS) {
        await connected(lab, contender, LIVE, options);
        await lab.machine.sh(
          'nft "add table inet bench; add chain inet bench in { type filter hook input priority 0; }; add rule inet bench in tcp dport { 4420, 8009 } drop; add rule inet bench in tcp sport { 4420, 8009 } drop"',
        );
        await settle(OUTAGE);
        const result = await timed(lab, 'connected', LIVE, LIMIT, 'nft delete table inet bench');
        record('outage', `return of a target, ${what}`, contender, 's', last(result, LIVE));
        await clear(lab, contender);
      }
    }
  }
};

const IDLE_MINUTES = 2;

/** Connected, and nothing happens. */
export const idle: Scenario = async (lab, runs, record) => {
  const count = 64;
  await lab.targets({ ports: [LOCAL_PORT], subsystems: subsystems(count) });
  await offer(lab, count);
  for (let run = 0; run < runs; run += 1) {
    for (const contender of DAEMONS) {
      await connected(lab, contender, count);
      await settle(60);
      const before = await use(lab, contender);
      await settle(IDLE_MINUTES * 60);
      const after = await use(lab, contender);
      for (const [daemon, { cpu, wakeups }] of Object.entries(after)) {
        const was = before[daemon] ?? { cpu: 0, wakeups: 0 };
        const what = `of an idle ${daemon}`;
        const rate = (wakeups - was.wakeups) / IDLE_MINUTES;
        record('idle', `wake-ups ${what}`, contender, 'wake-ups/min', rate);
        record('idle', `CPU ${what}, a minute`, contender, 's', (cpu - was.cpu) / IDLE_MINUTES);
      }
      await clear(lab, contender);
    }
  }
};
