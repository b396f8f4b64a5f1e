import { describe, expect, test } from 'vitest';
import { retryDelayMs } from '../../../src/core/retry-policy.ts';
import { FINAL, MachineWorld, RETRY } from './machine-world.ts';

function ops(world: MachineWorld): readonly string[] {
  return world.effects.flatMap((effect) => (effect.kind === 'run' ? [effect.op] : []));
}

function reports(world: MachineWorld): readonly string[] {
  return world.reports.map(({ kind }) => kind);
}

/** Answers the discovery command in flight until none is. */
function settle(world: MachineWorld): void {
  while (world.pending.op !== undefined) world.answerOp();
}

describe('retries', () => {
  test('waits 1, 2, 5, 10, 20, then every 30 s, each a fifth more or less', () => {
    const waits = [1, 2, 3, 4, 5, 6, 7, 100].map((failures) => retryDelayMs(failures, 0.5));
    expect(waits).toEqual([1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 30_000, 30_000]);
    expect(retryDelayMs(1, 0)).toBe(800);
    expect(retryDelayMs(1, 0.999_999)).toBe(1_200);
  });

  test('probes again when the wait is over, not before', () => {
    const world = new MachineWorld('io');
    world.feed({ kind: 'start' });
    world.answerProbe(RETRY);
    world.advance(999);
    expect(world.phase.kind).toBe('waiting-retry');
    world.advance(1);
    expect(world.phase.kind).toBe('probing');
  });

  test('lets the first tries of others go before, for 10 s at most', () => {
    const world = new MachineWorld('io');
    world.feed({ kind: 'start' });
    world.answerProbe(RETRY);
    world.firstTriesWait = true;
    for (const ms of [1_000, 2_000, 2_000, 2_000, 2_000, 1_999]) {
      world.advance(ms);
      expect(world.phase.kind).toBe('waiting-retry');
    }
    world.advance(1);
    expect(world.phase.kind).toBe('probing');
    // The next wait begins anew.
    world.answerProbe(RETRY);
    world.advance(2_000);
    expect(world.phase.kind).toBe('waiting-retry');
    world.firstTriesWait = false;
    world.advance(2_000);
    expect(world.phase.kind).toBe('probing');
  });

  test('does not wait for others where somebody asks for a try', () => {
    const world = new MachineWorld('io');
    world.feed({ kind: 'start' });
    world.answerProbe(RETRY);
    world.firstTriesWait = true;
    world.advance(1_000);
    world.feed({ kind: 'kick' });
    expect(world.phase.kind).toBe('probing');
  });

  test('begins at the shortest wait again after it was connected', () => {
    const world = new MachineWorld('io');
    world.feed({ kind: 'start' });
    for (const wait of [1_000, 2_000, 5_000]) {
      world.answerProbe(RETRY);
      world.advance(wait);
    }
    world.answerProbe();
    world.giveTurn();
    world.answerConnect('made');
    world.lose();
    expect(world.phase.kind).toBe('probing');
    world.answerProbe(RETRY);
    world.advance(1_000);
    expect(world.phase.kind).toBe('probing');
  });

  test('says of each reason in a spell once that it is the first, whatever comes between', () => {
    const world = new MachineWorld('io');
    world.feed({ kind: 'start' });
    for (const code of ['A', 'B', 'A', 'B']) {
      world.answerProbe({ ...RETRY, code });
      world.advance(40_000);
    }
    const firsts = world.reports.map((report) => 'first' in report && report.first);
    expect(firsts).toEqual([true, true, false, false]);
  });

  test('says only of the first failure of a spell that it is the first', () => {
    const world = new MachineWorld('io');
    world.feed({ kind: 'start' });
    world.answerProbe(RETRY);
    world.advance(1_000);
    world.answerProbe(RETRY);
    world.feed({ kind: 'kick' });
    world.answerProbe();
    world.giveTurn();
    world.answerConnect(RETRY);
    const firsts = world.reports.map((report) => 'first' in report && report.first);
    expect(firsts).toEqual([true, false, false]);
  });
});

describe('an address that the probe does not reach', () => {
  function unreachableFor(ms: number): MachineWorld {
    const world = new MachineWorld('io');
    world.feed({ kind: 'start' });
    const end = world.now + ms;
    while (world.now < end) {
      if (world.pending.probe) world.answerProbe(RETRY);
      else if (world.pending.queue !== undefined) return world;
      else world.advance(1_000);
    }
    return world;
  }

  test('is given to the kernel all the same after a minute, as the last in the queue', () => {
    const world = unreachableFor(100_000);
    expect(world.pending.queue).toBe('doubtful');
    expect(world.now - 1_000_000).toBeGreaterThanOrEqual(60_000);
  });

  test('is not given to the kernel again within ten minutes', () => {
    const world = unreachableFor(100_000);
    world.giveTurn();
    world.answerConnect(RETRY);
    const began = world.now;
    while (world.pending.queue === undefined) {
      if (world.pending.probe) world.answerProbe(RETRY);
      else world.advance(1_000);
    }
    expect(world.now - began).toBeGreaterThanOrEqual(600_000);
    expect(world.now - began).toBeLessThan(700_000);
  });

  test('is queued as usual as soon as the probe reaches it', () => {
    const world = unreachableFor(100_000);
    while (!world.pending.probe) world.advance(1_000);
    world.answerProbe();
    expect(world.pending.queue).toBe('repeat');
  });
});

describe('a target that lets the kernel wait, and with it every other connect', () => {
  function hung(): MachineWorld {
    const world = new MachineWorld('io');
    world.feed({ kind: 'start' });
    world.answerProbe();
    world.giveTurn();
    world.answerConnect(RETRY, 60_000);
    return world;
  }

  function probedAgain(world: MachineWorld): MachineWorld {
    while (!world.pending.probe) world.advance(1_000);
    world.answerProbe();
    return world;
  }

  test('is tried again when nothing else waits, and looked at all the while', () => {
    const world = probedAgain(hung());
    expect(world.pending.queue).toBe('doubtful');
    expect(probedAgain(world).pending.queue).toBe('doubtful');
    world.giveTurn();
    world.answerConnect('made');
    expect(world.model.hangs).toBe(false);
  });

  test('is tried like any other if others have waited all the time for half an hour', () => {
    const world = hung();
    const began = world.now;
    while (world.pending.queue !== 'repeat') {
      if (world.pending.probe) world.answerProbe();
      else world.advance(1_000);
    }
    expect(world.now - began).toBeGreaterThanOrEqual(1_800_000);
    expect(world.now - began).toBeLessThan(1_900_000);
  });

  test('is tried as usual after a try that failed at once, or 5 s at the most', () => {
    const world = probedAgain(hung());
    world.giveTurn();
    world.answerConnect(RETRY, 5_000);
    expect(probedAgain(world).pending.queue).toBe('repeat');
  });

  test('is tried at once after a reload', () => {
    const world = probedAgain(hung());
    world.feed({ kind: 'kick' });
    world.answerProbe();
    expect(world.pending.queue).toBe('repeat');
  });

  test('is tried at once after a reload that comes while it is being probed', () => {
    const world = hung();
    while (!world.pending.probe) world.advance(1_000);
    world.feed({ kind: 'kick' });
    world.answerProbe();
    expect(world.pending.queue).toBe('repeat');
  });

  test('is named with the time that it took', () => {
    const reports = hung().reports.filter(({ kind }) => kind === 'connect-failed');
    expect(reports).toMatchObject([{ hungMs: 60_000 }]);
  });
});

describe('the commands after a connection', () => {
  test.each([
    ['none', true, ['read-support', 'read-log']],
    ['', true, ['read-support', 'read-log']],
    ['ddc', true, ['register', 'read-support', 'read-log']],
    ['cdc', true, ['register', 'read-log']],
    ['none', false, ['read-log']],
    ['ddc', false, ['register', 'read-log']],
  ])('of a DC of type "%s" with pleo %s are %j', (dctype, pleo, expected) => {
    const world = new MachineWorld('discovery', { pleo }, { dctype }).steady();
    expect(ops(world)).toEqual(expected);
  });

  test('ask for port-local entries only where the DC supports them', () => {
    const world = new MachineWorld('discovery').connect();
    world.answerOp({ pleo: true });
    expect(world.effects.at(-1)).toMatchObject({ kind: 'run', op: 'read-log', pleo: true });
    const other = new MachineWorld('discovery').connect();
    other.answerOp({ pleo: false });
    expect(other.effects.at(-1)).toMatchObject({ kind: 'run', op: 'read-log', pleo: false });
  });

  test('no longer ask for port-local entries after a reload that disables them', () => {
    const world = new MachineWorld('discovery').connect();
    world.answerOp({ pleo: true });
    world.answerOp();
    world.policy = { ...world.policy, pleo: false };
    world.feed({ kind: 'refresh' });
    expect(world.effects.at(-1)).toMatchObject({ kind: 'run', op: 'read-log', pleo: false });
  });

  test.each([
    ['register', 5_000],
    ['read-support', 5_000],
    ['read-log', 20_000],
  ] as const)('are tried again after a transport failure: %s after %i ms', (op, ms) => {
    const world = new MachineWorld('discovery', {}, { dctype: 'ddc' }).connect();
    while (world.pending.op !== op) world.answerOp();
    world.answerOp(RETRY);
    world.advance(ms - 1);
    expect(world.pending.op).toBeUndefined();
    world.advance(1);
    expect(world.pending.op).toBe(op);
  });

  test.each(['register', 'read-support'] as const)('go on when the DC refuses to %s', (op) => {
    const world = new MachineWorld('discovery', {}, { dctype: 'ddc' }).connect();
    while (world.pending.op !== op) world.answerOp();
    world.answerOp(FINAL);
    settle(world);
    expect(ops(world).at(-1)).toBe('read-log');
    expect(reports(world)).toContain('op-refused');
  });

  test('read the log without port-local entries when Get Supported Log Pages is refused', () => {
    const world = new MachineWorld('discovery').connect();
    world.answerOp(FINAL);
    expect(world.effects.at(-1)).toMatchObject({ kind: 'run', op: 'read-log', pleo: false });
  });

  test('are read again later when the log is refused', () => {
    const world = new MachineWorld('discovery').connect();
    world.answerOp();
    world.answerOp(FINAL);
    world.advance(20_000);
    expect(world.pending.op).toBe('read-log');
  });
});

describe('events', () => {
  test('during a fetch cause one more, however many they are', () => {
    const world = new MachineWorld('discovery', { pleo: false }).connect();
    for (let count = 0; count < 200; count += 1) {
      world.feed({ kind: 'event', event: 'log-changed' });
    }
    settle(world);
    expect(ops(world)).toEqual(['read-log', 'read-log']);
  });

  test('during a fetch that fails cause the next at once', () => {
    const world = new MachineWorld('discovery', { pleo: false }).connect();
    world.feed({ kind: 'event', event: 'log-changed' });
    world.answerOp(RETRY);
    expect(world.pending.op).toBe('read-log');
  });

  test('"connected" right after a connect says nothing new, a later one does', () => {
    const world = new MachineWorld('discovery', { pleo: false }).steady();
    world.advance(100);
    world.feed({ kind: 'event', event: 'connected' });
    expect(ops(world)).toEqual(['read-log']);
    world.feed({ kind: 'event', event: 'connected' });
    expect(ops(world)).toEqual(['read-log', 'read-log']);
  });

  test('"connected" long after a connect begins anew', () => {
    const world = new MachineWorld('discovery', { pleo: false }).steady();
    world.advance(6_000);
    world.feed({ kind: 'event', event: 'connected' });
    expect(world.pending.op).toBe('read-log');
  });

  test('"rediscover" with its "connected" begins anew once', () => {
    const world = new MachineWorld('discovery', {}, { dctype: 'ddc' }).steady();
    const before = ops(world).length;
    world.advance(60_000);
    world.feed({ kind: 'event', event: 'rediscover' });
    world.feed({ kind: 'event', event: 'connected' });
    settle(world);
    expect(ops(world).slice(before)).toEqual(['register', 'read-support', 'read-log']);
  });

  test('"connected" of a connection that was adopted begins anew', () => {
    const world = new MachineWorld('discovery', { pleo: false });
    world.feed({ kind: 'start' });
    world.answerFound();
    settle(world);
    world.feed({ kind: 'event', event: 'connected' });
    expect(world.pending.op).toBe('read-log');
  });
});

describe('"not connected to CDC"', () => {
  test('stops after as many attempts as allowed, and a kick begins again', () => {
    const world = new MachineWorld('io', { maxAttempts: 2 });
    world.feed({ kind: 'start' });
    world.answerProbe();
    world.giveTurn();
    world.answerConnect(RETRY);
    expect(world.phase.kind).toBe('waiting-retry');
    world.advance(1_000);
    world.answerProbe();
    world.giveTurn();
    world.answerConnect(RETRY);
    expect(world.phase.kind).toBe('held');
    world.advance(10_000_000);
    expect(world.phase.kind).toBe('held');
    world.feed({ kind: 'kick' });
    world.answerProbe(RETRY);
    expect(world.phase.kind).toBe('waiting-retry');
  });
});

describe('removal', () => {
  test('during a connect ends in a disconnect once the connect is done', () => {
    const world = new MachineWorld('io');
    world.feed({ kind: 'start' });
    world.answerProbe();
    world.giveTurn();
    world.remove(false);
    expect(world.pending.disconnect).toBe(false);
    world.answerConnect('made');
    expect(world.pending.disconnect).toBe(true);
    world.answerDisconnect();
    expect(world.phase.kind).toBe('gone');
  });

  test.each([
    ['is to be kept', true, 'made'],
    ["was somebody else's", false, 'adopted'],
  ] as const)('during a connect leaves a connection that %s', (_, keep, outcome) => {
    const world = new MachineWorld('io');
    world.feed({ kind: 'start' });
    world.answerProbe();
    world.giveTurn();
    world.remove(keep);
    world.answerConnect(outcome);
    expect(world.phase.kind).toBe('gone');
    expect(world.effects.some(({ kind }) => kind === 'disconnect')).toBe(false);
  });

  test('tries a failed disconnect again until the device is gone', () => {
    const world = new MachineWorld('io').connect();
    world.remove(false);
    world.answerDisconnect(RETRY);
    world.advance(5_000);
    expect(world.pending.disconnect).toBe(true);
    world.answerDisconnect(RETRY);
    world.lose();
    expect(world.phase.kind).toBe('gone');
  });
});
