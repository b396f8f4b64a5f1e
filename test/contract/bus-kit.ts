/**
 * What the suites of the bus port run against: the fake bus and a real one, with an object of
 * values of every shape to call.
 */
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { BusError } from '../../src/ports/bus.ts';
import type { ExportedObject } from '../../src/ports/bus.ts';
import type { Clock } from '../../src/ports/host.ts';
import { createSystemBus } from '../../src/platform/dbus/system-bus.ts';
import type { SystemBus } from '../../src/platform/dbus/system-bus.ts';
import { FakeBusDaemon } from '../fakes/fake-bus.ts';
import type { FakeBus } from '../fakes/fake-bus.ts';
import { startPrivateBus, whyNoPrivateBus } from './private-bus.ts';
import type { PrivateBus } from './private-bus.ts';

export const NAME = 'org.example.echo';
export const PATH = '/org/example/echo';
export const ECHO = 'org.example.echo';
export const PROPERTIES = 'org.freedesktop.DBus.Properties';
export const PREFIX = 'org.freedesktop.DBus.Error';

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

/** An object that answers with what it is given, and in every way that is not an answer. */
export function echo(): ExportedObject {
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

/** One kind of bus. */
export interface Side {
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
/** The cases of `describe.each`; `skip` where there is no real bus to run against. */
export const sides = [
  { title: 'the fake bus', open: fakeSide, skip: false },
  {
    title: missing === undefined ? 'a real bus' : `a real bus (skipped: ${missing})`,
    open: realSide,
    skip: missing !== undefined,
  },
];

export interface Kit {
  readonly side: () => Side;
  readonly connect: () => Promise<SystemBus>;
  /** Two connections; the object `echo` is on the first. */
  readonly serve: () => Promise<{ service: SystemBus; client: SystemBus }>;
}

/** Sets the hooks of a suite: one bus for all of its tests, connections closed after each. */
export function useSide(open: () => Promise<Side>): Kit {
  let side: Side | undefined;
  const buses: SystemBus[] = [];

  beforeAll(async () => {
    side = await open();
  });
  afterEach(() => {
    for (const bus of buses.splice(0)) bus.close();
  });
  afterAll(() => side?.end());

  function current(): Side {
    if (side === undefined) throw new Error('before the suite began');
    return side;
  }

  async function connect(): Promise<SystemBus> {
    const bus = await current().connect();
    buses.push(bus);
    return bus;
  }

  async function serve(): Promise<{ service: SystemBus; client: SystemBus }> {
    const [service, client] = [await connect(), await connect()];
    service.export(echo());
    return { service, client };
  }

  return { side: current, connect, serve };
}

/** Calls a method of `echo` on `service`. */
export function ask(
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
export async function until(bus: SystemBus, condition: () => boolean): Promise<void> {
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

/** The D-Bus name of what a call fails with. */
export const errorOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'no error',
    (error: unknown) => (error instanceof BusError ? error.errorName : String(error)),
  );
