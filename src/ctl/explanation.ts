/** `explain` in lines: how each controller stands, who asks for it, what comes next. Pure. */
import type { Explanation, Row } from './daemon.ts';
import { byNames, CONTROLLER_ORDER, duration, paint, shown } from './text.ts';
import type { Screen, Tone } from './text.ts';
import type { Tool } from './tools.ts';

/** A string of a row; empty if it has none. */
export function text(row: Row, key: string): string {
  const value = row[key];
  return typeof value === 'string' ? value : '';
}

/** A list of strings of a row; empty if it has none. */
export function texts(row: Row, key: string): readonly string[] {
  const value = row[key];
  return Array.isArray(value) ? value.map(String) : [];
}

/** Undefined where a row has no such time. */
export function milliseconds(row: Row, key: string): number | undefined {
  const value = row[key];
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

const TONES: Readonly<Record<string, Tone>> = {
  connected: 'good',
  resting: 'good',
  held: 'bad',
};

/** How a state is to be seen. */
export function toneOf(state: string): Tone {
  return TONES[state] ?? 'waiting';
}

/** The order of `ls`. */
export function sortedRows(rows: readonly Row[]): readonly Row[] {
  return [...rows].sort(byNames(CONTROLLER_ORDER, text));
}

const ADDRESS = ['transport', 'traddr', 'trsvcid', 'subsysnqn'];

/**
 * The fields that tell these connections apart, in the order in which they are shown: the address,
 * the interface if any has one of its own, and what else there is only where two would look the same
 * without it.
 */
export function namingFields(rows: readonly Row[]): readonly string[] {
  const kinds = (fields: readonly string[]): number =>
    new Set(rows.map((row) => JSON.stringify(fields.map((field) => text(row, field))))).size;
  const fields = [...ADDRESS];
  if (rows.some((row) => text(row, 'host-iface') !== '')) fields.push('host-iface');
  for (const field of ['host-traddr', 'host-nqn']) {
    if (kinds([...fields, field]) > kinds(fields)) fields.push(field);
  }
  return fields;
}

/** `tcp 192.0.2.1 4420 nqn.…`, fit for a line; `fields`: of `namingFields`. */
export function nameOf(row: Row, fields: readonly string[]): string {
  return fields
    .map((key) => shown(text(row, key)))
    .filter((part) => part !== '')
    .join(' ');
}

function stateLine(row: Row, screen: Screen): string {
  const state = text(row, 'state');
  const [device, why] = [text(row, 'device'), text(row, 'why')];
  const as = device === '' ? '' : ` as ${shown(device)}`;
  const because = why === '' ? '' : `: ${shown(why)}`;
  return `${paint(shown(state), toneOf(state), screen)}${as}${because}`;
}

function nextLine(row: Row): readonly string[] {
  const next = text(row, 'next');
  if (next === '') return [];
  const due = milliseconds(row, 'next-in-ms');
  return [`next: ${shown(next)}${due === undefined ? '' : ` in ${duration(due)}`}`];
}

function outageLine(row: Row): readonly string[] {
  const ms = milliseconds(row, 'out-of-reach-ms');
  if (ms === undefined) return [];
  const attempts = row['attempts'];
  const tries = typeof attempts === 'number' ? attempts : 0;
  const tried =
    tries === 0 ? '' : `, ${String(tries)} failed ${tries === 1 ? 'attempt' : 'attempts'}`;
  return [`out of reach for ${duration(ms)}${tried}`];
}

/** Said only where `why` does not say it already. */
function errorLine(row: Row): readonly string[] {
  const error = text(row, 'last-error');
  return error === '' || text(row, 'why').includes(error) ? [] : [`last error: ${shown(error)}`];
}

function keptLine(row: Row): readonly string[] {
  const why = text(row, 'kept-because');
  return why === '' ? [] : [`stays although nobody asks for it now: ${shown(why)}`];
}

function sourceLines(row: Row): readonly string[] {
  return texts(row, 'sources').map((source) => `source: ${shown(source)}`);
}

function controllerLines(row: Row, heading: string, screen: Screen): readonly string[] {
  return [
    paint(heading, 'heading', screen),
    ...[
      stateLine(row, screen),
      ...outageLine(row),
      ...errorLine(row),
      ...nextLine(row),
      ...sourceLines(row),
      ...keptLine(row),
    ].map((line) => `  ${line}`),
  ];
}

function absentLines(row: Row, heading: string, screen: Screen): readonly string[] {
  const rule = paint(shown(text(row, 'rule')), 'bad', screen);
  return [
    paint(heading, 'heading', screen),
    ...[
      `not connected, ${rule}: ${shown(text(row, 'why'))}`,
      ...outageLine(row),
      ...nextLine(row),
      ...sourceLines(row),
    ].map((line) => `  ${line}`),
  ];
}

/** For people; blocks with an empty line between them. */
export function explanationLines(
  tool: Tool,
  { absent, controllers, notes }: Explanation,
  screen: Screen,
): readonly string[] {
  const fields = namingFields([...controllers, ...absent]);
  const blocks = [
    ...sortedRows(controllers).map((row) => controllerLines(row, nameOf(row, fields), screen)),
    ...sortedRows(absent).map((row) => absentLines(row, nameOf(row, fields), screen)),
  ];
  if (blocks.length === 0) blocks.push([`no ${tool.controllers}`]);
  if (notes.length > 0) {
    blocks.push([paint('Notes', 'heading', screen), ...notes.map((note) => `  ${shown(note)}`)]);
  }
  return blocks.flatMap((block, index) => (index === 0 ? block : ['', ...block]));
}
