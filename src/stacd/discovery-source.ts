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
import { retryDelayMs } from '../core/retry-policy.ts';
import { dictToEntry, type DiscoveryEntry } from '../nvme/discovery-log.ts';
import { tidKey, type TidKey, type TransportId } from '../nvme/transport-id.ts';
import { BusError, type Bus } from '../ports/bus.ts';
import type { Disposable } from '../ports/disposable.ts';
import { toPortError } from '../ports/errors.ts';
import type { Clock } from '../ports/host.ts';
import type { Log } from '../ports/log.ts';
import { hostIdFrom, isRecord, tidFromDict } from '../runtime/json-checks.ts';
import type { DiscoveryState, ReportedDc } from './plan.ts';

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
  /** The DCs that this owner has listed; true where it has shown a log with entries. */
  #listed = new Map<TidKey, boolean>();
  #asking = false;
  #askAgain = false;
  #failures = 0;
  #retry: Disposable | undefined;
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
    this.#retry?.dispose();
    this.#retry = undefined;
    if (this.#asking) {
      this.#askAgain = true;
      return;
    }
    this.#asking = true;
    void this.#ask();
  }

  dispose(): void {
    this.#disposed = true;
    this.#retry?.dispose();
  }

  #onOwner(owner: string | undefined): void {
    if (this.#disposed || owner === this.#owner) return;
    this.#owner = owner;
    this.#listed = new Map();
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
      try {
        const state = await this.#question(owner);
        if (this.#owner === owner && !this.#disposed) {
          this.#failures = 0;
          this.#set(known(this.#remember(state)));
        }
      } catch (thrown) {
        if (this.#owner === owner && !this.#disposed) this.#failed(thrown);
      }
      // Disposed of, or the owner changed, while it was asked.
    } while (this.#again());
    this.#asking = false;
  }

  /** Adds what only the answers before can tell: stafd's list loses a DC only by its removal. */
  #remember(state: DiscoveryState): DiscoveryState {
    const removed = new Set(this.#listed.keys());
    for (const { log, tid } of state.controllers) {
      const key = tidKey(tid);
      removed.delete(key);
      const read = log.kind === 'known' && log.value.length > 0;
      this.#listed.set(key, read || this.#listed.get(key) === true);
    }
    return { ...state, removed };
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
    this.#retry?.dispose();
    this.#retry = clock.setTimer(retryDelayMs(this.#failures, random()), () => {
      this.refresh();
    });
  }

  async #question(owner: string): Promise<DiscoveryState> {
    try {
      const text = await this.#call(owner, STAFD_V1_INTERFACE, 'get_discovery_state', '', []);
      return parseDiscoveryState(text, this.#deps.log);
    } catch (thrown) {
      if (!(thrown instanceof BusError) || !NOT_THERE.has(thrown.errorName)) throw thrown;
    }
    const all = await this.#call(owner, STAFD_INTERFACE, 'get_all_log_pages', 'b', [false]);
    const wasRead = (key: TidKey): boolean => this.#listed.get(key) === true;
    return parseAllLogPages(all, this.#deps.log, wasRead);
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

/** Throws for what is not of the documented shape: nothing follows from half an answer. */
export function parseDiscoveryState(text: string, log: Log): DiscoveryState {
  const state: unknown = JSON.parse(text);
  if (!isRecord(state) || state['version'] !== 1 || !Array.isArray(state['controllers'])) {
    throw new Error('its discovery state is not of a known form');
  }
  const controllers = state['controllers'].map((item: unknown): ReportedDc => {
    const { hostId, pages, tid } = reportedDc(item);
    const answer = isRecord(item) && isRecord(item['log']) ? item['log'] : {};
    if (answer['state'] === 'known') {
      return { tid, hostId, log: known(readEntries(pages, log)), fresh: answer['fresh'] === true };
    }
    const why = typeof answer['why'] === 'string' ? answer['why'] : 'stafd does not say why';
    return { tid, hostId, log: unknown(why), fresh: false };
  });
  return { settled: state['settled'] === true, controllers, removed: new Set() };
}

/**
 * What nvme-stas 2.4.1's stafd says. It cannot tell an empty log from one that was not read (unless
 * it has shown one before: `wasRead`), nor a DC that was removed from one that it has not found yet:
 * both are unknown.
 */
export function parseAllLogPages(
  text: string,
  log: Log,
  wasRead: (dc: TidKey) => boolean,
): DiscoveryState {
  const list: unknown = JSON.parse(text);
  if (!Array.isArray(list)) throw new Error('its log pages are not of a known form');
  const controllers = list.map((item: unknown): ReportedDc => {
    const { hostId, pages, tid } = reportedDc(item);
    if (pages.length === 0 && !wasRead(tidKey(tid))) {
      return { tid, hostId, log: unknown('it may not have been read yet'), fresh: false };
    }
    return { tid, hostId, log: known(readEntries(pages, log)), fresh: true };
  });
  return { settled: false, controllers, removed: new Set() };
}

function reportedDc(item: unknown): {
  readonly tid: TransportId;
  readonly hostId: string;
  readonly pages: readonly unknown[];
} {
  const tid = isRecord(item) ? tidFromDict(item['discovery-controller']) : undefined;
  const pages = isRecord(item) ? item['log-pages'] : undefined;
  if (tid === undefined || !Array.isArray(pages)) {
    throw new Error('one of its discovery controllers is not of a known form');
  }
  return { tid, hostId: hostIdFrom(isRecord(item) ? item['host-id'] : undefined), pages };
}

function readEntries(pages: readonly unknown[], log: Log): readonly DiscoveryEntry[] {
  const entries: DiscoveryEntry[] = [];
  for (const page of pages) {
    const parsed = isRecord(page) ? dictToEntry(page) : { reason: 'it is not a dictionary' };
    if ('entry' in parsed && parsed.entry !== undefined) entries.push(parsed.entry);
    else log.debug(`A log page entry of stafd is not used: ${parsed.reason}`);
  }
  return entries;
}
