/**
 * Sockets made of libc's own calls, for what Node's cannot do: TCP bound to an interface, with the
 * exact errno that a connection ended with, and rtnetlink. Every socket is non-blocking; no call here waits.
 */
import { endianness } from 'node:os';
import { isLinkLocal } from '../nvme/ip-address.ts';
import type { IpAddress, IpFamily } from '../nvme/ip-address.ts';
import { loadKoffi } from './koffi.ts';

/** A failed call: the positive errno. */
export interface Failure {
  readonly errno: number;
}

export interface PollHandle {
  close(): void;
}

/** Linux's numbers, the same on every architecture that Node and Debian share but for mips. */
const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const SOCK_STREAM = 1;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const SO_BINDTODEVICE = 25;
const MSG_NOSIGNAL = 0x4000;
export const EINVAL = 22;
const ENODEV = 19;

export const EAGAIN = 11;
export const EINPROGRESS = 115;

const SIZE_OF_SOCKADDR: Readonly<Record<IpFamily, number>> = { ipv4: 16, ipv6: 28 };

export class LibcSockets {
  readonly #koffi: ReturnType<typeof loadKoffi>;
  readonly #socket: (domain: number, type: number, protocol: number) => number;
  readonly #setsockopt: (
    fd: number,
    level: number,
    name: number,
    value: Buffer,
    length: number,
  ) => number;
  readonly #getsockopt: (
    fd: number,
    level: number,
    name: number,
    value: Buffer,
    length: Buffer,
  ) => number;
  readonly #bind: (fd: number, address: Buffer, length: number) => number;
  readonly #connect: (fd: number, address: Buffer, length: number) => number;
  readonly #send: (fd: number, data: Buffer, length: number, flags: number) => number;
  readonly #recv: (fd: number, data: Buffer, length: number, flags: number) => number;
  readonly #close: (fd: number) => number;
  readonly #ifNameToIndex: (name: string) => number;

  /** Loads koffi and looks the functions up. Throws if it cannot. */
  constructor() {
    this.#koffi = loadKoffi();
    const libc = this.#koffi.load('libc.so.6');
    const buffer = 'uint8_t *';
    this.#socket = libc.func('socket', 'int', ['int', 'int', 'int']);
    this.#setsockopt = libc.func('setsockopt', 'int', ['int', 'int', 'int', buffer, 'uint32_t']);
    this.#getsockopt = libc.func('getsockopt', 'int', ['int', 'int', 'int', buffer, buffer]);
    this.#bind = libc.func('bind', 'int', ['int', buffer, 'uint32_t']);
    this.#connect = libc.func('connect', 'int', ['int', buffer, 'uint32_t']);
    this.#send = libc.func('send', 'intptr_t', ['int', buffer, 'size_t', 'int']);
    this.#recv = libc.func('recv', 'intptr_t', ['int', buffer, 'size_t', 'int']);
    this.#close = libc.func('close', 'int', ['int']);
    this.#ifNameToIndex = libc.func('if_nametoindex', 'uint32_t', ['str']);
  }

  /** A TCP socket of the family: its descriptor, to be closed by `close`. */
  open(family: IpFamily): number | Failure {
    const domain = family === 'ipv4' ? AF_INET : AF_INET6;
    return this.#checked(this.#socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  }

  /** An rtnetlink socket that hears these multicast groups (RTMGRP_*); to be closed by `close`. */
  openRtnetlink(groups: number): number | Failure {
    const NETLINK_ROUTE = 0;
    const fd = this.#checked(
      this.#socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE),
    );
    if (typeof fd !== 'number') return fd;
    // struct sockaddr_nl: family, padding, port (the kernel chooses), groups.
    const sockaddr = Buffer.alloc(12);
    writeHost(sockaddr, 2, AF_NETLINK);
    writeHost(sockaddr.subarray(8), 4, groups);
    const bound = this.#checked(this.#bind(fd, sockaddr, sockaddr.length));
    if (typeof bound === 'number') return fd;
    this.#close(fd);
    return bound;
  }

  /** What is sent leaves by this interface and no other. */
  bindToInterface(fd: number, name: string): number | Failure {
    const value = Buffer.from(`${name}\0`);
    return this.#checked(this.#setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, value, value.length));
  }

  /** What is sent comes from this address, whatever the port. */
  bindToAddress(fd: number, address: IpAddress, iface: string): number | Failure {
    const sockaddr = this.#sockaddr(address, 0, iface);
    if (!Buffer.isBuffer(sockaddr)) return sockaddr;
    return this.#checked(this.#bind(fd, sockaddr, sockaddr.length));
  }

  /** Begins to connect; EINPROGRESS is the usual failure, and not one. */
  connect(fd: number, address: IpAddress, port: number, iface: string): number | Failure {
    const sockaddr = this.#sockaddr(address, port, iface);
    if (!Buffer.isBuffer(sockaddr)) return sockaddr;
    return this.#checked(this.#connect(fd, sockaddr, sockaddr.length));
  }

  /** How the connection is, once the socket is writable: 0, or why it failed. */
  pendingError(fd: number): number {
    const value = Buffer.alloc(4);
    const length = Buffer.alloc(4);
    writeHost(length, 4, value.length);
    const result = this.#checked(this.#getsockopt(fd, SOL_SOCKET, SO_ERROR, value, length));
    if (typeof result !== 'number') return result.errno;
    return endianness() === 'LE' ? value.readInt32LE() : value.readInt32BE();
  }

  /** Bytes that were taken. */
  send(fd: number, data: Buffer): number | Failure {
    return this.#checked(this.#send(fd, data, data.length, MSG_NOSIGNAL));
  }

  /** Bytes that were read into `data`; 0 at the end of the stream. */
  receive(fd: number, data: Buffer): number | Failure {
    return this.#checked(this.#recv(fd, data, data.length, 0));
  }

  close(fd: number): void {
    this.#close(fd);
  }

  /**
   * Calls back, in a later turn of the event loop, each time that the socket is ready, and once when
   * it has failed: `failed`, after which this handle calls no more. Close it before the descriptor.
   */
  poll(
    fd: number,
    interest: 'readable' | 'writable',
    callback: (failed: boolean) => void,
  ): PollHandle {
    let waiting = false;
    let closed = false;
    let failed = false;
    // It calls with libuv's status before the events, which its types do not say. An error of the
    // socket (POLLERR) ends libuv's own handle: measured with an overrun of rtnetlink, UV_EBADF.
    const handle = this.#koffi.node.poll(fd, { [interest]: true }, (...args: unknown[]) => {
      const [status] = args;
      failed ||= typeof status === 'number' && status < 0;
      // The package calls outside of Node's own callback scope: promises that are settled here
      // would stay unheard, and an exception would be lost. setImmediate gives a scope.
      if (waiting) return;
      waiting = true;
      setImmediate(() => {
        waiting = false;
        if (!closed) callback(failed);
      });
    });
    return {
      close: () => {
        closed = true;
        handle.close();
      },
    };
  }

  #checked(result: number): number | Failure {
    return result < 0 ? { errno: this.#koffi.errno() } : result;
  }

  #sockaddr(address: IpAddress, port: number, iface: string): Buffer | Failure {
    const sockaddr = Buffer.alloc(SIZE_OF_SOCKADDR[address.family]);
    sockaddr.writeUInt16BE(port, 2);
    if (address.family === 'ipv4') {
      writeHost(sockaddr.subarray(0, 2), 2, AF_INET);
      sockaddr.set(address.bytes, 4);
      return sockaddr;
    }
    writeHost(sockaddr.subarray(0, 2), 2, AF_INET6);
    sockaddr.set(address.bytes, 8);
    const scope = this.#scope(address, iface);
    if (typeof scope !== 'number') return scope;
    writeHost(sockaddr.subarray(24, 28), 4, scope);
    return sockaddr;
  }

  /** sin6_scope_id: of the address's own scope, or, for a link-local address, of `iface`. */
  #scope(address: IpAddress, iface: string): number | Failure {
    const name = address.scope !== '' ? address.scope : isLinkLocal(address) ? iface : '';
    if (name === '') return 0;
    const index = this.#ifNameToIndex(name);
    if (index !== 0) return index;
    if (/^[1-9][0-9]{0,8}$/.test(name)) return Number(name);
    return { errno: name.includes('\0') ? EINVAL : ENODEV };
  }
}

/** A number in the machine's own byte order. */
function writeHost(target: Buffer, size: 2 | 4, value: number): void {
  if (endianness() === 'LE') target.writeUIntLE(value, 0, size);
  else target.writeUIntBE(value, 0, size);
}
