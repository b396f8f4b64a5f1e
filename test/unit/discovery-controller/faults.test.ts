import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Faults } from '../../discovery-controller/faults.ts';
import { InputError } from '../../discovery-controller/json.ts';
import { Bench, commands } from './bench.ts';
import { Initiator } from './initiator.ts';

describe('fault rules', () => {
  const read = { point: 'get-log-page' as const, lid: 0x70, hostnqn: 'nqn.a' };

  it('acts on what matches command, log page and host alone', () => {
    const faults = new Faults();
    faults.add({ command: 'get-log-page', lid: 0x70, hostnqn: 'nqn.a', never: true }, 'fault');
    expect(faults.match({ ...read, lid: 0 })).toBeNull();
    expect(faults.match({ ...read, hostnqn: 'nqn.b' })).toBeNull();
    expect(faults.match({ ...read, point: 'identify' })).toBeNull();
    expect(faults.match(read)?.then).toEqual({ kind: 'never' });
  });

  it('skips, acts so many times, and is gone', () => {
    const faults = new Faults();
    faults.add({ command: 'any', skip: 1, count: 2, status: 'not-ready' }, 'fault');
    const acted = [0, 1, 2, 3].map(() => faults.match(read) !== null);
    expect(acted).toEqual([false, true, true, false]);
    expect(faults.list()).toEqual([]);
  });

  it('lets the first rule act', () => {
    const faults = new Faults();
    faults.add({ id: 'one', status: 1, count: 1 }, 'fault');
    faults.add({ id: 'two', status: 2 }, 'fault');
    const statuses = [0, 1].map(() => {
      const then = faults.match(read)?.then;
      return then?.kind === 'status' ? then.status : null;
    });
    expect(statuses).toEqual([1, 2]);
    expect(faults.list()).toMatchObject([{ id: 'two', hits: 1 }]);
  });

  it('reads statuses by name, number, and with the wish not to be retried', () => {
    const faults = new Faults();
    const then = (status: unknown): unknown => {
      faults.remove();
      faults.add({ status }, 'fault');
      return faults.match(read)?.then;
    };
    expect(then('connect-invalid-host+dnr')).toMatchObject({ status: 0x4184 });
    expect(then(0x4109)).toMatchObject({ status: 0x4109 });
  });

  it.each([
    ['an unknown command', { command: 'format' }],
    ['an unknown status', { status: 'sad' }],
    ['two answers at once', { status: 1, never: true }],
    ['an unknown member', { comand: 'identify' }],
    ['a count of none', { count: 0 }],
    ['nothing', null],
  ])('refuses %s', (_what, fault) => {
    expect(() => new Faults().add(fault, 'fault')).toThrow(InputError);
  });
});

describe('a faulty controller', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(() => {
    bench.close();
  });

  it('refuses a connect with the status asked for, once', async () => {
    const { hosted, port } = await bench.add();
    hosted.controller.faults.add(
      { command: 'connect', status: 'connect-controller-busy', count: 1 },
      '',
    );
    const host = await bench.keep(Initiator.open(port));
    expect((await host.connect()).status).toBe(0x181);
    expect((await host.connect()).status).toBe(0);
  });

  it('answers late, and not before', async () => {
    const { hosted, port } = await bench.add();
    hosted.controller.faults.add({ command: 'connect', delayMs: 2000 }, '');
    const host = await bench.keep(Initiator.open(port));
    let answered = false;
    const answer = host.connect().then((completion) => {
      answered = true;
      return completion;
    });
    // A command without a rule is answered at once: what came before it has arrived.
    await host.property(0x1c);
    bench.timers.advance(1999);
    expect(answered).toBe(false);
    bench.timers.advance(1);
    expect((await answer).status).toBe(0);
  });

  it('answers what it holds back when it is told to, once', async () => {
    const { hosted, port } = await bench.add();
    const control = await bench.control();
    const host = await bench.keep(Initiator.host(port));
    hosted.controller.faults.add({ command: 'get-log-page', delayMs: 1000, count: 1 }, '');
    const log = host.log(0, 20);
    await host.identify();
    await control.request('end-delays', {});
    expect((await log).status).toBe(0);
    bench.timers.advance(1000);
    expect(commands(hosted, 'get-log-page')).toHaveLength(1);
    expect((await host.log(0, 20)).status).toBe(0);
  });

  it('carries out a late command on the state that it then has', async () => {
    const { hosted, port } = await bench.add();
    const host = await bench.keep(Initiator.host(port));
    hosted.controller.faults.add({ command: 'get-log-page', delayMs: 100 }, '');
    const log = host.log(0, 20);
    await host.identify();
    hosted.controller.setEntries([{}, {}], { bump: true, aen: false });
    bench.timers.advance(100);
    expect((await log).data.readBigUInt64LE(8)).toBe(2n);
  });

  it('never answers ICReq, and takes the connection all the same', async () => {
    const { hosted, port } = await bench.add();
    hosted.controller.faults.add({ command: 'icreq', never: true }, '');
    const control = await bench.control();
    const host = await bench.keep(Initiator.dial(port));
    let initialized = false;
    void host.initialize({}).then(
      () => (initialized = true),
      () => undefined,
    );
    await control.request('wait-commands', { command: 'icreq', timeoutMs: 1000 });
    expect(initialized).toBe(false);
    expect(hosted.connections.size).toBe(1);
  });

  it('closes connections that the script does not want', async () => {
    const { hosted, port } = await bench.add();
    hosted.controller.faults.add({ command: 'accept', drop: true, count: 1 }, '');
    const refused = await bench.keep(Initiator.dial(port));
    await refused.closed;
    const accepted = await bench.keep(Initiator.host(port));
    expect((await accepted.identify()).status).toBe(0);
  });

  it('drops a connection instead of an answer', async () => {
    const { hosted, port } = await bench.add();
    const host = await bench.keep(Initiator.host(port));
    hosted.controller.faults.add({ command: 'identify', drop: true }, '');
    await expect(host.identify()).rejects.toThrow('connection closed');
    expect(commands(hosted, 'identify')).toMatchObject([{ status: 'dropped' }]);
  });

  it('sends less data than it was asked for', async () => {
    const { hosted, port } = await bench.add();
    const host = await bench.keep(Initiator.host(port));
    hosted.controller.faults.add({ command: 'get-log-page', truncate: 12 }, '');
    const answer = await host.log(0, 1024);
    expect([answer.status, answer.data.length]).toEqual([0, 12]);
  });

  it('breaks off in the middle of the data', async () => {
    const { hosted, port } = await bench.add();
    const host = await bench.keep(Initiator.host(port));
    hosted.controller.faults.add({ command: 'get-log-page', truncate: 12, drop: true }, '');
    await expect(host.log(0, 1024)).rejects.toThrow('connection closed');
  });

  it('gives up a command that it would never answer when the host aborts it', async () => {
    const { hosted, port } = await bench.add();
    const host = await bench.keep(Initiator.host(port));
    hosted.controller.faults.add({ command: 'keep-alive', never: true }, '');
    const lost = host.send({ op: 'keep-alive' });
    const abort = await host.send({ op: 'abort', sqid: 0, abortCid: host.lastCid });
    expect((await lost).status).toBe(0x007);
    expect(abort.result).toBe(0n);
  });
});
