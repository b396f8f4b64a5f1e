import assert from 'node:assert/strict';
import type { Network, NetworkEvent } from '../../src/ports/network.ts';
import { until, type Contract } from './contract.ts';

export interface NetworkWorld {
  readonly network: Network;
  /** A link that does not run; resolves with its index. */
  addLink(): Promise<number>;
  setLink(state: 'up' | 'down'): Promise<void>;
  /** To and from the link. */
  addAddress(address: string): Promise<void>;
  removeAddress(address: string): Promise<void>;
  /** Of a network, over the link. */
  addRoute(destination: string): Promise<void>;
  /** More changes than can be heard, in one turn of the event loop. */
  overrun(): void;
  close(): Promise<void>;
}

const PATIENCE_MS = 20_000;

export function networkContract(name: string, open: () => Promise<NetworkWorld>): Contract {
  const inWorld =
    (act: (world: NetworkWorld, heard: Heard, ifindex: number) => Promise<void>) => async () => {
      const world = await open();
      const heard = new Heard(world.network);
      try {
        await act(world, heard, await world.addLink());
      } finally {
        heard.dispose();
        await world.close();
      }
    };
  return {
    name: `network: ${name}`,
    tests: [
      {
        title: 'tells that a link came up, an address and a route',
        run: inWorld(async (world, heard, ifindex) => {
          await world.setLink('up');
          await heard.once('link', ifindex);
          await world.addAddress('198.51.100.1/24');
          await heard.once('address', ifindex);
          await world.addAddress('2001:db8::1/64');
          await heard.once('address', ifindex);
          heard.forget();
          await world.addRoute('203.0.113.0/24');
          await heard.once('route', ifindex);
        }),
      },
      {
        title: 'tells of a link and of an address again after they were gone',
        run: inWorld(async (world, heard, ifindex) => {
          for (let round = 0; round < 2; round += 1) {
            await world.setLink('up');
            await heard.once('link', ifindex);
            await world.addAddress('198.51.100.1/24');
            await heard.once('address', ifindex);
            await world.removeAddress('198.51.100.1/24');
            await world.setLink('down');
          }
        }),
      },
      {
        title: 'says that it could not hear everything, and goes on hearing',
        run: inWorld(async (world, heard, ifindex) => {
          world.overrun();
          await until('lost', () => heard.events.some(({ kind }) => kind === 'lost'));
          for (let round = 0; round < 3; round += 1) {
            await world.setLink('down');
            // It pauses after an overrun, and hears what came meanwhile.
            await new Promise((resolve) => setTimeout(resolve, 10));
            heard.forget();
            await world.setLink('up');
            await heard.once('link', ifindex);
          }
        }),
      },
      {
        title: 'tells each of its listeners, and none that does not listen any more',
        run: inWorld(async (world, heard, ifindex) => {
          const other = new Heard(world.network);
          const gone = new Heard(world.network);
          gone.dispose();
          await world.setLink('up');
          await heard.once('link', ifindex);
          await other.once('link', ifindex);
          other.dispose();
          assert.deepEqual(gone.events, []);
        }),
      },
    ],
  };
}

class Heard {
  events: NetworkEvent[] = [];
  readonly #subscription;

  constructor(network: Network) {
    this.#subscription = network.onUp((event) => this.events.push(event));
  }

  /** Waits for such an event, which is forgotten then with all before it. */
  async once(kind: NetworkEvent['kind'], ifindex: number): Promise<void> {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
      const at = this.events.findIndex(
        (event) => event.kind === kind && 'ifindex' in event && event.ifindex === ifindex,
      );
      if (at >= 0) {
        this.events = this.events.slice(at + 1);
        return;
      }
      assert(Date.now() < end, `no ${kind}: ${JSON.stringify(this.events)}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  forget(): void {
    this.events = [];
  }

  dispose(): void {
    this.#subscription.dispose();
  }
}
