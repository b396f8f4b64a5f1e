/** What was measured, and how it reads. Pure. */
import { markdownTable, summarize } from '../summary.ts';
import type { Contender } from './contenders.ts';

export type Group = 'cold' | 'dead' | 'events' | 'outage' | 'idle';

export interface Result {
  readonly group: Group;
  /** The row. */
  readonly what: string;
  readonly contender: Contender['name'];
  readonly unit: 's' | 'kB' | 'wake-ups/min';
  /** One of each run. Infinity: not within the time that was given. */
  readonly values: readonly number[];
}

const NAMES: readonly Contender['name'][] = ['ours', 'the original', 'nvme connect-all'];

function digits(value: number, unit: Result['unit']): string {
  if (value === Infinity) return 'never';
  return unit === 'kB' ? value.toFixed(0) : value.toFixed(value < 10 ? 2 : 1);
}

function cell(result: Result | undefined): string {
  if (result === undefined) return '–';
  const { unit, values } = result;
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const middle = digits(median(values), unit);
  return values.length === 1 ? middle : `${middle} (${digits(least, unit)}–${digits(most, unit)})`;
}

function ratio(results: readonly (Result | undefined)[]): string {
  const [own, other] = results;
  if (own === undefined || other === undefined) return '–';
  const value = median(own.values) / median(other.values);
  return shownRatio(value);
}

/** `∞`: of nothing at all. */
function shownRatio(value: number): string {
  if (Number.isNaN(value)) return '–';
  return value === Infinity ? '∞' : value.toFixed(2);
}

/** A Markdown table of one group: the median of each contender (its range), and ours by the original's. */
export function groupTable(results: readonly Result[]): readonly string[] {
  const rows = [...new Set(results.map(({ what }) => what))].map((what) => {
    const of = NAMES.map((name) =>
      results.find((each) => each.what === what && each.contender === name),
    );
    const unit = of.find((each) => each !== undefined)?.unit ?? 's';
    return [`${what}, ${unit}`, ...of.map(cell), ratio(of)];
  });
  const head = ['', ...NAMES, 'ours / the original'];
  return markdownTable(head, rows);
}

/** The lower of both middle ones of an even number. */
function median(values: readonly number[]): number {
  return summarize(values).median;
}

/** One thing that is promised of the table. */
export interface Bar {
  readonly promise: string;
  /** What it came to; undefined: not measured. */
  readonly ratio: number | undefined;
  readonly limit: number;
}

function value(results: readonly Result[], what: string, name: Contender['name']): number {
  const found = results.find((each) => each.what === what && each.contender === name);
  return found === undefined ? NaN : median(found.values);
}

/** What `results` say of the bars. */
export function bars(results: readonly Result[]): readonly Bar[] {
  const of = (what: string, name: Contender['name'] = 'ours'): number => value(results, what, name);
  const bar = (promise: string, quotient: number, limit: number): Bar => ({
    promise,
    ratio: Number.isNaN(quotient) ? undefined : quotient,
    limit,
  });
  const vsOriginal = (what: string): number => of(what) / of(what, 'the original');
  const cold = ['64', '256'].flatMap((count) => {
    const what = `cold start to ${count} live`;
    const direct = 1.1 * of(what, 'nvme connect-all') + of("the daemons' own start");
    return [
      bar(`${what}: by the original's time`, vsOriginal(what), 0.6),
      bar(`${what}: by 1.1 × connect-all and the daemons' own start`, of(what) / direct, 1),
    ];
  });
  const alone = of('24 live, no dead path');
  const dead = ['black-holed', 'refusing', 'mute'].flatMap((kind) =>
    ['16', '64'].map((count) =>
      bar(
        `24 live beside ${count} ${kind}: by the time without dead paths`,
        of(`24 live, ${count} ${kind}`) / alone,
        1.2,
      ),
    ),
  );
  const growth = of('cold start to 256 live') / of('cold start to 64 live');
  const memory = (['stafd', 'stacd'] as const).flatMap((daemon) => {
    const dirty = (count: number): string =>
      `Private_Dirty of ${daemon}, ${String(count)} controllers`;
    const grown = (name: Contender['name']): number => of(dirty(256), name) - of(dirty(64), name);
    return [
      bar(`${dirty(64)}: by the original's`, vsOriginal(dirty(64)), 1),
      bar(
        `Private_Dirty of ${daemon}, growth for each of 64 to 256: by the original's`,
        grown('ours') / grown('the original'),
        1,
      ),
      bar(
        `idle ${daemon}, CPU: by the original's`,
        vsOriginal(`CPU of an idle ${daemon}, a minute`),
        1,
      ),
      bar(`idle ${daemon}, wake-ups a minute: by 10`, of(`wake-ups of an idle ${daemon}`) / 10, 1),
    ];
  });
  return [
    ...cold,
    bar('64 to 256 live: growth of the time by that of the work', growth / 4, 1.2),
    ...dead,
    bar("event to live: by the original's", vsOriginal('event to live'), 0.3),
    bar(
      "return, the kernel reconnects: by the original's",
      vsOriginal('return of a target, the kernel reconnects'),
      1,
    ),
    bar(
      "return, the kernel has given up: by the original's",
      vsOriginal('return of a target, the kernel has given up'),
      1,
    ),
    ...memory,
  ];
}

/** A Markdown table of the bars that were measured. */
export function barTable(all: readonly Bar[]): readonly string[] {
  const measured = all.filter((bar) => bar.ratio !== undefined);
  const rows = measured.map(({ limit, promise, ratio: quotient = NaN }) => [
    promise,
    limit.toFixed(1),
    shownRatio(quotient),
    quotient <= limit ? 'held' : '**missed**',
  ]);
  return markdownTable(['bar', 'at most', 'measured', ''], rows);
}
