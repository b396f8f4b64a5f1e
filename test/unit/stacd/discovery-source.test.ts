import { describe, expect, test } from 'vitest';
import { tidKey, makeTid } from '../../../src/nvme/transport-id.ts';
import type { ExportedObject } from '../../../src/ports/bus.ts';
import { BY_SETTING } from '../../../src/core/removal-brake.ts';
import { DiscoverySource } from '../../../src/stacd/discovery-source.ts';
import type { ReportedDc } from '../../../src/stacd/plan.ts';
import { parseAllLogPages, parseDiscoveryState } from '../../../src/stacd/stafd-answers.ts';
import { STEADY_MS } from '../../../src/stacd/steady-answers.ts';
import { FakeClock, settle } from '../../fakes/clock.ts';
import { FakeBusDaemon, type FakeBus } from '../../fakes/fake-bus.ts';
import { MemoryLog } from '../../fakes/log.ts';

const PATH = '/org/nvmexpress/staf';
const MAIN = 'org.nvmexpress.staf';
const V1 = 'org.nvmexpress.staf.v1';
const V1_XML = `<interface name="${V1}">
  <method name="get_discovery_state"><arg direction="out" type="s" name="state_json"/></method>
  <signal name="discovery_state_changed"/>
</interface>`;
const MAIN_XML = `<interface name="${MAIN}">
  <method name="get_all_log_pages">
    <arg direction="in" type="b" name="detailed"/><arg direction="out" type="s" name="log_pages"/>
  </method>
  <signal name="dc_removed"/>
</interface>`;

const DC = { transport: 'tcp', traddr: '10.0.0.1', trsvcid: '8009', subsysnqn: 'nqn.dc' } as const;
const PAGE = {
  trtype: 'tcp',
  subtype: 'nvme',
  traddr: '10.1.0.1',
  trsvcid: '4420',
  subnqn: 'nqn.io',
};

function dc(log: unknown, ...pages: readonly unknown[]): unknown {
  return { 'discovery-controller': DC, log, 'log-pages': pages };
}

function stateOf(...controllers: readonly unknown[]): string {
  return JSON.stringify({ version: 1, settled: true, controllers });
}

/** Somebody who owns stafd's name and answers with `answer()`, or not before it resolves. */
class Stafd {
  readonly bus: FakeBus;
  asked = 0;
  answer: () => string | Promise<string>;

  constructor(daemon: FakeBusDaemon, answer: Stafd['answer'], original = false) {
    this.bus = daemon.connect();
    this.answer = answer;
    const reply = async (): Promise<readonly unknown[]> => {
      this.asked += 1;
      return [await this.answer()];
    };
    const methods: ExportedObject['methods'] = original
      ? { [`${MAIN}.get_all_log_pages`]: reply }
      : { [`${MAIN}.get_all_log_pages`]: reply, [`${V1}.get_discovery_state`]: reply };
    const introspectionXml = `<node>${MAIN_XML}${original ? '' : V1_XML}</node>`;
    this.bus.export({ path: PATH, introspectionXml, methods, properties: {} });
  }

  async appear(): Promise<this> {
    await this.bus.requestName('org.nvmexpress.staf');
    await settle();
    return this;
  }

  async announce(): Promise<void> {
    this.bus.emitSignal(PATH, MAIN, 'dc_removed', []);
    await settle();
  }
}

async function bench() {
  const clock = new FakeClock();
  const daemon = new FakeBusDaemon(clock);
  const log = new MemoryLog(true);
  const bus = daemon.connect();
  let changes = 0;
  const source = new DiscoverySource({
    ...{ bus, clock, log },
    random: () => 0.5,
    changed: () => (changes += 1),
  });
  await source.start();
  await settle();
  return { clock, daemon, log, source, changes: () => changes };
}

const READ = dc({ state: 'known', generation: '1', fresh: true }, PAGE);

describe('what stafd knows', () => {
  test.each([
    ['11111111-1111-4111-8111-111111111111', '11111111-1111-4111-8111-111111111111'],
    ['x,tls', ''],
    [7, ''],
    [undefined, ''],
  ])('holds the host ID of a DC if it is one: %j', (hostId, expected) => {
    const text = stateOf({ ...Object(READ), 'host-id': hostId });
    const { controllers } = parseDiscoveryState(text, new MemoryLog());
    expect(controllers.map((each) => each.hostId)).toEqual([expected]);
  });

  test('is unknown until it is on the bus, and known from its first whole answer', async () => {
    const { daemon, source, changes } = await bench();
    expect(source.current().kind).toBe('unknown');
    await new Stafd(daemon, () => stateOf(READ)).appear();
    expect(source.current()).toMatchObject({ kind: 'known', value: { settled: true } });
    expect(changes()).toBeGreaterThan(0);
  });

  test('is unknown from the moment it leaves', async () => {
    const { daemon, source } = await bench();
    const stafd = await new Stafd(daemon, () => stateOf(READ)).appear();
    stafd.bus.close();
    await settle();
    expect(source.current()).toMatchObject({ kind: 'unknown' });
  });

  test('is unknown while it hangs, and asked for again', async () => {
    const { clock, daemon, log, source } = await bench();
    const never = new Promise<string>(() => undefined);
    const stafd = await new Stafd(daemon, () => stateOf(READ)).appear();
    stafd.answer = () => never;
    await stafd.announce();
    expect(source.current().kind).toBe('known');
    await clock.advance(30_000);
    expect(source.current().kind).toBe('unknown');
    stafd.answer = () => stateOf(READ);
    await clock.advance(2_000);
    expect(source.current().kind).toBe('known');
    expect(log.messages('warning')).toHaveLength(1);
  });

  test('is asked for once more after signals during a question, however many', async () => {
    const { daemon } = await bench();
    let release: (text: string) => void = () => undefined;
    const stafd = new Stafd(daemon, () => new Promise((resolve) => (release = resolve)));
    await stafd.appear();
    for (let count = 0; count < 50; count += 1) await stafd.announce();
    expect(stafd.asked).toBe(1);
    stafd.answer = () => stateOf(READ);
    release(stateOf());
    await settle();
    expect(stafd.asked).toBe(2);
  });

  test('is not what an owner said that is gone by then', async () => {
    const { daemon, source } = await bench();
    let release: (text: string) => void = () => undefined;
    const first = await new Stafd(
      daemon,
      () => new Promise((resolve) => (release = resolve)),
    ).appear();
    first.bus.close();
    await settle();
    release(stateOf(READ));
    await settle();
    expect(source.current().kind).toBe('unknown');
  });

  test('names a DC that the same stafd no longer lists as removed, not one of another', async () => {
    const { daemon, source } = await bench();
    const key = tidKey(makeTid(DC));
    const stafd = await new Stafd(daemon, () => stateOf(READ)).appear();
    stafd.answer = () => stateOf();
    await stafd.announce();
    const removed = () => {
      const answer = source.current();
      return answer.kind === 'known' && answer.value.removed.has(key);
    };
    expect(removed()).toBe(true);
    stafd.answer = () => stateOf(READ);
    await stafd.announce();
    expect(removed()).toBe(false);
    stafd.bus.close();
    await new Stafd(daemon, () => stateOf()).appear();
    expect(source.current().kind).toBe('known');
    expect(removed()).toBe(false);
  });

  test('leaves no timer and takes no answer after it is disposed of', async () => {
    const { clock, daemon, source, changes } = await bench();
    const stafd = await new Stafd(daemon, () => 'nonsense').appear();
    expect(clock.pendingTimers).toBe(1);
    source.dispose();
    expect(clock.pendingTimers).toBe(0);
    const before = changes();
    await stafd.announce();
    stafd.bus.close();
    await settle();
    expect(changes()).toBe(before);
  });
});

describe("with nvme-stas's own stafd", () => {
  const key = tidKey(makeTid(DC));

  async function original() {
    const setting = await bench();
    let controllers: readonly unknown[] = [];
    const stafd = new Stafd(setting.daemon, () => JSON.stringify(controllers), true);
    await stafd.appear();
    const says = async (...list: readonly unknown[]): Promise<void> => {
      controllers = list;
      await stafd.announce();
    };
    const absent = (): boolean => {
      const answer = setting.source.current();
      if (answer.kind === 'unknown') return false;
      const { removed, controllers: reported } = answer.value;
      return removed.has(key) || reported.some(({ fresh, log }) => fresh && emptyOf(log));
    };
    return { ...setting, stafd, says, absent };
  }

  function emptyOf(log: ReportedDc['log']): boolean {
    return log.kind === 'known' && log.value.length === 0;
  }

  test('what it lists counts at once, an empty log never before one with entries', async () => {
    const { clock, says, source, absent } = await original();
    await says(dc(undefined));
    await clock.advance(10 * STEADY_MS);
    expect(source.current()).toMatchObject({
      value: { settled: false, controllers: [{ fresh: false, log: { kind: 'unknown' } }] },
    });
    await says(dc(undefined, PAGE));
    expect(source.current()).toMatchObject({
      value: { settled: false, controllers: [{ log: { value: [{ traddr: '10.1.0.1' }] } }] },
    });
    expect(absent()).toBe(false);
  });

  test.each([
    ['a log that it shows empty', [dc(undefined)]],
    ['a discovery controller that it no longer lists', []],
  ])('%s counts when it has said so for 30 s, in one answer more', async (_, without) => {
    const { clock, says, absent, stafd } = await original();
    await says(dc(undefined, PAGE));
    await clock.advance(2 * STEADY_MS);
    await says(...without);
    expect(absent()).toBe(false);
    await clock.advance(STEADY_MS - 1_000);
    expect(absent()).toBe(false);
    const { asked } = stafd;
    await clock.advance(2_000);
    expect(stafd.asked).toBe(asked + 1);
    expect(absent()).toBe(true);
    // Nothing more is to be found out.
    await clock.advance(10 * STEADY_MS);
    expect(stafd.asked).toBe(asked + 1);
  });

  test('an answer that changes in between begins the time anew', async () => {
    const { clock, says, absent } = await original();
    await says(dc(undefined, PAGE));
    for (let count = 0; count < 5; count += 1) {
      await says();
      await clock.advance(STEADY_MS - 5_000);
      expect(absent()).toBe(false);
      await says(dc(undefined, PAGE));
    }
    await clock.advance(2 * STEADY_MS);
    expect(absent()).toBe(false);
  });

  test('an answer that does not come ends what was known, and another process knows nothing', async () => {
    const { clock, daemon, says, absent, stafd } = await original();
    await says(dc(undefined, PAGE));
    await says();
    stafd.bus.close();
    await new Stafd(daemon, () => '[]', true).appear();
    await clock.advance(10 * STEADY_MS);
    expect(absent()).toBe(false);
  });
});

describe('how old what stafd says is', () => {
  async function stateAt(text: string) {
    const { clock, daemon, source } = await bench();
    await clock.advance(100_000);
    await new Stafd(daemon, () => text).appear();
    const answer = source.current();
    if (answer.kind === 'unknown') throw new Error(answer.why);
    return { ...answer.value, now: clock.now() };
  }

  test.each([
    [20_000, 20_000],
    [0, 0],
    [undefined, 0],
    [-5, 0],
    ['7', 0],
  ])('is told by a log of the age %j', async (age, expected) => {
    const log = { state: 'known', generation: '1', fresh: true, 'age-ms': age };
    const { controllers, now } = await stateAt(stateOf(dc(log, PAGE)));
    expect(controllers.map(({ readAt }) => now - readAt)).toEqual([expected]);
  });

  test('is told by a removal, unless a setting is why', async () => {
    const removed = [
      { 'discovery-controller': DC, 'by-setting': false, 'age-ms': 9_000 },
      { 'discovery-controller': { ...DC, traddr: '10.0.0.2' }, 'by-setting': true },
      { 'discovery-controller': null },
    ];
    const state = await stateAt(
      JSON.stringify({ version: 1, settled: true, controllers: [], removed }),
    );
    expect([...state.removed]).toEqual([
      [tidKey(makeTid(DC)), state.now - 9_000],
      [tidKey(makeTid({ ...DC, traddr: '10.0.0.2' })), BY_SETTING],
    ]);
  });
});

describe('an answer of another form', () => {
  const log = new MemoryLog(true);

  test.each([
    ['no JSON', '{'],
    ['null', 'null'],
    ['a list', '[]'],
    ['another version', JSON.stringify({ version: 2, settled: true, controllers: [] })],
    ['no controllers', JSON.stringify({ version: 1, settled: true })],
    ['a DC that is null', stateOf(null)],
    ['a DC without a name', stateOf({ log: { state: 'known' }, 'log-pages': [] })],
    ['a DC without log pages', stateOf({ 'discovery-controller': DC, log: { state: 'known' } })],
    ...['eth0,reconnect_delay=33', 'a b', 'x'.repeat(40)].map((iface): [string, string] => [
      `the interface "${iface}"`,
      stateOf({ ...Object(READ), 'discovery-controller': { ...DC, 'host-iface': iface } }),
    ]),
    [
      'a host NQN that ends in another option',
      stateOf({ ...Object(READ), 'discovery-controller': { ...DC, 'host-nqn': 'nqn.x,tls' } }),
    ],
  ])('is refused as a whole: %s', (_, text) => {
    expect(() => parseDiscoveryState(text, log)).toThrow();
  });

  test('but a bad log page entry is left out alone', () => {
    const hostile = [null, 7, {}, { ...PAGE, trsvcid: '4420,reconnect_delay=33' }];
    const { controllers } = parseDiscoveryState(
      stateOf(dc({ state: 'known', fresh: true }, ...hostile, PAGE)),
      log,
    );
    expect(controllers).toMatchObject([
      { log: { kind: 'known', value: [{ traddr: '10.1.0.1' }] } },
    ]);
  });

  test('is not a known log unless it says so, nor a fresh one', () => {
    const logs = [undefined, null, 'known', {}, { state: 'unknown', why: 'no' }];
    for (const claim of logs) {
      const { controllers } = parseDiscoveryState(stateOf(dc(claim, PAGE)), log);
      expect(controllers).toMatchObject([{ fresh: false, log: { kind: 'unknown' } }]);
    }
    const { controllers } = parseDiscoveryState(stateOf(dc({ state: 'known' }, PAGE)), log);
    expect(controllers).toMatchObject([{ fresh: false, log: { kind: 'known' } }]);
  });

  test('of the original is refused too', () => {
    expect(() => parseAllLogPages('{}', log)).toThrow();
    expect(() => parseAllLogPages('[{}]', log)).toThrow();
  });
});
