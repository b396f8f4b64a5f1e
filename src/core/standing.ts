/**
 * How a controller stands, for people and programs: what it is doing, why, and what comes next. Pure.
 */
import type { ControllerModel, DiscoveryOp } from './controller-model.ts';

/**
 * One word each, and part of the public interface: words are added, never changed.
 *
 * - `connected`: the kernel has the connection, and it is live
 * - `reconnecting`: the kernel lost it and tries to make it again
 * - `starting`: known, and not looked at yet
 * - `probing`: its address is tried before the kernel is asked
 * - `queued`: it answers, and waits for its turn with the kernel
 * - `connecting`: the kernel is making the connection
 * - `waiting`: the last try failed; the next one has its time
 * - `held`: tried as often as allowed while its entry says "not connected to CDC"
 * - `resting`: not connected between two polls
 * - `disconnecting`: on its way out
 */
export const STATES = [
  'connected',
  'reconnecting',
  'starting',
  'probing',
  'queued',
  'connecting',
  'waiting',
  'held',
  'resting',
  'disconnecting',
] as const;

export type StandingState = (typeof STATES)[number];

export interface Standing {
  readonly state: StandingState;
  /** Why it is in this state: continues "because". Empty where the state says it all. */
  readonly why: string;
  /** What happens next by itself: begins a sentence. Empty if nothing does. */
  readonly next: string;
  /** In how many milliseconds; undefined where that is not up to this host's clock. */
  readonly nextInMs: number | undefined;
  /** For how many milliseconds it has been out of reach; undefined while it is not. */
  readonly outOfReachMs: number | undefined;
}

type Step = Pick<Standing, 'state' | 'why' | 'next'> & { readonly until?: number };

/** `now`: on the clock of the model, milliseconds. */
export function standing(model: ControllerModel, now: number): Standing {
  const { next, state, until, why } = step(model);
  const since = model.interruptedSince ?? model.outOfReachSince;
  return {
    state,
    why,
    next,
    nextInMs: until === undefined ? undefined : Math.max(0, until - now),
    outOfReachMs: since === undefined ? undefined : Math.max(0, now - since),
  };
}

function step(model: ControllerModel): Step {
  const { phase } = model;
  const failure = model.lastError?.message ?? '';
  switch (phase.kind) {
    case 'idle':
      return { state: 'starting', why: '', next: 'it is looked for in the kernel' };
    case 'probing':
      return { state: 'probing', why: failure, next: 'it is connected once it answers' };
    case 'queued':
      return {
        state: 'queued',
        why: 'the kernel makes one connection at a time',
        next: 'it is connected when it is its turn',
      };
    case 'connecting':
      return { state: 'connecting', why: '', next: 'the kernel answers' };
    case 'waiting-retry':
      return {
        state: 'waiting',
        why: model.hangs ? `${failure}; its last try held up all others` : failure,
        next: 'it is tried again',
        until: phase.latest ?? phase.until,
      };
    case 'held':
      return {
        state: 'held',
        why: `its log page entry says that it is not connected to a CDC (NCC), and ${String(model.attempts)} attempts are allowed then (connect-attempts-on-ncc)`,
        next: 'it is tried again when the entry no longer says so, or after a reload',
      };
    case 'parting':
      return {
        state: 'disconnecting',
        why: 'it keeps no persistent connections, and its log was read',
        next: phase.again ? 'it is connected again at once' : 'it rests until the next poll',
      };
    case 'resting':
      return {
        state: 'resting',
        why: 'it keeps no persistent connections, and its log was read',
        next: 'it is connected to read its log again',
        until: phase.until,
      };
    case 'disposing':
    case 'gone':
      return { state: 'disconnecting', why: 'it is no longer wanted', next: '' };
    case 'connected':
      return connectedStep(phase);
  }
}

type Connected = Extract<ControllerModel['phase'], { readonly kind: 'connected' }>;

function connectedStep({ kernel, work }: Connected): Step {
  if (kernel.state !== '' && kernel.state !== 'live') {
    return {
      state: 'reconnecting',
      why: `the kernel lost the connection (its state is ${kernel.state})`,
      next: 'the kernel tries until ctrl-loss-tmo is over; then it is connected anew',
    };
  }
  const state = 'connected';
  switch (work.kind) {
    case 'none':
    case 'steady':
      return { state, why: '', next: '' };
    case 'running':
      return { state, why: '', next: `the answer to: ${opWords(work.op)}` };
    case 'waiting': {
      const why = `failed to ${opWords(work.op)}: ${work.error.message}`;
      return { state, why, next: 'that is tried again', until: work.until };
    }
  }
}

/** What a step after the connect does, as words that continue "to". */
export function opWords(op: DiscoveryOp): string {
  switch (op) {
    case 'register':
      return 'register with the discovery controller';
    case 'read-support':
      return 'get the supported log pages';
    case 'read-log':
      return 'get the discovery log page';
  }
}
