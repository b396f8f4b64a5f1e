import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import type { InterfaceAddress, Interfaces } from '../ports/host.ts';

/** One line a VLAN, after two of headings: `eth0.5         | 5  | eth0`. */
const VLANS = '/proc/self/net/vlan/config';

/**
 * The addresses of the interfaces that are up, in the order in which the kernel lists them: the
 * first of a family is the interface's primary one. Addresses carry no scope (`%eth0`).
 */
export class SystemInterfaces implements Interfaces {
  readonly #read: typeof networkInterfaces;
  readonly #vlans: string;

  /** The arguments are for tests. */
  constructor(read: typeof networkInterfaces = networkInterfaces, vlans = VLANS) {
    this.#read = read;
    this.#vlans = vlans;
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

  vlanOf(name: string): number {
    let text: string;
    try {
      text = readFileSync(this.#vlans, 'utf8');
    } catch {
      // There is none as long as the kernel has no VLAN.
      return 0;
    }
    for (const line of text.split('\n')) {
      const [device = '', id = ''] = line.split('|').map((field) => field.trim());
      if (device === name && /^[0-9]{1,4}$/.test(id)) return Number(id);
    }
    return 0;
  }
}
