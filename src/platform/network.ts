/**
 * Links, addresses and routes that come up, as the kernel tells them on an rtnetlink socket.
 *
 * Invariants:
 * - one socket, from the first listener on until the last one is disposed of;
 * - a turn of the event loop reads at most DATAGRAMS_A_TURN datagrams, whatever comes;
 * - after an overrun, which the poll does not outlive, it is listened to again after PAUSE_MS;
 * - until what was queued at an overrun has been read, nothing is concluded from what was read before:
 *   a link may have gone down in a message that was lost;
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
/** A storm of changes is read in parts. */
const PAUSE_MS = 1_000;
const EINTR = 4;
const ENOBUFS = 105;

export interface RtnetlinkOptions {
  readonly log: Log;
  /** For tests. */
  readonly loadSockets?: () => LibcSockets;
}

interface OpenSocket {
  readonly sockets: LibcSockets;
  readonly fd: number;
  readonly buffer: Buffer;
  poll: PollHandle | undefined;
  /** Until it is listened to again. */
  pause: NodeJS.Timeout | undefined;
}

export class RtnetlinkNetwork implements Network {
  readonly #log: Log;
  readonly #loadSockets: () => LibcSockets;
  readonly #listeners = new Set<(event: NetworkEvent) => void>();
  readonly #reader = new RtnetlinkReader();
  #open: OpenSocket | undefined;
  /** Some messages between those that are still queued were lost. */
  #gaps = false;
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
      this.#open = { sockets, fd, buffer, poll: undefined, pause: undefined };
      this.#poll(this.#open);
    } catch (thrown) {
      this.#giveUp(thrown instanceof Error ? thrown.message : String(thrown));
    }
  }

  #poll(open: OpenSocket): void {
    open.poll = open.sockets.poll(open.fd, 'readable', (failed) => {
      const overrun = this.#drain(open);
      if ((failed || overrun) && this.#open === open) this.#pollLater(open);
    });
  }

  #pollLater(open: OpenSocket): void {
    open.poll?.close();
    open.poll = undefined;
    open.pause = setTimeout(() => {
      open.pause = undefined;
      try {
        this.#poll(open);
      } catch (thrown) {
        this.#giveUp(thrown instanceof Error ? thrown.message : String(thrown));
      }
    }, PAUSE_MS).unref();
  }

  /** Reads what there is, or a part of it: the poll calls again. True if messages were lost. */
  #drain(open: OpenSocket): boolean {
    let overrun = false;
    // A listener may have been the last one.
    for (let count = 0; count < DATAGRAMS_A_TURN && this.#open === open; count += 1) {
      const received = open.sockets.receive(open.fd, open.buffer);
      if (typeof received === 'number') {
        if (received === 0) break;
        if (this.#gaps) this.#reader.forget();
        for (const event of this.#reader.read(open.buffer.subarray(0, received))) this.#tell(event);
        continue;
      }
      if (received.errno === EAGAIN) {
        if (this.#gaps) this.#reader.forget();
        this.#gaps = false;
        break;
      }
      if (received.errno === EINTR) continue;
      if (received.errno !== ENOBUFS) {
        this.#giveUp(errnoName(received.errno));
        break;
      }
      overrun = true;
      this.#gaps = true;
      this.#tell({ kind: 'lost' });
    }
    return overrun;
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
    const { fd, pause, poll, sockets } = this.#open;
    this.#open = undefined;
    clearTimeout(pause);
    // The poll first: a descriptor must not be closed while the event loop watches it.
    poll?.close();
    sockets.close(fd);
    this.#reader.forget();
    this.#gaps = false;
  }
}
