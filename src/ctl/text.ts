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

const MAX_SHOWN = 1024;
const GAP = '  ';

/** A string from outside, fit for one line. */
export function shown(text: string): string {
  return escapeText(text, MAX_SHOWN);
}

export function paint(text: string, tone: Tone, screen: Screen): string {
  const code = CODES[tone];
  return screen.colour && code !== '' && text !== '' ? `\u001b[${code}m${text}\u001b[0m` : text;
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

/**
 * A table under its titles; cells are escaped already. The last column is not padded, so it may be
 * as long as it likes; where the terminal is too narrow for it, it moves to a line of its own
 * below the others, whole, because people copy NQNs.
 */
export function table(
  titles: readonly string[],
  rows: readonly (readonly Cell[])[],
  screen: Screen,
  indent = '',
): readonly string[] {
  const all = [titles.map((text): Cell => ({ text, tone: 'heading' })), ...rows];
  const last = titles.length - 1;
  const widths = titles.map((_, column) =>
    all.reduce((most, row) => Math.max(most, widthOf(row[column]?.text ?? '')), 0),
  );
  const total =
    indent.length + widths.reduce((sum, width) => sum + width + GAP.length, -GAP.length);
  const folded = screen.width !== undefined && total > screen.width;
  const lines: string[] = [];
  for (const row of all) {
    const first = row
      .slice(0, last)
      .map((cell, column) => padded(cell, widths[column] ?? 0, screen));
    const end = row[last] ?? { text: '' };
    const tail = paint(end.text, end.tone ?? 'plain', screen);
    if (folded) {
      lines.push((indent + first.join(GAP)).trimEnd(), `${indent}${GAP}${tail}`);
    } else {
      lines.push((indent + [...first, tail].join(GAP)).trimEnd());
    }
  }
  return lines;
}

function isScalar(value: unknown): boolean {
  return typeof value !== 'object' || value === null;
}

function scalarText(value: unknown): string {
  return shown(typeof value === 'string' ? value : String(value));
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

/** JSON that cannot disturb a terminal either: what is not printable is escaped as \uNNNN. */
export function json(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => {
    if (character === '\n') return character;
    let escaped = '';
    for (let unit = 0; unit < character.length; unit += 1) {
      escaped += `\\u${character.charCodeAt(unit).toString(16).padStart(4, '0')}`;
    }
    return escaped;
  });
}
