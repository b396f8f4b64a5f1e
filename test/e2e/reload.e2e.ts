/**
 * Reloads that come while connections are being made: some targets answer, some late, some not at
 * all, and each configuration asks for others of them.
 */
import { expect, it, onTestFinished } from 'vitest';
import {
  entries,
  identity,
  liveDc,
  liveIo,
  LOCAL_PORT,
  stafdConf,
  subsystemNqn,
  subsystems,
  type Dict,
  type KernelView,
} from './lab.ts';
import { lab } from './vitest-lab.ts';

/** Subsystems by their numbers. */
const KEPT = [0, 1, 2];
const LISTED = [12, 13];
const FOREIGN = 14;

interface Wish {
  readonly check: 'disabled' | 'nvme-tcp';
  readonly subsystems: readonly number[];
  /** Others, at addresses where nobody answers; without a check the kernel finds that out. */
  readonly dead: readonly number[];
  /** Ports of DCs. */
  readonly dcs: readonly number[];
}

/** Its packets go nowhere. */
const DEAD_NETWORK = '198.51.100';

const KEPT_DC = 8009;
const SLOW_DC = 8010;

const WISHES = {
  first: { check: 'disabled', subsystems: [3, 4, 5, 6, 7], dead: [102, 103], dcs: [SLOW_DC] },
  second: { check: 'nvme-tcp', subsystems: [6, 7, 8, 9, 10, 11], dead: [103, 104], dcs: [] },
  third: { check: 'disabled', subsystems: [], dead: [105], dcs: [SLOW_DC] },
} as const satisfies Readonly<Record<string, Wish>>;

const { first, second, third } = WISHES;

/** The last one asks for what others did not, and no more for what others did. */
const ORDER: readonly Wish[] = [first, second, third, first, third, second];

function stacdConf({ check, dead, subsystems: wanted }: Wish): string {
  const line = (address: string, number: number): string =>
    `controller = transport=tcp;traddr=${address};trsvcid=4420;nqn=${subsystemNqn(number)}\n`;
  return [
    `[Global]\nreachability-check = ${check}\n[Controllers]\n`,
    // The dead ones in between.
    ...KEPT.map((number) => line('127.0.0.1', number)),
    ...dead.map((number) => line(`${DEAD_NETWORK}.${String(number)}`, number)),
    ...wanted.map((number) => line('127.0.0.1', number)),
  ].join('');
}

function dcConf({ dcs }: Wish): string {
  const line = (port: number): string => `transport=tcp;traddr=127.0.0.1;trsvcid=${String(port)}`;
  return stafdConf(...[KEPT_DC, ...dcs].map(line));
}

function numbersOf(kernel: readonly KernelView[]): readonly number[] {
  return kernel
    .filter(({ cntrltype }) => cntrltype === 'io')
    .map(({ subsysnqn }) => Number(/\d+$/.exec(subsysnqn ?? '')?.[0]))
    .sort((a, b) => a - b);
}

it(
  'reloads while connects are in flight lose nothing and leave nothing behind',
  { timeout: 900_000 },
  async () => {
    const here = await lab();
    await here.reset();
    await here.targets({ ports: [LOCAL_PORT], subsystems: subsystems(FOREIGN + 1) });
    await here.addDc({ entries: entries(LISTED.length, '127.0.0.1', LISTED[0]) });
    await here.addDc({ name: 'slow', listen: [{ address: '127.0.0.1', port: SLOW_DC }] });
    await here.dc({
      op: 'add-fault',
      controller: 'slow',
      fault: { command: 'connect', delayMs: 1_500 },
    });
    onTestFinished(async () => {
      await here.machine.exec('ip link delete e2e-dead');
    });
    await here.machine.sh(
      [
        'ip link add e2e-dead type dummy',
        `ip address add ${DEAD_NETWORK}.1/24 dev e2e-dead; ip link set e2e-dead up`,
        `nvme connect -t tcp -a 127.0.0.1 -s 4420 -n ${subsystemNqn(FOREIGN)}`,
      ].join('\n'),
      { timeoutMs: 120_000 },
    );

    /** Identities of what has to stay, from when each was seen first. */
    const staying = new Map<number, string>();
    const look = async (): Promise<void> => {
      for (const controller of liveIo(await here.kernel())) {
        const [number] = numbersOf([controller]);
        if (number === undefined || ![...KEPT, ...LISTED, FOREIGN].includes(number)) continue;
        const before = staying.get(number) ?? identity(controller);
        expect(identity(controller)).toBe(before);
        staying.set(number, before);
      }
    };
    for (const [index, wish] of ORDER.entries()) {
      await here.configure('stafd', dcConf(wish));
      await here.configure('stacd', stacdConf(wish));
      await here.systemctl(index === 0 ? 'start stafd stacd' : 'reload stafd stacd');
      await look();
      // Sometimes in the middle of a connect, sometimes after some.
      await new Promise((resolve) => setTimeout(resolve, (index % 3) * 700));
    }

    const wanted = [...KEPT, ...second.subsystems, ...LISTED, FOREIGN].sort((a, b) => a - b);
    /** All that is there; a dead one shows for a moment when the kernel tries it. */
    const present = (kernel: readonly KernelView[]): readonly KernelView[] =>
      kernel.filter(({ address }) => address?.includes(`=${DEAD_NETWORK}.`) !== true);
    const asWanted = (kernel: readonly KernelView[]): boolean =>
      JSON.stringify(numbersOf(liveIo(kernel))) === JSON.stringify(wanted) &&
      liveDc(kernel).length === 1 &&
      present(kernel).length === wanted.length + 1;
    const settled = await here.kernelUntil('what the last one asks for', asWanted, 300_000);
    await look();
    expect([...staying.keys()].sort((a, b) => a - b)).toEqual(
      [...KEPT, ...LISTED, FOREIGN].sort((a, b) => a - b),
    );
    const known = (all: readonly Dict[], key: string): string =>
      JSON.stringify(all.map((each) => each[key]).sort());
    const iocs = [...KEPT, ...second.subsystems, ...LISTED, ...second.dead].map(subsystemNqn);
    await here.listUntil(
      'stacctl',
      (all) => known(all, 'subsysnqn') === JSON.stringify(iocs.sort()),
      180_000,
    );
    await here.listUntil('stafctl', (all) => known(all, 'trsvcid') === `["${String(KEPT_DC)}"]`);

    // What was still in flight would show by now, and what was forgotten is not connected later.
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    expect(
      present(await here.kernel())
        .map(identity)
        .sort(),
    ).toEqual(present(settled).map(identity).sort());
  },
);
