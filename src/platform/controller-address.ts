/** What sysfs shows of a controller's address. */
import type { KernelController } from '../ports/devices.ts';

/** The fields of the attribute `address`. */
export type AddressFields = Pick<
  KernelController,
  'traddr' | 'trsvcid' | 'hostTraddr' | 'hostIface' | 'srcAddr'
>;

/**
 * Reads `traddr=…,trsvcid=…,host_traddr=…,host_iface=…,src_addr=…`: any of them, in any order. A
 * value has no comma, because the kernel's own option parser ends it there. A local controller's
 * address is its PCI address, without a key.
 */
export function parseAddress(text: string): AddressFields {
  const values = new Map<string, string>();
  for (const field of text.trim().split(',')) {
    const equals = field.indexOf('=');
    const key = equals === -1 ? 'traddr' : field.slice(0, equals).trim();
    const value = equals === -1 ? field : field.slice(equals + 1);
    if (!values.has(key)) values.set(key, value.trim());
  }
  const get = (key: string): string => values.get(key) ?? '';
  return {
    traddr: get('traddr'),
    trsvcid: get('trsvcid'),
    hostTraddr: get('host_traddr'),
    hostIface: get('host_iface'),
    srcAddr: get('src_addr'),
  };
}
