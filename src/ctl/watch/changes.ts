/** What has happened between two lists of a daemon's controllers. Pure. */
import { controllerKey, type Row } from '../daemon.ts';
import { text, texts } from '../explanation.ts';

/** Words are added, never changed: programs read them. */
export type ControllerEvent =
  /** There when the watch began. */
  | 'present'
  | 'added'
  | 'connected'
  /** Was connected, and is not, though it is to be. */
  | 'lost'
  /** Another state, neither of the two above. */
  | 'state'
  /** The same state, for another reason, or asked for by others. */
  | 'changed'
  | 'removed';

/** One thing that happened to a controller. */
export interface ControllerChange {
  readonly event: ControllerEvent;
  /** As it is now; of one that was removed, as it was. */
  readonly controller: Row;
  /** As it was; undefined for one that is new. */
  readonly before: Row | undefined;
  /** Why, in words; empty if nothing is known of that. */
  readonly reason: string;
}

const CONNECTED = 'connected';

/** What ends a connection because it is meant to end. */
const MEANT: ReadonlySet<string> = new Set(['disconnecting', 'resting']);

function sourcesChanged(before: Row, after: Row): readonly string[] {
  const [was, is] = [texts(before, 'sources'), texts(after, 'sources')];
  return [
    ...is.filter((source) => !was.includes(source)).map((source) => `source: ${source}`),
    ...was.filter((source) => !is.includes(source)).map((source) => `no longer: ${source}`),
  ];
}

function differences(before: Row, after: Row): readonly string[] {
  const [why, kept] = [text(after, 'why'), text(after, 'kept-because')];
  return [
    ...(why === text(before, 'why') ? [] : [why === '' ? text(after, 'state') : why]),
    ...sourcesChanged(before, after),
    ...(kept === '' || kept === text(before, 'kept-because')
      ? []
      : [`stays although nobody asks for it now: ${kept}`]),
  ];
}

function changeOf(before: Row, after: Row): ControllerChange | undefined {
  const [was, is] = [text(before, 'state'), text(after, 'state')];
  const reason = text(after, 'why');
  const change = { controller: after, before, reason };
  if (is === CONNECTED) {
    // Between two lists a connection can end and another one be made.
    const again = text(before, 'device') !== text(after, 'device');
    if (was !== CONNECTED || again) return { ...change, event: 'connected' };
  } else if (is !== was) {
    const lost = was === CONNECTED && !MEANT.has(is);
    return { ...change, event: lost ? 'lost' : 'state' };
  }
  const different = differences(before, after);
  if (different.length === 0) return undefined;
  return { ...change, event: 'changed', reason: different.join('; ') };
}

/** Why it went: the setting that refuses it now, or what it was already being disconnected for. */
function whyRemoved(row: Row, absent: readonly Row[]): string {
  const refused = absent.find((other) => controllerKey(other) === controllerKey(row));
  if (refused !== undefined) return text(refused, 'why');
  return text(row, 'state') === 'disconnecting' ? text(row, 'why') : '';
}

/**
 * What has happened, in the order of the present list; what was removed comes first. Times that run
 * are no change, and neither are attempts.
 *
 * @param before undefined for the first list
 * @param absent what is not connected and why, as `explain` says it
 */
export function changesBetween(
  before: readonly Row[] | undefined,
  after: readonly Row[],
  absent: readonly Row[],
): readonly ControllerChange[] {
  const appeared = (event: ControllerEvent, controller: Row): ControllerChange => {
    const [source = ''] = texts(controller, 'sources');
    const why = text(controller, 'why');
    return { event, controller, before: undefined, reason: why === '' ? source : why };
  };
  if (before === undefined) return after.map((row) => appeared('present', row));
  const former = new Map(before.map((row) => [controllerKey(row), row]));
  const current = new Set(after.map(controllerKey));
  const removed = before.filter((row) => !current.has(controllerKey(row)));
  return [
    ...removed.map((controller): ControllerChange => ({
      event: 'removed',
      controller,
      before: controller,
      reason: whyRemoved(controller, absent),
    })),
    ...after.flatMap((row) => {
      const was = former.get(controllerKey(row));
      const change = was === undefined ? appeared('added', row) : changeOf(was, row);
      return change === undefined ? [] : [change];
    }),
  ];
}

/** Whether some controller of the former list is missing. */
export function hasRemoved(before: readonly Row[] | undefined, after: readonly Row[]): boolean {
  const current = new Set(after.map(controllerKey));
  return before?.some((row) => !current.has(controllerKey(row))) === true;
}
