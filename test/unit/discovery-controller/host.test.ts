import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Bench, commands } from './bench.ts';
import { HOST_ID, HOST_NQN, Initiator, WELL_KNOWN } from './initiator.ts';
import { hostRegistration } from './registration.ts';

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

describe('a host that connects', () => {
  it('gets a controller ID, and is recorded with its names and its keep alive timeout', async () => {
    const { hosted, port } = await bench.add();
    const host = await bench.keep(Initiator.open(port));
    const answer = await host.connect({ kato: 30_000 });
    expect(answer.status).toBe(0);
    expect(Number(answer.result)).toBeGreaterThan(0);
    expect(commands(hosted, 'connect')).toMatchObject([
      {
        hostnqn: HOST_NQN,
        hostid: HOST_ID,
        subnqn: WELL_KNOWN,
        kato: 30_000,
        sqsize: 31,
        qid: 0,
        status: 'success',
      },
    ]);
  });

  it('becomes ready when it enables the controller, and is shut down when it asks for it', async () => {
    const { port } = await bench.add({ version: 0x00020000 });
    const host = await bench.keep(Initiator.open(port));
    await host.connect();
    expect(await host.property(0x1c)).toBe(0n);
    expect((await host.identify()).status).toBe(0x400c);
    await host.enable();
    expect(await host.property(0x1c)).toBe(1n);
    expect(await host.property(0x08)).toBe(0x00020000n);
    expect((await host.property(0x00, 8)) & 0xffffn).toBe(127n);
    await host.send({ op: 'property-set', size: 4, offset: 0x14, value: 0x464001n });
    expect((await host.property(0x1c)) & 0xcn).toBe(0x8n);
  });

  it.each([
    ['an I/O queue', { qid: 1 }, 0x4182],
    ['an unknown subsystem', { subnqn: 'nqn.2024-01.org.example:other' }, 0x4182],
    ['no host NQN', { hostnqn: '' }, 0x4182],
  ])('is refused with %s', async (_what, options, status) => {
    const { port } = await bench.add();
    const host = await bench.keep(Initiator.open(port));
    expect((await host.connect(options)).status).toBe(status);
  });

  it('can do nothing before Connect, and cannot connect twice', async () => {
    const { port } = await bench.add();
    const host = await bench.keep(Initiator.open(port));
    expect((await host.identify()).status).toBe(0x400c);
    expect((await host.connect()).status).toBe(0);
    expect((await host.connect()).status).toBe(0x400c);
  });

  it('reaches a controller with a unique NQN by either name, if it is allowed to', async () => {
    const subnqn = 'nqn.2024-01.org.example:cdc';
    const { hosted, port } = await bench.add({ subnqn });
    await bench.keep(Initiator.host(port, { subnqn }));
    await bench.keep(Initiator.host(port));
    hosted.controller.change({ wellKnown: false }, '');
    const host = await bench.keep(Initiator.open(port));
    expect((await host.connect()).status).toBe(0x4182);
  });

  it('has a controller ID and events of its own beside other hosts', async () => {
    const { hosted, port } = await bench.add();
    const hosts = await Promise.all(
      ['a', 'b', 'c'].map((name) =>
        bench.keep(Initiator.host(port, { hostnqn: `nqn.2024-01.org.example:${name}` })),
      ),
    );
    const ids = await Promise.all(
      hosts.map(async (host) => (await host.identify()).data.readUInt16LE(78)),
    );
    expect(new Set(ids).size).toBe(3);
    expect([...hosted.connections].map(({ hostnqn }) => hostnqn).sort()).toEqual(
      ['a', 'b', 'c'].map((name) => `nqn.2024-01.org.example:${name}`),
    );
  });

  it('finds several controllers, each with its own log, also over IPv6', async () => {
    const one = await bench.add({ name: 'one', entries: [entry('a')] });
    const two = await bench.add({
      name: 'two',
      listen: [{ address: '::1', port: 0 }],
      entries: [entry('b')],
    });
    const first = await bench.keep(Initiator.host(one.port));
    const second = await bench.keep(Initiator.open(two.port, {}, '::1'));
    await second.connect();
    await second.enable();
    expect(subnqns((await first.log(0, 2048)).data)).toEqual(['nqn.2024-01.org.example:a']);
    expect(subnqns((await second.log(0, 2048)).data)).toEqual(['nqn.2024-01.org.example:b']);
  });
});

describe('the transport', () => {
  it.each([
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ])('agrees to digests (header %s, data %s) and uses them', async (headerDigest, dataDigest) => {
    const { port } = await bench.add({ entries: [entry('a'), entry('b')], maxC2hData: 512 });
    const host = await bench.keep(Initiator.host(port, {}, { headerDigest, dataDigest, hpda: 15 }));
    expect(host.digests).toEqual({ header: headerDigest, data: dataDigest });
    expect(subnqns((await host.log(0, 3072)).data)).toHaveLength(2);
  });

  it('does not agree to digests that the script switched off', async () => {
    const { port } = await bench.add({ headerDigest: false, dataDigest: false });
    const host = await bench.keep(
      Initiator.host(port, {}, { headerDigest: true, dataDigest: true }),
    );
    expect(host.digests).toEqual({ header: false, data: false });
  });

  it('spares the response only for a host without SQ flow control', async () => {
    const { port } = await bench.add();
    const usual = await bench.keep(Initiator.host(port));
    const without = await bench.keep(Initiator.host(port, { cattr: 4 }));
    expect((await usual.identify()).bare).toBe(false);
    expect((await without.identify()).bare).toBe(true);
  });

  it('asks for data that did not come in the capsule', async () => {
    const { hosted, port } = await bench.add({ dctype: 'cdc' });
    const host = await bench.keep(
      Initiator.host(port, {}, { headerDigest: true, dataDigest: true }),
    );
    const data = hostRegistration({ symbolicName: 'by R2T' });
    expect((await host.send({ op: 'dim', task: 0 }, data, false)).status).toBe(0);
    expect(hosted.controller.registrations.get(HOST_NQN)?.entries[0]?.symbolicName).toBe('by R2T');
  });

  it('sends a termination request to a host that sends garbage, and closes', async () => {
    const { hosted, port } = await bench.add();
    const host = await bench.keep(Initiator.dial(port));
    host.writeRaw(Buffer.from('GET / HTTP/1.1\r\nHost: example.org\r\n\r\n'));
    const termination = await host.termination();
    expect([termination.fes, termination.fei]).toEqual([1, 0]);
    expect(termination.data.toString('latin1', 0, 5)).toBe('GET /');
    await host.closed;
    expect(commands(hosted, 'garbage')).toHaveLength(1);
  });

  it('takes a command before ICReq, and a second ICReq, as errors of sequence', async () => {
    const { port } = await bench.add();
    const early = await bench.keep(Initiator.dial(port));
    void early.connect().catch(() => undefined);
    expect((await early.termination()).fes).toBe(2);
    const twice = await bench.keep(Initiator.open(port));
    twice.write({
      type: 'icReq',
      pfv: 0,
      hpda: 0,
      headerDigest: false,
      dataDigest: false,
      maxR2t: 0,
    });
    expect((await twice.termination()).fes).toBe(2);
  });

  it('refuses data for no transfer', async () => {
    const { port } = await bench.add();
    const host = await bench.keep(Initiator.host(port));
    host.write({
      type: 'h2cData',
      cccid: 1,
      ttag: 9,
      offset: 0,
      last: true,
      success: false,
      data: Buffer.alloc(16),
      dataIntact: true,
    });
    expect((await host.termination()).fes).toBe(1);
  });
});

describe('Identify', () => {
  it('tells type, NQN, event support and what the script says', async () => {
    const { port } = await bench.add({
      dctype: 'cdc',
      subnqn: 'nqn.2024-01.org.example:cdc',
      model: 'Model X',
      serial: { hex: '534e0a' },
      identifyPatch: [{ offset: 3000, hex: 'aabb' }],
    });
    const host = await bench.keep(Initiator.host(port));
    const { data } = await host.identify();
    expect(data.length).toBe(4096);
    expect(data.toString('latin1', 24, 64)).toBe('Model X'.padEnd(40));
    expect(data.toString('hex', 4, 8)).toBe('534e0a00');
    expect(data.readUInt8(111)).toBe(2);
    expect(data.readUInt32LE(92)).toBe(0x80000000);
    expect(data.readUInt8(1806)).toBe(2);
    expect(data.toString('latin1', 768, 796)).toBe('nqn.2024-01.org.example:cdc\0');
    expect(data.toString('hex', 3000, 3002)).toBe('aabb');
  });
});

describe('features, registration and the rest', () => {
  it('keeps what Set Features sets', async () => {
    const { port } = await bench.add();
    const host = await bench.keep(Initiator.host(port, { kato: 5000 }));
    const get = (fid: number): Promise<bigint> =>
      host.send({ op: 'get-features', fid, sel: 0 }).then(({ result }) => result);
    await host.wantEvents();
    expect(await get(0x0b)).toBe(0x80000000n);
    expect(await get(0x0f)).toBe(5000n);
    expect((await host.send({ op: 'get-features', fid: 7, sel: 0 })).status).toBe(0x4002);
  });

  it('answers an unknown command with Invalid Opcode', async () => {
    const { hosted, port } = await bench.add();
    const host = await bench.keep(Initiator.host(port));
    expect((await host.send({ op: 'unknown' })).status).toBe(0x4001);
    expect(commands(hosted, 'unknown')).toMatchObject([
      { opcode: 0xc1, status: 'invalid-opcode+dnr' },
    ]);
  });

  it('registers, updates and deregisters a host', async () => {
    const { hosted, port } = await bench.add({ dctype: 'ddc' });
    const host = await bench.keep(Initiator.host(port));
    const dim = (task: number, symbolicName: string): Promise<number> =>
      host
        .send({ op: 'dim', task }, hostRegistration({ symbolicName }))
        .then(({ status }) => status);
    const name = (): string | undefined =>
      hosted.controller.registrations.get(HOST_NQN)?.entries[0]?.symbolicName;
    expect(await dim(2, 'too early')).toBe(0x4002);
    expect(await dim(0, 'first')).toBe(0);
    expect(name()).toBe('first');
    expect(await dim(2, 'second')).toBe(0);
    expect(name()).toBe('second');
    expect(await dim(1, '')).toBe(0);
    expect(name()).toBeUndefined();
    expect(commands(hosted, 'dim')[1]).toMatchObject({
      task: 0,
      nument: 1,
      entries: [{ symbolicName: 'first' }],
    });
  });

  it('takes no registration if it is neither DDC nor CDC, nor a damaged one', async () => {
    const { hosted, port } = await bench.add();
    const host = await bench.keep(Initiator.host(port));
    const data = hostRegistration({});
    expect((await host.send({ op: 'dim', task: 0 }, data)).status).toBe(0x4001);
    hosted.controller.change({ dctype: 'cdc' }, '');
    data.writeUInt32LE(7, 0);
    expect((await host.send({ op: 'dim', task: 0 }, data)).status).toBe(0x412f);
    expect(hosted.controller.registrations.size).toBe(0);
  });

  it('drops a host whose keep alive expires, and no other', async () => {
    const { hosted, port } = await bench.add();
    const silent = await bench.keep(Initiator.host(port, { kato: 5000 }));
    const alive = await bench.keep(Initiator.host(port, { kato: 5000 }));
    const forever = await bench.keep(Initiator.host(port));
    bench.timers.advance(3000);
    await alive.send({ op: 'keep-alive' });
    bench.timers.advance(3000);
    await silent.closed;
    expect((await alive.identify()).status).toBe(0);
    expect((await forever.identify()).status).toBe(0);
    expect(hosted.connections.size).toBe(2);
    expect(commands(hosted, 'keep-alive-expired')).toHaveLength(1);
  });

  it('leaves no timer behind when hosts leave', async () => {
    const { hosted, port } = await bench.add();
    const host = await bench.keep(Initiator.host(port, { kato: 5000 }));
    expect(bench.timers.waiting).toBe(1);
    const gone = new Promise<void>((resolve) => {
      const stop = hosted.controller.recorder.listen(() => {
        if (hosted.controller.recorder.count({ command: 'close' }) === 0) return;
        stop();
        resolve();
      });
    });
    host.close();
    await gone;
    expect(bench.timers.waiting).toBe(0);
    expect(hosted.controller.associations.size).toBe(0);
  });
});
