import { BusVariant } from '../../src/ports/bus.ts';
import { describe, expect, it } from 'vitest';
import stacXml from '../../dbus/org.nvmexpress.stac.xml';
import type { BusSignal } from '../../src/ports/bus.ts';
import { parseContract } from '../../src/platform/dbus/contract.ts';
import { ECHO, PATH, PREFIX, PROPERTIES, ask, errorOf, sides, until, useSide } from './bus-kit.ts';

describe.each(sides)('calls and properties on $title', ({ open, skip }) => {
  if (skip) {
    it.skip('keeps the contract', () => undefined);
    return;
  }
  const { connect, serve } = useSide(open);

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

  it('serves the contract of stacd exactly', async () => {
    const [service, client] = [await connect(), await connect()];
    service.export({
      path: '/org/nvmexpress/stac',
      introspectionXml: stacXml,
      methods: {
        'org.nvmexpress.stac.list_controllers': () => [[{ traddr: '1.2.3.4' }]],
        'org.nvmexpress.stac.v1.list_controllers': () => [
          [{ state: new BusVariant('s', 'connected'), 'next-in-ms': new BusVariant('d', 12_000) }],
        ],
        'org.nvmexpress.stac.v1.explain': () => [[], [], ['nothing']],
        'org.nvmexpress.stac.v1.metrics': () => [
          [{ samples: new BusVariant('a(sa{ss}d)', [['_total', { reason: 'other' }, 1.5]]) }],
        ],
        'org.nvmexpress.stac.v1.preview_reload': () => ['{}'],
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
    const v1 = { path: '/org/nvmexpress/stac', interfaceName: 'org.nvmexpress.stac.v1' };
    expect(await ask(client, service, 'list_controllers', '', [], v1)).toEqual([
      [{ state: 'connected', 'next-in-ms': 12_000 }],
    ]);
    expect(await ask(client, service, 'explain', '', [], v1)).toEqual([[], [], ['nothing']]);
    expect(await ask(client, service, 'metrics', '', [], v1)).toEqual([
      [{ samples: [['_total', { reason: 'other' }, 1.5]] }],
    ]);
  });
});
