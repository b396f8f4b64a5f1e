/** Events of a watch as lines for people and for programs. Pure. */
import type { Row } from '../daemon.ts';
import { text, toneOf } from '../explanation.ts';
import { jsonLine, paint, shown, type Screen, type Tone } from '../text.ts';
import type { Tool } from '../tools.ts';
import type { ControllerChange, ControllerEvent } from './changes.ts';

export type WatchEvent =
  | ({ readonly kind: 'controller' } & ControllerChange)
  | { readonly kind: 'daemon'; readonly event: 'daemon-stopped' | 'daemon-started' };

export interface TimedEvent {
  readonly at: Date;
  readonly event: WatchEvent;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** `09:05:07`, in the time zone of the process. */
export function timeOfDay(at: Date): string {
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':');
}

/** `2026-01-02 09:05:07` */
function dateAndTime(at: Date): string {
  const date = [String(at.getFullYear()), two(at.getMonth() + 1), two(at.getDate())].join('-');
  return `${date} ${timeOfDay(at)}`;
}

function standing(row: Row): string {
  const device = text(row, 'device');
  return device === '' ? text(row, 'state') : `${text(row, 'state')} as ${device}`;
}

function words({ before, controller, event, reason }: ControllerChange): string {
  const because = reason === '' ? '' : `: ${reason}`;
  const was = before === undefined ? '' : text(before, 'state');
  switch (event) {
    case 'present':
    case 'added':
      return `${standing(controller)}${because}`;
    case 'connected':
      return `as ${text(controller, 'device')}`;
    case 'lost':
      return `was ${before === undefined ? '' : text(before, 'device')}; ${text(controller, 'state')}${because}`;
    case 'state':
      return `${was}, now ${text(controller, 'state')}${because}`;
    case 'changed':
      return reason;
    case 'removed':
      return `was ${standing(controller)}${because}`;
  }
}

function eventTone(change: ControllerChange): Tone {
  switch (change.event) {
    case 'lost':
      return 'bad';
    case 'removed':
      return 'waiting';
    case 'connected':
      return 'good';
    case 'present':
    case 'added':
    case 'state':
    case 'changed':
      return toneOf(text(change.controller, 'state'));
  }
}

const LONGEST_WORD = Math.max(
  ...(
    [
      'present',
      'added',
      'connected',
      'lost',
      'state',
      'changed',
      'removed',
    ] as const satisfies readonly ControllerEvent[]
  ).map((word) => word.length),
);

const PLACE = ['transport', 'traddr', 'trsvcid', 'host-iface'];

/** These of its fields that it has. */
function fieldsOf(row: Row, fields: readonly string[]): string {
  return fields
    .map((field) => text(row, field))
    .filter((part) => part !== '')
    .join(' ');
}

/** `place`: the fields that say between which addresses it is. */
function lineAfterTime(
  tool: Tool,
  event: WatchEvent,
  screen: Screen,
  place: readonly string[],
): string {
  if (event.kind === 'daemon') {
    const isBack = event.event === 'daemon-started';
    return paint(
      `${tool.daemon} ${isBack ? 'runs again' : 'is not running: waiting for it'}`,
      isBack ? 'good' : 'bad',
      screen,
    );
  }
  const { controller } = event;
  const word = paint(event.event.padEnd(LONGEST_WORD), eventTone(event), screen);
  const rest = [fieldsOf(controller, place), words(event), text(controller, 'subsysnqn')];
  return [word, ...rest.map(shown)].join('  ');
}

/**
 * For a terminal, whose lines end at its edge: the NQN, which the table has too, comes last, and the
 * host's address is left to the table.
 */
export function screenLine(tool: Tool, { at, event }: TimedEvent, screen: Screen): string {
  return `${timeOfDay(at)}  ${lineAfterTime(tool, event, screen, PLACE)}`;
}

/** For a pipe or a file. Ends with a newline. */
export function pipeLine(tool: Tool, { at, event }: TimedEvent, screen: Screen): string {
  const place = [...PLACE, 'host-traddr'];
  return `${dateAndTime(at)}  ${lineAfterTime(tool, event, screen, place)}\n`;
}

/** For programs: one object. Ends with a newline. */
export function eventJson(tool: Tool, { at, event }: TimedEvent): string {
  const time = at.toISOString();
  if (event.kind === 'daemon') return jsonLine({ time, event: event.event, daemon: tool.daemon });
  const { before, controller, event: word, reason } = event;
  return jsonLine({ time, event: word, reason, controller, before: before ?? null });
}
