/**
 * How long the commands take, beside those of the Python original: `npm run bench:cli`.
 *
 * The bus is a real one, the answering end is this process for both: both daemons' bus objects over
 * 64 controllers. The commands are the bundles that the package has; the original's run from its
 * Debian package. Each is started anew for each measurement, in turn. Exits with 1 if a median of ours
 * is over the limit. On a host that is busy with other things, `chrt --fifo 1 npm run bench:cli` keeps
 * them out of the measurement.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { buildPrograms } from '../../tools/build.ts';
import { wrappers } from '../../tools/package/tree.ts';
import { startPrivateBus, whyNoPrivateBus } from '../contract/private-bus.ts';
import { PEER, PEER_MODULES } from '../vm/peer.ts';
import { ENTRIES, FIRST, serveDaemons } from './daemons.ts';
import { ensurePeerRoot } from './peer-root.ts';
import { summarize, table, type Row } from './summary.ts';

const CONTROLLERS = 64;
const RUNS = 30;
/** Of a median of ours, milliseconds. */
const LIMIT_MS = 150;

const root = dirname(dirname(import.meta.dirname));
const report = join(root, 'docs/benchmarks-cli.md');

/** Of a command line: a file that each side has of its own. */
const FILE = 'FILE';

interface Measured {
  readonly line: readonly string[];
  /** A command that the original does not have. */
  readonly ours?: true;
  /** Its status is 1 where it finds something amiss, as on any host that is not set up. */
  readonly judges?: true;
  /** It changes `FILE` and prints nothing. */
  readonly silent?: true;
}

const commands: readonly Measured[] = [
  { line: ['stafctl', 'ls'] },
  { line: ['stafctl', 'ls', '-d'] },
  {
    line: ['stafctl', 'dlp', '-a', FIRST.traddr, '-s', FIRST.trsvcid, '-n', FIRST.subsysnqn],
  },
  { line: ['stafctl', 'adlp'] },
  { line: ['stafctl', 'status'] },
  { line: ['stafctl', 'explain'], ours: true },
  { line: ['stafctl', 'metrics'], ours: true },
  { line: ['stafctl', 'metrics', '-o', 'prometheus'], ours: true },
  { line: ['stafctl', 'tron'] },
  { line: ['stafctl', 'troff'] },
  { line: ['stacctl', 'ls'] },
  { line: ['stacctl', 'ls', '-d'] },
  { line: ['stacctl', 'status'] },
  { line: ['stacctl', 'explain'], ours: true },
  { line: ['stacctl', 'tree'], ours: true },
  { line: ['stacctl', 'metrics'], ours: true },
  { line: ['stasadm', '--version'] },
  ...[['hostnqn'], ['hostid'], ['set-symname', 'backup'], ['clear-symname']].map(
    (words): Measured => ({ line: ['stasadm', '-c', FILE, ...words], silent: true }),
  ),
  { line: ['stasadm', 'check-config'], ours: true, judges: true },
  { line: ['stasadm', 'diff'], ours: true },
  { line: ['stasadm', 'doctor'], ours: true, judges: true },
];

type Start = (measured: Measured) => Promise<string>;

/** What a program prints. Rejects if it does not end well; `judges`: 1 is well, too. */
function outputOf(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  judges?: true,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env: { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8', ...env } };
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let [output, complaint] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => void (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => void (complaint += text));
    child.on('error', reject);
    child.on('close', (status) => {
      if (status === 0 || (status === 1 && judges === true)) resolve(output);
      else reject(new Error(`${[program, ...args].join(' ')}: ${String(status)} ${complaint}`));
    });
  });
}

/** Milliseconds of one run. */
async function measure(run: () => Promise<string>, silent?: true): Promise<number> {
  const begun = performance.now();
  const output = await run();
  const took = performance.now() - begun;
  if ((output.trim() === '') !== (silent === true)) {
    throw new Error(`a command printed ${silent === true ? output : 'nothing'}`);
  }
  return took;
}

/** Milliseconds of many runs of each, in turn, so that whatever else the host does hits both. */
async function measureBoth(
  ours: () => Promise<string>,
  original: (() => Promise<string>) | undefined,
  silent?: true,
): Promise<Omit<Row, 'what'>> {
  const [a, b]: [number[], number[]] = [[], []];
  // The first run finds its files on the disk.
  for (let run = -1; run < RUNS; run += 1) {
    const took = await measure(ours, silent);
    const other = original === undefined ? undefined : await measure(original, silent);
    if (run < 0) continue;
    a.push(took);
    if (other !== undefined) b.push(other);
  }
  return { ours: summarize(a), original: b.length === 0 ? undefined : summarize(b) };
}

async function compare(ours: Start, original: Start): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const measured of commands) {
    const both = await measureBoth(
      () => ours(measured),
      measured.ours === undefined ? () => original(measured) : undefined,
      measured.silent,
    );
    const row = { what: measured.line.join(' '), ...both };
    say(table([row]).split('\n').at(-1) ?? '');
    rows.push(row);
  }
  return rows;
}

/** How many the kernel of this host has, which some of the commands look up. */
function kernelControllers(): string {
  const folder = '/sys/class/nvme';
  const count = existsSync(folder) ? readdirSync(folder).length : 0;
  return count === 0 ? 'no' : String(count);
}

function withFile(line: readonly string[], path: string): readonly string[] {
  return line.map((word) => (word === FILE ? path : word));
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function main(): Promise<boolean> {
  if (process.getuid?.() !== 0) throw new Error('it changes its root directory: run it as root');
  const missing = whyNoPrivateBus();
  if (missing !== undefined) throw new Error(missing);
  const dist = join(root, 'dist');
  const { version } = await buildPrograms({ root, outDir: dist, log: () => undefined });
  const peerRoot = await ensurePeerRoot(say);
  const bus = await startPrivateBus(join(peerRoot, 'tmp'));
  const served = await serveDaemons(bus.address, CONTROLLERS);
  const scratch = mkdtempSync(join(peerRoot, 'tmp', 'bench-'));
  try {
    // As the package's own scripts do.
    const env = { DBUS_SYSTEM_BUS_ADDRESS: bus.address };
    const ours: Start = ({ judges, line }) => {
      const [name = '', ...args] = withFile(line, join(scratch, 'ours.conf'));
      const flags = wrappers.find(({ path }) => basename(path) === name)?.flags.split(' ') ?? [];
      const words = [...flags.filter((flag) => flag !== ''), `${dist}/${name}.mjs`, ...args];
      return outputOf('sh', ['-c', 'exec "$0" "$@"', process.execPath, ...words], env, judges);
    };
    const inside = `unix:path=/${relative(peerRoot, bus.socket)}`;
    const itsFile = `/${relative(peerRoot, join(scratch, 'original.conf'))}`;
    const inPeer = (line: readonly string[]): Promise<string> =>
      outputOf('chroot', [peerRoot, ...line], {
        DBUS_SYSTEM_BUS_ADDRESS: inside,
        PYTHONPATH: PEER_MODULES,
      });
    const original: Start = ({ line }) => {
      const [name = '', ...args] = withFile(line, itsFile);
      return inPeer([`${PEER}/usr/bin/${name}`, ...args]);
    };
    const python = (await inPeer(['python3', '--version'])).trim();
    const theirs = (await original({ line: ['stafctl', '--version'] })).trim();
    const empty = await measureBoth(
      () => outputOf(process.execPath, ['-p', '0'], {}),
      () => inPeer(['python3', '-c', 'print(0)']),
    );
    const rows = await compare(ours, original);
    const [load = 0] = loadavg();
    const lines = [
      '# How long the commands take',
      '',
      `Made by \`npm run bench:cli\`: nvme-stas ${version} on Node ${process.versions.node}, beside the Python`,
      `original (${theirs}) on ${python}, natively on ${String(cpus().length)} × ${cpus()[0]?.model.trim() ?? 'unknown'}.`,
      `From the start of the process to its end, ${String(RUNS)} times each, in turn; milliseconds. Both ask the`,
      `same daemons over a real D-Bus daemon: ${String(CONTROLLERS)} connected controllers each, and ${String(ENTRIES)} entries in the`,
      `log of each discovery controller. The limit of a median is ${String(LIMIT_MS)} ms. On a busy host:`,
      `\`chrt --fifo 1 npm run bench:cli\`. The controllers are the daemons' alone: what \`stacctl tree\`,`,
      `\`stasadm diff\` (what is in use) and \`stasadm doctor\` look up in the kernel is this host's own, which had`,
      `${kernelControllers()} NVMe controllers; the files that stasadm reads are the host's, too. A program that does`,
      `nothing takes ${empty.ours.median.toFixed(0)} ms with Node, ${empty.original?.median.toFixed(0) ?? '–'} ms with Python. Load average of the host at the end: ${load.toFixed(1)}.`,
      '',
      table(rows),
      '',
    ];
    writeFileSync(report, lines.join('\n'));
    process.stdout.write(readFileSync(report));
    const slow = rows.filter(({ ours: { median } }) => median > LIMIT_MS);
    for (const { what, ours: own } of slow) {
      say(`${what} takes ${own.median.toFixed(0)} ms, over the limit of ${String(LIMIT_MS)} ms`);
    }
    return slow.length === 0;
  } finally {
    for (const each of served) each.close();
    rmSync(scratch, { recursive: true, force: true });
    await bus.stop();
  }
}

try {
  if (!(await main())) process.exitCode = 1;
} catch (error) {
  say(`bench:cli: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
