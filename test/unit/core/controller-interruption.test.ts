import { describe, expect, test } from 'vitest';
import type { Input } from '../../../src/core/controller-model.ts';
import { kernelController, MachineWorld } from './machine-world.ts';

describe('a connection that the kernel loses and makes again', () => {
  const seen = (state: string): Input => ({
    kind: 'observed',
    kernel: kernelController({ state }),
  });
  const event = { kind: 'event', event: 'connected' } as const;

  test.each(['io', 'discovery'] as const)('is told once each way (%s)', (kind) => {
    const world = new MachineWorld(kind).connect();
    world.feed(event);
    const before = world.reports.length;
    for (const state of ['live', 'resetting', 'connecting', 'connecting']) world.feed(seen(state));
    world.feed(event);
    world.feed(seen('live'));
    expect(world.reports.slice(before)).toEqual([
      { kind: 'interrupted', device: 'nvme0', state: 'resetting' },
      { kind: 'restored', device: 'nvme0', noticed: true },
    ]);
  });

  test('is told, too, where nobody saw that it was lost', () => {
    const world = new MachineWorld('io').connect();
    // The echo of the connect itself is no news.
    world.feed(event);
    world.feed(event);
    expect(world.reports.slice(1)).toEqual([{ kind: 'restored', device: 'nvme0', noticed: false }]);
  });

  test('is told once where it is seen before the event comes that udev was late with', () => {
    const world = new MachineWorld('io').connect();
    world.feed(event);
    world.feed(seen('connecting'));
    world.feed(seen('live'));
    const before = world.reports.length;
    world.feed(event);
    expect(world.reports).toHaveLength(before);
    // The next one is news.
    world.feed(event);
    expect(world.reports.slice(before)).toMatchObject([{ kind: 'restored', noticed: false }]);
  });

  test('is known for how long it has been without it, until it is live again', () => {
    const world = new MachineWorld('io').connect();
    world.feed(seen('connecting'));
    const since = world.now;
    for (const state of ['resetting', 'connecting']) {
      world.now += 1_000;
      world.feed(seen(state));
      expect(world.model.interruptedSince).toBe(since);
    }
    // A DC that mDNS has named is not given up while the kernel has it.
    expect(world.model.outOfReachSince).toBeUndefined();
    world.feed(seen('live'));
    expect(world.model.interruptedSince).toBeUndefined();
    world.now += 1_000;
    world.feed(seen('connecting'));
    expect(world.model.interruptedSince).toBe(world.now);
    world.feed(event);
    world.feed(event);
    expect(world.model.interruptedSince).toBeUndefined();
  });

  test('and gives up was out of reach from the beginning, until it is connected again', () => {
    const world = new MachineWorld('io').connect();
    world.feed(seen('connecting'));
    const since = world.now;
    world.now += 600_000;
    world.feed(seen('deleting'));
    world.lose();
    expect(world.model).toMatchObject({ interruptedSince: since, outOfReachSince: world.now });
    world.answerProbe();
    world.giveTurn();
    world.answerConnect('made');
    expect(world.model).toMatchObject({
      interruptedSince: undefined,
      outOfReachSince: undefined,
    });
  });

  test('that is adopted without it has been so since then', () => {
    const world = new MachineWorld('io', {}, { state: 'connecting' });
    world.feed({ kind: 'start' });
    world.answerFound();
    expect(world.model.interruptedSince).toBe(world.now);
  });

  test('that is being deleted is not lost', () => {
    const world = new MachineWorld('io').connect();
    world.feed(seen('deleting'));
    expect(world.reports.slice(1)).toEqual([]);
  });
});
