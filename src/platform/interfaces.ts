import { networkInterfaces } from 'node:os';
import type { InterfaceAddress, Interfaces } from '../ports/host.ts';

/**
 * The addresses of the interfaces that are up, in the order in which the kernel lists them: the
 * first of a family is the interface's primary one. Addresses carry no scope (`%eth0`).
 */
export class SystemInterfaces implements Interfaces {
  readonly #read: typeof networkInterfaces;

  /** `read` is for tests. */
  constructor(read: typeof networkInterfaces = networkInterfaces) {
    this.#read = read;
  }

  list(): readonly InterfaceAddress[] {
    const addresses: InterfaceAddress[] = [];
    for (const [label, infos] of Object.entries(this.#read())) {
      // An IPv4 address may carry a label, `eth0:1`; no interface's name has a colon.
      const [name = label] = label.split(':', 1);
      for (const { address, family, mac } of infos ?? []) {
        addresses.push({
          name,
          address: address.split('%', 1)[0] ?? address,
          family: family === 'IPv4' ? 'ipv4' : 'ipv6',
          mac,
        });
      }
    }
    return addresses;
  }
}
