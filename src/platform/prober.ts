/**
 * Tries TCP addresses from user space before they are handed to the kernel, which connects to one
 * at a time and waits seconds for a dead one.
 *
 * Invariants:
 * - a probe ends exactly once, by answer, error, time-out or abort, and then holds no descriptor,
 *   timer or listener;
 * - at most `concurrency` probes have a socket; the others wait, and their time has not begun;
 * - nothing here waits or throws: what cannot be tried (no foreign functions) counts as reachable,
 *   because a probe is a hint.
 */
import type { ProbeMode } from '../nvme/connect-options.ts';
import { parseIpAddress } from '../nvme/ip-address.ts';
import type { IpAddress } from '../nvme/ip-address.ts';
import type { TransportId } from '../nvme/transport-id.ts';
import { errnoMeaning } from '../ports/errno.ts';
import { PortError } from '../ports/errors.ts';
import type { Prober, ProbeResult } from '../ports/host.ts';
import type { Log } from '../ports/log.ts';
import { icReq, ICRESP_LENGTH, isIcResp } from './icreq.ts';
import { EAGAIN, EINPROGRESS, LibcSockets } from './libc-socket.ts';
import type { PollHandle } from './libc-socket.ts';
import { errnoName } from './system-error.ts';

export interface ProberOptions {
  readonly log: Log;
  /** Milliseconds that one probe may take; 3000 by default. */
  readonly timeLimit?: number;
  /** Sockets at a time; 256 by default. */
  readonly concurrency?: number;
  /** For tests. */
  readonly loadSockets?: () => LibcSockets;
}

const DEFAULT_TIME_LIMIT = 3000;
const DEFAULT_CONCURRENCY = 256;

/**
 * Milliseconds that a target gets to accept a connection on which nothing is said: Linux's writes an
 * error to its log for one that was closed before.
 */
const ACCEPTED_WITHIN = 100;

/** What socket calls mean where they mean something else than the kernel's connect does. */
const PROBE_WORDS: ReadonlyMap<string, string> = new Map([
  ['EAGAIN', 'no route, or no resources for it'],
  ['EINVAL', 'invalid argument'],
  ['EADDRNOTAVAIL', 'the host address, or a free local port, is not available'],
]);

const REACHABLE: ProbeResult = { kind: 'reachable' };

/**
 * Codes beside errno names: `NO_ICRESP` (accepts, and does not answer an ICReq or closes),
 * `BAD_ICRESP` (answers what is not an ICResp), `ABORTED`, `BAD_ADDRESS`.
 */
export class TcpProber implements Prober {
  readonly #log: Log;
  readonly #timeLimit: number;
  readonly #concurrency: number;
  readonly #loadSockets: () => LibcSockets;
  readonly #waiting: (() => void)[] = [];
  #sockets: LibcSockets | 'not loaded' | 'unavailable' = 'not loaded';
  #running = 0;

  constructor(options: ProberOptions) {
    this.#log = options.log;
    this.#timeLimit = options.timeLimit ?? DEFAULT_TIME_LIMIT;
    this.#concurrency = options.concurrency ?? DEFAULT_CONCURRENCY;
    this.#loadSockets = options.loadSockets ?? (() => new LibcSockets());
  }

  async probe(tid: TransportId, mode: ProbeMode, signal?: AbortSignal): Promise<ProbeResult> {
    if (tid.transport !== 'tcp' || mode === 'disabled') return REACHABLE;
    const sockets = this.#available();
    if (sockets === undefined) return REACHABLE;
    const target = parseTarget(tid);
    if (target === undefined) {
      return unreachable('BAD_ADDRESS', `${tid.traddr}, port ${tid.trsvcid}, is no TCP address`);
    }
    if (!(await this.#turn(signal))) return unreachable('ABORTED', 'the probe was cancelled');
    // Aborted in the moment in which it got its place: nothing would tell the attempt.
    if (signal?.aborted === true) {
      this.#passOn();
      return unreachable('ABORTED', 'the probe was cancelled');
    }
    try {
      return await new Attempt(sockets, target, mode, this.#timeLimit, signal).result;
    } finally {
      this.#passOn();
    }
  }

  /** Gives the place to the next one that waits, so that no newcomer can take it as well. */
  #passOn(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running -= 1;
    else next();
  }

  #available(): LibcSockets | undefined {
    if (this.#sockets === 'not loaded') {
      try {
        this.#sockets = this.#loadSockets();
      } catch (error) {
        this.#sockets = 'unavailable';
        const why = error instanceof Error ? error.message : String(error);
        this.#log.warning(`reachability is not checked: ${why}`);
      }
    }
    return this.#sockets === 'unavailable' ? undefined : this.#sockets;
  }

  /** Waits for a place; false if `signal` is aborted before there is one. */
  #turn(signal: AbortSignal | undefined): boolean | Promise<boolean> {
    if (signal?.aborted === true) return false;
    if (this.#running >= this.#concurrency) {
      return new Promise<boolean>((resolve) => {
        const start = (): void => {
          signal?.removeEventListener('abort', abort);
          resolve(true);
        };
        const abort = (): void => {
          this.#waiting.splice(this.#waiting.indexOf(start), 1);
          resolve(false);
        };
        this.#waiting.push(start);
        signal?.addEventListener('abort', abort, { once: true });
      });
    }
    this.#running += 1;
    return true;
  }
}

interface Target {
  readonly address: IpAddress;
  readonly port: number;
  readonly hostAddress: IpAddress | undefined;
  readonly hostIface: string;
}

function parseTarget(tid: TransportId): Target | undefined {
  const address = parseIpAddress(tid.traddr);
  const port = /^[0-9]{1,5}$/.test(tid.trsvcid) ? Number(tid.trsvcid) : 0;
  const hostAddress = tid.hostTraddr === '' ? undefined : parseIpAddress(tid.hostTraddr);
  if (address === undefined || port === 0 || port > 65_535) return undefined;
  if (tid.hostTraddr !== '' && hostAddress === undefined) return undefined;
  return { address, port, hostAddress, hostIface: tid.hostIface };
}

function unreachable(code: string, message: string, errno?: number): ProbeResult {
  const error = new PortError(message, {
    code,
    errorClass: 'retry',
    ...(errno === undefined ? {} : { errno }),
  });
  return { kind: 'unreachable', error };
}

/** One socket's life. */
class Attempt {
  readonly result: Promise<ProbeResult>;
  readonly #sockets: LibcSockets;
  readonly #mode: ProbeMode;
  readonly #signal: AbortSignal | undefined;
  readonly #answer = Buffer.alloc(ICRESP_LENGTH);
  readonly #settle: (result: ProbeResult) => void;
  #received = 0;
  #connected = false;
  #ended = false;
  #fd: number | undefined;
  #poll: PollHandle | undefined;
  #timeout: NodeJS.Timeout | undefined;

  constructor(
    sockets: LibcSockets,
    target: Target,
    mode: ProbeMode,
    timeLimit: number,
    signal: AbortSignal | undefined,
  ) {
    this.#sockets = sockets;
    this.#mode = mode;
    this.#signal = signal;
    let settle: (result: ProbeResult) => void = () => undefined;
    this.result = new Promise((resolve) => {
      settle = resolve;
    });
    this.#settle = settle;
    signal?.addEventListener('abort', this.#onAbort);
    this.#timeout = setTimeout(() => {
      if (this.#connected) this.#end(unreachable('NO_ICRESP', 'accepts, but does not answer'));
      else this.#end(unreachable('ETIMEDOUT', `does not answer within ${timeLimit} ms`));
    }, timeLimit);
    this.#attempt(() => {
      this.#start(target);
    });
  }

  /** Whatever goes wrong that should not must still end the probe and close its descriptor. */
  #attempt(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#end(unreachable('UNEXPECTED', error instanceof Error ? error.message : String(error)));
    }
  }

  readonly #onAbort = (): void => {
    this.#end(unreachable('ABORTED', 'the probe was cancelled'));
  };

  #start({ address, port, hostAddress, hostIface }: Target): void {
    const fd = this.#sockets.open(address.family);
    if (typeof fd !== 'number') {
      this.#fail(fd.errno, 'socket');
      return;
    }
    this.#fd = fd;
    // In the order of the kernel's own nvme-tcp driver: source address, then interface.
    if (hostAddress !== undefined) {
      const bound = this.#sockets.bindToAddress(fd, hostAddress, hostIface);
      if (typeof bound !== 'number') {
        this.#fail(bound.errno, 'bind to host-traddr');
        return;
      }
    }
    if (hostIface !== '') {
      const bound = this.#sockets.bindToInterface(fd, hostIface);
      if (typeof bound !== 'number') {
        this.#fail(bound.errno, 'bind to host-iface');
        return;
      }
    }
    const begun = this.#sockets.connect(fd, address, port, hostIface);
    if (typeof begun !== 'number' && begun.errno !== EINPROGRESS) {
      this.#fail(begun.errno, 'connect');
      return;
    }
    this.#wait('writable', () => {
      this.#onConnected();
    });
  }

  #onConnected(): void {
    if (this.#fd === undefined) return;
    const errno = this.#sockets.pendingError(this.#fd);
    if (errno !== 0) {
      this.#fail(errno, 'connect');
      return;
    }
    this.#connected = true;
    if (this.#mode === 'tcp') {
      this.#poll?.close();
      this.#poll = undefined;
      clearTimeout(this.#timeout);
      this.#timeout = setTimeout(() => {
        this.#end(REACHABLE);
      }, ACCEPTED_WITHIN);
      return;
    }
    // A new connection's send buffer takes 128 bytes whole.
    const sent = this.#sockets.send(this.#fd, icReq());
    if (typeof sent !== 'number') {
      this.#fail(sent.errno, 'send');
      return;
    }
    this.#wait('readable', () => {
      this.#onReadable();
    });
  }

  #onReadable(): void {
    if (this.#fd === undefined) return;
    const count = this.#sockets.receive(this.#fd, this.#answer.subarray(this.#received));
    if (typeof count !== 'number') {
      if (count.errno !== EAGAIN) this.#fail(count.errno, 'receive');
      return;
    }
    if (count === 0) {
      this.#end(
        this.#received === 0
          ? unreachable('NO_ICRESP', 'closes the connection instead of answering')
          : unreachable('BAD_ICRESP', 'closes the connection within its answer'),
      );
      return;
    }
    this.#received += count;
    const verdict = isIcResp(this.#answer.subarray(0, this.#received));
    if (verdict === 'no') this.#end(unreachable('BAD_ICRESP', 'does not speak NVMe/TCP'));
    else if (verdict === 'yes') this.#end(REACHABLE);
  }

  #wait(interest: 'readable' | 'writable', callback: () => void): void {
    this.#poll?.close();
    this.#poll = undefined;
    if (this.#fd === undefined) return;
    this.#poll = this.#sockets.poll(this.#fd, interest, () => {
      this.#attempt(callback);
    });
  }

  #fail(errno: number, call: string): void {
    const code = errnoName(errno);
    const words = PROBE_WORDS.get(code) ?? errnoMeaning(errno).words;
    const what = call === 'connect' ? '' : `${call}: `;
    this.#end(unreachable(code, `${what}${words} (${code})`, errno));
  }

  #end(result: ProbeResult): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timeout);
    this.#signal?.removeEventListener('abort', this.#onAbort);
    // The poll first: a descriptor must not be closed while the event loop watches it.
    this.#poll?.close();
    if (this.#fd !== undefined) this.#sockets.close(this.#fd);
    this.#fd = undefined;
    this.#settle(result);
  }
}
