/** One process' worth of simulated controllers on loopback, with time that the test moves. */
import type { Server } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ControlClient } from '../../discovery-controller/control-client.ts';
import { openControlSocket } from '../../discovery-controller/control-server.ts';
import type { JsonObject } from '../../discovery-controller/json.ts';
import { SimulatedControllers } from '../../discovery-controller/server.ts';
import type { Hosted } from '../../discovery-controller/server.ts';
import { readController } from '../../discovery-controller/settings.ts';
import type { Initiator } from './initiator.ts';
import { ManualTimers } from './manual-timers.ts';

export class Bench {
  readonly timers = new ManualTimers();
  readonly controllers = new SimulatedControllers(this.timers);
  readonly #folder = mkdtempSync(join(tmpdir(), 'dc-'));
  readonly #clients: ControlClient[] = [];
  readonly #hosts: Initiator[] = [];
  #server: Server | null = null;
  shutdowns = 0;

  /** Adds a controller that listens on a free port of 127.0.0.1. */
  async add(config: JsonObject = {}): Promise<{ hosted: Hosted; port: number }> {
    const hosted = await this.controllers.add(
      readController(
        { name: 'dc', listen: [{ address: '127.0.0.1', port: 0 }], ...config },
        'config',
      ),
    );
    return { hosted, port: hosted.listeners[0]?.port ?? 0 };
  }

  /** Keeps a host so that it is closed at the end. */
  async keep(host: Promise<Initiator>): Promise<Initiator> {
    const kept = await host;
    this.#hosts.push(kept);
    return kept;
  }

  get controlPath(): string {
    return join(this.#folder, 'control');
  }

  /** Opens the control socket (the first time) and a client of it. */
  async control(): Promise<ControlClient> {
    this.#server ??= await openControlSocket(this.controlPath, {
      controllers: this.controllers,
      timers: this.timers,
      shutdown: () => {
        this.shutdowns++;
      },
    });
    const client = await ControlClient.open(this.controlPath);
    this.#clients.push(client);
    return client;
  }

  close(): void {
    for (const host of this.#hosts) host.close();
    for (const client of this.#clients) client.close();
    this.controllers.close();
    this.#server?.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The records that `filter` picks, reduced to what a test names. */
export function commands(hosted: Hosted, command: string): JsonObject[] {
  return hosted.controller.recorder
    .take({ command }, true)
    .map(({ details, status, hostnqn }) => ({ ...details, status, hostnqn }));
}
