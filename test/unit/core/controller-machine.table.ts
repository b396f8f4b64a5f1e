/** Every state that the table tests begin in, and every input that they give. */
import type { Input } from '../../../src/core/controller-model.ts';
import { CHANGED, FINAL, MachineWorld, RETRY, kernelController } from './machine-world.ts';

const POLLED = { pollMs: 900_000 };

function doubtful(): MachineWorld {
  const world = new MachineWorld('discovery');
  world.feed({ kind: 'start' });
  for (let tries = 0; tries < 6; tries += 1) {
    world.answerProbe(RETRY);
    world.advance(60_000);
  }
  return world;
}

function removed(world: MachineWorld): MachineWorld {
  world.remove(false);
  return world;
}

function waitingToRead(): MachineWorld {
  const world = new MachineWorld('discovery').connect();
  world.answerOp();
  world.answerOp(RETRY);
  return world;
}

function untilHeld(): MachineWorld {
  const world = new MachineWorld('io', { maxAttempts: 2 });
  world.feed({ kind: 'start' });
  world.answerProbe(RETRY);
  world.advance(2_000);
  world.answerProbe(RETRY);
  return world;
}

function resting(): MachineWorld {
  const world = new MachineWorld('discovery', POLLED).part();
  world.answerDisconnect();
  return world;
}

function started(): MachineWorld {
  const world = new MachineWorld('discovery');
  world.feed({ kind: 'start' });
  return world;
}

function queued(): MachineWorld {
  const world = started();
  world.answerProbe();
  return world;
}

function connecting(): MachineWorld {
  const world = queued();
  world.giveTurn();
  return world;
}

function waiting(): MachineWorld {
  const world = started();
  world.answerProbe(RETRY);
  return world;
}

function hung(): MachineWorld {
  const world = connecting();
  world.answerConnect(RETRY, 60_000);
  return world;
}

/** Hung, tried again, and in the queue for when nothing else waits. */
function hungAndReachable(): MachineWorld {
  const world = hung();
  world.advance(2_000);
  world.answerProbe();
  return world;
}

export const STATES: Readonly<Record<string, () => MachineWorld>> = {
  idle: () => new MachineWorld('discovery'),
  probing: started,
  'probing, doubtful': doubtful,
  queued,
  connecting,
  'waiting, hung': hung,
  'probing, hung': () => {
    const world = hung();
    world.advance(2_000);
    return world;
  },
  'waiting, hung and reachable': hungAndReachable,
  'connected, io': () => new MachineWorld('io').connect(),
  'connected, read-support runs': () => new MachineWorld('discovery').connect(),
  'connected, read-log waits': waitingToRead,
  'connected, steady': () => new MachineWorld('discovery').steady(),
  'waiting-retry': waiting,
  'waiting-retry, doubtful': () => {
    const world = doubtful();
    world.answerProbe(RETRY);
    return world;
  },
  held: untilHeld,
  parting: () => new MachineWorld('discovery', POLLED).part(),
  'parting, asked again': () => {
    const world = new MachineWorld('discovery', POLLED).part();
    world.feed({ kind: 'event', event: 'log-changed' });
    return world;
  },
  resting,
  'resting, due': () => {
    const world = resting();
    world.now += 900_000;
    return world;
  },
  'disposing, was parting': () => removed(new MachineWorld('discovery', POLLED).part()),
  'disposing, was parting, keeping': () => {
    const world = new MachineWorld('discovery', POLLED).part();
    world.remove(true);
    return world;
  },
  'connected, read-log runs, polled': () => {
    const world = new MachineWorld('discovery', POLLED).connect();
    world.answerOp();
    return world;
  },
  'disposing, awaits connect': () => removed(connecting()),
  'disposing, awaits command': () => removed(new MachineWorld('discovery').connect()),
  'disposing, disconnecting': () => removed(new MachineWorld('discovery').steady()),
  'disposing, waits': () => {
    const world = removed(new MachineWorld('discovery').steady());
    world.answerDisconnect(RETRY);
    return world;
  },
  gone: () => removed(started()),
};

const kernel = kernelController();

export const INPUTS: Readonly<Record<string, Input>> = {
  start: { kind: 'start' },
  kick: { kind: 'kick' },
  'network up': { kind: 'network-up' },
  timer: { kind: 'timer' },
  'probed well': { kind: 'probed', error: undefined },
  'probed in vain': { kind: 'probed', error: RETRY },
  found: { kind: 'found', kernel },
  turn: { kind: 'turn' },
  'connected, made': { kind: 'connected', kernel, adopted: false },
  'connected, adopted': { kind: 'connected', kernel, adopted: true },
  'connect failed': { kind: 'connect-failed', error: RETRY, heldMs: 100 },
  'connect hung': { kind: 'connect-failed', error: RETRY, heldMs: 60_000 },
  'seen alive': { kind: 'observed', kernel },
  'seen gone': { kind: 'observed', kernel: undefined },
  'log changed': { kind: 'event', event: 'log-changed' },
  rediscover: { kind: 'event', event: 'rediscover' },
  refresh: { kind: 'refresh' },
  'echo of the connect': { kind: 'event', event: 'connected' },
  'read-log done': { kind: 'done', op: 'read-log' },
  'read-log done, unkept': { kind: 'done', op: 'read-log', persistent: false },
  'read-support done': { kind: 'done', op: 'read-support', pleo: true },
  'read-support failed': { kind: 'failed', op: 'read-support', error: RETRY },
  'read-support refused': { kind: 'failed', op: 'read-support', error: FINAL },
  remove: { kind: 'remove', keepConnection: false },
  'remove, keeping': { kind: 'remove', keepConnection: true },
  disconnected: { kind: 'disconnected' },
  'disconnect failed': { kind: 'disconnect-failed', error: RETRY },
  'device changed': { kind: 'disconnect-failed', error: CHANGED },
};

/** The phase and, where it has parts, the part. */
export function nameState({ phase }: MachineWorld): string {
  switch (phase.kind) {
    case 'connected':
      switch (phase.work.kind) {
        case 'none':
        case 'steady':
          return `connected ${phase.work.kind}`;
        case 'waiting':
          return `connected waiting ${phase.work.op}`;
        case 'running': {
          const again = phase.work.again === undefined ? '' : ` then ${phase.work.again}`;
          return `connected running ${phase.work.op}${again}`;
        }
      }
      break;
    case 'parting':
      return phase.again ? 'parting then again' : 'parting';
    case 'disposing':
      return `disposing ${phase.step.kind}`;
    case 'idle':
    case 'probing':
    case 'queued':
    case 'connecting':
    case 'waiting-retry':
    case 'resting':
    case 'held':
    case 'gone':
  }
  return phase.kind;
}
