/** What avahi-daemon's signals carry; whatever is not of the documented form is undefined. */
import type { IpFamily } from '../../nvme/ip-address.ts';
import type { ServiceRecord } from '../../nvme/mdns-service.ts';

/** An announcement: ItemNew and ItemRemove. */
export interface Item {
  /** Equal for the two signals of one announcement. */
  readonly key: string;
  readonly interfaceIndex: number;
  readonly family: IpFamily;
  readonly name: string;
  readonly type: string;
  readonly domain: string;
}

function familyOf(protocol: unknown): IpFamily | undefined {
  return protocol === 0 ? 'ipv4' : protocol === 1 ? 'ipv6' : undefined;
}

/** `iisssu`: interface, protocol, name, type, domain, flags. */
export function readItem(args: readonly unknown[]): Item | undefined {
  const [interfaceIndex, protocol, name, type, domain] = args;
  const family = familyOf(protocol);
  if (typeof interfaceIndex !== 'number' || interfaceIndex < 1 || family === undefined) {
    return undefined;
  }
  if (typeof name !== 'string' || typeof type !== 'string' || typeof domain !== 'string') {
    return undefined;
  }
  const key = JSON.stringify([interfaceIndex, protocol, name, type, domain]);
  return { key, interfaceIndex, family, name, type, domain };
}

/**
 * Found, `iissssisqaayu`: interface, protocol, name, type, domain, host, protocol of the address,
 * address, port, TXT, flags. `before` is returned if nothing has changed.
 */
export function readFound(
  args: readonly unknown[],
  before: ServiceRecord | undefined,
): ServiceRecord | undefined {
  const [, , , , , , , address, port, strings] = args;
  if (typeof address !== 'string' || typeof port !== 'number' || !Array.isArray(strings)) {
    return undefined;
  }
  const txt = strings.filter((item): item is Uint8Array => item instanceof Uint8Array);
  if (
    before?.address === address &&
    before.port === port &&
    before.txt.length === txt.length &&
    before.txt.every((item, index) => Buffer.compare(item, txt[index] ?? new Uint8Array()) === 0)
  ) {
    return before;
  }
  return { address, port, txt };
}
