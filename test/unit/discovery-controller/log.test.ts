import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Bench, commands } from './bench.ts';
import { HOST_NQN, Initiator } from './initiator.ts';

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(() => {
  bench.close();
});

const entry = (id: string, more: object = {}): object => ({
  id,
  traddr: '10.0.0.1',
  trsvcid: '4420',
  subnqn: `nqn.2024-01.org.example:${id}`,
  ...more,
});

function subnqns(log: Buffer): string[] {
  const names: string[] = [];
  for (let at = 1024; at < log.length; at += 1024) {
    names.push(log.toString('latin1', at + 256, log.indexOf(0, at + 256)));
  }
  return names;
}

describe('the discovery log', () => {
  it('is read whole and in parts', async () => {
    const { port } = await bench.add({ entries: [entry('a'), entry('b'), entry('c')] });
    const host = await bench.keep(Initiator.host(port));
    const whole = (await host.log(0, 4096)).data;
    expect(whole.readBigUInt64LE(0)).toBe(1n);
    expect(whole.readBigUInt64LE(8)).toBe(3n);
    expect(subnqns(whole)).toEqual(['a', 'b', 'c'].map((id) => `nqn.2024-01.org.example:${id}`));
    const parts: Buffer[] = [];
    for (let at = 0; at < 4096; at += 20) {
      parts.push((await host.log(at, Math.min(20, 4096 - at))).data);
    }
    expect(Buffer.concat(parts).equals(whole)).toBe(true);
  });

  it('is zeroes after its end, and an error past it', async () => {
    const { port } = await bench.add();
    const host = await bench.keep(Initiator.host(port));
    expect((await host.log(1024, 8)).data.equals(Buffer.alloc(8))).toBe(true);
    expect((await host.log(1028, 8)).status).toBe(0x4002);
    expect((await host.log(2, 8)).status).toBe(0x4002);
  });

  it('shows only the entries of the port if PLEO is asked for and supported', async () => {
    const { hosted, port } = await bench.add({
      entries: [entry('here'), entry('there', { portid: 2 })],
      pleo: true,
    });
    const host = await bench.keep(Initiator.host(port));
    const count = async (lsp: number): Promise<bigint> =>
      (await host.log(0, 1024, { lsp })).data.readBigUInt64LE(8);
    const supported = async (): Promise<number> =>
      (await host.log(0, 1024, { lid: 0 })).data.readUInt32LE(0x70 * 4);
    expect([await count(0), await count(2)]).toEqual([2n, 1n]);
    expect(await supported()).toBe(0x00020001);
    hosted.controller.change({ pleo: false }, '');
    expect(await count(2)).toBe(2n);
    expect(await supported()).toBe(1);
    hosted.controller.change({ supportedLogPages: false }, '');
    expect((await host.log(0, 1024, { lid: 0 })).status).toBe(0x4109);
  });

  it('moves its generation under the reader when the script says so', async () => {
    const { port } = await bench.add({ bumpReads: 2 });
    const host = await bench.keep(Initiator.host(port));
    const generations: bigint[] = [];
    for (let i = 0; i < 4; i++) generations.push((await host.log(0, 8)).data.readBigUInt64LE(0));
    expect(generations).toEqual([1n, 2n, 3n, 3n]);
  });

  it('lies about its length and format when the script says so', async () => {
    const { hosted, port } = await bench.add({ entries: [entry('a')] });
    hosted.controller.change({ numrec: '0xffffffffffffffff', recfmt: 7, genctr: 5 }, '');
    const host = await bench.keep(Initiator.host(port));
    const { data } = await host.log(0, 20);
    expect(data.readBigUInt64LE(8)).toBe(0xffffffffffffffffn);
    expect(data.readUInt16LE(16)).toBe(7);
    expect(data.readBigUInt64LE(0)).toBe(5n);
  });

  it('is recorded with offset, length and flags of each read', async () => {
    const { hosted, port } = await bench.add();
    const host = await bench.keep(Initiator.host(port));
    await host.log(0, 20, { lsp: 2, rae: true });
    expect(commands(hosted, 'get-log-page')).toMatchObject([
      { lid: 0x70, lpo: 0, length: 20, lsp: 2, rae: true, status: 'success', hostnqn: HOST_NQN },
    ]);
  });
});

describe('events', () => {
  const options = { bump: true, aen: true };

  it('reports a change once, and the next one after the log was read', async () => {
    const { hosted, port } = await bench.add();
    const { controller } = hosted;
    const host = await bench.keep(Initiator.host(port));
    await host.wantEvents();
    const first = host.awaitEvent();
    // The answer to a later command shows that the request arrived.
    await host.identify();
    controller.addEntries([entry('a')], 0, options);
    expect((await first).result).toBe(0x70f002n);

    const second = host.awaitEvent();
    await host.identify();
    controller.addEntries([entry('b')], 0, options);
    await host.log(0, 20, { rae: true });
    controller.addEntries([entry('c')], 0, options);
    await host.log(0, 20);
    expect(commands(hosted, 'async-event-request').map(({ status }) => status)).toEqual([
      'success',
      'held',
    ]);
    controller.addEntries([entry('d')], 0, options);
    expect((await second).result).toBe(0x70f002n);
  });

  it('reports a change that came before the request', async () => {
    const { hosted, port } = await bench.add();
    const host = await bench.keep(Initiator.host(port));
    await host.wantEvents();
    hosted.controller.bump(options);
    expect((await host.awaitEvent()).result).toBe(0x70f002n);
  });

  it('reports nothing to a host that did not ask, nor when the script says so', async () => {
    const { hosted, port } = await bench.add();
    const { controller } = hosted;
    const host = await bench.keep(Initiator.host(port));
    void host.awaitEvent().catch(() => undefined);
    controller.bump(options);
    await host.wantEvents();
    controller.bump({ bump: true, aen: false });
    await host.identify();
    expect(commands(hosted, 'async-event-request')).toMatchObject([{ status: 'held' }]);
  });

  it('refuses more requests than it announced', async () => {
    const { port } = await bench.add({ aerl: 1 });
    const host = await bench.keep(Initiator.host(port));
    void host.awaitEvent().catch(() => undefined);
    void host.awaitEvent().catch(() => undefined);
    expect((await host.awaitEvent()).status).toBe(0x4105);
  });

  it('gives a request back to a host that aborts it', async () => {
    const { port } = await bench.add();
    const host = await bench.keep(Initiator.host(port));
    const event = host.awaitEvent();
    const abort = await host.send({ op: 'abort', sqid: 0, abortCid: host.lastCid });
    expect((await event).status).toBe(0x007);
    expect(abort.result).toBe(0n);
    expect((await host.send({ op: 'abort', sqid: 0, abortCid: 999 })).result).toBe(1n);
  });
});
