/**
 * Faults: rules that decide what is done to a command instead of, or besides, carrying it out.
 *
 * Invariants: of the rules that match a command the first one in the order of their making acts;
 * a rule with a count is gone after it acted that many times.
 */
import type { CommandName } from './command.ts';
import { Fields, InputError } from './json.ts';
import type { JsonObject } from './json.ts';
import { readStatus } from './status.ts';

/** A TCP connection accepted, and ICReq, can be faulted like a command. */
export type FaultPoint = CommandName | 'accept' | 'icreq';

const POINTS: readonly FaultPoint[] = [
  'accept',
  'icreq',
  'connect',
  'property-get',
  'property-set',
  'fabrics',
  'identify',
  'get-log-page',
  'get-features',
  'set-features',
  'keep-alive',
  'async-event-request',
  'abort',
  'dim',
  'unknown',
];

export interface FaultAction {
  /** Wait this long first, milliseconds. */
  readonly delayMs: number;
  readonly then:
    /** Carry the command out as usual. */
    | { readonly kind: 'proceed' }
    /** Complete it with this status, not carried out. */
    | { readonly kind: 'status'; readonly status: number; readonly result: number }
    /** Never answer. */
    | { readonly kind: 'never' }
    /** Close the connection instead of an answer. */
    | { readonly kind: 'drop' }
    /** Answer with the first bytes of the data only, then go on or (`drop`) close the connection. */
    | { readonly kind: 'truncate'; readonly bytes: number; readonly drop: boolean };
}

interface Rule {
  readonly id: string;
  readonly point: FaultPoint | 'any';
  readonly lid: number | undefined;
  readonly hostnqn: string | undefined;
  readonly action: FaultAction;
  readonly source: JsonObject;
  skip: number;
  left: number;
  hits: number;
}

/** What a rule is matched against. */
export interface FaultSubject {
  readonly point: FaultPoint;
  readonly lid?: number;
  readonly hostnqn: string;
}

function readThen(fields: Fields): FaultAction['then'] {
  const drop = fields.boolean('drop', false);
  const never = fields.boolean('never', false);
  const status = fields.optional('status', readStatus);
  const result = fields.integer('result', 0, 0, 0xffffffff);
  const truncate = fields.optionalInteger('truncate', 0, 0xffffffff);
  const chosen = [never, status !== undefined, truncate !== undefined].filter(Boolean).length;
  if (chosen > 1 || (drop && (never || status !== undefined))) {
    throw new InputError(fields.path, 'asks for more than one of status, never, drop, truncate');
  }
  if (status !== undefined) return { kind: 'status', status, result };
  if (truncate !== undefined) return { kind: 'truncate', bytes: truncate, drop };
  if (never) return { kind: 'never' };
  return drop ? { kind: 'drop' } : { kind: 'proceed' };
}

export class Faults {
  #rules: Rule[] = [];
  #made = 0;

  /** Adds a rule from JSON (see README.md) and returns its id. @throws InputError */
  add(value: unknown, path: string): string {
    const fields = new Fields(value, path);
    const point = fields.optionalString('command') ?? 'any';
    const known = POINTS.find((name) => name === point);
    if (known === undefined && point !== 'any') {
      throw new InputError(fields.where('command'), `is not one of any, ${POINTS.join(', ')}`);
    }
    const id = fields.optionalString('id') ?? `fault${String(++this.#made)}`;
    if (this.#rules.some((rule) => rule.id === id)) {
      throw new InputError(fields.where('id'), 'is taken');
    }
    const rule: Rule = {
      id,
      point: known ?? 'any',
      lid: fields.optionalInteger('lid', 0, 255),
      hostnqn: fields.optionalString('hostnqn'),
      skip: fields.integer('skip', 0, 0, 1_000_000_000),
      left: fields.integer('count', Infinity, 1, 1_000_000_000),
      hits: 0,
      action: {
        delayMs: fields.integer('delayMs', 0, 0, 1_000_000_000),
        then: readThen(fields),
      },
      source: fields.object,
    };
    fields.done();
    this.#rules.push(rule);
    return id;
  }

  /** Removes one rule, or all of them. Whether there was any. */
  remove(id?: string): boolean {
    const before = this.#rules.length;
    this.#rules = id === undefined ? [] : this.#rules.filter((rule) => rule.id !== id);
    return this.#rules.length < before;
  }

  /** What is to be done to this command, if anything. Counts as one use of the rule. */
  match(subject: FaultSubject): FaultAction | null {
    for (const rule of this.#rules) {
      if (rule.point === 'any') {
        if (subject.point === 'accept' || subject.point === 'icreq') continue;
      } else if (rule.point !== subject.point) continue;
      if (rule.lid !== undefined && rule.lid !== subject.lid) continue;
      if (rule.hostnqn !== undefined && rule.hostnqn !== subject.hostnqn) continue;
      if (rule.skip > 0) {
        rule.skip--;
        continue;
      }
      rule.hits++;
      if (--rule.left <= 0) this.#rules = this.#rules.filter((other) => other !== rule);
      return rule.action;
    }
    return null;
  }

  list(): JsonObject[] {
    return this.#rules.map((rule) => ({ ...rule.source, id: rule.id, hits: rule.hits }));
  }
}
