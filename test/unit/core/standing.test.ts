import { describe, expect, test } from 'vitest';
import { standing, STATES } from '../../../src/core/standing.ts';
import { kernelController, MachineWorld, RETRY } from './machine-world.ts';

/** How it stands now. */
function stands(world: MachineWorld): ReturnType<typeof standing> {
  return standing(world.model, world.now);
}

function unreached(): MachineWorld {
  const world = new MachineWorld('io');
  world.feed({ kind: 'start' });
  world.answerProbe(RETRY);
  return world;
}

describe('how a controller stands', () => {
  test('is told from its first probe to its connection', () => {
    const world = new MachineWorld('io');
    expect(stands(world)).toMatchObject({ state: 'starting', outOfReachMs: undefined });
    world.feed({ kind: 'start' });
    expect(stands(world)).toMatchObject({ state: 'probing', outOfReachMs: 0 });
    world.answerProbe();
    expect(stands(world).state).toBe('queued');
    world.giveTurn();
    expect(stands(world).state).toBe('connecting');
    world.answerConnect('made');
    expect(stands(world)).toEqual({
      state: 'connected',
      why: '',
      next: '',
      nextInMs: undefined,
      outOfReachMs: undefined,
    });
  });

  test('names the last failure, for how long, and when it is tried again', () => {
    const world = unreached();
    world.advance(400);
    expect(stands(world)).toEqual({
      state: 'waiting',
      why: RETRY.message,
      next: 'it is tried again',
      nextInMs: 600,
      outOfReachMs: 400,
    });
  });

  test('names the latest time of a try that lets others go before', () => {
    const world = unreached();
    world.firstTriesWait = true;
    world.advance(1_000);
    expect(stands(world)).toMatchObject({
      why: RETRY.message,
      next: 'it is tried again',
      nextInMs: 10_000,
    });
  });

  test('says for how long all tries together have failed', () => {
    const world = unreached();
    world.advance(1_000);
    world.answerProbe(RETRY);
    world.advance(500);
    expect(stands(world)).toMatchObject({ state: 'waiting', outOfReachMs: 1_500 });
  });

  test('is "reconnecting" while the kernel is at it, and for how long', () => {
    const world = new MachineWorld('io').connect();
    world.feed({ kind: 'observed', kernel: kernelController({ state: 'connecting' }) });
    world.advance(90_000);
    expect(stands(world)).toMatchObject({
      state: 'reconnecting',
      why: expect.stringContaining('connecting') as string,
      outOfReachMs: 90_000,
    });
    world.feed({ kind: 'observed', kernel: undefined });
    world.advance(1_000);
    expect(stands(world)).toMatchObject({ state: 'probing', outOfReachMs: 91_000 });
  });

  test('is a word of the public list, in every phase', () => {
    const { model } = unreached();
    const kernel = { state: 'live' } as never;
    const phases = [
      { kind: 'held', why: 'ncc' },
      { kind: 'resting', everyMs: 1, until: 5 },
      { kind: 'parting', kernel, again: false },
      { kind: 'gone' },
      { kind: 'disposing', step: { kind: 'awaiting-connect', keepConnection: false } },
      {
        kind: 'connected',
        kernel,
        work: { kind: 'waiting', op: 'read-log', until: 9, error: RETRY },
      },
    ] as const;
    const words = phases.map((phase) => standing({ ...model, phase }, 0));
    for (const { state } of words) expect(STATES).toContain(state);
    expect(words.map(({ nextInMs }) => nextInMs)).toEqual([
      undefined,
      5,
      undefined,
      undefined,
      undefined,
      9,
    ]);
  });
});
