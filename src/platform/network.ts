/**
 * Links, addresses and routes that come up, as the kernel tells them on an rtnetlink socket.
 *
 * Invariants:
 * - one socket, from the first listener on until the last one is disposed of;
 * - a turn of the event loop reads at most DATAGRAMS_A_TURN datagrams, whatever comes;
 * - a host where it cannot be heard is logged once, and told nothing: whoever waits tries again
 *   after some time anyway.
 */
import type { Disposable } from '../ports/disposable.ts';
import type { Log } from '../ports/log.ts';
import type { Network, NetworkEvent } from '../ports/network.ts';
import { EAGAIN, LibcSockets, type PollHandle } from './libc-socket.ts';
import { RtnetlinkReader } from './rtnetlink-message.ts';
import { errnoName } from './system-error.ts';

/** RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE. */
const GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;
const DATAGRAMS_A_TURN = 64;
/** The kernel makes messages for its groups of at most a page; a longer one would be cut. */
const BUFFER_BYTES = 32_768;
const EINTR = 4;
const ENOBUFS = 105;

export interface RtnetlinkOptions {
  readonly log: Log;
  /** For tests. */
  readonly loadSockets?: () => LibcSockets;
}

export class RtnetlinkNetwork implements Network {
  readonly #log: Log;
  readonly #loadSockets: () => LibcSockets;
  readonly #listeners = new Set<(event: NetworkEvent) => void>();
  readonly #reader = new RtnetlinkReader();
  #open: { readonly sockets: LibcSockets; readonly fd: number; poll: PollHandle } | undefined;
  #unavailable = false;

  constructor({ log, loadSockets }: RtnetlinkOptions) {
    this.#log = log;
    this.#loadSockets = loadSockets ?? (() => new LibcSockets());
  }

  onUp(listener: (event: NetworkEvent) => void): Disposable {
    // Each its own, so that one that listens twice is told twice until both are disposed of.
    const own = (event: NetworkEvent): void => {
      listener(event);
    };
    this.#listeners.add(own);
    this.#listen();
    return {
      dispose: () => {
        this.#listeners.delete(own);
        if (this.#listeners.size === 0) this.#close();
      },
    };
  }

  #listen(): void {
    if (this.#open !== undefined || this.#unavailable) return;
    try {
      const sockets = this.#loadSockets();
      const fd = sockets.openRtnetlink(GROUPS);
      if (typeof fd !== 'number') throw new Error(errnoName(fd.errno));
      const buffer = Buffer.alloc(BUFFER_BYTES);
      const poll = sockets.poll(fd, 'readable', () => {
        this.#drain(sockets, fd, buffer);
      });
      this.#open = { sockets, fd, poll };
    } catch (thrown) {
      this.#giveUp(thrown instanceof Error ? thrown.message : String(thrown));
    }
  }

  /** The poll calls again as long as there is more. */
  #drain(sockets: LibcSockets, fd: number, buffer: Buffer): void {
    const open = this.#open;
    // A listener may have been the last one.
    for (let count = 0; count < DATAGRAMS_A_TURN && this.#open === open; count += 1) {
      const received = sockets.receive(fd, buffer);
      if (typeof received === 'number') {
        if (received === 0) return;
        for (const event of this.#reader.read(buffer.subarray(0, received))) this.#tell(event);
        continue;
      }
      switch (received.errno) {
        case EAGAIN:
          return;
        case EINTR:
          break;
        case ENOBUFS:
          this.#reader.forget();
          this.#tell({ kind: 'lost' });
          break;
        default:
          this.#giveUp(errnoName(received.errno));
          return;
      }
    }
  }

  #tell(event: NetworkEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }

  #giveUp(why: string): void {
    this.#close();
    this.#unavailable = true;
    this.#log.warning(`Changes of the network are not heard: ${why}`);
  }

  #close(): void {
    if (this.#open === undefined) return;
    const { fd, poll, sockets } = this.#open;
    this.#open = undefined;
    // The poll first: a descriptor must not be closed while the event loop watches it.
    poll.close();
    sockets.close(fd);
    this.#reader.forget();
  }
}
