/** The words of the state machine of one controller: its model, what it takes, what it asks for. */
import type { KernelController } from '../nvme/kernel-controller.ts';

/** Why an operation failed; `final` ones fail again until something is changed. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly errorClass: 'retry' | 'final';
}

/** The three steps after a discovery controller is connected, in their order. */
export type DiscoveryOp = 'register' | 'read-support' | 'read-log';

/** Where a discovery controller's commands stand; `none` for I/O controllers. */
export type DiscoveryWork =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'running';
      readonly op: DiscoveryOp;
      /** The earliest step that an event asked for meanwhile. */
      readonly again: DiscoveryOp | undefined;
    }
  | {
      readonly kind: 'waiting';
      readonly op: DiscoveryOp;
      readonly until: number;
      readonly error: Failure;
    }
  | { readonly kind: 'steady' };

export type Phase =
  | { readonly kind: 'idle' }
  /** Looking whether the kernel has it already, then whether the address answers. */
  | { readonly kind: 'probing' }
  | { readonly kind: 'queued' }
  | { readonly kind: 'connecting' }
  | { readonly kind: 'connected'; readonly kernel: KernelController; readonly work: DiscoveryWork }
  /** `latest`: it was due, and lets the first tries of others go before, until then. */
  | { readonly kind: 'waiting-retry'; readonly until: number; readonly latest?: number }
  /**
   * The log of a DC that keeps no persistent connections was read, and its connection is being
   * ended until the next poll. `again`: something asked for it meanwhile, so that is at once.
   */
  | { readonly kind: 'parting'; readonly kernel: KernelController; readonly again: boolean }
  /** Not connected between two polls, which are `everyMs` apart. */
  | { readonly kind: 'resting'; readonly everyMs: number; readonly until: number }
  /** Tried as often as allowed while its entry says "not connected to CDC". */
  | { readonly kind: 'held'; readonly why: 'ncc' }
  | { readonly kind: 'disposing'; readonly step: DisposalStep }
  | { readonly kind: 'gone' };

export type DisposalStep =
  | { readonly kind: 'awaiting-connect'; readonly keepConnection: boolean }
  | {
      readonly kind: 'awaiting-operation';
      readonly kernel: KernelController;
      readonly keepConnection: boolean;
    }
  | {
      readonly kind: 'disconnecting';
      readonly kernel: KernelController;
      /** It was parting when it was removed: should the disconnect fail, it is left at that. */
      readonly keepConnection: boolean;
    }
  | { readonly kind: 'waiting'; readonly kernel: KernelController; readonly until: number };

export interface ControllerModel {
  readonly kind: 'discovery' | 'io';
  readonly phase: Phase;
  /** Tries since it was last connected, probes that found nothing included. */
  readonly attempts: number;
  readonly lastError: Failure | undefined;
  /** Time of the first failure since it was last connected. */
  readonly failingSince: number | undefined;
  /** Codes of the failures since then: each is told to people once. */
  readonly toldCodes: readonly string[];
  /**
   * Since when it is out of reach: its connection was lost, or it was looked for in vain. Undefined
   * while it is connected, and from then on through the polls that succeed.
   */
  readonly outOfReachSince: number | undefined;
  /**
   * Since when the kernel has been without its connection, and still after it gave up, until there is
   * a live one: what people are told. (A DC's time is over by `outOfReachSince` alone.)
   */
  readonly interruptedSince: number | undefined;
  /** An entry of last resort stands in the connect queue, beside the probing. */
  readonly doubtful: boolean;
  /**
   * The kernel's last try failed after so long that others had to wait for it: the next one is of
   * last resort, too, though the probe succeeds.
   */
  readonly hangs: boolean;
  /** When the kernel's last try failed. */
  readonly kernelFailed: number | undefined;
  /** Whether the DC supports port-local entries; known after `read-support`. */
  readonly pleo: boolean;
  /** Failures in a row of the discovery command at hand. */
  readonly opFailures: number;
  /**
   * Until when one `connected` event is still to come from the connect or the `rediscover` event
   * that was already acted on: the kernel sends it in the same breath, and it says nothing more.
   */
  readonly echoUntil: number | undefined;
  /**
   * Until when the kernel's event of a connection that was seen already, made again or adopted, may
   * still come: it was told, and is acted on all the same.
   */
  readonly toldUntil: number | undefined;
}

export type Input =
  | { readonly kind: 'start' }
  /** Try now: reload, an NCC bit that was cleared. */
  | { readonly kind: 'kick' }
  /** What cannot be reached may be now: a link, an address or a route came up. */
  | { readonly kind: 'network-up' }
  | { readonly kind: 'timer' }
  | { readonly kind: 'probed'; readonly error: Failure | undefined }
  /** The kernel has this connection already: seen before the probe, or before the start. */
  | { readonly kind: 'found'; readonly kernel: KernelController }
  | { readonly kind: 'turn' }
  | { readonly kind: 'connected'; readonly kernel: KernelController; readonly adopted: boolean }
  | {
      readonly kind: 'connect-failed';
      readonly error: Failure;
      /** Milliseconds that the kernel, which makes one connection at a time, spent on it. */
      readonly heldMs: number;
    }
  /** What the kernel has now for the device that this controller holds. */
  | { readonly kind: 'observed'; readonly kernel: KernelController | undefined }
  | { readonly kind: 'event'; readonly event: 'connected' | 'rediscover' | 'log-changed' }
  /** Begin again with step 1 (reload). */
  | { readonly kind: 'refresh' }
  | {
      readonly kind: 'done';
      readonly op: DiscoveryOp;
      /** Of `read-support`: whether the DC supports port-local entries. */
      readonly pleo?: boolean;
      /** Of `read-log`: false if the DC says that it keeps no persistent connections. */
      readonly persistent?: boolean;
    }
  | { readonly kind: 'failed'; readonly op: DiscoveryOp; readonly error: Failure }
  | { readonly kind: 'remove'; readonly keepConnection: boolean }
  | { readonly kind: 'disconnected' }
  | { readonly kind: 'disconnect-failed'; readonly error: Failure };

/** `doubtful` entries get a turn only when nothing else waits. */
export type QueueLane = 'first' | 'repeat' | 'doubtful';

export type Effect =
  | { readonly kind: 'probe' }
  | { readonly kind: 'cancel-probe' }
  | { readonly kind: 'enqueue'; readonly lane: QueueLane }
  | { readonly kind: 'dequeue' }
  | { readonly kind: 'connect' }
  | { readonly kind: 'disconnect'; readonly kernel: KernelController }
  | {
      readonly kind: 'run';
      readonly op: DiscoveryOp;
      readonly kernel: KernelController;
      readonly pleo: boolean;
    }
  | { readonly kind: 'report'; readonly report: Report }
  | { readonly kind: 'gone' };

/** Who found that a controller cannot be connected: the probe of its address, or the kernel. */
export type ConnectStage = 'probe' | 'kernel';

/** What an operator should hear: one when a spell of failures begins, one when it ends. */
export type Report =
  | {
      readonly kind: 'connected';
      readonly adopted: boolean;
      readonly device: string;
      readonly attempts: number;
    }
  | {
      readonly kind: 'connect-failed';
      readonly error: Failure;
      /** Of its code, since it was last connected. */
      readonly first: boolean;
      readonly delayMs: number;
      /** How long others had to wait for it, where that was long. */
      readonly hungMs: number | undefined;
      readonly stage: ConnectStage;
    }
  | {
      readonly kind: 'held';
      readonly attempts: number;
      readonly error: Failure;
      readonly stage: ConnectStage;
    }
  | { readonly kind: 'lost'; readonly device: string }
  /** The kernel lost the connection, and tries to make it again. */
  | { readonly kind: 'interrupted'; readonly device: string; readonly state: string }
  /** It has made it. `noticed`: after `interrupted`, which short ones are not seen to be. */
  | { readonly kind: 'restored'; readonly device: string; readonly noticed: boolean }
  | { readonly kind: 'parting'; readonly device: string; readonly everyMs: number }
  | {
      readonly kind: 'op-failed';
      readonly op: DiscoveryOp;
      readonly error: Failure;
      readonly first: boolean;
      readonly delayMs: number;
    }
  | { readonly kind: 'op-refused'; readonly op: DiscoveryOp; readonly error: Failure }
  /** Told by the driver, as is `spared`: only there it is known which of the two it is. */
  | { readonly kind: 'disconnecting'; readonly device: string }
  /** Told by the driver, too, after `disconnecting`. */
  | { readonly kind: 'disconnected'; readonly device: string }
  /** `why` continues "it is …". */
  | { readonly kind: 'spared'; readonly device: string; readonly why: string }
  | { readonly kind: 'disconnect-failed'; readonly error: Failure; readonly device: string };

/** What the configuration says of this controller now. */
export interface Policy {
  /** Ask DCs that support it for port-local entries only. */
  readonly pleo: boolean;
  /** Stop after this many attempts; 0 never stops. */
  readonly maxAttempts: number;
  /**
   * How long a DC that keeps no persistent connections rests between two polls; undefined holds
   * every connection.
   */
  readonly pollMs: number | undefined;
}

export interface StepContext {
  /** Milliseconds, monotonic. */
  readonly now: number;
  /** A number in [0, 1), for the jitter of retries. */
  readonly random: number;
  readonly policy: Policy;
  /** Others that answered wait to be handed to the kernel for the first time. */
  readonly firstTriesWait: boolean;
}

export interface Step {
  readonly model: ControllerModel;
  readonly effects: readonly Effect[];
}

/** `phase`: of one that rested between two polls when it was last known, `resting`. */
export function newController(
  kind: 'discovery' | 'io',
  phase: Extract<Phase, { readonly kind: 'idle' | 'resting' }> = { kind: 'idle' },
): ControllerModel {
  return {
    kind,
    phase,
    outOfReachSince: undefined,
    interruptedSince: undefined,
    attempts: 0,
    lastError: undefined,
    failingSince: undefined,
    toldCodes: [],
    doubtful: false,
    hangs: false,
    kernelFailed: undefined,
    pleo: false,
    opFailures: 0,
    echoUntil: undefined,
    toldUntil: undefined,
  };
}

/** When this controller acts next by itself, in milliseconds of the clock, or undefined. */
export function deadline(model: ControllerModel): number | undefined {
  const { phase } = model;
  switch (phase.kind) {
    case 'waiting-retry':
    case 'resting':
      return phase.until;
    case 'connected':
      return phase.work.kind === 'waiting' ? phase.work.until : undefined;
    case 'disposing':
      return phase.step.kind === 'waiting' ? phase.step.until : undefined;
    case 'idle':
    case 'probing':
    case 'queued':
    case 'connecting':
    case 'held':
    case 'parting':
    case 'gone':
      return undefined;
  }
}
