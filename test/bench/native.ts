/**
 * How the work of the daemons grows with what they hold, without a virtual machine: 1,000 and 10,000
 * of each. Within a process CPU time is taken, in one that runs with the daemons' flags; over a bus,
 * the time that a client waits, beside the Python original's D-Bus library with the same answer.
 * `npm run bench:native` prints it (native-cli.ts).
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { buildPrograms } from '../../tools/build.ts';
import { createSystemBus, type SystemBus } from '../../src/platform/dbus/system-bus.ts';
import { daemonFlags } from '../../tools/package/tree.ts';
import { startPrivateBus, type PrivateBus } from '../contract/private-bus.ts';
import { PEER, PEER_MODULES } from '../vm/peer.ts';
import { ensurePeerRoot } from './peer-root.ts';
import { markdownTable, summarize, type Summary } from './summary.ts';

export const [SMALL, LARGE] = [1_000, 10_000];
/** Measurements of CPU time in each process, after one that does not count. */
export const RUNS_OF_A_PROCESS = 3;
/** By how much the time may grow beyond the work. */
export const GROWTH_LIMIT = 1.2;

const FLAGS = daemonFlags.split(' ').filter(knownHere);
const root = dirname(dirname(import.meta.dirname));

/** Node 24 has no such option, and ends because of one that it does not know. */
function knownHere(flag: string): boolean {
  return flag !== '--no-expose-wasm' || Number.parseInt(process.versions.node, 10) < 24;
}

export interface Sizes {
  readonly small: Summary;
  readonly large: Summary;
}

export interface NativeRow {
  readonly what: string;
  /** `cpu`: milliseconds of CPU time; `wait`: milliseconds until the answer is there. */
  readonly measured: 'cpu' | 'wait';
  /** How many times as much the large one is. */
  readonly work: number;
  readonly ours: Sizes;
  /** Of the Python original; undefined where it cannot do the same without a kernel. */
  readonly original: Sizes | undefined;
}

/** How many times the growth of the work the growth of the time is: at most {@link GROWTH_LIMIT}. */
export function growth({ ours, work }: Pick<NativeRow, 'ours' | 'work'>): number {
  return ours.large.median / ours.small.median / work;
}

const SCENARIOS: readonly { readonly name: string; readonly what: string }[] = [
  { name: 'decode', what: 'decoding a discovery log of so many entries' },
  { name: 'sysfs', what: 'reading so many controllers from sysfs (a made tree), again' },
  { name: 'stafd-pass', what: 'stafd: a pass over so many discovery controllers' },
  { name: 'stacd-pass', what: 'stacd: a pass over so many, each listed by four logs' },
  { name: 'stafd-events', what: 'stafd: an event of each, its log read again' },
  { name: 'stacd-start', what: 'stacd: from the start to all connected' },
  { name: 'stacd-removal', what: 'stacd: half of them removed' },
  { name: 'explain', what: 'stacd: explaining so many' },
];

function child(args: readonly string[]): ChildProcess {
  const program = [join(root, 'tools/run.mjs'), join(root, 'test/bench/native-child.ts')];
  return spawn(process.execPath, [...FLAGS, ...program, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
}

async function outputOf(process: ChildProcess): Promise<string> {
  let output = '';
  process.stdout?.setEncoding('utf8').on('data', (text: string) => void (output += text));
  const status = await new Promise((resolve, reject) => {
    process.once('error', reject);
    process.once('close', resolve);
  });
  if (status !== 0) throw new Error(`a measurement ended with ${String(status)}`);
  return output;
}

async function cpuOf(name: string, count: number): Promise<readonly number[]> {
  const output = await outputOf(child([name, String(count), String(RUNS_OF_A_PROCESS)]));
  return JSON.parse(output) as readonly number[];
}

/**
 * Few and many in turns, in a process of their own each time: the host's speed changes within minutes,
 * and how a process lies in memory makes as much of a difference. `rounds`: processes of each size.
 */
async function cpuInTurns(name: string, rounds: number): Promise<Sizes> {
  const [small, large]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    small.push(...(await cpuOf(name, SMALL)));
    large.push(...(await cpuOf(name, LARGE)));
  }
  return { small: summarize(small), large: summarize(large) };
}

/** Once the process is `stafd` on the bus. */
function ready(process: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    process.once('error', reject);
    process.once('exit', (status) => reject(new Error(`a server ended with ${String(status)}`)));
    process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      if (text.includes('ready')) resolve();
    });
  });
}

/** Ends it, if it has not ended by itself. */
async function ended(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null) return;
  const end = new Promise((resolve) => process.once('exit', resolve));
  process.stdin?.end();
  process.kill();
  await end;
}

/** What `use` comes to while `server` is there; it is ended afterwards, whatever comes. */
async function whileServed<T>(server: ChildProcess, use: () => Promise<T>): Promise<T> {
  try {
    await ready(server);
    return await use();
  } finally {
    await ended(server);
  }
}

async function waitOf(runs: number, run: () => Promise<unknown>): Promise<Summary> {
  const took: number[] = [];
  for (let at = -1; at < runs; at += 1) {
    const begun = performance.now();
    await run();
    if (at >= 0) took.push(performance.now() - begun);
  }
  return summarize(took);
}

/** All log pages, as whoever is `stafd` on the bus tells them. */
async function allLogPages(client: SystemBus): Promise<string> {
  const [text] = await client.call({
    destination: 'org.nvmexpress.staf',
    path: '/org/nvmexpress/staf',
    interfaceName: 'org.nvmexpress.staf',
    member: 'get_all_log_pages',
    inSignature: 'b',
    args: [false],
    timeoutMs: 60_000,
  });
  return String(text);
}

/** What asking for all log pages takes, of whoever is `stafd` on this bus. */
async function askAll(bus: PrivateBus, count: number, runs: number): Promise<Summary> {
  const client = await createSystemBus({ address: bus.address });
  try {
    return await waitOf(runs, async () => {
      const text = await allLogPages(client);
      const logs = JSON.parse(text) as readonly { 'log-pages': readonly unknown[] }[];
      const entries = logs.reduce((sum, log) => sum + log['log-pages'].length, 0);
      if (entries !== count) throw new Error(`${String(entries)} entries`);
    });
  } finally {
    client.close();
  }
}

/** As the original's stafd answers: its library for D-Bus, and its way to make the text. */
const PEER_SERVER = `
import json, sys
from dasbus.connection import AddressedMessageBus
from dasbus.loop import EventLoop

LOGS = json.loads(sys.stdin.readline())

class Logs:
    __dbus_xml__ = """<node><interface name="org.nvmexpress.staf">
      <method name="get_all_log_pages"><arg direction="in" type="b" name="detailed"/>
      <arg direction="out" type="s" name="log_pages"/></method></interface></node>"""

    def get_all_log_pages(self, detailed):
        return json.dumps([{"discovery-controller": log["discovery-controller"],
                            "log-pages": log["log-pages"]} for log in LOGS])

bus = AddressedMessageBus(sys.argv[1])
bus.publish_object("/org/nvmexpress/staf", Logs())
bus.register_service("org.nvmexpress.staf")
print("ready", flush=True)
EventLoop().run()
`;

/** All logs as they are told, to have them told by another. */
async function textOfAll(bus: PrivateBus): Promise<string> {
  const client = await createSystemBus({ address: bus.address });
  try {
    return await allLogPages(client);
  } finally {
    client.close();
  }
}

interface Asked {
  readonly ours: Summary;
  readonly original: Summary;
  /** `stafctl adlp`, from its start to its end. */
  readonly command: Summary;
  readonly originalCommand: Summary;
}

async function asked(count: number, runs: number, peerRoot: string): Promise<Asked> {
  const bus = await startPrivateBus(join(peerRoot, 'tmp'));
  const inside = `unix:path=/${relative(peerRoot, bus.socket)}`;
  const started = (program: string, args: readonly string[], address: string): ChildProcess =>
    spawn(program, args, {
      env: {
        PATH: process.env['PATH'],
        LC_ALL: 'C.UTF-8',
        PYTHONPATH: PEER_MODULES,
        DBUS_SYSTEM_BUS_ADDRESS: address,
      },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
  const [stafctl, peerStafctl] = [join(root, 'dist/stafctl.mjs'), `${PEER}/usr/bin/stafctl`];
  try {
    const served = await whileServed(child(['serve', String(count), bus.address]), async () => ({
      text: await textOfAll(bus),
      ours: await askAll(bus, count, runs),
      command: await waitOf(runs, () =>
        outputOf(started(process.execPath, [stafctl, 'adlp'], bus.address)),
      ),
      originalCommand: await waitOf(runs, () =>
        outputOf(started('chroot', [peerRoot, peerStafctl, 'adlp'], inside)),
      ),
    }));
    const server = join('tmp', 'bench-log-pages.py');
    writeFileSync(join(peerRoot, server), PEER_SERVER);
    const peer = started('chroot', [peerRoot, 'python3', `/${server}`, inside], inside);
    // It may have ended: whoever waits for it is told.
    peer.stdin?.on('error', () => undefined);
    peer.stdin?.write(`${served.text}\n`);
    const original = await whileServed(peer, () => askAll(bus, count, runs));
    const { ours, command, originalCommand } = served;
    return { ours, original, command, originalCommand };
  } finally {
    await bus.stop();
  }
}

/**
 * Measures all; as root, since the original runs in a root of its own. `runs`: how often each answer
 * is waited for, and how many processes of each size CPU time is taken in.
 */
export async function nativeRows(
  log: (line: string) => void,
  runs = 7,
): Promise<readonly NativeRow[]> {
  if (process.getuid?.() !== 0) throw new Error('it changes its root directory: run it as root');
  await buildPrograms({ root, outDir: join(root, 'dist'), log: () => undefined });
  const peerRoot = await ensurePeerRoot(log);
  const rows: NativeRow[] = [];
  for (const { name, what } of SCENARIOS) {
    log(what);
    const ours = await cpuInTurns(name, runs);
    rows.push({ what, measured: 'cpu', work: LARGE / SMALL, ours, original: undefined });
  }
  log('asking over D-Bus');
  const [small, large] = [await asked(SMALL, runs, peerRoot), await asked(LARGE, runs, peerRoot)];
  const wait = { measured: 'wait', work: LARGE / SMALL } as const;
  return [
    ...rows,
    {
      ...wait,
      what: 'get_all_log_pages of so many entries, read by a client',
      ours: { small: small.ours, large: large.ours },
      original: { small: small.original, large: large.original },
    },
    {
      ...wait,
      what: '`stafctl adlp` of so many entries',
      ours: { small: small.command, large: large.command },
      original: { small: small.originalCommand, large: large.originalCommand },
    },
  ];
}

/** Markdown. */
export function nativeTable(rows: readonly NativeRow[]): string {
  const cells = rows.map((row) => {
    const { original, ours, what } = row;
    return [
      what,
      row.measured === 'cpu' ? 'CPU' : 'wait',
      shown(ours.small),
      shown(ours.large),
      growth(row).toFixed(2),
      original === undefined ? '–' : shown(original.small),
      original === undefined ? '–' : shown(original.large),
      original === undefined ? '–' : ratio(ours.large, original.large),
    ];
  });
  const head = ['what', 'ms of', '1,000', '10,000', 'growth', "original's", '10,000', 'ratio'];
  return markdownTable(head, cells).join('\n');
}

function shown({ median, p95 }: Summary): string {
  return `${median.toFixed(1)} (${p95.toFixed(1)})`;
}

/** Ours as a part of the original's. */
function ratio(ours: Summary, original: Summary): string {
  return (ours.median / original.median).toFixed(2);
}
