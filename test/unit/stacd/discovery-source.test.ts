import { describe, expect, test } from 'vitest';
import { tidKey, makeTid } from '../../../src/nvme/transport-id.ts';
import type { ExportedObject } from '../../../src/ports/bus.ts';
import {
  DiscoverySource,
  parseAllLogPages,
  parseDiscoveryState,
} from '../../../src/stacd/discovery-source.ts';
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
  test('an empty log counts only after one with entries, an absent DC only after it was listed', async () => {
    const { daemon, source } = await bench();
    let controllers: readonly unknown[] = [dc(undefined)];
    const stafd = new Stafd(daemon, () => JSON.stringify(controllers), true);
    await stafd.appear();
    expect(source.current()).toMatchObject({
      value: { settled: false, controllers: [{ log: { kind: 'unknown' } }] },
    });
    controllers = [dc(undefined, PAGE)];
    await stafd.announce();
    controllers = [dc(undefined)];
    await stafd.announce();
    expect(source.current()).toMatchObject({
      value: { controllers: [{ fresh: true, log: { kind: 'known', value: [] } }] },
    });
    controllers = [];
    await stafd.announce();
    const answer = source.current();
    expect(answer.kind === 'known' && [...answer.value.removed]).toEqual([tidKey(makeTid(DC))]);
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
    expect(() => parseAllLogPages('{}', log, () => false)).toThrow();
    expect(() => parseAllLogPages('[{}]', log, () => false)).toThrow();
  });
});
