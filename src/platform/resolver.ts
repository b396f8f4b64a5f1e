/**
 * Host names through the system's resolver (getaddrinfo on libuv's thread pool, which gives it at
 * most half of its threads).
 *
 * Invariant: one look-up of a name at a time. A look-up that passed its time limit goes on in its
 * thread; asking again joins it, so that a name server that hangs cannot take the pool.
 */
import { promises as dns } from 'node:dns';
import { PortError } from '../ports/errors.ts';
import type { Resolver } from '../ports/host.ts';
import { fromSystemError } from './system-error.ts';

export interface ResolverOptions {
  /** Milliseconds after which `resolve` rejects with ETIMEDOUT. */
  readonly timeLimit?: number;
  /** The system's look-up of a name, all addresses; for tests. */
  readonly lookup?: (name: string) => Promise<readonly { readonly address: string }[]>;
}

/** getaddrinfo gives up by itself after 5 s × 2 attempts for each name server. */
const DEFAULT_TIME_LIMIT = 15_000;

function systemLookup(name: string): Promise<readonly { readonly address: string }[]> {
  return dns.lookup(name, { all: true, order: 'ipv4first' });
}

export class SystemResolver implements Resolver {
  readonly #timeLimit: number;
  readonly #lookup: (name: string) => Promise<readonly { readonly address: string }[]>;
  readonly #running = new Map<string, Promise<readonly string[]>>();

  constructor(options: ResolverOptions = {}) {
    this.#timeLimit = options.timeLimit ?? DEFAULT_TIME_LIMIT;
    this.#lookup = options.lookup ?? systemLookup;
  }

  async resolve(name: string): Promise<readonly string[]> {
    let timeout: NodeJS.Timeout | undefined;
    const limit = new Promise<never>((_resolve, reject) => {
      timeout = setTimeout(() => {
        reject(
          new PortError(`no answer about ${name} for ${this.#timeLimit} ms`, {
            code: 'ETIMEDOUT',
            errorClass: 'retry',
          }),
        );
      }, this.#timeLimit);
    });
    try {
      return await Promise.race([this.#join(name), limit]);
    } finally {
      clearTimeout(timeout);
    }
  }

  #join(name: string): Promise<readonly string[]> {
    const running = this.#running.get(name);
    if (running !== undefined) return running;
    const lookup = this.#start(name).finally(() => {
      this.#running.delete(name);
    });
    this.#running.set(name, lookup);
    // Nobody may be waiting any more when it fails.
    lookup.catch(() => undefined);
    return lookup;
  }

  async #start(name: string): Promise<readonly string[]> {
    let found: readonly { readonly address: string }[];
    try {
      found = await this.#lookup(name);
    } catch (thrown) {
      const { message, code, cause } = fromSystemError(`cannot resolve ${name}`, thrown);
      // Whatever the resolver says today, the name may exist tomorrow.
      throw new PortError(message, { code, errorClass: 'retry', cause });
    }
    const addresses = [...new Set(found.map(({ address }) => address))];
    if (addresses.length > 0) return addresses;
    throw new PortError(`${name} has no address`, { code: 'ENODATA', errorClass: 'retry' });
  }
}
