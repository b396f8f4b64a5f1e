import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import stacXml from '../../dbus/org.nvmexpress.stac.xml';
import { BusError } from '../../src/ports/bus.ts';
import type { BusSignal, ExportedObject } from '../../src/ports/bus.ts';
import type { Clock } from '../../src/ports/host.ts';
import { parseContract } from '../../src/platform/dbus/contract.ts';
import { createSystemBus } from '../../src/platform/dbus/system-bus.ts';
import type { SystemBus } from '../../src/platform/dbus/system-bus.ts';
import { BusVariant } from '../../src/platform/dbus/values.ts';
import { FakeBusDaemon } from '../fakes/fake-bus.ts';
import type { FakeBus } from '../fakes/fake-bus.ts';
import { startPrivateBus, whyNoPrivateBus } from './private-bus.ts';
import type { PrivateBus } from './private-bus.ts';

const NAME = 'org.example.echo';
const PATH = '/org/example/echo';
const ECHO = 'org.example.echo';
const PROPERTIES = 'org.freedesktop.DBus.Properties';
const PREFIX = 'org.freedesktop.DBus.Error';

const echoXml = `<node><interface name="org.example.echo">
  <method name="join"><arg direction="in" type="s" name="a"/><arg direction="in" type="b" name="b"/>
    <arg direction="out" type="s" name="joined"/></method>
  <method name="values"><arg direction="in" type="aa{ss}" name="list"/>
    <arg direction="in" type="u" name="number"/><arg direction="in" type="t" name="big"/>
    <arg direction="in" type="as" name="words"/><arg direction="in" type="aay" name="bytes"/>
    <arg direction="in" type="v" name="any"/><arg direction="in" type="(si)" name="pair"/>
    <arg direction="out" type="aa{ss}" name="list"/><arg direction="out" type="u" name="number"/>
    <arg direction="out" type="t" name="big"/><arg direction="out" type="as" name="words"/>
    <arg direction="out" type="aay" name="bytes"/><arg direction="out" type="(si)" name="pair"/>
    </method>
  <method name="any"><arg direction="in" type="v" name="any"/>
    <arg direction="out" type="s" name="json"/></method>
  <method name="fail"/>
  <method name="refuse"/>
  <method name="never"/>
  <method name="wrong"><arg direction="out" type="s" name="text"/></method>
  <method name="long"><arg direction="in" type="u" name="length"/>
    <arg direction="out" type="s" name="text"/></method>
  <signal name="said"><arg type="s" name="text"/></signal>
  <property name="level" type="u" access="readwrite"/>
  <property name="name" type="s" access="read"/>
</interface></node>`;

function echo(): ExportedObject {
  let level = 1;
  return {
    path: PATH,
    introspectionXml: echoXml,
    methods: {
      'org.example.echo.join': (a: string, b: boolean) => [`${a}-${String(b)}`],
      'org.example.echo.values': (...args: never[]) => [...args.slice(0, 5), args[6]],
      'org.example.echo.any': (value: unknown) => [JSON.stringify(value)],
      'org.example.echo.fail': () => {
        throw new Error('it broke');
      },
      'org.example.echo.refuse': () => Promise.reject(new BusError('org.example.Error.No', 'no')),
      'org.example.echo.never': () => new Promise<never>(() => undefined),
      'org.example.echo.wrong': () => [42],
      'org.example.echo.long': (length: number) => ['x'.repeat(length)],
    },
    properties: {
      'org.example.echo.level': {
        get: () => level,
        set: (value: number) => {
          if (value > 9) throw new BusError('org.example.Error.TooMuch', 'too much');
          level = value;
        },
      },
      'org.example.echo.name': { get: () => `level ${level}` },
    },
  };
}

const realClock: Clock = {
  now: () => performance.now(),
  wallTime: () => new Date(),
  setTimer: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return { dispose: () => clearTimeout(timer) };
  },
};

interface Side {
  connect(): Promise<SystemBus>;
  /** Breaks every connection. */
  breakDown(): Promise<void>;
  end(): Promise<void>;
}

async function realSide(): Promise<Side> {
  const daemon: PrivateBus = await startPrivateBus();
  return {
    connect: () => createSystemBus({ address: daemon.address, timeoutMs: 5000 }),
    breakDown: () => daemon.stop(),
    end: () => daemon.stop(),
  };
}

function fakeSide(): Promise<Side> {
  const daemon = new FakeBusDaemon(realClock);
  const connections: FakeBus[] = [];
  return Promise.resolve({
    connect: () => {
      const bus = daemon.connect();
      connections.push(bus);
      return Promise.resolve(bus);
    },
    breakDown: () => {
      for (const bus of connections) bus.fail('the bus crashed');
      return Promise.resolve();
    },
    end: () => Promise.resolve(),
  });
}

const missing = whyNoPrivateBus();
const sides = [
  { title: 'the fake bus', open: fakeSide, skip: false },
  {
    title: missing === undefined ? 'a real bus' : `a real bus (skipped: ${missing})`,
    open: realSide,
    skip: missing !== undefined,
  },
];

describe.each(sides)('$title', ({ open, skip }) => {
  if (skip) {
    it.skip('keeps the contract', () => undefined);
    return;
  }
  let side: Side;
  const buses: SystemBus[] = [];

  beforeAll(async () => {
    side = await open();
  });
  afterEach(() => {
    for (const bus of buses.splice(0)) bus.close();
  });
  afterAll(() => side.end());

  async function connect(): Promise<SystemBus> {
    const bus = await side.connect();
    buses.push(bus);
    return bus;
  }

  async function serve(): Promise<{ service: SystemBus; client: SystemBus }> {
    const [service, client] = [await connect(), await connect()];
    service.export(echo());
    return { service, client };
  }

  function ask(
    client: SystemBus,
    service: SystemBus,
    member: string,
    inSignature = '',
    args: readonly unknown[] = [],
    extra: { interfaceName?: string; path?: string; timeoutMs?: number } = {},
  ): Promise<readonly unknown[]> {
    return client.call({
      destination: service.uniqueName,
      path: PATH,
      interfaceName: ECHO,
      timeoutMs: 5000,
      member,
      inSignature,
      args,
      ...extra,
    });
  }

  /** Waits for something that a message brings; every round is a round trip through the bus. */
  async function until(bus: SystemBus, condition: () => boolean): Promise<void> {
    for (let round = 0; round < 200 && !condition(); round += 1) {
      await bus
        .call({
          destination: 'org.freedesktop.DBus',
          path: '/org/freedesktop/DBus',
          interfaceName: 'org.freedesktop.DBus',
          member: 'NameHasOwner',
          inSignature: 's',
          args: [NAME],
          timeoutMs: 5000,
        })
        .catch(() => undefined);
    }
    expect(condition()).toBe(true);
  }

  const errorOf = (call: Promise<unknown>): Promise<string> =>
    call.then(
      () => 'no error',
      (error: unknown) => (error instanceof BusError ? error.errorName : String(error)),
    );

  it('calls an exported method with its arguments', async () => {
    const { service, client } = await serve();
    expect(await ask(client, service, 'join', 'sb', ['ä', true])).toEqual(['ä-true']);
  });

  it('carries values of every shape unchanged', async () => {
    const { service, client } = await serve();
    const list = [{ traddr: '::1', 'host-iface': '' }, {}];
    const words = ['', 'a', '💾'];
    const bytes = [Buffer.from('p=tcp'), Buffer.alloc(0)];
    const big = 0xfedcba9876543210n;
    const [...values] = await ask(client, service, 'values', 'aa{ss}utasaayv(si)', [
      list,
      4_000_000_000,
      big,
      words,
      bytes,
      new BusVariant('s', 'x'),
      ['pair', -7],
    ]);
    expect(values).toEqual([list, 4_000_000_000, big, words, bytes, ['pair', -7]]);
  });

  it('gives a method the values in variants, not the variants', async () => {
    const { service, client } = await serve();
    const nested = new BusVariant('a{sv}', { a: new BusVariant('as', ['b']) });
    expect(await ask(client, service, 'any', 'v', [nested])).toEqual(['{"a":["b"]}']);
  });

  it('carries a key named __proto__ and replaces NUL', async () => {
    const { service, client } = await serve();
    const list = [Object.fromEntries([['__proto__x', 'a\0b']])];
    const [answer] = await ask(client, service, 'values', 'aa{ss}utasaayv(si)', [
      list,
      0,
      0,
      [],
      [],
      new BusVariant('b', true),
      ['', 0],
    ]);
    expect(answer).toEqual([{ __proto__x: 'a\ufffdb' }]);
  });

  it('answers a call that it cannot serve with the standard error', async () => {
    const { service, client } = await serve();
    const other = { interfaceName: 'org.example.other' };
    expect(await errorOf(ask(client, service, 'nothing'))).toBe(`${PREFIX}.UnknownMethod`);
    expect(await errorOf(ask(client, service, 'constructor'))).toBe(`${PREFIX}.UnknownMethod`);
    expect(await errorOf(ask(client, service, 'join', '', [], other))).toBe(
      `${PREFIX}.UnknownInterface`,
    );
    expect(await errorOf(ask(client, service, 'join', '', [], { path: '/org/nowhere' }))).toBe(
      `${PREFIX}.UnknownObject`,
    );
    expect(await errorOf(ask(client, service, 'join', 's', ['a']))).toBe(`${PREFIX}.InvalidArgs`);
    expect(await errorOf(ask(client, service, 'join', 'bs', [true, 'a']))).toBe(
      `${PREFIX}.InvalidArgs`,
    );
  });

  it('answers Failed for a method that throws, and its own name for a refusal', async () => {
    const { service, client } = await serve();
    expect(await errorOf(ask(client, service, 'fail'))).toBe(`${PREFIX}.Failed`);
    expect(await errorOf(ask(client, service, 'refuse'))).toBe('org.example.Error.No');
    expect(await errorOf(ask(client, service, 'wrong'))).toBe(`${PREFIX}.Failed`);
    expect(await ask(client, service, 'join', 'sb', ['still', true])).toEqual(['still-true']);
  });

  it('rejects with NoReply when the answer does not come in time', async () => {
    const { service, client } = await serve();
    const call = ask(client, service, 'never', '', [], { timeoutMs: 50 });
    expect(await errorOf(call)).toBe(`${PREFIX}.NoReply`);
  });

  it('rejects with ServiceUnknown when nobody has the name', async () => {
    const client = await connect();
    const call = client.call({
      destination: 'org.example.nobody',
      path: PATH,
      interfaceName: ECHO,
      member: 'join',
      inSignature: '',
      args: [],
      timeoutMs: 5000,
    });
    expect(await errorOf(call)).toBe(`${PREFIX}.ServiceUnknown`);
  });

  it('rejects a call whose arguments do not fit its signature', async () => {
    const { service, client } = await serve();
    expect(await errorOf(ask(client, service, 'join', 'sb', ['a']))).toBe(`${PREFIX}.InvalidArgs`);
    expect(await errorOf(ask(client, service, 'join', 'sb', ['a', 1]))).toBe(
      `${PREFIX}.InvalidArgs`,
    );
  });

  it('carries an answer of several megabytes, and refuses one that the bus would not', async () => {
    const { service, client } = await serve();
    const [text] = await ask(client, service, 'long', 'u', [8_000_000]);
    expect(text).toHaveLength(8_000_000);
    expect(await errorOf(ask(client, service, 'long', 'u', [40_000_000]))).toBe(
      `${PREFIX}.LimitsExceeded`,
    );
    expect(await ask(client, service, 'join', 'sb', ['still', true])).toEqual(['still-true']);
  });

  it('answers a call with more arguments than any method takes with an error', async () => {
    const { service, client } = await serve();
    const variants = Array.from({ length: 100_000 }, () => new BusVariant('y', 1));
    expect(await errorOf(ask(client, service, 'join', 'av', [variants]))).toBe(
      `${PREFIX}.InvalidArgs`,
    );
    expect(await ask(client, service, 'join', 'sb', ['still', true])).toEqual(['still-true']);
  });

  it('gets and sets properties and tells what changed', async () => {
    const { service, client } = await serve();
    const signals: BusSignal[] = [];
    await client.subscribe(
      { sender: service.uniqueName, interfaceName: PROPERTIES },
      (signal) => void signals.push(signal),
    );
    const properties = { interfaceName: PROPERTIES };
    expect(await ask(client, service, 'GetAll', 's', [ECHO], properties)).toEqual([
      { level: 1, name: 'level 1' },
    ]);
    const value = new BusVariant('u', 5);
    await ask(client, service, 'Set', 'ssv', [ECHO, 'level', value], properties);
    expect(await ask(client, service, 'Get', 'ss', [ECHO, 'level'], properties)).toEqual([5]);
    await until(client, () => signals.length > 0);
    expect(signals.map((signal) => signal.args)).toEqual([
      [ECHO, { level: 5, name: 'level 5' }, []],
    ]);
  });

  it('refuses to set what is read-only, unknown, of another type or not accepted', async () => {
    const { service, client } = await serve();
    const set = (name: string, value: BusVariant): Promise<string> =>
      errorOf(
        ask(client, service, 'Set', 'ssv', [ECHO, name, value], { interfaceName: PROPERTIES }),
      );
    expect(await set('name', new BusVariant('s', 'x'))).toBe(`${PREFIX}.PropertyReadOnly`);
    expect(await set('none', new BusVariant('s', 'x'))).toBe(`${PREFIX}.UnknownProperty`);
    expect(await set('level', new BusVariant('s', 'x'))).toBe(`${PREFIX}.InvalidArgs`);
    expect(await set('level', new BusVariant('u', 10))).toBe('org.example.Error.TooMuch');
  });

  it('publishes its contract and the nodes on the way to it', async () => {
    const { service, client } = await serve();
    const introspect = async (path: string): Promise<string> => {
      const interfaceName = 'org.freedesktop.DBus.Introspectable';
      const answer = await ask(client, service, 'Introspect', '', [], { path, interfaceName });
      return String(answer[0]);
    };
    expect(await introspect('/')).toContain('<node name="org"/>');
    expect(await introspect('/org')).toContain('<node name="example"/>');
    const own = await introspect(PATH);
    expect(own).toContain('<method name="join">');
    expect(own).toContain('<interface name="org.freedesktop.DBus.Properties">');
    const peer = { interfaceName: 'org.freedesktop.DBus.Peer', path: '/org' };
    expect(await ask(client, service, 'Ping', '', [], peer)).toEqual([]);
  });

  it('brings the signals of the owner of a name to who subscribed, and no other', async () => {
    const { service, client } = await serve();
    const impostor = await connect();
    impostor.export(echo());
    await service.requestName(NAME);
    const heard: unknown[] = [];
    await client.subscribe({ sender: NAME, interfaceName: ECHO }, (signal) => {
      heard.push(signal.path, signal.member, ...signal.args);
    });
    await client.subscribe({ sender: impostor.uniqueName, interfaceName: PROPERTIES }, () => {
      throw new Error('a listener that throws');
    });
    impostor.emitSignal(PATH, ECHO, 'said', ['from the impostor']);
    service.emitSignal(PATH, ECHO, 'said', ['hello']);
    await until(client, () => heard.length > 0);
    expect(heard).toEqual([PATH, 'said', 'hello']);
  });

  it('tells the owner of a name at once and at each change', async () => {
    const [service, client] = [await connect(), await connect()];
    const owners: (string | undefined)[] = [];
    await client.watchName(NAME, (owner) => void owners.push(owner));
    expect(owners).toEqual([undefined]);
    await service.requestName(NAME);
    await until(client, () => owners.length === 2);
    const late: (string | undefined)[] = [];
    await client.watchName(NAME, (owner) => void late.push(owner));
    expect(late).toEqual([service.uniqueName]);
    service.close();
    await until(client, () => owners.length === 3);
    expect(owners).toEqual([undefined, service.uniqueName, undefined]);
  });

  it('refuses a name that another process has', async () => {
    const [first, second] = [await connect(), await connect()];
    await first.requestName(NAME);
    await first.requestName(NAME);
    expect(await errorOf(second.requestName(NAME))).toBe(`${PREFIX}.AddressInUse`);
    expect(await errorOf(second.requestName('no name'))).toBe(`${PREFIX}.InvalidArgs`);
  });

  it('ends a call when the callee leaves the bus', async () => {
    const { service, client } = await serve();
    const call = errorOf(ask(client, service, 'never'));
    await ask(client, service, 'join', 'sb', ['', true]);
    service.close();
    expect(await call).toBe(`${PREFIX}.NoReply`);
  });

  it('refuses calls after close and does not report it as a loss', async () => {
    const { service, client } = await serve();
    let lost = 0;
    client.onLost(() => (lost += 1));
    const call = errorOf(ask(client, service, 'never'));
    client.close();
    expect(await call).toBe(`${PREFIX}.Disconnected`);
    expect(await errorOf(ask(client, service, 'join', 'sb', ['', true]))).toBe(
      `${PREFIX}.Disconnected`,
    );
    expect(lost).toBe(0);
  });

  it('serves the contract of stacd exactly', async () => {
    const [service, client] = [await connect(), await connect()];
    service.export({
      path: '/org/nvmexpress/stac',
      introspectionXml: stacXml,
      methods: {
        'org.nvmexpress.stac.list_controllers': () => [[{ traddr: '1.2.3.4' }]],
        'org.nvmexpress.stac.debug.process_info': () => ['{}'],
        'org.nvmexpress.stac.debug.controller_info': () => ['{}'],
      },
      properties: {
        'org.nvmexpress.stac.debug.tron': { get: () => false, set: () => undefined },
        'org.nvmexpress.stac.debug.log_level': { get: () => 'INFO' },
      },
    });
    const [xml] = await ask(client, service, 'Introspect', '', [], {
      path: '/org/nvmexpress/stac',
      interfaceName: 'org.freedesktop.DBus.Introspectable',
    });
    const published = parseContract(String(xml)).interfaces;
    const contract = parseContract(stacXml).interfaces;
    for (const [name, declared] of contract) expect(published.get(name)).toEqual(declared);
    expect([...published.keys()].filter((name) => !contract.has(name))).toEqual([
      'org.freedesktop.DBus.Introspectable',
      'org.freedesktop.DBus.Peer',
      'org.freedesktop.DBus.Properties',
    ]);
  });

  // Last: nothing works after it.
  it('tells once that the bus is lost, and ends what waits for it', async () => {
    const { service, client } = await serve();
    const reasons: string[] = [];
    client.onLost((why) => void reasons.push(why));
    const call = errorOf(ask(client, service, 'never'));
    await ask(client, service, 'join', 'sb', ['', true]);
    await side.breakDown();
    expect([`${PREFIX}.Disconnected`, `${PREFIX}.NoReply`]).toContain(await call);
    await new Promise((resolve) => setImmediate(resolve));
    expect(reasons).toHaveLength(1);
    expect(() => client.emitSignal(PATH, ECHO, 'said', ['x'])).toThrow(/no signal/);
    service.emitSignal(PATH, ECHO, 'said', ['dropped']);
    expect(await errorOf(ask(client, service, 'never'))).toBe(`${PREFIX}.Disconnected`);
  });
});
