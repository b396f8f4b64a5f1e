import { expect, test } from 'vitest';
import type { Failure, LibcSockets } from '../../../src/platform/libc-socket.ts';
import { RtnetlinkNetwork } from '../../../src/platform/network.ts';
import type { NetworkEvent } from '../../../src/ports/network.ts';
import { MemoryLog } from '../../fakes/log.ts';

const [EAGAIN, EAFNOSUPPORT, ENOBUFS] = [11, 97, 105];

/** The calls of libc that the adapter makes: the contract test has the real ones. */
class Sockets {
  opened: number | Failure = 5;
  readonly answers: (number | Failure)[] = [];
  readonly closed: string[] = [];
  ready: () => void = () => undefined;

  openRtnetlink(): number | Failure {
    return this.opened;
  }

  receive(): number | Failure {
    return this.answers.shift() ?? { errno: EAGAIN };
  }

  poll(_fd: number, _interest: string, callback: () => void): { close(): void } {
    this.ready = callback;
    return { close: () => void this.closed.push('poll') };
  }

  close(fd: number): void {
    this.closed.push(`fd ${String(fd)}`);
  }
}

function bench() {
  const sockets = new Sockets();
  const log = new MemoryLog();
  const loadSockets = (): LibcSockets => sockets as unknown as LibcSockets;
  return { sockets, log, network: new RtnetlinkNetwork({ log, loadSockets }) };
}

test('messages that were lost are told, and it goes on', () => {
  const { log, network, sockets } = bench();
  const heard: NetworkEvent[] = [];
  network.onUp((event) => heard.push(event));
  sockets.answers.push({ errno: ENOBUFS });
  sockets.ready();
  expect(heard).toEqual([{ kind: 'lost' }]);
  expect(sockets.closed).toEqual([]);
  expect(log.lines).toEqual([]);
});

test('the socket is closed after its poll, with the last listener, and opened for the next one', () => {
  const { network, sockets } = bench();
  const [one, other] = [network.onUp(() => undefined), network.onUp(() => undefined)];
  one.dispose();
  one.dispose();
  expect(sockets.closed).toEqual([]);
  other.dispose();
  expect(sockets.closed).toEqual(['poll', 'fd 5']);
  sockets.opened = 6;
  network.onUp(() => undefined).dispose();
  expect(sockets.closed).toEqual(['poll', 'fd 5', 'poll', 'fd 6']);
});

test('a listener that leaves while it is told ends the reading', () => {
  const { network, sockets } = bench();
  const subscription = network.onUp(() => {
    subscription.dispose();
  });
  sockets.answers.push({ errno: ENOBUFS }, { errno: ENOBUFS });
  sockets.ready();
  expect(sockets.answers).toHaveLength(1);
});

test('a host where it cannot be heard is logged once', () => {
  const { log, network, sockets } = bench();
  sockets.opened = { errno: EAFNOSUPPORT };
  network.onUp(() => undefined);
  network.onUp(() => undefined).dispose();
  expect(log.messages('warning')).toEqual(['Changes of the network are not heard: EAFNOSUPPORT']);
});

test('a socket that fails is closed and given up', () => {
  const { log, network, sockets } = bench();
  network.onUp(() => undefined);
  sockets.answers.push({ errno: 9 });
  sockets.ready();
  expect(sockets.closed).toEqual(['poll', 'fd 5']);
  expect(log.messages('warning')).toEqual(['Changes of the network are not heard: EBADF']);
});
