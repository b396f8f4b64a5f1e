/** For each state and input: where it leads and what it asks for. What is not listed changes nothing. */
import { describe, expect, test } from 'vitest';
import { step } from '../../../src/core/controller-machine.ts';
import type { Effect } from '../../../src/core/controller-model.ts';
import { INPUTS, STATES, nameState } from './controller-machine.table.ts';

/** State, input, then the state after it and the effects in their order. */
const TABLE: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  idle: {
    found: ['connected running read-support', 'report connected', 'run read-support'],
    start: ['probing', 'probe'],
    kick: ['probing', 'probe'],
    remove: ['gone', 'gone'],
    'remove, keeping': ['gone', 'gone'],
  },
  probing: {
    'network up': ['probing', 'probe'],
    'probed well': ['queued', 'enqueue first'],
    'probed in vain': ['waiting-retry', 'report connect-failed'],
    found: ['connected running read-support', 'report connected', 'run read-support'],
    remove: ['gone', 'cancel-probe', 'gone'],
    'remove, keeping': ['gone', 'cancel-probe', 'gone'],
  },
  'probing, doubtful': {
    'network up': ['probing', 'probe'],
    'probed well': ['queued', 'enqueue repeat'],
    'probed in vain': ['waiting-retry', 'report connect-failed'],
    found: ['connected running read-support', 'dequeue', 'report connected', 'run read-support'],
    turn: ['connecting', 'cancel-probe', 'connect'],
    remove: ['gone', 'cancel-probe', 'dequeue', 'gone'],
    'remove, keeping': ['gone', 'cancel-probe', 'dequeue', 'gone'],
  },
  queued: {
    turn: ['connecting', 'connect'],
    remove: ['gone', 'dequeue', 'gone'],
    'remove, keeping': ['gone', 'dequeue', 'gone'],
  },
  connecting: {
    'connected, made': ['connected running read-support', 'report connected', 'run read-support'],
    'connected, adopted': [
      'connected running read-support',
      'report connected',
      'run read-support',
    ],
    'connect failed': ['waiting-retry', 'report connect-failed'],
    'connect hung': ['waiting-retry', 'report connect-failed'],
    remove: ['disposing awaiting-connect'],
    'remove, keeping': ['disposing awaiting-connect'],
  },
  'waiting, hung': {
    'network up': ['probing', 'probe'],
    kick: ['probing', 'probe'],
    remove: ['gone', 'gone'],
    'remove, keeping': ['gone', 'gone'],
  },
  'probing, hung': {
    'network up': ['probing', 'probe'],
    'probed well': ['waiting-retry', 'enqueue doubtful'],
    'probed in vain': ['waiting-retry', 'report connect-failed'],
    found: ['connected running read-support', 'report connected', 'run read-support'],
    kick: ['probing'],
    remove: ['gone', 'cancel-probe', 'gone'],
    'remove, keeping': ['gone', 'cancel-probe', 'gone'],
  },
  'waiting, hung and reachable': {
    'network up': ['probing', 'probe'],
    kick: ['probing', 'probe'],
    turn: ['connecting', 'connect'],
    remove: ['gone', 'dequeue', 'gone'],
    'remove, keeping': ['gone', 'dequeue', 'gone'],
  },
  'connected, io': {
    'seen alive': ['connected none'],
    'seen gone': ['probing', 'report lost', 'probe'],
    remove: ['disposing disconnecting', 'disconnect'],
    'remove, keeping': ['gone', 'gone'],
  },
  'connected, read-support runs': {
    'seen alive': ['connected running read-support'],
    'seen gone': ['probing', 'report lost', 'probe'],
    'log changed': ['connected running read-support then read-log'],
    rediscover: ['connected running read-support then read-support', 'report restored'],
    refresh: ['connected running read-support then read-support'],
    'read-support done': ['connected running read-log', 'run read-log'],
    'read-support failed': ['connected waiting read-support', 'report op-failed'],
    'read-support refused': ['connected running read-log', 'report op-refused', 'run read-log'],
    remove: ['disposing awaiting-operation'],
    'remove, keeping': ['disposing awaiting-operation'],
  },
  'connected, read-log waits': {
    'seen alive': ['connected waiting read-log'],
    'seen gone': ['probing', 'report lost', 'probe'],
    'log changed': ['connected running read-log', 'run read-log'],
    rediscover: ['connected running read-support', 'report restored', 'run read-support'],
    refresh: ['connected running read-support', 'run read-support'],
    remove: ['disposing disconnecting', 'disconnect'],
    'remove, keeping': ['gone', 'gone'],
  },
  'connected, steady': {
    'seen alive': ['connected steady'],
    'seen gone': ['probing', 'report lost', 'probe'],
    'log changed': ['connected running read-log', 'run read-log'],
    rediscover: ['connected running read-support', 'report restored', 'run read-support'],
    refresh: ['connected running read-support', 'run read-support'],
    remove: ['disposing disconnecting', 'disconnect'],
    'remove, keeping': ['gone', 'gone'],
  },
  'waiting-retry': {
    'network up': ['probing', 'probe'],
    kick: ['probing', 'probe'],
    remove: ['gone', 'gone'],
    'remove, keeping': ['gone', 'gone'],
  },
  'waiting-retry, doubtful': {
    'network up': ['probing', 'probe'],
    kick: ['probing', 'probe'],
    turn: ['connecting', 'connect'],
    remove: ['gone', 'dequeue', 'gone'],
    'remove, keeping': ['gone', 'dequeue', 'gone'],
  },
  held: {
    kick: ['probing', 'probe'],
    remove: ['gone', 'gone'],
    'remove, keeping': ['gone', 'gone'],
  },
  parting: {
    kick: ['parting then again'],
    'log changed': ['parting then again'],
    rediscover: ['parting then again'],
    refresh: ['parting then again'],
    disconnected: ['resting'],
    'disconnect failed': ['connected steady', 'report disconnect-failed'],
    'device changed': ['resting', 'report disconnect-failed'],
    remove: ['disposing disconnecting'],
    'remove, keeping': ['disposing disconnecting'],
  },
  'parting, asked again': {
    disconnected: ['resting'],
    'disconnect failed': [
      'connected running read-support',
      'report disconnect-failed',
      'run read-support',
    ],
    'device changed': ['resting', 'report disconnect-failed'],
    remove: ['disposing disconnecting'],
    'remove, keeping': ['disposing disconnecting'],
  },
  resting: {
    found: ['connected running read-support', 'report connected', 'run read-support'],
    kick: ['probing', 'probe'],
    remove: ['gone', 'gone'],
    'remove, keeping': ['gone', 'gone'],
  },
  'resting, due': {
    found: ['connected running read-support', 'report connected', 'run read-support'],
    start: ['probing', 'probe'],
    timer: ['probing', 'probe'],
    kick: ['probing', 'probe'],
    remove: ['gone', 'gone'],
    'remove, keeping': ['gone', 'gone'],
  },
  'disposing, was parting': {
    disconnected: ['gone', 'gone'],
    'disconnect failed': ['disposing waiting', 'report disconnect-failed'],
    'device changed': ['gone', 'report disconnect-failed', 'gone'],
  },
  'disposing, was parting, keeping': {
    disconnected: ['gone', 'gone'],
    'disconnect failed': ['gone', 'report disconnect-failed', 'gone'],
    'device changed': ['gone', 'report disconnect-failed', 'gone'],
  },
  'connected, read-log runs, polled': {
    'seen alive': ['connected running read-log'],
    'seen gone': ['probing', 'report lost', 'probe'],
    'log changed': ['connected running read-log then read-log'],
    rediscover: ['connected running read-log then read-support', 'report restored'],
    refresh: ['connected running read-log then read-support'],
    'read-log done': ['connected steady'],
    'read-log done, unkept': ['parting', 'report parting', 'disconnect'],
    remove: ['disposing awaiting-operation'],
    'remove, keeping': ['disposing awaiting-operation'],
  },
  'disposing, awaits connect': {
    'connected, made': ['disposing disconnecting', 'disconnect'],
    'connected, adopted': ['gone', 'gone'],
    'connect failed': ['gone', 'gone'],
    'connect hung': ['gone', 'gone'],
  },
  'disposing, awaits command': {
    'read-log done': ['disposing disconnecting', 'disconnect'],
    'read-log done, unkept': ['disposing disconnecting', 'disconnect'],
    'read-support done': ['disposing disconnecting', 'disconnect'],
    'read-support failed': ['disposing disconnecting', 'disconnect'],
    'read-support refused': ['disposing disconnecting', 'disconnect'],
  },
  'disposing, disconnecting': {
    disconnected: ['gone', 'gone'],
    'disconnect failed': ['disposing waiting', 'report disconnect-failed'],
    'device changed': ['gone', 'report disconnect-failed', 'gone'],
  },
  'disposing, waits': {
    'seen gone': ['gone', 'gone'],
  },
  gone: {},
};

function nameEffect(effect: Effect): string {
  switch (effect.kind) {
    case 'enqueue':
      return `enqueue ${effect.lane}`;
    case 'run':
      return `run ${effect.op}`;
    case 'report':
      return `report ${effect.report.kind}`;
    case 'probe':
    case 'cancel-probe':
    case 'dequeue':
    case 'connect':
    case 'disconnect':
    case 'gone':
      return effect.kind;
  }
}

describe.each(Object.entries(STATES))('while %s', (state, make) => {
  test.each(Object.entries(INPUTS))('takes "%s" as the table says', (input, value) => {
    const world = make();
    const before = nameState(world);
    const context = { now: world.now, random: 0.5, policy: world.policy, firstTriesWait: false };
    const { effects, model } = step(world.model, value, context);
    world.model = model;
    expect([nameState(world), ...effects.map(nameEffect)]).toEqual(
      TABLE[state]?.[input] ?? [before],
    );
  });
});

test('the table names only states and inputs that there are', () => {
  expect(Object.keys(TABLE)).toEqual(Object.keys(STATES));
  const inputs = new Set(Object.keys(INPUTS));
  expect(
    Object.values(TABLE)
      .flatMap(Object.keys)
      .filter((name) => !inputs.has(name)),
  ).toEqual([]);
});
