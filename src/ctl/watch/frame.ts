/** One picture of the live view: the controllers, and below them what happened last. Pure. */
import type { Row } from '../daemon.ts';
import { milliseconds, namingFields, sortedRows, text, toneOf } from '../explanation.ts';
import { clipped, duration, paint, shown, table, type Cell, type Screen } from '../text.ts';
import type { Tool } from '../tools.ts';
import { screenLine, timeOfDay, type TimedEvent } from './event-text.ts';

export interface Picture {
  readonly tool: Tool;
  readonly rows: readonly Row[];
  /** Milliseconds since the daemon told `rows`. */
  readonly ageMs: number;
  /** The oldest first. */
  readonly events: readonly TimedEvent[];
  /** Undefined while the daemon runs. */
  readonly stoppedAt: Date | undefined;
  readonly now: Date;
  readonly size: { readonly columns: number; readonly rows: number };
  readonly colour: boolean;
}

function stateText(row: Row, ageMs: number): string {
  const state = text(row, 'state');
  const next = milliseconds(row, 'next-in-ms');
  if (next === undefined) return state;
  const left = duration(Math.max(0, next - ageMs));
  if (state === 'waiting') return `retries in ${left}`;
  return state === 'resting' ? `next poll in ${left}` : state;
}

function cells(row: Row, fields: readonly string[], ageMs: number): readonly Cell[] {
  const state = { text: shown(stateText(row, ageMs)), tone: toneOf(text(row, 'state')) };
  const [device, ...rest] = ['device', ...fields].map((field): Cell => ({
    text: shown(text(row, field)) || '-',
  }));
  return [device ?? { text: '-' }, state, ...rest];
}

function isConnected(row: Row): boolean {
  return text(row, 'state') === 'connected';
}

function summary({ rows, stoppedAt, tool }: Picture, screen: Screen): string {
  const counts = new Map<string, number>();
  for (const row of [...rows.filter(isConnected), ...rows]) {
    const state = shown(text(row, 'state'));
    if (!counts.has(state)) {
      counts.set(state, rows.filter((other) => shown(text(other, 'state')) === state).length);
    }
  }
  const states = [...counts].map(([state, count]) => `${String(count)} ${state}`).join(', ');
  const what = rows.length === 0 ? '' : `${rows.length === 1 ? '1' : String(rows.length)} in all, `;
  const said = rows.length === 0 ? `no ${tool.controllers}` : `${what}${states}`;
  if (stoppedAt === undefined) return `${paint(tool.daemon, 'heading', screen)}: ${said}`;
  const since = `${tool.daemon} is not running since ${timeOfDay(stoppedAt)}`;
  return `${paint(since, 'bad', screen)}; it had: ${said}`;
}

/** Lines of the table, those of what is connected given up first where there is no room. */
function controllerLines(picture: Picture, room: number, screen: Screen): readonly string[] {
  const { ageMs, rows } = picture;
  if (rows.length === 0) return [];
  const sorted = sortedRows(rows);
  const fields = namingFields(rows);
  const lines = table(
    ['DEVICE', 'STATE', ...fields.map((field) => field.toUpperCase())],
    sorted.map((row) => cells(row, fields, ageMs)),
    screen,
  );
  if (lines.length <= room) return lines;
  // Folded rows take more than a line, and are shown whole.
  const height = lines.length / (sorted.length + 1);
  const shownRows = Math.max(0, Math.floor((room - 1) / height) - 1);
  const order = [...sorted.keys()].sort((a, b) => {
    const [first, second] = [a, b].map((index) => isConnected(sorted[index] ?? {}));
    return Number(first) - Number(second) || a - b;
  });
  const linesOf = (index: number): readonly string[] =>
    lines.slice((index + 1) * height, (index + 2) * height);
  return [
    ...lines.slice(0, height),
    ...order.slice(0, shownRows).flatMap(linesOf),
    `… ${String(sorted.length - shownRows)} more`,
  ];
}

/** The header, two empty lines and the title of the events. */
const FRAME_LINES = 4;

/** As many lines as the terminal has at most, none wider than it. */
export function pictureLines(picture: Picture): readonly string[] {
  const { colour, events, now, size, tool } = picture;
  const screen: Screen = { colour, width: size.columns };
  const room = Math.max(0, size.rows - FRAME_LINES);
  const folded = controllerLines(picture, Infinity, screen).length;
  // A third is for events, and what the controllers leave.
  const forEvents = Math.min(events.length, Math.max(Math.ceil(room / 3), room - folded));
  const shownEvents = forEvents === 0 ? [] : events.slice(-forEvents);
  const lines = [
    `${summary(picture, screen)}  ${paint(timeOfDay(now), 'faint', screen)}`,
    '',
    ...controllerLines(picture, room - shownEvents.length, screen),
    '',
    paint('Events (Ctrl-C ends)', 'heading', screen),
    ...shownEvents.map((event) => screenLine(tool, event, screen)),
  ];
  return lines.slice(0, size.rows).map((line) => clipped(line, size.columns));
}
