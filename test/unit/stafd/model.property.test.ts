/**
 * stafd as a whole (service, plan, drivers, state machines) through random histories: reloads,
 * mDNS, logs that change, DCs that come and go, commands that fail, slow connects, restarts and
 * crashes, in any order. After every step the promises hold:
 *
 * - stafd looks after exactly the DCs that the rules reach from what it knows (plan-reference.ts);
 * - one that vanishes was excluded, or each source that ever asked for it has said that it does not
 *   any more; nothing vanishes because something is unknown;
 * - a connection is dropped only of a DC that is on its way out, or that is polled, and never past a
 *   connect to the same one;
 * - `dc_removed` is said when something was removed, and not otherwise;
 * - in the end, when everything answers, each DC has one connection, or none if it is polled, and
 *   the log that is known is the log that it has.
 */
import fc from 'fast-check';
import { test } from 'vitest';
import type { Disposable } from '../../../src/ports/disposable.ts';
import { PortError } from '../../../src/ports/errors.ts';
import type { DcSnapshot } from '../../../src/stafd/plan.ts';
import { isPolled } from '../../../src/stafd/polling.ts';
import { dcSnapshot } from '../../../src/stafd/service-types.ts';
import type { EntryFields } from '../../fakes/discovery-log.ts';
import type { FakeTarget } from '../../fakes/fabrics.ts';
import { StafdBench, refer } from './bench.ts';
import { expectedDcs, mdnsReport, type SourcesSay } from './plan-reference.ts';

const ADDRESSES = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'];
const HISTORIES = Number(process.env['NVME_STAS_HISTORIES'] ?? 1_000);

const index = fc.nat(ADDRESSES.length - 1);
const some = fc.subarray(ADDRESSES);
const own = fc.constantFrom('kept' as const, 'unkept' as const, 'silent' as const);

const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('reload' as const),
      configured: some,
      excluded: fc.oneof({ weight: 3, arbitrary: fc.constant<string[]>([]) }, some),
      persistent: fc.constantFrom('true', 'false', 'auto'),
      persistence: fc.constantFrom(0, 60, -1),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('mdns' as const),
      reported: some,
      mute: some,
      incomplete: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('log' as const), index, own, refersTo: some }),
  },
  fc.record({ kind: fc.constant('lose' as const), index, silent: fc.boolean() }),
  fc.record({ kind: fc.constant('target' as const), index, up: fc.boolean() }),
  fc.record({
    kind: fc.constant('slow' as const),
    what: fc.constantFrom('connects' as const, 'logs' as const, 'disconnects' as const),
    on: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('failing' as const), on: fc.boolean() }),
  fc.record({ kind: fc.constant('time' as const), seconds: fc.constantFrom(2, 30, 70, 1_000) }),
  fc.record({ kind: fc.constant('restart' as const), crash: fc.boolean() }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
type ReloadStep = Extract<Step, { kind: 'reload' }>;

function configText({ configured, excluded, persistence, persistent }: ReloadStep): string {
  const lines = [
    '[Discovery controller connection management]',
    `persistent-connections = ${persistent}`,
    `zeroconf-connections-persistence = ${String(persistence)}`,
    '[Controllers]',
    ...configured.map((at) => `controller = transport=tcp;traddr=${at};nqn=nqn.dc`),
    ...excluded.map((at) => `exclude = traddr=${at}`),
  ];
  return lines.join('\n');
}

function entriesOf(at: string, what: Extract<Step, { kind: 'log' }>): readonly EntryFields[] {
  const self = { ...refer(at), subtype: 3, eflags: what.own === 'kept' ? 2 : 0 };
  return [...(what.own === 'silent' ? [] : [self]), ...what.refersTo.map(refer)];
}

function demand(holds: boolean, message: string): void {
  if (!holds) throw new Error(message);
}

class History {
  #reload: ReloadStep = {
    ...{ kind: 'reload', configured: [], excluded: [] },
    ...{ persistent: 'true', persistence: 0 },
  };
  #bench = new StafdBench(configText(this.#reload));
  #mdns: Omit<Extract<Step, { kind: 'mdns' }>, 'kind'> = {
    reported: [],
    mute: [],
    incomplete: true,
  };
  readonly #logs = new Map<string, readonly EntryFields[]>();
  readonly #targets = new Map<string, FakeTarget>();
  /** Those that were looked after, on their way out not included, when last checked. */
  #before: ReadonlyMap<string, DcSnapshot> = new Map();
  #leaving = new Set<string>();
  #disconnects = 0;
  #removals = 0;
  #lines = 0;
  #failing: Disposable | undefined;

  async begin(): Promise<void> {
    this.#tellMdns();
    for (const at of ADDRESSES) this.#setTarget(at, true);
    await this.#bench.start();
  }

  async take(what: Step): Promise<void> {
    await this.#bench.clock.advance(await this.#happen(what));
    // A log that was read only now is acted on within a second, and leads to the next one.
    for (let tries = 0; tries < ADDRESSES.length && this.#wrong() !== undefined; tries += 1) {
      await this.#bench.clock.advance(1_000);
    }
    this.check(what.kind);
  }

  /** Everything answers. */
  async end(): Promise<void> {
    for (const what of ['connects', 'logs', 'disconnects'] as const) {
      await this.take({ kind: 'slow', what, on: false });
    }
    await this.take({ kind: 'failing', on: false });
    for (const at of ADDRESSES.keys()) await this.take({ kind: 'target', index: at, up: true });
    // Past every poll, so that nobody remembers an older log.
    await this.take({ kind: 'time', seconds: 1_000 });
    await this.take({ kind: 'time', seconds: 70 });
    const { connected, service } = this.#bench;
    for (const { driver, extra } of service.controllers()) {
      const at = driver.tid.traddr;
      const polled = isPolled(service.settings.config, extra.log);
      const connections = connected.filter((other) => other === at).length;
      const resting = driver.model.phase.kind === 'resting';
      demand(resting === polled, `${at} rests: ${String(resting)}`);
      demand(connections === (polled ? 0 : 1), `${at} has ${String(connections)} connections`);
      const count = extra.log.kind === 'known' ? extra.log.value.entries.length : -1;
      demand(count === (this.#logs.get(at) ?? []).length, `${at}: an old log in the end`);
    }
    demand(service.disposing().length === 0, 'something does not end');
    await this.#stop();
    demand(this.#bench.clock.pendingTimers === 0, 'a timer outlives the stop');
  }

  /** How many milliseconds are to pass then. */
  async #happen(what: Step): Promise<number> {
    const { devices, fabrics, service } = this.#bench;
    const at = 'index' in what ? (ADDRESSES[what.index] ?? '') : '';
    const device = devices.controllers.find(({ traddr }) => traddr === at)?.device;
    switch (what.kind) {
      case 'reload':
        this.#reload = what;
        await this.#bench.reload(configText(what));
        return 1_000;
      case 'mdns':
        this.#mdns = what;
        this.#tellMdns();
        service.sourceChanged();
        return 2_000;
      case 'log': {
        const entries = entriesOf(at, what);
        this.#logs.set(at, entries);
        const target = this.#targets.get(at);
        if (target === undefined) return 0;
        target.entries = entries;
        if (device !== undefined) devices.emit({ kind: 'aen', device, aen: 0x70f002 });
        return 2_000;
      }
      case 'lose':
        if (device !== undefined) devices.remove(device, { silent: what.silent });
        return 2_000;
      case 'target':
        this.#setTarget(at, what.up);
        if (what.up && device !== undefined) {
          // The kernel has its connection again, and says so.
          devices.emit({ kind: 'nvme-event', device, event: 'rediscover' });
          devices.emit({ kind: 'nvme-event', device, event: 'connected' });
        }
        return 2_000;
      case 'slow':
        if (what.on) fabrics[what.what].hold();
        else fabrics[what.what].release();
        return 2_000;
      case 'failing': {
        const error = new PortError('no answer', { code: 'EIO', errorClass: 'retry' });
        this.#failing?.dispose();
        this.#failing = what.on ? fabrics.logs.failAlways(error) : undefined;
        return 2_000;
      }
      case 'time':
        return what.seconds * 1_000;
      case 'restart':
        await this.#restart(what.crash);
        return 2_000;
    }
  }

  #tellMdns(): void {
    this.#bench.mdns = mdnsReport(this.#say());
  }

  async #restart(crash: boolean): Promise<void> {
    const old = this.#bench;
    if (!crash) await this.#stop();
    old.devices.dropListeners();
    this.#bench = new StafdBench(configText(this.#reload), old, { ownFabrics: true });
    this.#tellMdns();
    this.#disconnects = 0;
    this.#removals = 0;
    this.#lines = 0;
    this.#leaving = new Set();
    for (const at of [...this.#targets.keys()]) this.#setTarget(at, true);
    await this.#bench.start();
  }

  async #stop(): Promise<void> {
    const { clock, fabrics, service } = this.#bench;
    for (const operation of [fabrics.connects, fabrics.logs, fabrics.disconnects]) {
      operation.release();
    }
    const stopped = service.stop();
    await clock.advance(61_000);
    await stopped;
  }

  #setTarget(at: string, up: boolean): void {
    const { fabrics } = this.#bench;
    const before = this.#targets.get(at);
    if (before !== undefined) fabrics.removeTarget(before);
    this.#targets.delete(at);
    if (up) this.#targets.set(at, this.#bench.target(at, { entries: this.#logs.get(at) ?? [] }));
  }

  #say(): SourcesSay {
    const { configured, excluded, persistence } = this.#reload;
    const { incomplete: mdnsIncomplete, mute, reported: mdns } = this.#mdns;
    return {
      ...{ now: this.#bench.clock.now(), addresses: ADDRESSES, configured, unresolved: [] },
      resolved: new Map(),
      ...{ boot: [], bootDoubt: false },
      ...{ mdns, mute, mdnsIncomplete, excluded, persistence },
    };
  }

  #there(): ReadonlyMap<string, DcSnapshot> {
    const { service } = this.#bench;
    return new Map(
      service
        .controllers()
        .map((record) => [
          record.driver.tid.traddr,
          dcSnapshot(record, [], record.extra.silentSince),
        ]),
    );
  }

  /** What is not as the rules want it. */
  #wrong(): string | undefined {
    const there = this.#there();
    const expected = expectedDcs(this.#say(), there);
    const leaving = this.#bench.service.disposing().map(({ driver }) => driver.tid.traddr);
    for (const at of expected) {
      if (!there.has(at) && !leaving.includes(at)) return `${at} is asked for and forgotten`;
    }
    for (const at of there.keys()) if (!expected.has(at)) return `nobody asks for ${at}`;
    for (const { driver, extra } of this.#bench.service.controllers()) {
      const inReach = extra.unresponsiveSince === undefined;
      const { kind } = driver.model.phase;
      const settled = kind === 'connected' || kind === 'resting' || kind === 'waiting-retry';
      if (settled && inReach !== (kind !== 'waiting-retry')) {
        return `${driver.tid.traddr} is ${kind}, and in reach: ${String(inReach)}`;
      }
    }
    return undefined;
  }

  check(what: string): void {
    const { service } = this.#bench;
    const there = this.#there();
    const leaving = new Set(service.disposing().map(({ driver }) => driver.tid.traddr));
    const wrong = this.#wrong();
    demand(wrong === undefined, `${what}: ${wrong ?? ''}`);
    for (const at of this.#before.keys()) {
      if (!there.has(at)) this.#checkVanished(at, there, what);
    }
    this.#checkDrops(leaving, what);
    this.#lines = this.#bench.log.messages('info').length;
    const said = this.#bench.told.filter((line) => line.startsWith('removed')).length;
    const vanished = [...this.#before.keys()].some((at) => !there.has(at));
    if (vanished && what !== 'restart') demand(said > this.#removals, `${what}: nothing was said`);
    this.#removals = said;
    this.#before = there;
    this.#leaving = leaving;
  }

  /** It was excluded, or every source that asked for it says that it does not. */
  #checkVanished(at: string, there: ReadonlyMap<string, DcSnapshot>, what: string): void {
    const { configured, excluded, persistence } = this.#reload;
    if (excluded.includes(at)) return;
    demand(!configured.includes(at), `${what}: ${at} vanished, and is configured`);
    const sources = this.#before.get(at)?.sources ?? new Set();
    if (sources.has('mdns')) {
      const { incomplete, mute, reported } = this.#mdns;
      const silent = !incomplete && !reported.includes(at) && !mute.includes(at);
      demand(silent, `${what}: ${at} vanished, mDNS has not dropped it`);
      demand(persistence >= 0, `${what}: ${at} vanished, and was to be kept for ever`);
    }
    for (const referrer of there.values()) {
      if (!sources.has(`referral:${referrer.key}`)) continue;
      const { log } = referrer;
      const silent = log.kind === 'known' && log.value.fresh;
      demand(silent, `${what}: ${at} vanished, and its referrer was not read`);
    }
  }

  #saidRemoved(at: string): boolean {
    const lines = this.#bench.log.messages('info').slice(this.#lines);
    return lines.some((line) => line.includes(at) && line.includes('Removed'));
  }

  #checkDrops(leaving: ReadonlySet<string>, what: string): void {
    const { fabrics, service } = this.#bench;
    const there = new Map(
      service.controllers().map(({ driver, extra }) => [driver.tid.traddr, extra.log]),
    );
    for (const { traddr: at } of fabrics.disconnects.requests.slice(this.#disconnects)) {
      const log = there.get(at);
      const polled = log !== undefined && isPolled(service.settings.config, log);
      // One may go and come again within one step.
      const out = leaving.has(at) || this.#leaving.has(at) || this.#saidRemoved(at);
      demand(polled || out, `${what}: the connection to ${at} was dropped`);
      const inFlight = fabrics.connects.pending.some(({ request }) => request.tid.traddr === at);
      demand(!inFlight || !leaving.has(at), `${what}: dropped ${at} during a connect to it`);
    }
    this.#disconnects = fabrics.disconnects.requests.length;
  }
}

test(`keeps its promises through ${String(HISTORIES)} random histories`, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
      const history = new History();
      await history.begin();
      for (const each of steps) await history.take(each);
      await history.end();
    }),
    { numRuns: HISTORIES },
  );
}, 600_000);
