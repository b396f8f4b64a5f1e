/**
 * Text for a terminal: tables, trees, colour. Pure.
 *
 * Every string that comes from a daemon passes `shown` on its way to a line: daemons show what
 * networks sent them.
 */
import { escapeText } from '../nvme/escape.ts';

export type Tone = 'plain' | 'heading' | 'good' | 'waiting' | 'bad' | 'faint';

/** How to print: for a terminal of so many columns, or for a file or pipe (no width, no colour). */
export interface Screen {
  readonly colour: boolean;
  readonly width: number | undefined;
}

export interface Cell {
  readonly text: string;
  readonly tone?: Tone;
}

const CODES: Readonly<Record<Tone, string>> = {
  plain: '',
  heading: '1',
  good: '32',
  waiting: '33',
  bad: '31',
  faint: '2',
};

function compare(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}

/** Numbers of any length, without leading zeros. */
function compareNumbers(left: string, right: string): number {
  return left.length - right.length || compare(left, right);
}

const PARTS = /[0-9]+|[^0-9]+/g;
const IS_NUMBER = /^[0-9]/;
const LEADING_ZEROS = /^0+(?=.)/;

/**
 * The order of two names, numbers in them as numbers. By hand, since an Intl.Collator takes longer
 * to make than most commands take for all else that they do themselves.
 */
export function compareNames(left: string, right: string): number {
  if (left === right) return 0;
  const [lefts, rights] = [left.match(PARTS) ?? [], right.match(PARTS) ?? []];
  for (const [index, a] of lefts.entries()) {
    const b = rights[index] ?? '';
    if (a === b) continue;
    const areNumbers = IS_NUMBER.test(a) && IS_NUMBER.test(b);
    const order = areNumbers
      ? compareNumbers(a.replace(LEADING_ZEROS, ''), b.replace(LEADING_ZEROS, ''))
      : compare(a, b);
    if (order !== 0) return order;
  }
  return lefts.length - rights.length || compare(left, right);
}

/** Compares by these fields, the first one first; numbers in them as numbers. */
export function byNames<T>(
  fields: readonly string[],
  valueOf: (item: T, field: string) => string,
): (a: T, b: T) => number {
  return (a, b) => {
    for (const field of fields) {
      const order = compareNames(valueOf(a, field), valueOf(b, field));
      if (order !== 0) return order;
    }
    return 0;
  };
}

/** Controllers stand in the order of these fields, wherever they are listed. */
export const CONTROLLER_ORDER = [
  'transport',
  'traddr',
  'trsvcid',
  'subsysnqn',
  'host-iface',
  'host-traddr',
  'host-nqn',
];

const UNITS = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
  ['s', 1],
] as const;

/** `12 s`, `2 min 5 s`, `3 d 4 h`: two units at most. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const first = UNITS.findIndex(([, size]) => seconds >= size);
  const [unit, size] = UNITS[first] ?? ['s', 1];
  const [smaller, smallerSize] = UNITS[first + 1] ?? ['', 0];
  const rest = smallerSize === 0 ? 0 : Math.floor((seconds % size) / smallerSize);
  const whole = `${String(Math.floor(seconds / size))} ${unit}`;
  return first === -1 || rest === 0 ? whole : `${whole} ${String(rest)} ${smaller}`;
}

/** A timer as the daemons' dictionaries write it. */
export interface Timer {
  readonly ofMs: number;
  /** Undefined while it is off. */
  readonly leftMs: number | undefined;
}

const TIMER = /^(?<of>[0-9]+(?:\.[0-9]+)?)s \[(?:off|(?<left>[0-9]+(?:\.[0-9]+)?)s)\]$/;

/** Reads `3.0s [1.8s]` and `60.0s [off]`; undefined for anything else. */
export function parseTimer(text: string): Timer | undefined {
  const { left, of } = TIMER.exec(text)?.groups ?? {};
  if (of === undefined) return undefined;
  return { ofMs: Number(of) * 1000, leftMs: left === undefined ? undefined : Number(left) * 1000 };
}

/** Ends every colour. */
const PLAIN = '\u001b[0m';

const MAX_SHOWN = 1024;
const GAP = '  ';

/** A string from outside, fit for one line. */
export function shown(text: string): string {
  return escapeText(text, MAX_SHOWN);
}

export function paint(text: string, tone: Tone, screen: Screen): string {
  const code = CODES[tone];
  return screen.colour && code !== '' && text !== '' ? `\u001b[${code}m${text}${PLAIN}` : text;
}

/** East Asian wide and emoji characters take two columns; marks that combine take none. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const COMBINING = /\p{M}/u;

/** Columns that a text takes on a terminal. */
export function widthOf(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length;
  let width = 0;
  for (const character of text) {
    if (COMBINING.test(character)) continue;
    width += WIDE.test(character) ? 2 : 1;
  }
  return width;
}

function padded(cell: Cell, width: number, screen: Screen): string {
  const space = ' '.repeat(Math.max(0, width - widthOf(cell.text)));
  return paint(cell.text, cell.tone ?? 'plain', screen) + space;
}

/** How the columns are dealt out to lines, none wider than the screen unless it is alone there. */
function linesOfColumns(
  widths: readonly number[],
  screen: Screen,
  indent: string,
): readonly (readonly number[])[] {
  const lines: number[][] = [[]];
  let used = indent.length;
  widths.forEach((width, column) => {
    const line = lines.at(-1) ?? [];
    const more = (line.length === 0 ? 0 : GAP.length) + width;
    if (line.length === 0 || screen.width === undefined || used + more <= screen.width) {
      line.push(column);
      used += more;
    } else {
      lines.push([column]);
      used = indent.length + GAP.length + width;
    }
  });
  return lines;
}

/**
 * Rows with their columns aligned; cells are escaped already. What a narrow terminal has no room for
 * moves to a line of its own below the rest, whole, because people copy addresses and NQNs.
 */
export function aligned(
  rows: readonly (readonly Cell[])[],
  screen: Screen,
  indent = '',
): readonly string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach(({ text }, column) => {
      widths[column] = Math.max(widths[column] ?? 0, widthOf(text));
    });
  }
  const folded = linesOfColumns(widths, screen, indent);
  return rows.flatMap((row) =>
    folded.map((columns, index) => {
      const cells = columns.map((column, place) => {
        const cell = row[column] ?? { text: '' };
        // Nothing stands to the right of the last one.
        return padded(cell, place === columns.length - 1 ? 0 : (widths[column] ?? 0), screen);
      });
      return (indent + (index === 0 ? '' : GAP) + cells.join(GAP)).trimEnd();
    }),
  );
}

/** Such rows under their titles. */
export function table(
  titles: readonly string[],
  rows: readonly (readonly Cell[])[],
  screen: Screen,
  indent = '',
): readonly string[] {
  const head = titles.map((text): Cell => ({ text, tone: 'heading' }));
  return aligned([head, ...rows], screen, indent);
}

function isScalar(value: unknown): boolean {
  return typeof value !== 'object' || value === null;
}

function scalarText(value: unknown): string {
  const text = typeof value === 'string' ? value : String(value);
  const timer = parseTimer(text);
  if (timer === undefined) return shown(text);
  const { leftMs, ofMs } = timer;
  return leftMs === undefined
    ? `off (${duration(ofMs)})`
    : `in ${duration(leftMs)} (of ${duration(ofMs)})`;
}

/** Whatever JSON can hold, as indented `key: value` lines; keys of one level are aligned. */
export function tree(value: unknown, screen: Screen, indent = ''): readonly string[] {
  if (isScalar(value)) return [indent + scalarText(value)];
  const entries = Object.entries(value as object).map(([key, item]): readonly [string, unknown] => [
    Array.isArray(value) ? '-' : shown(key),
    item,
  ]);
  const scalars = entries.filter(([, item]) => isScalar(item));
  const width = scalars.reduce((most, [key]) => Math.max(most, widthOf(key)), 0);
  return entries.flatMap(([key, item]) => {
    const label = key === '-' ? '-' : `${key}:`;
    if (isScalar(item)) {
      const space = ' '.repeat(Math.max(0, width - widthOf(key)));
      return [`${indent}${paint(label, 'faint', screen)}${space} ${scalarText(item)}`.trimEnd()];
    }
    const below = tree(item, screen, `${indent}  `);
    if (below.length === 0) return [`${indent}${paint(label, 'faint', screen)} none`];
    return [`${indent}${paint(label, 'faint', screen)}`, ...below];
  });
}

function withoutControls(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => {
    if (character === '\n') return character;
    let escaped = '';
    for (let unit = 0; unit < character.length; unit += 1) {
      escaped += `\\u${character.charCodeAt(unit).toString(16).padStart(4, '0')}`;
    }
    return escaped;
  });
}

/** JSON that cannot disturb a terminal either: what is not printable is escaped as \uNNNN. */
export function json(value: unknown): string {
  return withoutControls(JSON.stringify(value, null, 2));
}

/** The same on one line, with its end. */
export function jsonLine(value: unknown): string {
  return `${withoutControls(JSON.stringify(value))}\n`;
}

/** How `paint` begins and ends a colour: the one control character that a line can have. */
const SGR = /\p{Cc}\[[0-9;]*m/gu;
const PIECES = new RegExp(`${SGR.source}|\\P{M}\\p{M}*`, 'gu');

/** A painted line cut to so many columns, its colours ended. */
export function clipped(line: string, columns: number): string {
  if (widthOf(line.replaceAll(SGR, '')) <= columns) return line;
  let [cut, width, painted] = ['', 0, false];
  for (const [piece] of line.matchAll(PIECES)) {
    if (piece.startsWith('\u001b')) {
      painted = piece !== PLAIN;
      cut += piece;
    } else {
      width += widthOf(piece);
      // One column is for the mark that something is missing.
      if (width >= columns) break;
      cut += piece;
    }
  }
  return `${cut}…${painted ? PLAIN : ''}`;
}
