import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ControlError } from '../../discovery-controller/control-client.ts';
import { readConfig } from '../../discovery-controller/settings.ts';
import { Bench } from './bench.ts';
import { HOST_NQN, Initiator } from './initiator.ts';

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => {
  bench.close();
});

const run = promisify(execFile);
const script = new URL('../../discovery-controller/dc-control.sh', import.meta.url).pathname;

/** Sends raw text to the control socket and returns everything that comes back. */
function talk(text: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(bench.controlPath);
    let replies = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => (replies += chunk));
    socket.on('error', reject);
    socket.on('close', () => resolve(replies.split('\n').filter((line) => line !== '')));
    socket.end(text);
  });
}

async function codeOf(request: Promise<unknown>): Promise<string> {
  const error: unknown = await request.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof ControlError ? error.code : 'none';
}

describe('the control socket', () => {
  it('scripts the entries of a log page, one by one', async () => {
    const { hosted } = await bench.add();
    const control = await bench.control();
    const names = (): string[] => hosted.controller.entries.map(({ id }) => id);
    await control.request('set-entries', { entries: [{ id: 'a' }, { id: 'b' }] });
    await control.request('add-entries', { entries: [{ id: 'c' }], at: 1 });
    expect(names()).toEqual(['a', 'c', 'b']);
    await control.request('remove-entries', { ids: ['a'] });
    const changed = await control.request('change-entry', {
      entry: 'b',
      fields: { traddr: '10.9.9.9' },
    });
    expect(changed).toEqual({ generation: 5, entries: 2 });
    expect(names()).toEqual(['c', 'b']);
    expect(hosted.controller.entries[1]?.bytes.toString('latin1', 512, 520)).toBe('10.9.9.9');
    await control.request('set-entries', { entries: [], bump: false });
    expect(hosted.controller.generation).toBe(5n);
  });

  it.each([
    ['an unknown operation', 'bmp', {}, 'bad-op'],
    ['a misspelt member', 'set-entries', { entries: [], bmp: false }, 'bad-input'],
    ['a taken id', 'add-entries', { entries: [{ id: 'a' }] }, 'bad-input'],
    ['an unknown id', 'remove-entries', { ids: ['a', 'z'] }, 'not-found'],
    ['an unknown controller', 'bump', { controller: 'nobody' }, 'not-found'],
    ['an unknown setting', 'set', { settings: { dc: 1 } }, 'bad-input'],
  ])('refuses %s and changes nothing', async (_what, op, parameters, code) => {
    const { hosted } = await bench.add({ entries: [{ id: 'a' }] });
    const control = await bench.control();
    expect(await codeOf(control.request(op, parameters))).toBe(code);
    expect(hosted.controller.generation).toBe(1n);
    expect(hosted.controller.entries.map(({ id }) => id)).toEqual(['a']);
  });

  it('answers each bad line and goes on', async () => {
    await bench.add();
    await bench.control();
    const replies = await talk('not json\n[]\n"x"\nnull\n{"op":7}\n\n{"op":"ping","id":"p"}');
    expect(replies.map((line) => (JSON.parse(line) as { ok: boolean }).ok)).toEqual([
      false,
      false,
      false,
      false,
      false,
      true,
    ]);
    expect(replies.at(-1)).toBe('{"ok":true,"id":"p"}');
  });

  it('needs a controller to be named if there are several', async () => {
    await bench.add({ name: 'one' });
    await bench.add({ name: 'two' });
    const control = await bench.control();
    expect(await codeOf(control.request('bump'))).toBe('bad-input');
    expect(await control.request('bump', { controller: 'two' })).toMatchObject({ generation: 2 });
  });

  it('gives the commands that came, once', async () => {
    const { port } = await bench.add();
    const control = await bench.control();
    const host = await bench.keep(Initiator.host(port, { kato: 7000 }));
    await host.log(0, 20);
    const wanted = { hostnqn: HOST_NQN, command: 'get-log-page', lid: 0x70 };
    expect(await control.list('get-commands', { ...wanted, keep: true }, 'commands')).toHaveLength(
      1,
    );
    expect(await control.list('get-commands', wanted, 'commands')).toHaveLength(1);
    expect(await control.list('get-commands', wanted, 'commands')).toEqual([]);
    expect(await control.list('get-commands', { command: 'connect' }, 'commands')).toMatchObject([
      { hostnqn: HOST_NQN, kato: 7000, status: 'success' },
    ]);
  });

  it('waits for commands to come, and says when they do not', async () => {
    const { port } = await bench.add();
    const control = await bench.control();
    const waiting = control.request('wait-commands', { command: 'identify', count: 2 });
    const host = await bench.keep(Initiator.host(port));
    await host.identify();
    await host.identify();
    expect(await waiting).toMatchObject({ commands: [{ command: 'identify' }, {}] });

    const vain = control.request('wait-commands', { command: 'abort', timeoutMs: 500 });
    await control.request('ping');
    bench.timers.advance(500);
    expect(await codeOf(vain)).toBe('timeout');
    expect(bench.timers.waiting).toBe(0);
  });

  it('sends as many events as asked for, as the host makes requests', async () => {
    const { port } = await bench.add();
    const control = await bench.control();
    const host = await bench.keep(Initiator.host(port));
    await control.request('send-aen', { count: 3 });
    for (let i = 0; i < 3; i++) expect((await host.awaitEvent()).result).toBe(0x70f002n);
    const fourth = host.awaitEvent();
    await control.request('send-aen', { count: 2, intervalMs: 100 });
    expect((await fourth).result).toBe(0x70f002n);
    const fifth = host.awaitEvent();
    await host.identify();
    bench.timers.advance(100);
    expect((await fifth).result).toBe(0x70f002n);
  });

  it('drops the connections chosen, and no others', async () => {
    const { port } = await bench.add();
    const control = await bench.control();
    const hosts = await Promise.all(
      ['nqn.a', 'nqn.b'].map((hostnqn) => bench.keep(Initiator.host(port, { hostnqn }))),
    );
    expect(await control.request('drop-connections', { hostnqn: 'nqn.a' })).toEqual({ dropped: 1 });
    await hosts[0]?.closed;
    expect((await hosts[1]?.identify())?.status).toBe(0);
    await control.request('drop-connections', { how: 'reset' });
    await hosts[1]?.closed;
  });

  it('stops listening and listens again on the same port', async () => {
    const { hosted, port } = await bench.add();
    const control = await bench.control();
    const host = await bench.keep(Initiator.host(port));
    await control.request('unlisten');
    await expect(Initiator.dial(port)).rejects.toThrow('ECONNREFUSED');
    expect((await host.identify()).status).toBe(0);
    await control.request('listen');
    expect(hosted.listeners[0]?.port).toBe(port);
    await bench.keep(Initiator.host(port));
  });

  it('adds and removes controllers', async () => {
    const control = await bench.control();
    const listen = [{ address: '127.0.0.1', port: 0 }];
    const [at] = await control.list('add-controller', { config: { name: 'x', listen } }, 'listen');
    const port = Number(at?.['port']);
    const host = await bench.keep(Initiator.host(port));
    await control.request('remove-controller', { controller: 'x' });
    await host.closed;
    await expect(Initiator.dial(port)).rejects.toThrow('ECONNREFUSED');
    const taken = { config: { name: 'y', listen: [{ address: '192.0.2.1', port: 9 }] } };
    expect(await codeOf(control.request('add-controller', taken))).toBe('EADDRNOTAVAIL');
    expect(await control.request('status')).toEqual({ controllers: [] });
  });

  it('shows who is connected and how', async () => {
    const { port } = await bench.add();
    const control = await bench.control();
    const host = await bench.keep(Initiator.host(port, { kato: 9000 }, { headerDigest: true }));
    await host.wantEvents();
    const [status] = await control.list('status', {}, 'controllers');
    expect(status).toMatchObject({
      name: 'dc',
      connections: [
        { hostnqn: HOST_NQN, kato: 9000, ready: true, headerDigest: true, dataDigest: false },
      ],
    });
  });

  it('can be used from a shell with nothing but perl', async () => {
    await bench.add();
    await bench.control();
    const { stdout } = await run(script, [bench.controlPath, '{"op":"ping"}', '{"op":"bump"}']);
    expect(stdout).toBe('{"ok":true}\n{"ok":true,"generation":2,"entries":0}\n');
    const refused = run(script, [bench.controlPath, '{"op":"nope"}']);
    await expect(refused).rejects.toMatchObject({ code: 1 });
    await expect(run(script, ['/nonexistent', '{}'])).rejects.toMatchObject({ code: 2 });
  });

  it('ends the program on request', async () => {
    const control = await bench.control();
    await control.request('shutdown');
    expect(bench.shutdowns).toBe(1);
  });
});

describe('the configuration', () => {
  const listen = [{ address: '::', port: 8009 }];

  it('takes every controller with its defaults', () => {
    const [one] = readConfig({ controllers: [{ name: 'one', listen, dctype: 'ddc', pleo: true }] });
    expect(one?.settings.settings).toMatchObject({ dctype: 1, pleo: true, kas: 10 });
    expect(one?.listen).toEqual([{ address: '::', port: 8009, portid: 1 }]);
  });

  it.each([
    [
      'two of a name',
      {
        controllers: [
          { name: 'a', listen },
          { name: 'a', listen },
        ],
      },
    ],
    ['one without a name', { controllers: [{ listen }] }],
    ['an unknown setting', { controllers: [{ name: 'a', listen, dctyp: 'ddc' }] }],
    [
      'a port out of range',
      { controllers: [{ name: 'a', listen: [{ address: '::', port: -1 }] }] },
    ],
    ['no list', {}],
  ])('refuses %s', (_what, config) => {
    expect(() => readConfig(config)).toThrow(/controllers/);
  });
});
