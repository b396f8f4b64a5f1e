import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createSystemBus } from '../../src/platform/dbus/system-bus.ts';
import type { SystemBus } from '../../src/platform/dbus/system-bus.ts';
import { BusError } from '../../src/ports/bus.ts';
import { startPrivateBus, whyNoPrivateBus } from './private-bus.ts';
import type { PrivateBus } from './private-bus.ts';
import { RawWriter, field, rawMessage } from './raw-message.ts';

/** What dbus-next decodes messages with. */
const DecodeBuffer = createRequire(import.meta.url)('dbus-next/lib/dbus-buffer.js') as new () => {
  readVariant(): unknown;
};

const PATH = '/org/example/echo';
const ECHO = 'org.example.echo';
const echoXml = `<node><interface name="org.example.echo">
  <method name="echo"><arg direction="in" type="s" name="in"/>
    <arg direction="out" type="s" name="out"/></method>
  <method name="nothing"/>
  <signal name="said"><arg type="s" name="text"/></signal>
</interface></node>`;

function exportEcho(bus: SystemBus): void {
  bus.export({
    path: PATH,
    introspectionXml: echoXml,
    methods: { [`${ECHO}.echo`]: (text: string) => [text], [`${ECHO}.nothing`]: () => [] },
    properties: {},
  });
}

/** Resolves with all that the socket sends until `until` is in it. */
async function read(socket: Socket, until: string): Promise<string> {
  let text = '';
  while (!text.includes(until)) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    text += chunk.toString('latin1');
  }
  return text;
}

const uid = Buffer.from(String(process.getuid?.() ?? 0)).toString('hex');

const missing = whyNoPrivateBus();

const skipped = missing === undefined ? '' : ` (skipped: ${missing})`;

describe.skipIf(missing !== undefined)(`callers who send what no library would${skipped}`, () => {
  let daemon: PrivateBus;
  let service: SystemBus;
  let client: SystemBus;
  let attacker: Socket;
  let serial = 1;

  beforeAll(async () => {
    daemon = await startPrivateBus();
    service = await createSystemBus({ address: daemon.address });
    client = await createSystemBus({ address: daemon.address });
    exportEcho(service);
    const path = /path=([^,]*)/.exec(daemon.address)?.[1] ?? '';
    attacker = connect(path);
    attacker.write(`\0AUTH EXTERNAL ${uid}\r\n`);
    await read(attacker, 'OK');
    attacker.write('BEGIN\r\n');
    attacker.write(
      rawMessage({
        type: 1,
        serial: 1,
        fields: [
          field.path('/org/freedesktop/DBus'),
          field.interfaceName('org.freedesktop.DBus'),
          field.member('Hello'),
          field.destination('org.freedesktop.DBus'),
        ],
      }),
    );
    await read(attacker, 'NameAcquired');
  });
  afterAll(async () => {
    attacker.destroy();
    service.close();
    client.close();
    await daemon.stop();
  });

  function send(signature: string, body: Buffer, bigEndian = false, member = 'echo'): void {
    serial += 1;
    const fields = [
      field.path(PATH),
      field.interfaceName(ECHO),
      field.member(member),
      field.destination(service.uniqueName),
      ...(signature === '' ? [] : [field.signature(signature)]),
    ];
    attacker.write(rawMessage({ type: 1, serial, fields, body, bigEndian }));
  }

  async function stillServes(): Promise<boolean> {
    const [answer] = await client.call({
      destination: service.uniqueName,
      path: PATH,
      interfaceName: ECHO,
      member: 'echo',
      inSignature: 's',
      args: ['well'],
      timeoutMs: 20_000,
    });
    return answer === 'well';
  }

  it('answers a file descriptor that did not come with an error', async () => {
    send('h', new RawWriter().uint32(0).toBuffer());
    expect(await read(attacker, 'takes')).toContain('org.freedesktop.DBus.Error.InvalidArgs');
    expect(await stillServes()).toBe(true);
  });

  it('answers 16 MB of variants without decoding them', async () => {
    const count = 4_000_000;
    const body = Buffer.alloc(4 + 4 * count);
    body.writeUInt32LE(4 * count);
    const variant = Buffer.from([1, 0x79, 0, 7]);
    body.fill(variant, 4);
    // Decoded, they take 13 s and 2 GB.
    const decoded = vi.spyOn(DecodeBuffer.prototype, 'readVariant');
    try {
      send('av', body);
      expect(await read(attacker, 'takes')).toContain('org.freedesktop.DBus.Error.InvalidArgs');
      expect(await stillServes()).toBe(true);
      // The fields of each header are variants, too.
      expect(decoded.mock.calls.length).toBeGreaterThan(0);
      expect(decoded.mock.calls.length).toBeLessThan(100);
    } finally {
      decoded.mockRestore();
    }
  });

  it('overlooks a huge argument of a method that takes none', async () => {
    const body = new RawWriter().uint32(100_000).toBuffer();
    send('ay', Buffer.concat([body, Buffer.alloc(100_000)]), false, 'nothing');
    await stillServes();
    send('s', new RawWriter().string('after').toBuffer());
    expect(await read(attacker, 'after')).toContain('after');
  });

  it('ignores huge signals', async () => {
    serial += 1;
    const text = new RawWriter().uint32(100_000).toBuffer();
    attacker.write(
      rawMessage({
        type: 4,
        serial,
        fields: [
          field.path(PATH),
          field.interfaceName(ECHO),
          field.member('said'),
          field.destination(service.uniqueName),
          field.signature('ay'),
        ],
        body: Buffer.concat([text, Buffer.alloc(100_000)]),
      }),
    );
    expect(await stillServes()).toBe(true);
  });

  it('does not take a signal that was sent straight to it for one of the service', async () => {
    const heard: unknown[] = [];
    await client.subscribe({ sender: service.uniqueName, interfaceName: ECHO }, (signal) => {
      heard.push(...signal.args);
    });
    serial += 1;
    const fields = [
      field.path(PATH),
      field.interfaceName(ECHO),
      field.member('said'),
      field.destination(client.uniqueName),
      field.sender(service.uniqueName),
      field.signature('s'),
    ];
    const body = new RawWriter().string('forged').toBuffer();
    attacker.write(rawMessage({ type: 4, serial, fields, body }));
    send('s', new RawWriter().string('it was sent').toBuffer());
    await read(attacker, 'it was sent');
    service.emitSignal(PATH, ECHO, 'said', ['true']);
    await stillServes();
    expect(heard).toEqual(['true']);
  });

  it('answers a caller of the other byte order', async () => {
    send('s', new RawWriter(true).string('big end first').toBuffer(), true);
    expect(await read(attacker, 'big end first')).toContain('big end first');
  });

  it('answers deeply nested variants with an error', async () => {
    const body = new RawWriter();
    for (let depth = 0; depth < 30; depth += 1) body.signature('v');
    body.signature('y').byte(1);
    send('v', body.toBuffer());
    expect(await read(attacker, 'takes')).toContain('org.freedesktop.DBus.Error.InvalidArgs');
    expect(await stillServes()).toBe(true);
  });

  it('ignores replies that nobody asked for', async () => {
    for (const type of [2, 3]) {
      serial += 1;
      const fields = [field.replySerial(2), field.destination(client.uniqueName)];
      const error = type === 3 ? [field.errorName('org.example.No')] : [];
      attacker.write(rawMessage({ type, serial, fields: [...fields, ...error] }));
    }
    expect(await stillServes()).toBe(true);
  });
});

describe('a bus that is none', () => {
  let server: Server | undefined;
  const directory = mkdtempSync(join(tmpdir(), 'no-bus-'));
  const path = join(directory, 'socket');
  const address = `unix:path=${path}`;
  let bus: SystemBus | undefined;
  const sockets: Socket[] = [];

  afterEach(async () => {
    bus?.close();
    bus = undefined;
    for (const socket of sockets.splice(0)) socket.destroy();
    await new Promise<void>((resolve) => {
      if (server === undefined) resolve();
      else server.close(() => resolve());
    });
    server = undefined;
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  /** Listens, and talks to who connects. */
  async function listen(talk: (socket: Socket) => Promise<void> | void): Promise<void> {
    server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      void talk(socket);
    });
    server.listen(path);
    await once(server, 'listening');
  }

  const hello = rawMessage({
    type: 2,
    serial: 1,
    fields: [field.replySerial(1), field.sender('org.freedesktop.DBus'), field.signature('s')],
    body: new RawWriter().string(':1.7').toBuffer(),
  });

  async function greet(socket: Socket): Promise<void> {
    await read(socket, 'AUTH');
    socket.write('OK 0123456789abcdef0123456789abcdef\r\n');
    await read(socket, 'Hello');
  }

  const failure = (timeoutMs = 5000): Promise<string> =>
    createSystemBus({ address, timeoutMs }).then(
      () => 'connected',
      (error: unknown) => (error instanceof BusError ? error.errorName : String(error)),
    );

  /** Connects to a bus that says `bytes` after Hello, and resolves with why it was lost. */
  async function lostAfter(...bytes: Buffer[]): Promise<string> {
    await listen(async (socket) => {
      await greet(socket);
      socket.write(hello);
      await new Promise((resolve) => setTimeout(resolve, 20));
      socket.end(Buffer.concat(bytes));
    });
    const connected = await createSystemBus({ address, timeoutMs: 5000 });
    bus = connected;
    return new Promise((resolve) => connected.onLost(resolve));
  }

  it('reports a socket that is not there', async () => {
    expect(await failure()).toBe('org.freedesktop.DBus.Error.NoServer');
  });

  it('reports an address that has no Unix socket', async () => {
    const opened = createSystemBus({ address: 'tcp:host=localhost,port=1' });
    await expect(opened).rejects.toMatchObject({
      errorName: 'org.freedesktop.DBus.Error.BadAddress',
    });
  });

  it('reports a refused authentication', async () => {
    await listen(async (socket) => {
      await read(socket, 'AUTH');
      socket.write('REJECTED\r\n');
    });
    expect(await failure()).toBe('org.freedesktop.DBus.Error.AuthFailed');
  });

  it('reports a connection closed before its end', async () => {
    await listen((socket) => void socket.end());
    expect(await failure()).toBe('org.freedesktop.DBus.Error.Disconnected');
  });

  it('reports a Hello that is refused', async () => {
    await listen(async (socket) => {
      await greet(socket);
      const fields = [
        field.errorName('org.freedesktop.DBus.Error.LimitsExceeded'),
        field.replySerial(1),
        field.sender('org.freedesktop.DBus'),
        field.signature('s'),
      ];
      const body = new RawWriter().string('too many connections').toBuffer();
      socket.write(rawMessage({ type: 3, serial: 1, fields, body }));
    });
    expect(await failure()).toBe('org.freedesktop.DBus.Error.LimitsExceeded');
  });

  it('does not wait for ever for a bus that says nothing', async () => {
    await listen(() => undefined);
    expect(await failure(100)).toBe('org.freedesktop.DBus.Error.NoReply');
  });

  it('gives up the connection on what is not a message', async () => {
    expect(await lostAfter(Buffer.from('HTTP/1.1 400 Bad Request\r\n'))).toMatch(/not a message/);
  });

  it('gives up the connection on a message beyond all limits', async () => {
    const header = Buffer.from(hello.subarray(0, 16));
    header.writeUInt32LE(0xffff_fff0, 4);
    expect(await lostAfter(header)).toMatch(/limits/);
  });

  it('gives up the connection on a message that cannot be decoded', async () => {
    const fields = [field.replySerial(1), field.signature('as')];
    const body = Buffer.from([0xff, 0xff, 0, 0, 0xff, 0xff, 0xff, 0x7f]);
    const broken = rawMessage({ type: 2, serial: 2, fields, body });
    expect(await lostAfter(broken)).not.toBe('');
  });

  it('reports a connection that ends within a message', async () => {
    expect(await lostAfter(hello.subarray(0, 10))).not.toBe('');
    expect(await lostAfterMore(hello.subarray(0, 40))).not.toBe('');
  });

  async function lostAfterMore(bytes: Buffer): Promise<string> {
    bus?.close();
    for (const socket of sockets.splice(0)) socket.destroy();
    await new Promise<void>((resolve) => server?.close(() => resolve()));
    return lostAfter(bytes);
  }
});
