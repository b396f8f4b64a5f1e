/**
 * How fast hosts are connected, in the virtual machine, beside the Python original and
 * `nvme connect-all`: `npm run bench`. Prints tables and writes docs/benchmarks.md.
 *
 *   npm run bench                         everything, 3 runs: hours
 *   npm run bench -- dead --runs 1        one group of rows; the document stays as it is
 *   npm run bench -- cold native --write  these, and the document is made of them, and of the groups
 *                                         that were measured with --write before: out/bench.json
 */
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openLab } from '../../e2e/lab.ts';
import {
  GROWTH_LIMIT,
  growth,
  nativeRows,
  nativeTable,
  RUNS_OF_A_PROCESS,
  type NativeRow,
} from '../native.ts';
import { furnish, type Contender } from './contenders.ts';
import { readKept, writeKept, type Kept } from './kept.ts';
import { bars, barTable, groupTable, type Bar, type Group, type Result } from './results.ts';
import {
  cold,
  dead,
  DEAD_LIMIT,
  events,
  idle,
  LIMIT,
  outage,
  type Recorder,
  type Scenario,
} from './scenarios.ts';

const root = join(import.meta.dirname, '../../..');
const REPORT = join(root, 'docs/benchmarks.md');
const KEPT = join(root, 'out/bench.json');

const GROUPS: readonly { readonly group: Group; readonly title: string }[] = [
  { group: 'cold', title: 'Cold start' },
  { group: 'dead', title: 'Dead paths beside live ones, first in the log' },
  { group: 'events', title: 'A change of the log, beside 24 connections' },
  { group: 'outage', title: 'A target that is away for 20 s, 24 connections' },
  { group: 'idle', title: 'Idle, 64 connections' },
];

interface Options {
  readonly groups: readonly Group[];
  readonly native: boolean;
  readonly write: boolean;
  readonly runs: number;
  readonly counts: readonly number[];
}

/** Throws an Error with one line about what is wrong. */
function readOptions(args: readonly string[]): Options {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      runs: { type: 'string', default: '3' },
      counts: { type: 'string', default: '8,64,256' },
      write: { type: 'boolean', default: false },
    },
  });
  const known: readonly string[] = [...GROUPS.map(({ group }) => group), 'native'];
  const unknown = positionals.find((word) => !known.includes(word));
  if (unknown !== undefined) {
    throw new Error(`there is no '${unknown}'; there are ${known.join(', ')}`);
  }
  const words = positionals.length === 0 ? known : positionals;
  const number = (text: string): number => {
    if (!/^[1-9][0-9]{0,3}$/.test(text)) throw new Error(`'${text}' is no number of them`);
    return Number(text);
  };
  return {
    groups: GROUPS.map(({ group }) => group).filter((group) => words.includes(group)),
    native: words.includes('native'),
    write: values.write || words.length === known.length,
    runs: number(values.runs),
    counts: values.counts.split(',').map(number),
  };
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Collects what is measured, and shows each value as it comes. */
class Collected {
  readonly #values = new Map<string, Omit<Result, 'values'> & { readonly values: number[] }>();

  readonly record: Recorder = (group, what, contender: Contender, unit, value) => {
    say(`${what}, ${contender.name}: ${value.toFixed(2)} ${unit}`);
    const key = [what, contender.name].join('\n');
    const kept = this.#values.get(key) ?? {
      ...{ group, what, unit },
      contender: contender.name,
      values: [],
    };
    kept.values.push(value);
    this.#values.set(key, kept);
  };

  get results(): readonly Result[] {
    return [...this.#values.values()];
  }
}

function documentOf({ groups, native }: Kept): string {
  const [load = 0] = loadavg();
  const sections = GROUPS.flatMap(({ group, title }) => {
    const measured = groups[group];
    if (measured === undefined) return [];
    return ['', `## ${heading(title, measured.runs)}`, '', ...groupTable(measured.results)];
  });
  const results = GROUPS.flatMap(({ group }) => groups[group]?.results ?? []);
  const rows = native?.rows ?? [];
  return [
    '# How fast hosts are connected',
    '',
    'Made by `npm run bench` in the virtual machine (2 emulated processors, Debian trixie), on',
    `${String(cpus().length)} × ${cpus()[0]?.model.trim() ?? 'unknown'}; load average of the host at the end ${load.toFixed(1)}. Medians of the`,
    'runs (the least and the most), each in turn with its peers on the same targets: only the ratios',
    `mean something elsewhere. Beside dead paths the peers ran once. \`never\`: not in ${String(LIMIT)} s, beside`,
    `dead paths not in ${String(DEAD_LIMIT)} s.`,
    ...sections,
    ...nativeSection(native),
    '',
    '## Bars',
    '',
    ...barTable([...bars(results), ...nativeBars(rows)]),
    '',
  ].join('\n');
}

function heading(title: string, runs: number): string {
  return `${title} (${runs === 1 ? '1 run' : `${String(runs)} runs`})`;
}

function nativeSection(native: Kept['native']): readonly string[] {
  if (native === undefined) return [];
  return [
    '',
    '## Natively, without the virtual machine',
    '',
    'Medians (in brackets the 95th percentile). CPU time: of ' +
      `${String(native.runs * RUNS_OF_A_PROCESS)} measurements in ${String(native.runs)} processes of each size, few and`,
    `many in turns; waiting: of ${String(native.runs)} answers.`,
    '',
    nativeTable(native.rows),
  ];
}

function nativeBars(rows: readonly NativeRow[]): readonly Bar[] {
  return rows.map((row) => ({
    promise: `${row.what}: growth of the time by that of the work`,
    ratio: growth(row),
    limit: GROWTH_LIMIT,
  }));
}

async function main(): Promise<void> {
  const { counts, groups, native, runs, write } = readOptions(process.argv.slice(2));
  const scenarios: Readonly<Record<Group, Scenario>> = {
    ...{ dead, events, idle, outage },
    cold: cold(counts),
  };
  const everything = groups.length === GROUPS.length && native;
  let kept: Kept = write && !everything ? readKept(KEPT) : { groups: {} };
  const keep = (more: Kept): void => {
    kept = { ...kept, ...more, groups: { ...kept.groups, ...more.groups } };
    // Each group as it is there: hours may be lost with the next one.
    if (write) writeKept(KEPT, kept);
  };
  if (native) keep({ groups: {}, native: { runs, rows: await nativeRows(say, runs) } });
  if (groups.length > 0) {
    const lab = await openLab();
    try {
      await furnish(lab);
      await lab.addDc();
      for (const group of groups) {
        const collected = new Collected();
        await scenarios[group](lab, runs, collected.record);
        keep({ groups: { [group]: { runs, results: collected.results } } });
      }
    } finally {
      await lab.machine.stop();
    }
  }
  const text = documentOf(kept);
  process.stdout.write(text);
  if (write) writeFileSync(REPORT, text);
}

try {
  await main();
} catch (error) {
  say(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
