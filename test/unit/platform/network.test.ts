import { expect, onTestFinished, test, vi } from 'vitest';
import type { Failure, LibcSockets } from '../../../src/platform/libc-socket.ts';
import { RtnetlinkNetwork } from '../../../src/platform/network.ts';
import type { NetworkEvent } from '../../../src/ports/network.ts';
import { MemoryLog } from '../../fakes/log.ts';

const [EAGAIN, EAFNOSUPPORT, ENOBUFS] = [11, 97, 105];

/** The calls of libc that the adapter makes: the contract test has the real ones. */
class Sockets {
  opened: number | Failure = 5;
  readonly answers: (number | Failure | Buffer)[] = [];
  readonly closed: string[] = [];
  ready: (failed: boolean) => void = () => undefined;
  polls = 0;

  openRtnetlink(): number | Failure {
    return this.opened;
  }

  receive(_fd: number, into: Buffer): number | Failure {
    const answer = this.answers.shift() ?? { errno: EAGAIN };
    return Buffer.isBuffer(answer) ? answer.copy(into) : answer;
  }

  poll(_fd: number, _interest: string, callback: (failed: boolean) => void): { close(): void } {
    this.polls += 1;
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

test('messages that were lost are told, and it is listened to anew after a second', () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const { log, network, sockets } = bench();
  const heard: NetworkEvent[] = [];
  const subscription = network.onUp((event) => heard.push(event));
  sockets.answers.push({ errno: ENOBUFS });
  // The poll says so once, and calls no more.
  sockets.ready(true);
  expect(heard).toEqual([{ kind: 'lost' }]);
  expect(sockets.closed).toEqual(['poll']);
  vi.advanceTimersByTime(1_000);
  expect(sockets.polls).toBe(2);
  expect(log.lines).toEqual([]);
  sockets.ready(true);
  subscription.dispose();
  vi.advanceTimersByTime(10_000);
  expect(sockets.polls).toBe(2);
  expect(sockets.closed).toEqual(['poll', 'poll', 'fd 5']);
});

/** RTM_NEWLINK of the link 7, which runs or is down. */
function link(state: 'runs' | 'down'): Buffer {
  const message = Buffer.alloc(32);
  message.writeUInt32LE(message.length, 0);
  message.writeUInt16LE(16, 4);
  message.writeUInt32LE(7, 20);
  message.writeUInt32LE(state === 'runs' ? 0x41 : 0, 24);
  return message;
}

test('a link that came up after messages were lost is told, though it was not seen to go down', () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const { network, sockets } = bench();
  const heard: string[] = [];
  const subscription = network.onUp(({ kind }) => heard.push(kind));
  onTestFinished(() => {
    subscription.dispose();
  });
  sockets.answers.push({ errno: ENOBUFS }, link('runs'), link('runs'));
  sockets.ready(true);
  expect(heard).toEqual(['lost', 'link', 'link']);
  vi.advanceTimersByTime(1_000);
  sockets.answers.push(link('runs'), link('runs'), link('down'), link('runs'));
  sockets.ready(false);
  expect(heard).toEqual(['lost', 'link', 'link', 'link', 'link']);
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
  sockets.ready(false);
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
  sockets.ready(false);
  expect(sockets.closed).toEqual(['poll', 'fd 5']);
  expect(log.messages('warning')).toEqual(['Changes of the network are not heard: EBADF']);
});
