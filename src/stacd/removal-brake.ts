/**
 * Carries out what core/removal-brake.ts decides: looks up what is in use, says what is held and
 * why, and has stafd read the logs again that ask for it.
 *
 * Invariants:
 * - nothing that would lose its last path goes before it was looked up what uses it; that it cannot
 *   be found out counts as use;
 * - a path is no other path if it is on its way out, or may have gone since the look;
 * - each removal that is held is said once, and once more when it goes or is asked for no longer.
 */
import {
  BY_SETTING,
  brake,
  NO_LIMIT,
  type BrakeVerdict,
  type HeldRemoval,
} from '../core/removal-brake.ts';
import { describeNamespace, losesUse, type NamespaceUse } from '../nvme/block-use.ts';
import type { KernelController } from '../nvme/kernel-controller.ts';
import type { BlockUses } from '../ports/block-use.ts';
import type { Disposable } from '../ports/disposable.ts';
import { toPortError } from '../ports/errors.ts';
import type { Clock } from '../ports/host.ts';
import type { Log, LogFields } from '../ports/log.ts';

/** What was looked up counts for so long, and for one decision: that is made right after it. */
const USES_VALID_MS = 30_000;
/** It is files of sysfs and proc that are read: longer, and it is known that they do not answer. */
const LOOK_UP_MS = 10_000;
/** How long stafd is left alone after it was asked to read the logs: twice as long each time. */
const ASK_FIRST_MS = 30_000;
const ASK_LAST_MS = 600_000;
/** Errors of what is held, after one that sums it up; the others are for the history of each. */
const MAX_LINES = 8;

export interface RemovalBrakeDeps {
  readonly blockUses: BlockUses;
  readonly clock: Clock;
  readonly log: Log;
  /** Has the statements made again that removals rest on. */
  readonly confirm: () => void;
  /** A look is to be taken at everything again. */
  readonly mark: () => void;
  /** The controllers that are on their way out already, whoever decided it: `nvme3`. */
  readonly leaving: () => readonly string[];
  /** When the last connection was given up, milliseconds: a look from before it does not count. */
  readonly droppedAt: () => number;
}

/** A connection that is to be dropped. */
export interface Drop {
  /** Names it as long as it is to be dropped. */
  readonly key: string;
  /** For people. */
  readonly name: string;
  readonly fields: LogFields;
  /** Undefined if there is none now. */
  readonly kernel: KernelController | undefined;
  readonly why: string;
  /** When the oldest statement was made that it rests on, milliseconds; or BY_SETTING. */
  readonly statedAt: number;
}

export interface BrakeLimits {
  /** How many connections there are, those that are to be dropped included. */
  readonly connections: number;
  /** Per cent of them. */
  readonly limit: number;
}

type Uses =
  | { readonly kind: 'known'; readonly of: ReadonlyMap<string, readonly NamespaceUse[]> }
  | { readonly kind: 'failed'; readonly why: string };

export class RemovalBrake implements Disposable {
  readonly #deps: RemovalBrakeDeps;
  #held: ReadonlyMap<string, HeldRemoval> = new Map();
  /** All that were to be dropped when it was last decided. */
  #drops: ReadonlyMap<string, Drop> = new Map();
  /** By instance of the controllers that were asked about. */
  #uses:
    | {
        readonly instances: ReadonlySet<string>;
        readonly begun: number;
        readonly ended: number;
        readonly uses: Uses;
      }
    | undefined;
  #reading = false;
  #askedAt = -Infinity;
  #askEvery = ASK_FIRST_MS;
  #asked: ReadonlySet<string> = new Set();
  #timer: Disposable | undefined;
  #disposed = false;

  constructor(deps: RemovalBrakeDeps) {
    this.#deps = deps;
  }

  /** Which of all connections that are to be dropped now are held, and why. */
  hold(drops: readonly Drop[], limits: BrakeLimits): ReadonlyMap<string, string> {
    const doubtful = this.#doubtful(drops, limits);
    const unheld = doubtful.filter(({ key }) => !this.#held.has(key));
    if (unheld.length > 0 && !this.#looksUp(unheld)) {
      // Soon known. What was held already is not decided before, either.
      void this.#lookUp(doubtful);
      return new Map(doubtful.map(({ key }) => [key, WAITS]));
    }
    const going = new Set([
      ...drops.flatMap(({ kernel }) => kernel?.device ?? []),
      ...this.#deps.leaving(),
    ]);
    const before = this.#held;
    const verdict = this.#decide(doubtful, limits, (drop) => this.#inUse(drop, going));
    this.#held = verdict.held;
    // For this decision only: what is not used now may be at the next one.
    this.#uses = undefined;
    this.#say(before, drops, doubtful, limits);
    this.#drops = new Map(drops.map((drop) => [drop.key, drop]));
    const { next, toConfirm } = verdict;
    if (toConfirm.length > 0) this.#confirm(toConfirm);
    else this.#asked = new Set();
    this.#arm(toConfirm.length > 0 ? this.#askedAt + this.#askEvery : next);
    return described(verdict.held);
  }

  /**
   * What `hold` would hold, as far as it follows from numbers alone: what is in use is not looked
   * up. Changes nothing.
   */
  preview(drops: readonly Drop[], limits: BrakeLimits): ReadonlyMap<string, string> {
    const doubtful = this.#doubtful(drops, limits);
    return described(this.#decide(doubtful, limits, () => undefined).held);
  }

  /** What is held, for people. */
  info(): Record<string, unknown> {
    const named = [...this.#held].map(([key, { why }]) => [this.#drops.get(key)?.name ?? key, why]);
    return Object.fromEntries(named) as Record<string, unknown>;
  }

  dispose(): void {
    this.#disposed = true;
    this.#timer?.dispose();
  }

  #doubtful(drops: readonly Drop[], { limit }: BrakeLimits): readonly Drop[] {
    if (limit >= NO_LIMIT) return [];
    return drops.filter(
      // One that is held and was lost meanwhile is still to be connected again.
      ({ kernel, key, statedAt }) =>
        statedAt !== BY_SETTING && (kernel !== undefined || this.#held.has(key)),
    );
  }

  #decide(
    doubtful: readonly Drop[],
    limits: BrakeLimits,
    inUse: (drop: Drop) => string | undefined,
  ): BrakeVerdict {
    return brake({
      ...limits,
      now: this.#deps.clock.now(),
      removals: doubtful.map((drop) => ({
        key: drop.key,
        statedAt: drop.statedAt,
        inUse: inUse(drop),
      })),
      held: this.#held,
    });
  }

  /** Whether what is in use on them is known. */
  #looksUp(drops: readonly Drop[]): boolean {
    const found = this.#uses;
    const { clock, droppedAt } = this.#deps;
    if (found === undefined || clock.now() - found.ended > USES_VALID_MS) return false;
    if (found.begun <= droppedAt()) return false;
    return drops.every(({ kernel }) => found.instances.has(kernel?.instance ?? ''));
  }

  async #lookUp(drops: readonly Drop[]): Promise<void> {
    if (this.#reading) return;
    this.#reading = true;
    const kernels = drops.flatMap(({ kernel }) => kernel ?? []);
    const { clock, mark } = this.#deps;
    const begun = clock.now();
    const uses = await this.#read(kernels.map(({ device }) => device));
    this.#reading = false;
    this.#uses = {
      instances: new Set(kernels.map(({ instance }) => instance)),
      begun,
      ended: clock.now(),
      uses,
    };
    if (!this.#disposed) mark();
  }

  #read(devices: readonly string[]): Promise<Uses> {
    const { blockUses, clock } = this.#deps;
    return new Promise((resolve) => {
      const timer = clock.setTimer(LOOK_UP_MS, () => {
        resolve({ kind: 'failed', why: 'no answer in time' });
      });
      blockUses
        .read(devices)
        .then(
          (of): Uses => ({ kind: 'known', of }),
          (thrown: unknown): Uses => ({ kind: 'failed', why: toPortError(thrown).message }),
        )
        .then((uses) => {
          timer.dispose();
          resolve(uses);
        }, resolve);
    });
  }

  #inUse({ kernel }: Drop, going: ReadonlySet<string>): string | undefined {
    const uses = this.#uses?.uses;
    // One that was held before needs no look.
    if (uses === undefined || kernel === undefined) return undefined;
    if (uses.kind === 'failed') return `what uses it cannot be found out: ${uses.why}`;
    const lost = (uses.of.get(kernel.device) ?? []).filter((it) => losesUse(it, going));
    if (lost.length === 0) return undefined;
    return lost.map((namespace) => describeNamespace(namespace, going)).join('; ');
  }

  #say(
    before: ReadonlyMap<string, HeldRemoval>,
    drops: readonly Drop[],
    doubtful: readonly Drop[],
    { connections }: BrakeLimits,
  ): void {
    const { log } = this.#deps;
    const fresh = doubtful.filter(({ key }) => this.#held.has(key) && !before.has(key));
    if (fresh.length > 0) {
      log.error(
        `Held back: ${fresh.length} of ${connections} connections would be dropped. They stay until what asks for it is confirmed (disconnect-limit)`,
      );
    }
    for (const [index, { fields, key, name, why }] of fresh.entries()) {
      const level = index < MAX_LINES ? 'error' : 'info';
      log[level](`${name} - Held back: ${why}; but ${this.#held.get(key)?.why ?? ''}`, fields);
    }
    const ended = new Set([...before.keys()].filter((key) => !this.#held.has(key)));
    const count = (list: readonly Drop[]): number =>
      list.filter(({ key }) => ended.has(key)).length;
    const confirmed = count(doubtful);
    const bySetting = count(drops) - confirmed;
    const back = ended.size - confirmed - bySetting;
    const going = new Set(drops.map(({ key }) => key));
    for (const key of ended) {
      const drop = going.has(key) ? undefined : this.#drops.get(key);
      if (drop !== undefined) log.info(`${drop.name} - No longer to be dropped`, drop.fields);
    }
    if (confirmed > 0) log.notice(`Confirmed: ${confirmed} of the connections held back go now`);
    if (bySetting > 0) {
      log.notice(`By a setting: ${bySetting} of the connections held back go now`);
    }
    if (back > 0) log.notice(`No longer to be dropped: ${back} of the connections held back`);
  }

  /** One that is not confirmed for long (its DC is away) does not have all logs read all the time. */
  #confirm(keys: readonly string[]): void {
    const { clock, confirm, log } = this.#deps;
    const again = keys.every((key) => this.#asked.has(key));
    if (!again) this.#askEvery = ASK_FIRST_MS;
    if (clock.now() < this.#askedAt + this.#askEvery) return;
    if (again) this.#askEvery = Math.min(2 * this.#askEvery, ASK_LAST_MS);
    this.#asked = new Set(keys);
    this.#askedAt = clock.now();
    log.debug('The discovery logs are to be read again before connections are dropped');
    confirm();
  }

  #arm(at: number): void {
    this.#timer?.dispose();
    this.#timer = undefined;
    if (at === Infinity || this.#disposed) return;
    const { clock, mark } = this.#deps;
    this.#timer = clock.setTimer(Math.max(0, at - clock.now()), mark);
  }
}

function described(held: ReadonlyMap<string, HeldRemoval>): ReadonlyMap<string, string> {
  return new Map([...held].map(([key, { why }]) => [key, `${HELD}: ${why}`]));
}

const WAITS = 'what is in use on it is being looked up';
const HELD = 'held back until it is confirmed';
