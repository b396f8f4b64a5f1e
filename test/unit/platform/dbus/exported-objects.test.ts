import { BusVariant } from '../../../../src/ports/bus.ts';
import { describe, expect, it } from 'vitest';
import { ExportedObjects } from '../../../../src/platform/dbus/exported-objects.ts';
import type { CallReply, OutgoingSignal } from '../../../../src/platform/dbus/exported-objects.ts';
import type { ExportedObject } from '../../../../src/ports/bus.ts';

const xml = `<node>
  <interface name="a.one">
    <method name="hello"><arg type="s"/><arg direction="out" type="s"/></method>
    <signal name="said"><arg type="s"/></signal>
    <property name="level" type="t" access="readwrite"/>
    <property name="secret" type="s" access="write"/>
    <property name="born" type="s" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="const"/>
    </property>
  </interface>
  <interface name="a.two">
    <property name="size" type="u" access="read">
      <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="invalidates"/>
    </property>
  </interface>
</node>`;

function setUp() {
  const signals: OutgoingSignal[] = [];
  const failures: string[] = [];
  const values = { level: 1n, size: 2, secret: '' };
  const objects = new ExportedObjects({
    emit: (signal) => void signals.push(signal),
    onFailure: (what, thrown) => void failures.push(`${what}: ${String(thrown)}`),
    machineId: () => 'feed',
  });
  const object: ExportedObject = {
    path: '/a/b',
    introspectionXml: xml,
    methods: { 'a.one.hello': (name: string) => [`hello ${name}`] },
    properties: {
      'a.one.level': { get: () => values.level, set: (level: bigint) => (values.level = level) },
      'a.one.secret': { get: () => values.secret, set: (text: string) => (values.secret = text) },
      'a.one.born': { get: () => 'then' },
      'a.two.size': { get: () => values.size },
    },
  };
  const call = (
    interfaceName: string | undefined,
    member: string,
    signature = '',
    args: readonly unknown[] = [],
    path = '/a/b',
  ): Promise<CallReply> => objects.handle({ path, interfaceName, member, signature, args });
  return { objects, object, values, signals, failures, call };
}

const PROPERTIES = 'org.freedesktop.DBus.Properties';

describe('exported objects', () => {
  it('answer a call that names no interface', async () => {
    const { objects, object, call } = setUp();
    objects.add(object);
    expect(await call(undefined, 'hello', 's', ['you'])).toEqual({
      kind: 'return',
      signature: 's',
      body: ['hello you'],
    });
    expect(await call(undefined, 'nothing')).toMatchObject({
      errorName: 'org.freedesktop.DBus.Error.UnknownMethod',
    });
  });

  it('are refused where object and contract do not fit', () => {
    const { objects, object } = setUp();
    const { methods, properties } = object;
    const add = (change: Partial<ExportedObject>) => () => objects.add({ ...object, ...change });
    const nothing = { get: () => 0 };
    expect(add({ methods: {} })).toThrow('a.one.hello is not implemented');
    expect(add({ methods: { ...methods, 'a.one.more': () => [] } })).toThrow('not in the contract');
    expect(add({ properties: {} })).toThrow('a.one.level is not implemented');
    expect(add({ properties: { ...properties, 'a.one.x': nothing } })).toThrow(
      'not in the contract',
    );
    expect(add({ properties: { ...properties, 'a.one.level': nothing } })).toThrow('as readwrite');
    expect(
      add({ properties: { ...properties, 'a.two.size': { ...nothing, set: () => undefined } } }),
    ).toThrow('as read');
    expect(add({ path: 'a' })).toThrow('not an object path');
    objects.add(object);
    expect(add({})).toThrow('exported already');
  });

  it('are gone after dispose, and can come again', async () => {
    const { objects, object, call } = setUp();
    const published = objects.add(object);
    published.dispose();
    expect(await call('a.one', 'hello', 's', ['you'])).toMatchObject({
      errorName: 'org.freedesktop.DBus.Error.UnknownObject',
    });
    objects.add(object);
    published.dispose();
    expect(await call('a.one', 'hello', 's', ['you'])).toMatchObject({ kind: 'return' });
  });

  it('hide what is write-only and refuse what is not asked for rightly', async () => {
    const { objects, object, call } = setUp();
    objects.add(object);
    const level = new BusVariant('t', 1n);
    const born = new BusVariant('s', 'then');
    expect(await call(PROPERTIES, 'GetAll', 's', ['a.one'])).toMatchObject({
      body: [{ level, born }],
    });
    const size = new BusVariant('u', 2);
    expect(await call(PROPERTIES, 'GetAll', 's', [''])).toMatchObject({
      body: [{ level, born, size }],
    });
    expect(await call(PROPERTIES, 'GetAll', 's', [PROPERTIES])).toMatchObject({ body: [{}] });
    for (const [member, signature, args, error] of [
      ['Get', 'ss', ['a.one', 'secret'], 'AccessDenied'],
      ['Get', 'ss', ['a.two', 'level'], 'UnknownProperty'],
      ['Get', 'ss', ['a.one', '__proto__'], 'UnknownProperty'],
      ['Get', 'ss', ['a.none', 'level'], 'UnknownInterface'],
      ['Get', 's', ['a.one'], 'InvalidArgs'],
      ['GetAll', 's', ['a.none'], 'UnknownInterface'],
      ['Set', 'ss', ['a.one', 'level'], 'InvalidArgs'],
      ['Reset', '', [], 'UnknownMethod'],
    ] as const) {
      expect(await call(PROPERTIES, member, signature, args)).toMatchObject({
        errorName: `org.freedesktop.DBus.Error.${error}`,
      });
    }
  });

  it('tell what changed since they told it last', async () => {
    const { objects, object, values, signals, call } = setUp();
    const published = objects.add(object);
    published.propertiesChanged();
    expect(signals).toEqual([]);
    await call(PROPERTIES, 'Set', 'ssv', ['a.one', 'level', new BusVariant('t', 5n)]);
    values.size = 9;
    published.propertiesChanged();
    published.propertiesChanged();
    expect(signals.map(({ member, body }) => [member, body])).toEqual([
      ['PropertiesChanged', ['a.one', { level: new BusVariant('t', 5n) }, []]],
      ['PropertiesChanged', ['a.two', {}, ['size']]],
    ]);
    await call(PROPERTIES, 'Set', 'ssv', ['a.one', 'secret', new BusVariant('s', 'x')]);
    expect(signals.at(-1)?.body).toEqual(['a.one', {}, ['secret']]);
  });

  it('make signals of their contract only', () => {
    const { objects, object } = setUp();
    expect(() => objects.signal('/a/b', 'a.one', 'said', ['x'])).toThrow('has no signal');
    objects.add(object);
    expect(objects.signal('/a/b', 'a.one', 'said', ['x'])).toMatchObject({
      signature: 's',
      body: ['x'],
    });
    expect(() => objects.signal('/a/b', 'a.one', 'said', [1])).toThrow('is not a string');
    expect(() => objects.signal('/a/b', 'a.one', 'hello', ['x'])).toThrow('has no signal');
  });

  it('report a method that fails by itself, and not one that refuses its caller', async () => {
    const { objects, object, failures, call } = setUp();
    objects.add({ ...object, methods: { 'a.one.hello': () => [7] } });
    expect(await call('a.one', 'hello', 's', ['you'])).toMatchObject({
      errorName: 'org.freedesktop.DBus.Error.Failed',
    });
    expect(failures).toHaveLength(1);
    await call('a.one', 'hello');
    expect(failures).toHaveLength(1);
  });

  it('answer Peer and Introspect on the way to an object, and nowhere else', async () => {
    const { objects, object, call } = setUp();
    objects.add(object);
    const introspectable = 'org.freedesktop.DBus.Introspectable';
    expect(await call(introspectable, 'Introspect', '', [], '/a')).toMatchObject({
      body: [expect.stringContaining('<node name="b"/>')],
    });
    expect(await call('org.freedesktop.DBus.Peer', 'GetMachineId', '', [], '/a')).toMatchObject({
      body: ['feed'],
    });
    for (const path of ['/a/b/c', '/ab', '/b']) {
      expect(await call(introspectable, 'Introspect', '', [], path)).toMatchObject({
        errorName: 'org.freedesktop.DBus.Error.UnknownObject',
      });
    }
  });
});
