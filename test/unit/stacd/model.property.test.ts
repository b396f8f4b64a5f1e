/**
 * stacd as a whole (service, plan, drivers, state machines) through random histories: stafd's
 * answers, reloads, restarts and crashes, lost connections, targets that come and go, other
 * people's connections, slow connects, file systems that are mounted, in any order. After every step
 * the promises hold:
 *
 * - a connection is dropped only if, since some source last asked for it, each that ever did has
 *   said that it does not any more, or if it is excluded;
 * - one that stacd neither made nor took over is not dropped, unless the scope says so and
 *   everything is known; a local PCIe controller never;
 * - what reports alone take back is dropped, where it is in use or would be more than four
 *   connections at once, only when they still say so 30 s later; what settings take back goes at
 *   once, and so does the rest;
 * - a disconnect never passes a connect to the same controller;
 * - stacd looks after exactly the controllers that are asked for, and in the end, when everything
 *   answers, each of them has exactly one connection.
 */
import fc from 'fast-check';
import { test } from 'vitest';
import type { SourceId } from '../../../src/core/plan-controllers.ts';
import type { KernelController } from '../../../src/ports/devices.ts';
import { logSource } from '../../../src/stacd/plan.ts';
import type { FakeTarget } from '../../fakes/fabrics.ts';
import { HOST, StacdBench } from './bench.ts';
import {
  ADDRESSES,
  answerOf,
  configText,
  DCS,
  SCOPES,
  step,
  type ReloadStep,
  type StafdStep,
  type Step,
} from './model-steps.ts';

/** So few go at once if nothing on them is in use. */
const FEW = 4;
/** How long the rest is doubted, without what passes while a step is looked at. */
const DOUBT_MS = 28_000;
/** How often a long time is looked at. */
const SLICE_MS = 5_000;
const HISTORIES = Number(process.env['NVME_STAS_HISTORIES'] ?? 10_000);

function demand(holds: boolean, message: string): void {
  if (!holds) throw new Error(message);
}

interface Doubt {
  since: number;
  mayBeHeld: boolean;
  /** Whose reports those are. */
  readonly sources: readonly SourceId[];
}

class History {
  #bench: StacdBench;
  #stafd: StafdStep = {
    kind: 'stafd',
    away: true,
    settled: false,
    reports: ['missing', 'missing'],
  };
  #reload: ReloadStep = { kind: 'reload', configured: [], excluded: [], scope: SCOPES[0] };
  readonly #targets = new Map<string, FakeTarget>();
  /** Per address, the sources that asked and have not taken it back. */
  readonly #asking = new Map(ADDRESSES.map((at) => [at, new Set<SourceId>()]));
  /** Addresses whose removal was decided and is not done yet. */
  #leaving = new Set<string>();
  /** Instances that stacd made or took over. */
  readonly #ours = new Set<string>();
  #disconnects = 0;
  /** Addresses that something is mounted on. */
  #used: ReadonlySet<string> = new Set();
  /** When stafd last said something. */
  #saidAt = -Infinity;
  /** Per address, since when nobody asks for it, if reports say so. */
  readonly #doubts = new Map<string, Doubt>();
  /** Addresses that stacd looked after when it was last looked at. */
  #live: ReadonlySet<string> = new Set();
  /** Others' connections that nobody asks for, since when. */
  readonly #strangers = new Map<string, number>();

  constructor() {
    this.#bench = new StacdBench();
    this.#furnish();
    this.#bench.devices.add({ transport: 'pcie', traddr: '0000:01:00.0', subsysnqn: 'nqn.pcie' });
  }

  async begin(): Promise<void> {
    for (const at of ADDRESSES) this.#setTarget(at, true);
    await this.#bench.start();
  }

  async take(step: Step): Promise<void> {
    const passed = await this.#happen(step);
    for (let left = passed; left > 0; left -= SLICE_MS) {
      await this.#bench.clock.advance(Math.min(left, SLICE_MS));
      this.check(step.kind);
    }
    this.check(step.kind);
  }

  /** When everything is known and said again, nothing is held any more. */
  async #endOfDoubt(): Promise<void> {
    const said = this.#stafd.reports.map((it) => (typeof it === 'object' ? it.listed : []));
    const reports = DCS.map((_, position) => ({ fresh: true, listed: said[position] ?? [] }));
    const [first = 'missing', second = 'missing'] = reports;
    const kind = 'stafd' as const;
    await this.take({ kind, away: false, settled: true, reports: [first, second] });
    await this.take({ kind: 'time', seconds: 90 });
    const { service } = this.#bench;
    demand(Object.keys(service.heldBack()).length === 0, 'something is held for ever');
    for (const { driver } of service.controllers()) {
      const at = driver.tid.traddr;
      demand((this.#asking.get(at)?.size ?? 0) > 0, `${at} stays in the end`);
    }
  }

  #furnish(): void {
    const { blockUses, clock, devices } = this.#bench;
    blockUses.others = (controller) => {
      const at = devices.controllers.find(({ device }) => device === controller)?.traddr ?? '';
      if (!this.#used.has(at)) return [];
      const use = { kind: 'mount', device: controller, at: '/data', fileSystem: 'ext4' } as const;
      return [{ block: controller, uses: [use], otherPaths: [] }];
    };
    // Its logs say the same again.
    this.#bench.confirmed = () => {
      if (this.#stafd.away) return;
      this.#saidAt = clock.now();
      this.#bench.discovery = answerOf(this.#stafd, clock.now());
      this.#bench.service.discoveryChanged();
    };
  }

  async #says(): Promise<void> {
    const now = this.#bench.clock.now();
    if (!this.#stafd.away) this.#saidAt = now;
    await this.#bench.says(answerOf(this.#stafd, now));
  }

  /** Everything answers: what is asked for is connected, once. */
  async end(): Promise<void> {
    await this.take({ kind: 'slow', on: false });
    for (const [at] of ADDRESSES.entries())
      await this.take({ kind: 'target', index: at, up: true });
    await this.take({ kind: 'time', seconds: 90 });
    for (const [at, sources] of this.#asking) {
      if (sources.size === 0 || this.#reload.excluded.includes(at)) continue;
      const connections = this.#bench.connected.filter((other) => other === at).length;
      demand(connections === 1, `${at} has ${String(connections)} connections in the end`);
    }
    await this.#endOfDoubt();
    await this.#stop();
    demand(this.#bench.clock.pendingTimers === 0, 'a timer outlives the stop');
  }

  /** How many milliseconds are to pass then. */
  async #happen(step: Step): Promise<number> {
    const { devices, fabrics } = this.#bench;
    const at = 'index' in step ? (ADDRESSES[step.index] ?? '') : '';
    switch (step.kind) {
      case 'stafd':
        this.#stafd = step;
        await this.#says();
        return 0;
      case 'reload':
        this.#reload = step;
        this.#bench.reload(configText(step));
        return 1_000;
      case 'lose': {
        const lost = devices.controllers.find(({ traddr }) => traddr === at);
        if (lost !== undefined) devices.remove(lost.device, { silent: step.silent });
        return 1_000;
      }
      case 'target':
        this.#setTarget(at, step.up);
        return 1_000;
      case 'foreign':
        for (const traddr of step.made) {
          if (devices.controllers.some((there) => there.traddr === traddr)) continue;
          devices.add({ traddr, trsvcid: '4420', subsysnqn: 'nqn.sub', hostnqn: HOST });
        }
        return 2_000;
      case 'slow':
        if (step.on) fabrics.connects.hold();
        else fabrics.connects.release();
        return 1_000;
      case 'use':
        this.#used = new Set(step.used);
        return 0;
      case 'time':
        return step.seconds * 1_000;
      case 'restart':
        await this.#restart(step.crash);
        return 1_000;
    }
  }

  async #restart(crash: boolean): Promise<void> {
    const old = this.#bench;
    if (!crash) {
      const before = this.#drops().length;
      old.fabrics.connects.release();
      await this.#stop();
      demand(this.#drops().length === before || this.#leaving.size > 0, 'dropped by the stop');
    }
    // What had been under way in the kernel is done there; nobody of the old process hears of it.
    this.#bench = new StacdBench(configText(this.#reload), old, { ownFabrics: true });
    this.#furnish();
    this.#disconnects = 0;
    // It remembers no doubt, and its clock is another.
    for (const doubt of this.#doubts.values()) doubt.since = 0;
    for (const instance of this.#strangers.keys()) this.#strangers.set(instance, 0);
    this.#leaving = new Set();
    for (const at of [...this.#targets.keys()]) this.#setTarget(at, true);
    for (const [at, sources] of this.#asking) {
      // What is remembered counts only where the kernel has the connection.
      if (!this.#bench.connected.includes(at)) sources.clear();
    }
    await this.#says();
    await this.#bench.start();
  }

  /** Something may have to be waited for: a disconnect that is tried again. */
  async #stop(): Promise<void> {
    const { clock, service } = this.#bench;
    const stopped = service.stop();
    await clock.advance(61_000);
    await stopped;
  }

  #setTarget(at: string, up: boolean): void {
    const { fabrics } = this.#bench;
    const before = this.#targets.get(at);
    if (before !== undefined) fabrics.removeTarget(before);
    this.#targets.delete(at);
    const fields = { kind: 'io', traddr: at, trsvcid: '4420', subsysnqn: 'nqn.sub' } as const;
    if (up) this.#targets.set(at, fabrics.addTarget(fields));
  }

  #drops(): readonly KernelController[] {
    return this.#bench.fabrics.disconnects.requests.slice(this.#disconnects);
  }

  check(what: string): void {
    const { connected, devices, fabrics, service } = this.#bench;
    this.#listen();
    const unconfirmed = this.#drops().filter((controller) => {
      this.#checkDrop(controller, what);
      return !this.#checkBrake(controller, what);
    });
    for (const own of [true, false]) {
      const count = unconfirmed.filter(({ instance }) => this.#ours.has(instance) === own).length;
      demand(count <= FEW, `${what}: dropped ${String(count)} at once on one report`);
    }
    this.#disconnects = fabrics.disconnects.requests.length;
    demand(
      devices.controllers.some(({ transport }) => transport === 'pcie'),
      'the local controller is gone',
    );
    this.#leaving = new Set(service.disposing().map(({ driver }) => driver.tid.traddr));
    const live = new Map(service.controllers().map((record) => [record.driver.tid.traddr, record]));
    for (const [at, sources] of this.#asking) {
      const excluded = this.#reload.excluded.includes(at);
      const wanted = sources.size > 0 && !excluded;
      const held = this.#doubts.get(at)?.mayBeHeld === true && !excluded;
      if (live.has(at)) demand(wanted || held, `${what}: ${at} stays and nobody asks for it`);
      else demand(!wanted || this.#leaving.has(at), `${what}: ${at} is asked for and forgotten`);
      demand(connected.filter((other) => other === at).length <= 1, `${what}: ${at} twice`);
    }
    for (const { driver } of live.values()) {
      if (driver.kernel !== undefined) this.#ours.add(driver.kernel.instance);
    }
    this.#live = new Set(live.keys());
    this.#noteStrangers();
  }

  #noteStrangers(): void {
    const { clock, devices } = this.#bench;
    for (const { instance, traddr } of devices.controllers) {
      const asked = (this.#asking.get(traddr)?.size ?? 0) > 0;
      if (asked || this.#ours.has(instance)) this.#strangers.delete(instance);
      else if (!this.#strangers.has(instance)) this.#strangers.set(instance, clock.now());
    }
  }

  /** Whether a drop needed no second statement, or had one; fails for one in use that had none. */
  #checkBrake({ instance, traddr: at }: KernelController, what: string): boolean {
    if (this.#reload.excluded.includes(at) || this.#leaving.has(at)) return true;
    const doubt = this.#doubts.get(at)?.since;
    // It may have been lost and made again since the last look.
    const own = this.#ours.has(instance) || (doubt !== undefined && this.#live.has(at));
    // One that came and went since the last look was not doubted for long.
    const since = own ? doubt : (this.#strangers.get(instance) ?? this.#bench.clock.now());
    // Settings alone took it back.
    if (since === undefined) return true;
    const confirmed = this.#saidAt >= since + DOUBT_MS;
    demand(confirmed || !this.#used.has(at), `${what}: dropped ${at}, which is in use`);
    return confirmed;
  }

  /** What each source says now, as far as it says anything. */
  #listen(): void {
    const { away, reports, settled } = this.#stafd;
    for (const [at, sources] of this.#asking) {
      const before = [...sources];
      // While it goes, nobody keeps who asked: whoever still asks when it is gone is heard.
      if (this.#leaving.has(at)) sources.clear();
      const own = 'configured';
      if (this.#reload.configured.includes(at)) sources.add(own);
      else sources.delete(own);
      for (const [position, dc] of DCS.entries()) {
        const said = reports[position] ?? 'missing';
        const source = logSource(dc);
        const silent = away || said === 'unread' || (said === 'missing' && !settled);
        const stale = typeof said === 'object' && !said.fresh;
        // It was held, and is not known to be taken back any more.
        const doubted = this.#live.has(at) && this.#doubts.get(at)?.sources.includes(source);
        if (doubted === true && (silent || stale)) sources.add(source);
        if (away || said === 'unread') continue;
        if (said === 'removed' || (said === 'missing' && settled)) sources.delete(source);
        else if (said !== 'missing' && said.listed.includes(at)) sources.add(source);
        else if (said !== 'missing' && said.fresh) sources.delete(source);
      }
      if (this.#reload.excluded.includes(at)) sources.clear();
      if (sources.size > 0 || this.#reload.excluded.includes(at)) this.#doubts.delete(at);
      else if (before.some((source) => source !== own)) {
        const reporting = before.filter((source) => source !== own);
        const since = this.#bench.clock.now();
        this.#doubts.set(at, { since, mayBeHeld: false, sources: reporting });
      }
    }
    const many = this.#doubts.size > FEW;
    for (const [at, doubt] of this.#doubts) {
      if (many || this.#used.has(at)) doubt.mayBeHeld = true;
    }
  }

  #checkDrop(controller: KernelController, what: string): void {
    const { fabrics } = this.#bench;
    const { instance, traddr: at, transport } = controller;
    const { excluded, scope } = this.#reload;
    demand(transport !== 'pcie', 'a local controller was dropped');
    const asked = (this.#asking.get(at)?.size ?? 0) > 0 && !excluded.includes(at);
    demand(!asked || this.#leaving.has(at), `${what}: dropped ${at}, which is asked for`);
    const inFlight = fabrics.connects.pending.some(({ request }) => request.tid.traddr === at);
    demand(!inFlight, `${what}: dropped ${at} while a connect to it is in flight`);
    if (this.#ours.has(instance) || this.#leaving.has(at)) return;
    const made = fabrics.connects.calls.some(
      ({ request, status }) => request.tid.traddr === at && status === 'resolved',
    );
    // Taken over while it was still asked for, a moment before stafd's news was acted on. A reload is
    // acted on at once: nothing that it gives up may be taken over before.
    const taken = this.#bench.log.lines.some(
      ({ fields, message }) =>
        fields.NVME_TRADDR === at && message.includes('found and taken over'),
    );
    if (made || (taken && what !== 'reload')) return;
    demand(scope === SCOPES[1], `${what}: dropped ${at}, which was somebody else's`);
    const { away, reports, settled } = this.#stafd;
    const incomplete = reports.some(
      (said) => said === 'unread' || (typeof said === 'object' && !said.fresh),
    );
    demand(!away && settled && !incomplete, `${what}: audited ${at} without knowing everything`);
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
