/** What many measurements come to, and a table of them. */

/** Milliseconds. */
export interface Summary {
  readonly median: number;
  readonly p95: number;
}

export interface Row {
  readonly what: string;
  readonly ours: Summary;
  /** Undefined: it has no such command. */
  readonly original: Summary | undefined;
}

/** The median and the 95th percentile (nearest rank). Throws RangeError for no values. */
export function summarize(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  const rank = (share: number): number => {
    const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
    if (value === undefined) throw new RangeError('nothing was measured');
    return value;
  };
  return { median: rank(0.5), p95: rank(0.95) };
}

/** Markdown, as Prettier lays it out. */
export function table(rows: readonly Row[]): string {
  const cells = rows.map(({ original, ours, what }) => [
    `\`${what}\``,
    shown(ours.median),
    shown(ours.p95),
    shown(original?.median),
    shown(original?.p95),
    original === undefined ? '–' : `${(original.median / ours.median).toFixed(1)} ×`,
  ]);
  const head = ['command', 'median', '95 %', "the original's median", '95 %', 'ratio'];
  return markdownTable(head, cells).join('\n');
}

/** As Prettier lays it out: the first column to the left, the others to the right. */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): readonly string[] {
  const widths = head.map((title, column) =>
    Math.max(3, title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => pad(cell, widths[column] ?? 0, column)).join(' | ')} |`;
  const rule = widths.map((width, column) =>
    column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  return [line(head), `| ${rule.join(' | ')} |`, ...rows.map(line)];
}

function shown(milliseconds: number | undefined): string {
  return milliseconds === undefined ? '–' : milliseconds.toFixed(0);
}

function pad(cell: string, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}
