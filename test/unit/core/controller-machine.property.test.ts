/** Random lives of one controller: whatever comes in whatever order, the promises hold. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CHANGED, FINAL, MachineWorld, RETRY } from './machine-world.ts';

/** One thing that happens; those that cannot happen in a state are passed over. */
type Happening =
  | { readonly kind: 'probe'; readonly outcome: 'reachable' | 'unreachable' | 'found' }
  | {
      readonly kind:
        | 'turn'
        | 'stray-turn'
        | 'timer'
        | 'kick'
        | 'network-up'
        | 'refresh'
        | 'seen'
        | 'lost'
        | 'silence'
        | 'others';
    }
  | { readonly kind: 'connect'; readonly outcome: 'made' | 'adopted' | 'failed' }
  | { readonly kind: 'disconnect'; readonly outcome: 'done' | 'failed' | 'changed' }
  | { readonly kind: 'command'; readonly outcome: 'done' | 'pleo' | 'unkept' | 'retry' | 'final' }
  | { readonly kind: 'event'; readonly event: 'connected' | 'rediscover' | 'log-changed' }
  | { readonly kind: 'advance'; readonly ms: number }
  | {
      readonly kind: 'policy';
      readonly pleo: boolean;
      readonly maxAttempts: number;
      readonly pollMs: number | undefined;
    }
  | { readonly kind: 'remove'; readonly keep: boolean };

function one<const T extends string>(...values: T[]): fc.Arbitrary<T> {
  return fc.constantFrom(...values);
}

const pollMs = fc.constantFrom(undefined, 5_000, 900_000);

const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('probe'),
      outcome: one('reachable', 'unreachable', 'found'),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: one('turn') }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('connect'),
      outcome: one('made', 'adopted', 'failed'),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('command'),
      outcome: one('done', 'pleo', 'unkept', 'retry', 'final'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('disconnect'),
      outcome: one('done', 'failed', 'changed'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('event'),
      event: one('connected', 'rediscover', 'log-changed'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('advance'),
      ms: fc.constantFrom(1, 900, 6_000, 25_000, 61_000, 700_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: one(
        'stray-turn',
        'timer',
        'kick',
        'network-up',
        'refresh',
        'seen',
        'lost',
        'silence',
        'others',
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('policy'),
      pleo: fc.boolean(),
      maxAttempts: fc.constantFrom(0, 2, 3),
      pollMs,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove'), keep: fc.boolean() }) },
);

function happen(world: MachineWorld, what: Happening): void {
  const { pending } = world;
  switch (what.kind) {
    case 'probe':
      if (!pending.probe) return;
      if (what.outcome === 'found') world.answerFound();
      else world.answerProbe(what.outcome === 'reachable' ? undefined : RETRY);
      return;
    case 'turn':
      if (pending.queue !== undefined) world.giveTurn();
      return;
    case 'stray-turn':
      // One that was already on its way when its entry was withdrawn.
      if (pending.queue === undefined) world.feed({ kind: 'turn' });
      return;
    case 'silence':
      // Nothing answers for minutes.
      for (let tries = 0; tries < 4; tries += 1) {
        if (pending.probe) world.answerProbe(RETRY);
        world.advance(61_000);
      }
      return;
    case 'connect':
      if (pending.connect) world.answerConnect(what.outcome === 'failed' ? RETRY : what.outcome);
      return;
    case 'disconnect':
      if (!pending.disconnect) return;
      if (what.outcome === 'done') world.answerDisconnect();
      else world.answerDisconnect(what.outcome === 'failed' ? RETRY : CHANGED);
      return;
    case 'command':
      if (pending.op === undefined) return;
      if (what.outcome === 'retry') world.answerOp(RETRY);
      else if (what.outcome === 'final') world.answerOp(FINAL);
      else if (what.outcome === 'unkept') world.answerOp({ persistent: false });
      else world.answerOp(what.outcome === 'pleo' ? { pleo: true } : {});
      return;
    case 'event':
      world.feed({ kind: 'event', event: what.event });
      return;
    case 'advance':
      world.advance(what.ms);
      return;
    case 'others':
      world.firstTriesWait = !world.firstTriesWait;
      return;
    case 'policy':
      world.policy = { pleo: what.pleo, maxAttempts: what.maxAttempts, pollMs: what.pollMs };
      return;
    case 'remove':
      world.remove(what.keep);
      return;
    case 'seen':
      world.feed({ kind: 'observed', kernel: world.kernel });
      return;
    case 'lost':
      if (['connected', 'parting', 'disposing'].includes(world.phase.kind)) world.lose();
      return;
    case 'timer':
    case 'kick':
    case 'network-up':
    case 'refresh':
      world.feed({ kind: what.kind });
      return;
  }
}

/** Everything answers well from now on, as DCs do that are held. False if it does not come to rest. */
function calmDown(world: MachineWorld): boolean {
  world.policy = { ...world.policy, maxAttempts: 0 };
  world.feed({ kind: 'kick' });
  for (let round = 0; round < 100; round += 1) {
    const { pending, phase } = world;
    if (pending.probe) world.answerProbe();
    else if (pending.queue !== undefined) world.giveTurn();
    else if (pending.connect) world.answerConnect('made');
    else if (pending.disconnect) world.answerDisconnect();
    else if (pending.op !== undefined) world.answerOp();
    else if (phase.kind === 'gone') return true;
    else if (phase.kind === 'connected' && phase.work.kind !== 'waiting') return true;
    else world.advance(60_000);
  }
  return false;
}

const life = fc.record({
  kind: one('discovery', 'io'),
  dctype: one('none', 'ddc', 'cdc', ''),
  pleo: fc.boolean(),
  maxAttempts: fc.constantFrom(0, 0, 2, 3),
  pollMs,
  random: fc.constantFrom(0, 0.5, 0.999),
  happenings: fc.array(happening, { maxLength: 60 }),
});

function live(chosen: LifeOf): MachineWorld {
  const { dctype, happenings, kind, maxAttempts, pleo, pollMs, random } = chosen;
  const world = new MachineWorld(kind, { pleo, maxAttempts, pollMs }, { dctype });
  world.random = random;
  world.feed({ kind: 'start' });
  for (const what of happenings) happen(world, what);
  return world;
}

type LifeOf = typeof life extends fc.Arbitrary<infer T> ? T : never;

test('keeps every promise whatever happens in whatever order', () => {
  fc.assert(
    fc.property(life, (chosen) => {
      live(chosen);
    }),
    { numRuns: 10_000 },
  );
});

test('comes to rest connected, or gone if it was removed, once everything answers', () => {
  fc.assert(
    fc.property(life, (chosen) => {
      const world = live(chosen);
      expect(calmDown(world)).toBe(true);
      const expected = world.removal === undefined ? 'connected' : 'gone';
      expect(world.phase.kind).toBe(expected);
    }),
    { numRuns: 3_000 },
  );
});

test('ends gone from every state in which it is removed, and takes its connection along', () => {
  fc.assert(
    fc.property(life, fc.boolean(), (chosen, keep) => {
      const world = live(chosen);
      // A disconnect that is under way cannot be called back.
      const existed = world.ours && !world.pending.disconnect;
      world.remove(keep);
      const disconnectsBefore = world.effects.filter(({ kind }) => kind === 'disconnect').length;
      expect(calmDown(world)).toBe(true);
      expect(world.phase.kind).toBe('gone');
      if (world.removal?.keep === true) {
        const disconnects = world.effects.filter(({ kind }) => kind === 'disconnect').length;
        expect(disconnects).toBe(disconnectsBefore);
        if (existed) expect(world.ours).toBe(true);
      } else {
        expect(world.ours).toBe(false);
      }
    }),
    { numRuns: 3_000 },
  );
});
