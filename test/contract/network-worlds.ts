/** The network's port for its contract: the kernel's, which takes root and iproute2, and the fake. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { RtnetlinkNetwork } from '../../src/platform/network.ts';
import type { NetworkEvent } from '../../src/ports/network.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeNetwork } from '../fakes/network.ts';
import type { NetworkWorld } from './network.contract.ts';

export function kernelNetworkWorld(): Promise<NetworkWorld> {
  const log = new MemoryLog();
  const link = `net${randomBytes(3).toString('hex')}`;
  const ip = (...args: readonly string[]): Promise<void> => {
    execFileSync('ip', args);
    return Promise.resolve();
  };
  return Promise.resolve({
    network: new RtnetlinkNetwork({ log }),
    addLink: async () => {
      await ip('link', 'add', link, 'type', 'dummy');
      return Number(readFileSync(`/sys/class/net/${link}/ifindex`, 'utf8'));
    },
    setLink: (state) => ip('link', 'set', link, state),
    addAddress: (address) => ip('address', 'add', address, 'dev', link),
    removeAddress: (address) => ip('address', 'del', address, 'dev', link),
    addRoute: (destination) => ip('route', 'add', destination, 'dev', link),
    overrun: () => {
      // By one process: starting hundreds takes an emulated machine minutes.
      const flap = `link set ${link} up\nlink set ${link} down\n`;
      execFileSync('ip', ['-batch', '-'], { input: flap.repeat(400) });
    },
    close: async () => {
      await ip('link', 'del', link);
      if (log.lines.length > 0) throw new Error(log.messages().join('\n'));
    },
  });
}

export function fakeNetworkWorld(): Promise<NetworkWorld> {
  const network = new FakeNetwork();
  const tell = (kind: Exclude<NetworkEvent['kind'], 'lost'>): Promise<void> => {
    network.emit({ kind, ifindex: 7 });
    return Promise.resolve();
  };
  return Promise.resolve({
    network,
    addLink: () => Promise.resolve(7),
    setLink: (state) => (state === 'up' ? tell('link') : Promise.resolve()),
    addAddress: () => tell('address'),
    removeAddress: () => Promise.resolve(),
    addRoute: () => tell('route'),
    overrun: () => {
      network.emit({ kind: 'lost' });
    },
    close: () => Promise.resolve(),
  });
}
