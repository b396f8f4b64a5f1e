import { readdirSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { makeTid } from '../../../src/nvme/transport-id.ts';
import type { TidFields, TransportId } from '../../../src/nvme/transport-id.ts';
import type { IpFamily } from '../../../src/nvme/ip-address.ts';
import { LibcSockets } from '../../../src/platform/libc-socket.ts';
import { TcpProber } from '../../../src/platform/prober.ts';
import type { ProbeResult } from '../../../src/ports/host.ts';
import { settle } from '../../fakes/clock.ts';
import { MemoryLog } from '../../fakes/log.ts';

const servers: Server[] = [];
const accepted: Socket[] = [];

const log = new MemoryLog();

afterEach(async () => {
  // Nothing was taken for reachable because it could not be tried.
  expect(log.lines).toEqual([]);
  for (const socket of accepted.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) {
    await new Promise((resolve) => server.close(resolve));
  }
});

/** A server on an ephemeral loopback port; resolves with the port. */
function listen(onConnection: (socket: Socket) => void, host = '127.0.0.1'): Promise<number> {
  const server = createServer((socket) => {
    accepted.push(socket);
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  servers.push(server);
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(0, host, () => {
      resolve((server.address() as AddressInfo).port);
    });
  });
}

/** An answer to an ICReq: written out by hand, so that it shares no mistake with the prober. */
function icResp(): Buffer {
  const pdu = Buffer.alloc(128);
  pdu.set([1, 0, 128, 0, 128, 0, 0, 0], 0);
  pdu.writeUInt32LE(0x40_0000, 12);
  return pdu;
}

function tcp(port: number, fields: Partial<TidFields> = {}): TransportId {
  return makeTid({
    transport: 'tcp',
    traddr: '127.0.0.1',
    trsvcid: String(port),
    subsysnqn: 'nqn.test',
    ...fields,
  });
}

function prober(timeLimit = 3000, concurrency?: number): TcpProber {
  return new TcpProber({
    log,
    timeLimit,
    ...(concurrency === undefined ? {} : { concurrency }),
  });
}

/** Descriptors of this process that are sockets. */
function openSockets(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      return false;
    }
  }).length;
}

const answering = (socket: Socket): void => {
  socket.once('data', () => socket.write(icResp()));
};

describe('an NVMe/TCP target', () => {
  test('is reachable when it answers the ICReq, which is 128 bytes as the transport has them', async () => {
    const received: Buffer[] = [];
    const port = await listen((socket) => {
      socket.on('data', (data: Buffer) => {
        received.push(data);
        socket.write(icResp());
      });
    });
    expect(await prober().probe(tcp(port), 'nvme-tcp')).toEqual({ kind: 'reachable' });
    const request = Buffer.concat(received);
    expect(request).toHaveLength(128);
    expect([...request.subarray(0, 8)]).toEqual([0, 0, 128, 0, 128, 0, 0, 0]);
    expect(request.subarray(8).every((byte) => byte === 0)).toBe(true);
  });

  test('is reachable when its answer comes in pieces', async () => {
    const port = await listen((socket) => {
      socket.setNoDelay(true);
      socket.once('data', () => {
        const pieces = [icResp().subarray(0, 3), icResp().subarray(3, 100), icResp().subarray(100)];
        const next = (): void => {
          const piece = pieces.shift();
          if (piece !== undefined) socket.write(piece, () => setImmediate(next));
        };
        next();
      });
    });
    expect(await prober().probe(tcp(port), 'nvme-tcp')).toEqual({ kind: 'reachable' });
  });

  test('is reachable over IPv6, and when bound to an interface and an address', async () => {
    const port = await listen(answering, '::1');
    const tid = tcp(port, { traddr: '::1', hostTraddr: '::1', hostIface: 'lo' });
    expect(await prober().probe(tid, 'nvme-tcp')).toEqual({ kind: 'reachable' });
  });

  test('sees the connection come from the host-traddr', async () => {
    let from: string | undefined;
    const port = await listen((socket) => {
      from = socket.remoteAddress;
      answering(socket);
    });
    const tid = tcp(port, { hostTraddr: '127.0.0.2' });
    expect(await prober().probe(tid, 'nvme-tcp')).toEqual({ kind: 'reachable' });
    expect(from).toBe('127.0.0.2');
  });
});

describe('an address is unreachable', () => {
  async function codeOf(tid: TransportId, timeLimit?: number): Promise<string> {
    const result = await prober(timeLimit).probe(tid, 'nvme-tcp');
    if (result.kind === 'reachable') return 'reachable';
    expect(result.error.errorClass).toBe('retry');
    return result.error.code;
  }

  test('that refuses', async () => {
    const port = await listen(() => undefined);
    const [server] = servers.splice(0);
    await new Promise((resolve) => server?.close(resolve));
    const result = await prober().probe(tcp(port), 'nvme-tcp');
    expect(result).toMatchObject({
      kind: 'unreachable',
      error: {
        ...{ code: 'ECONNREFUSED', errno: 111, errorClass: 'retry' },
        message: 'connection refused: nothing listens there (ECONNREFUSED)',
      },
    });
  });

  test('that accepts and never answers', async () => {
    const port = await listen(() => undefined);
    expect(await codeOf(tcp(port), 50)).toBe('NO_ICRESP');
  });

  test('that accepts and closes', async () => {
    const port = await listen((socket) => socket.end());
    expect(await codeOf(tcp(port))).toBe('NO_ICRESP');
  });

  test('that answers something else, without waiting for more of it', async () => {
    const port = await listen((socket) => socket.write('SSH-2.0-x\r\n'));
    expect(await codeOf(tcp(port))).toBe('BAD_ICRESP');
  });

  test('that answers with a PDU of another length', async () => {
    const port = await listen((socket) => {
      const wrong = icResp();
      wrong.writeUInt32LE(24, 4);
      socket.once('data', () => socket.write(wrong));
    });
    expect(await codeOf(tcp(port))).toBe('BAD_ICRESP');
  });

  test('that closes within its answer', async () => {
    const port = await listen((socket) => {
      socket.once('data', () => socket.end(icResp().subarray(0, 64)));
    });
    expect(await codeOf(tcp(port))).toBe('BAD_ICRESP');
  });

  test('that resets the connection', async () => {
    const port = await listen((socket) => {
      socket.once('data', () => socket.resetAndDestroy());
    });
    expect(await codeOf(tcp(port))).toBe('ECONNRESET');
  });

  test('behind an interface that is missing', async () => {
    const port = await listen(answering);
    expect(await codeOf(tcp(port, { hostIface: 'nope0' }))).toBe('ENODEV');
  });

  test('from a host-traddr that this host does not have', async () => {
    const port = await listen(answering);
    expect(await codeOf(tcp(port, { hostTraddr: '192.0.2.77' }))).toBe('EADDRNOTAVAIL');
  });

  test('on the link of an interface that is missing', async () => {
    expect(await codeOf(tcp(4420, { traddr: 'fe80::1%nope0' }))).toBe('ENODEV');
  });

  test.each(['dc.example.net', '', '1.2.3', '127.0.0.1,hostnqn=x'])(
    'that is no address: "%s"',
    async (traddr) => {
      expect(await codeOf(tcp(4420, { traddr }))).toBe('BAD_ADDRESS');
    },
  );

  test.each(['0', '65536', '4420,x', '-1', '4.5'])(
    'whose port is no port: "%s"',
    async (trsvcid) => {
      expect(await codeOf(tcp(0, { trsvcid }))).toBe('BAD_ADDRESS');
    },
  );
});

test('mode tcp is content with a connection', async () => {
  const port = await listen(() => undefined);
  expect(await prober().probe(tcp(port), 'tcp')).toEqual({ kind: 'reachable' });
});

test('mode disabled, and other transports, are reachable without a try', async () => {
  const nowhere = { traddr: '127.0.0.1', trsvcid: '1', subsysnqn: 'nqn.test' };
  expect(await prober().probe(tcp(1), 'disabled')).toEqual({ kind: 'reachable' });
  for (const transport of ['rdma', 'fc', 'loop'] as const) {
    const tid = makeTid({ ...nowhere, transport });
    expect(await prober().probe(tid, 'nvme-tcp')).toEqual({ kind: 'reachable' });
  }
});

test('an aborted probe ends at once', async () => {
  const port = await listen(() => undefined);
  const controller = new AbortController();
  const probe = prober().probe(tcp(port), 'nvme-tcp', controller.signal);
  await settle();
  controller.abort();
  expect(await probe).toMatchObject({ error: { code: 'ABORTED' } });
  expect(await prober().probe(tcp(port), 'nvme-tcp', controller.signal)).toMatchObject({
    error: { code: 'ABORTED' },
  });
});

test('a probe that waits for its turn can be aborted, and its place goes to the next', async () => {
  let connections = 0;
  const silent = await listen(() => undefined);
  const live = await listen((socket) => {
    connections += 1;
    answering(socket);
  });
  const one = prober(3000, 1);
  const holder = new AbortController();
  const waiter = new AbortController();
  const holding = one.probe(tcp(silent), 'nvme-tcp', holder.signal);
  const waiting = one.probe(tcp(live), 'nvme-tcp', waiter.signal);
  const next = one.probe(tcp(live), 'nvme-tcp');
  await settle();
  waiter.abort();
  expect(await waiting).toMatchObject({ error: { code: 'ABORTED' } });
  expect(connections).toBe(0);
  holder.abort();
  expect(await holding).toMatchObject({ error: { code: 'ABORTED' } });
  expect(await next).toEqual({ kind: 'reachable' });
  expect(connections).toBe(1);
});

test('a probe that is aborted as it gets its place does not begin', async () => {
  const silent = await listen(() => undefined);
  const one = prober(3000, 1);
  const [holder, waiter] = [new AbortController(), new AbortController()];
  const holding = one.probe(tcp(silent), 'nvme-tcp', holder.signal);
  const waiting = one.probe(tcp(silent), 'nvme-tcp', waiter.signal);
  void holding.then(() => {
    waiter.abort();
  });
  await settle();
  holder.abort();
  expect(await waiting).toMatchObject({ error: { code: 'ABORTED' } });
  const live = await listen(answering);
  expect(await one.probe(tcp(live), 'nvme-tcp')).toEqual({ kind: 'reachable' });
});

test('a newcomer does not take the place of a probe that waits for it', async () => {
  const silent = await listen(() => undefined);
  let [open, most] = [0, 0];
  class CountedSockets extends LibcSockets {
    override open(family: IpFamily): ReturnType<LibcSockets['open']> {
      open += 1;
      most = Math.max(most, open);
      return super.open(family);
    }
    override close(fd: number): void {
      open -= 1;
      super.close(fd);
    }
  }
  const one = new TcpProber({ log, concurrency: 1, loadSockets: () => new CountedSockets() });
  const controllers = [0, 1, 2].map(() => new AbortController());
  const probe = (index: number): Promise<ProbeResult> =>
    one.probe(tcp(silent), 'nvme-tcp', controllers[index]?.signal);
  const holding = probe(0);
  const waiting = probe(1);
  const newcomer = holding.then(() => probe(2));
  await settle();
  for (const controller of controllers) {
    controller.abort();
    await settle();
  }
  const results = await Promise.all([holding, waiting, newcomer]);
  expect(results.map(({ kind }) => kind)).toEqual(Array(3).fill('unreachable'));
  expect([most, open]).toEqual([1, 0]);
});

test('hundreds of probes run side by side and leave no descriptor', async () => {
  const atStart = openSockets();
  const live = await listen(answering);
  const silent = await listen(() => undefined);
  const garbage = await listen((socket) => socket.end('no'));
  const gone = await listen(() => undefined);
  const last = servers.pop();
  await new Promise((resolve) => last?.close(resolve));
  await prober().probe(tcp(live), 'nvme-tcp');

  const count = 60;
  const many = prober(300);
  const tids = [tcp(live), tcp(silent), tcp(garbage), tcp(gone), tcp(live, { hostIface: 'nope0' })];
  const results = await Promise.all(
    Array.from({ length: count }, () => tids.map((tid) => many.probe(tid, 'nvme-tcp'))).flat(),
  );
  const tally = new Map<string, number>();
  for (const result of results) {
    const code = result.kind === 'reachable' ? 'reachable' : result.error.code;
    tally.set(code, (tally.get(code) ?? 0) + 1);
  }
  expect(Object.fromEntries(tally)).toEqual({
    reachable: count,
    NO_ICRESP: count,
    BAD_ICRESP: count,
    ECONNREFUSED: count,
    ENODEV: count,
  });
  for (const socket of accepted.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
  const before = openSockets();
  const refused = Array.from({ length: 50 }, () => many.probe(tcp(gone), 'nvme-tcp'));
  await settle();
  expect(openSockets()).toBe(before + 50);
  await Promise.all(refused);
  expect(openSockets()).toBe(before);
  expect(before).toBe(atStart);
});

test('where there are no foreign functions, everything counts as reachable, with one warning', async () => {
  const warned = new MemoryLog();
  const blind = new TcpProber({
    log: warned,
    loadSockets: () => {
      throw new Error('no add-on');
    },
  });
  expect(await blind.probe(tcp(1), 'nvme-tcp')).toEqual({ kind: 'reachable' });
  expect(await blind.probe(tcp(1), 'nvme-tcp')).toEqual({ kind: 'reachable' });
  expect(warned.messages('warning')).toEqual(['reachability is not checked: no add-on']);
});
