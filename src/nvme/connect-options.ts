import type { Secret } from './secret.ts';

/**
 * Options of one connection, as given by [Global] and overridden by a `controller=` line.
 * An absent member means "the kernel's default": it is not passed at all.
 */
export interface ConnectOptions {
  readonly hdrDigest?: boolean;
  readonly dataDigest?: boolean;
  /** I/O queues; ignored for discovery controllers, which have only an admin queue. */
  readonly nrIoQueues?: number;
  readonly nrWriteQueues?: number;
  readonly nrPollQueues?: number;
  /** Elements per I/O queue, 16..1024. */
  readonly queueSize?: number;
  /** Keep-alive timeout, seconds; 0 is off. */
  readonly kato?: number;
  /** Seconds between the kernel's own reconnect attempts. */
  readonly reconnectDelay?: number;
  /** Seconds until the kernel gives a lost controller up; -1 never, 0 at once. */
  readonly ctrlLossTmo?: number;
  readonly disableSqflow?: boolean;
  readonly dhchapSecret?: Secret;
  readonly dhchapCtrlSecret?: Secret;
}

/** How reachability of a TCP address is tried before it is handed to the kernel. */
export type ProbeMode = 'nvme-tcp' | 'tcp' | 'disabled';
