/**
 * What stafd knows, over D-Bus.
 *
 * Invariants:
 * - `current` is unknown from the moment that stafd leaves the bus, or does not answer, until the
 *   next whole answer; an answer of an owner of the name that is gone is dropped;
 * - at most one question is under way and one waits: a signal during a question causes one more;
 * - what another process says is checked like what a network says.
 */
import { known, unknown, type Answer } from '../core/answer.ts';
import { BY_SETTING } from '../core/removal-brake.ts';
import { retryDelayMs } from '../core/retry-policy.ts';
import { tidKey, type TidKey } from '../nvme/transport-id.ts';
import { BusError, type Bus } from '../ports/bus.ts';
import type { Disposable } from '../ports/disposable.ts';
import { toPortError } from '../ports/errors.ts';
import type { Clock } from '../ports/host.ts';
import type { Log } from '../ports/log.ts';
import type { DiscoveryState, ReportedDc } from './plan.ts';
import { parseAllLogPages, parseDiscoveryState, type SaidState } from './stafd-answers.ts';
import { SteadyAnswers } from './steady-answers.ts';

const STAFD_NAME = 'org.nvmexpress.staf';
const STAFD_PATH = '/org/nvmexpress/staf';
const STAFD_INTERFACE = 'org.nvmexpress.staf';
const STAFD_V1_INTERFACE = 'org.nvmexpress.staf.v1';

/** A daemon that is busy on a slow host answers late; one that hangs must not be waited for. */
const CALL_TIMEOUT_MS = 30_000;

export interface DiscoverySourceDeps {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly changed: () => void;
}

export class DiscoverySource implements Disposable {
  readonly #deps: DiscoverySourceDeps;
  #current: Answer<DiscoveryState> = unknown('stafd was not asked yet');
  #owner: string | undefined;
  /** DCs that this owner has listed. */
  #listed = new Set<TidKey>();
  #steady = new SteadyAnswers();
  #asking = false;
  #askAgain = false;
  #failures = 0;
  #next: Disposable | undefined;
  #disposed = false;

  constructor(deps: DiscoverySourceDeps) {
    this.#deps = deps;
  }

  current(): Answer<DiscoveryState> {
    return this.#current;
  }

  /** Begins to follow stafd; resolves when its signals cannot be missed any more. */
  async start(): Promise<void> {
    const { bus } = this.#deps;
    for (const interfaceName of [STAFD_INTERFACE, STAFD_V1_INTERFACE]) {
      await bus.subscribe({ sender: STAFD_NAME, interfaceName }, (signal) => {
        if (SIGNALS.has(signal.member)) this.refresh();
      });
    }
    await bus.watchName(STAFD_NAME, (owner) => {
      this.#onOwner(owner);
    });
  }

  /** Asks again, soon. */
  refresh(): void {
    if (this.#disposed || this.#owner === undefined) return;
    this.#next?.dispose();
    this.#next = undefined;
    if (this.#asking) {
      this.#askAgain = true;
      return;
    }
    this.#asking = true;
    void this.#ask();
  }

  /** Has stafd read all logs again; then what it says is younger than this. */
  async confirm(): Promise<void> {
    const owner = this.#owner;
    if (owner === undefined || this.#disposed) return;
    try {
      await this.#call(owner, STAFD_V1_INTERFACE, 'read_logs_again', '', []);
    } catch (thrown) {
      this.#deps.log.debug(`stafd does not read the logs again: ${toPortError(thrown).message}`);
    }
    // What it says of DCs that it has removed.
    this.refresh();
  }

  dispose(): void {
    this.#disposed = true;
    this.#next?.dispose();
  }

  #onOwner(owner: string | undefined): void {
    if (this.#disposed || owner === this.#owner) return;
    this.#owner = owner;
    this.#listed = new Set();
    this.#steady = new SteadyAnswers();
    this.#failures = 0;
    this.#deps.log.debug(owner === undefined ? 'stafd left the bus' : 'stafd is on the bus');
    this.#set(unknown(owner === undefined ? 'stafd is not running' : 'stafd was not asked yet'));
    this.refresh();
  }

  #set(answer: Answer<DiscoveryState>): void {
    this.#current = answer;
    this.#deps.changed();
  }

  async #ask(): Promise<void> {
    do {
      this.#askAgain = false;
      const owner = this.#owner;
      if (owner === undefined) break;
      const askedAt = this.#deps.clock.now();
      try {
        const said = await this.#question(owner);
        if (this.#owner === owner && !this.#disposed) {
          this.#failures = 0;
          this.#set(known(this.#understand(said, askedAt)));
        }
      } catch (thrown) {
        if (this.#owner === owner && !this.#disposed) this.#failed(thrown);
      }
      // Disposed of, or the owner changed, while it was asked.
    } while (this.#again());
    this.#asking = false;
  }

  /** What follows from an answer and from those before it. */
  #understand(said: SaidState, askedAt: number): DiscoveryState {
    if (said.kind === 'original') {
      const { askAgainAt, state } = this.#steady.take(said, askedAt);
      this.#askLater(askAgainAt);
      return state;
    }
    // Its list loses a DC only by its removal.
    const removed = new Map([...this.#listed].map((key) => [key, askedAt]));
    for (const { key, statedAt } of said.removed) {
      removed.set(key, statedAt === 'by-setting' ? BY_SETTING : askedAt - statedAt.age);
    }
    const controllers = said.controllers.map(({ age, events, ...dc }): ReportedDc => {
      const key = tidKey(dc.tid);
      removed.delete(key);
      this.#listed.add(key);
      const heard = events && { number: events.number, heardAt: askedAt - events.age };
      return { ...dc, readAt: askedAt - age, events: heard };
    });
    return { settled: said.settled, askedAt, controllers, removed };
  }

  #askLater(at: number): void {
    this.#next?.dispose();
    this.#next = undefined;
    if (at === Infinity) return;
    const { clock } = this.#deps;
    this.#next = clock.setTimer(Math.max(0, at - clock.now()), () => {
      this.refresh();
    });
  }

  #again(): boolean {
    return this.#askAgain && !this.#disposed && this.#owner !== undefined;
  }

  #failed(thrown: unknown): void {
    const { clock, log, random } = this.#deps;
    this.#failures += 1;
    const { message } = toPortError(thrown);
    const text = `stafd does not answer: ${message}. Connections stay as they are`;
    if (this.#failures === 1) log.warning(text);
    else log.debug(text);
    this.#set(unknown(`stafd does not answer: ${message}`));
    this.#askLater(clock.now() + retryDelayMs(this.#failures, random()));
  }

  async #question(owner: string): Promise<SaidState> {
    try {
      const text = await this.#call(owner, STAFD_V1_INTERFACE, 'get_discovery_state', '', []);
      return parseDiscoveryState(text, this.#deps.log);
    } catch (thrown) {
      if (!(thrown instanceof BusError) || !NOT_THERE.has(thrown.errorName)) throw thrown;
    }
    const all = await this.#call(owner, STAFD_INTERFACE, 'get_all_log_pages', 'b', [false]);
    return parseAllLogPages(all, this.#deps.log);
  }

  async #call(
    destination: string,
    interfaceName: string,
    member: string,
    inSignature: string,
    args: readonly unknown[],
  ): Promise<string> {
    const [text] = await this.#deps.bus.call({
      destination,
      path: STAFD_PATH,
      interfaceName,
      member,
      inSignature,
      args,
      timeoutMs: CALL_TIMEOUT_MS,
    });
    if (typeof text !== 'string') throw new Error(`${member} did not answer with a string`);
    return text;
  }
}

const SIGNALS: ReadonlySet<string> = new Set([
  'log_pages_changed',
  'dc_removed',
  'discovery_state_changed',
]);

/** nvme-stas's own stafd, which has no such interface. */
const NOT_THERE: ReadonlySet<string> = new Set([
  'org.freedesktop.DBus.Error.UnknownMethod',
  'org.freedesktop.DBus.Error.UnknownInterface',
  'org.freedesktop.DBus.Error.UnknownObject',
]);
