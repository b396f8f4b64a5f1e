/**
 * The simulated controllers of one process and the addresses that they listen on.
 *
 * Invariants: a controller is in the map from before its first connection until after its last;
 * a port that was taken from the system (0 asked for) stays the same over stop and start.
 */
import { createServer } from 'node:net';
import type { AddressInfo, Server as NetServer, Socket } from 'node:net';
import { HostConnection } from './connection.ts';
import { DiscoveryController } from './controller.ts';
import { InputError } from './json.ts';
import type { ControllerConfig, Listen } from './settings.ts';
import type { Timers } from './timers.ts';

/** Controller IDs above are reserved (NVMe Base 2.1, CNTLID). */
const MAX_CNTLID = 0xffef;

interface Listener {
  readonly listen: Listen;
  port: number;
  server: NetServer | null;
}

/** One controller with its listeners and connections. */
export interface Hosted {
  readonly controller: DiscoveryController;
  readonly listeners: readonly Listener[];
  readonly connections: Set<HostConnection>;
}

function openListener(listener: Listener, onSocket: (socket: Socket) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer(onSocket);
    server.once('error', reject);
    const { address } = listener.listen;
    // `::` shall not take the IPv4 port, which another controller may want.
    server.listen({ host: address, port: listener.port, ipv6Only: address.includes(':') }, () => {
      server.off('error', reject);
      server.on('error', () => undefined);
      listener.server = server;
      listener.port = (server.address() as AddressInfo).port;
      resolve();
    });
  });
}

/** The port is free at once; connections stay. */
function closeListener(listener: Listener): void {
  listener.server?.close();
  listener.server = null;
}

export class SimulatedControllers {
  readonly #timers: Timers;
  readonly #hosted = new Map<string, Hosted>();
  #connections = 0;
  #cntlid = 0;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  get all(): readonly Hosted[] {
    return [...this.#hosted.values()];
  }

  /** @throws InputError if there is none of this name. */
  get(name: string): Hosted {
    const hosted = this.#hosted.get(name);
    if (hosted === undefined) {
      throw new InputError('controller', `there is no controller ${name}`, 'not-found');
    }
    return hosted;
  }

  /**
   * Adds a controller and starts to listen if the configuration says so.
   * @throws InputError for a taken name or wrong entries; the system's error if it cannot listen.
   */
  async add(config: ControllerConfig): Promise<Hosted> {
    if (this.#hosted.has(config.name)) {
      throw new InputError('name', `there is a controller ${config.name} already`);
    }
    const hosted: Hosted = {
      controller: new DiscoveryController(config),
      listeners: config.listen.map((listen) => ({ listen, port: listen.port, server: null })),
      connections: new Set(),
    };
    this.#hosted.set(config.name, hosted);
    try {
      if (config.listening) await this.startListening(hosted);
    } catch (error) {
      this.remove(config.name);
      throw error;
    }
    return hosted;
  }

  /** Stops listening, drops all connections and forgets the controller. @throws InputError */
  remove(name: string): void {
    const hosted = this.get(name);
    this.stopListening(hosted);
    for (const connection of [...hosted.connections]) connection.drop('reset');
    this.#hosted.delete(name);
  }

  async startListening(hosted: Hosted): Promise<void> {
    for (const listener of hosted.listeners) {
      if (listener.server !== null) continue;
      await openListener(listener, (socket) => {
        const connection = new HostConnection(socket, {
          id: ++this.#connections,
          controller: hosted.controller,
          portid: listener.listen.portid,
          timers: this.#timers,
          nextCntlid: () => this.#nextCntlid(),
          closed: (closed) => hosted.connections.delete(closed),
        });
        hosted.connections.add(connection);
      });
    }
  }

  /** Refuses new connections from now on; those that are there stay. */
  stopListening(hosted: Hosted): void {
    for (const listener of hosted.listeners) closeListener(listener);
  }

  close(): void {
    for (const name of [...this.#hosted.keys()]) this.remove(name);
  }

  #nextCntlid(): number {
    const taken = new Set<number>();
    for (const { controller } of this.#hosted.values()) {
      for (const association of controller.associations) taken.add(association.init.cntlid);
    }
    do this.#cntlid = (this.#cntlid % MAX_CNTLID) + 1;
    while (taken.has(this.#cntlid));
    return this.#cntlid;
  }
}
