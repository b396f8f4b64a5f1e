/**
 * stacd as a whole (service, plan, drivers, state machines) through random histories: stafd's
 * answers, reloads, restarts and crashes, lost connections, targets that come and go, other
 * people's connections, slow connects, in any order. After every step the promises hold:
 *
 * - a connection is dropped only if, since some source last asked for it, each that ever did has
 *   said that it does not any more, or if it is excluded;
 * - one that stacd neither made nor took over is not dropped, unless the scope says so and
 *   everything is known; a local PCIe controller never;
 * - a disconnect never passes a connect to the same controller;
 * - stacd looks after exactly the controllers that are asked for, and in the end, when everything
 *   answers, each of them has exactly one connection.
 */
import fc from 'fast-check';
import { test } from 'vitest';
import { known, unknown, type Answer } from '../../../src/core/answer.ts';
import type { SourceId } from '../../../src/core/plan-controllers.ts';
import type { DiscoveryEntry } from '../../../src/nvme/discovery-log.ts';
import { makeTid, tidKey, type TidKey } from '../../../src/nvme/transport-id.ts';
import type { KernelController } from '../../../src/ports/devices.ts';
import { logSource, type DiscoveryState } from '../../../src/stacd/plan.ts';
import type { FakeTarget } from '../../fakes/fabrics.ts';
import { HOST, StacdBench } from './bench.ts';

const DCS = ['10.0.0.1', '10.0.0.2'].map((traddr) =>
  makeTid({ transport: 'tcp', traddr, subsysnqn: 'nqn.dc', hostNqn: HOST }),
);
const ADDRESSES = ['10.1.0.1', '10.1.0.2', '10.1.0.3'];
const SCOPES = [
  'only-stas-connections',
  'all-connections-matching-disconnect-trtypes',
  'no-disconnect',
] as const;
const HISTORIES = Number(process.env['NVME_STAS_HISTORIES'] ?? 10_000);

const index = fc.nat(ADDRESSES.length - 1);
const some = fc.subarray(ADDRESSES);

const report = fc.oneof(
  fc.constantFrom('missing' as const, 'removed' as const, 'unread' as const),
  fc.record({ fresh: fc.boolean(), listed: some }),
);

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('stafd' as const),
      away: fc.boolean(),
      settled: fc.boolean(),
      reports: fc.tuple(report, report),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('reload' as const),
      configured: some,
      excluded: fc.oneof({ weight: 3, arbitrary: fc.constant<string[]>([]) }, some),
      scope: fc.constantFrom(...SCOPES),
    }),
  },
  fc.record({ kind: fc.constant('lose' as const), index, silent: fc.boolean() }),
  fc.record({ kind: fc.constant('target' as const), index, up: fc.boolean() }),
  fc.record({ kind: fc.constant('foreign' as const), index }),
  fc.record({ kind: fc.constant('slow' as const), on: fc.boolean() }),
  fc.record({ kind: fc.constant('time' as const), seconds: fc.constantFrom(2, 10, 90) }),
  fc.record({ kind: fc.constant('restart' as const), crash: fc.boolean() }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
type StafdStep = Extract<Step, { kind: 'stafd' }>;
type ReloadStep = Extract<Step, { kind: 'reload' }>;

function entryAt(traddr: string): DiscoveryEntry {
  return {
    ...{ trtype: 'tcp', adrfam: 'ipv4', subtype: 'nvme', trsvcid: '4420', subnqn: 'nqn.sub' },
    ...{ treq: 0, portid: 1, cntlid: 1, asqsz: 32, eflags: 0, traddr },
  };
}

function answerOf({ away, reports, settled }: StafdStep): Answer<DiscoveryState> {
  if (away) return unknown('stafd is away');
  const removed = new Set<TidKey>();
  const controllers = DCS.flatMap((tid, at) => {
    const what = reports[at] ?? 'missing';
    if (what === 'removed') removed.add(tidKey(tid));
    if (what === 'missing' || what === 'removed') return [];
    if (what === 'unread') return [{ tid, hostId: '', log: unknown('not read'), fresh: false }];
    return [{ tid, hostId: '', log: known(what.listed.map(entryAt)), fresh: what.fresh }];
  });
  return known({ settled, controllers, removed });
}

function configText({ configured, excluded, scope }: ReloadStep): string {
  const lines = [
    '[I/O controller connection management]',
    `disconnect-scope = ${scope}`,
    '[Controllers]',
    ...configured.map((at) => `controller = transport=tcp;traddr=${at};trsvcid=4420;nqn=nqn.sub`),
    ...excluded.map((at) => `exclude = traddr=${at}`),
  ];
  return lines.join('\n');
}

function demand(holds: boolean, message: string): void {
  if (!holds) throw new Error(message);
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

  constructor() {
    this.#bench = new StacdBench();
    this.#bench.devices.add({ transport: 'pcie', traddr: '0000:01:00.0', subsysnqn: 'nqn.pcie' });
  }

  async begin(): Promise<void> {
    for (const at of ADDRESSES) this.#setTarget(at, true);
    await this.#bench.start();
  }

  async take(step: Step): Promise<void> {
    const passed = await this.#happen(step);
    if (passed > 0) await this.#bench.clock.advance(passed);
    this.check(step.kind);
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
        await this.#bench.says(answerOf(step));
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
        if (devices.controllers.every(({ traddr }) => traddr !== at)) {
          devices.add({ traddr: at, trsvcid: '4420', subsysnqn: 'nqn.sub', hostnqn: HOST });
        }
        return 2_000;
      case 'slow':
        if (step.on) fabrics.connects.hold();
        else fabrics.connects.release();
        return 1_000;
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
    this.#disconnects = 0;
    this.#leaving = new Set();
    for (const at of [...this.#targets.keys()]) this.#setTarget(at, true);
    for (const [at, sources] of this.#asking) {
      // What is remembered counts only where the kernel has the connection.
      if (!this.#bench.connected.includes(at)) sources.clear();
    }
    await this.#bench.says(answerOf(this.#stafd));
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
    for (const controller of this.#drops()) this.#checkDrop(controller, what);
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
      if (live.has(at)) demand(wanted, `${what}: ${at} is looked after and nobody asks for it`);
      else demand(!wanted || this.#leaving.has(at), `${what}: ${at} is asked for and forgotten`);
      demand(connected.filter((other) => other === at).length <= 1, `${what}: ${at} twice`);
    }
    for (const { driver } of live.values()) {
      if (driver.kernel !== undefined) this.#ours.add(driver.kernel.instance);
    }
  }

  /** What each source says now, as far as it says anything. */
  #listen(): void {
    const { away, reports, settled } = this.#stafd;
    for (const [at, sources] of this.#asking) {
      // While it goes, nobody keeps who asked: whoever still asks when it is gone is heard.
      if (this.#leaving.has(at)) sources.clear();
      const own = 'configured';
      if (this.#reload.configured.includes(at)) sources.add(own);
      else sources.delete(own);
      for (const [position, dc] of DCS.entries()) {
        const said = reports[position] ?? 'missing';
        if (away || said === 'unread') continue;
        const source = logSource(dc);
        if (said === 'removed' || (said === 'missing' && settled)) sources.delete(source);
        else if (said !== 'missing' && said.listed.includes(at)) sources.add(source);
        else if (said !== 'missing' && said.fresh) sources.delete(source);
      }
      if (this.#reload.excluded.includes(at)) sources.clear();
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
