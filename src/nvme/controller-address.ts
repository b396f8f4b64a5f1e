/** What sysfs shows of a controller's address. */
import type { KernelController } from './kernel-controller.ts';

/** What a controller was asked to be: the options of its connect, which never change. */
export type AskedAddress = Pick<
  KernelController,
  'traddr' | 'trsvcid' | 'hostTraddr' | 'hostIface'
>;

/** The fields of the attribute `address`. */
export type AddressFields = AskedAddress & Pick<KernelController, 'srcAddr'>;

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

/** What stands in the attribute `uevent` for an option that was not given. */
const NOT_GIVEN: readonly string[] = ['none', '(null)'];

/**
 * Reads the lines `NVME_TRADDR=…`, `NVME_TRSVCID=…`, `NVME_HOST_TRADDR=…` and `NVME_HOST_IFACE=…` of
 * the attribute `uevent`, which are those of the controller's uevents (drivers/nvme/host/core.c,
 * nvme_class_uevent). Undefined if it has no `NVME_TRADDR`, as of local controllers.
 */
export function parseAskedAddress(uevent: string): AskedAddress | undefined {
  const values = new Map<string, string>();
  for (const line of uevent.split('\n')) {
    const equals = line.indexOf('=');
    const key = line.slice(0, Math.max(equals, 0));
    if (!values.has(key)) values.set(key, line.slice(equals + 1).trim());
  }
  const get = (key: string): string => {
    const value = values.get(key) ?? '';
    return NOT_GIVEN.includes(value) ? '' : value;
  };
  if (!values.has('NVME_TRADDR')) return undefined;
  return {
    traddr: get('NVME_TRADDR'),
    trsvcid: get('NVME_TRSVCID'),
    hostTraddr: get('NVME_HOST_TRADDR'),
    hostIface: get('NVME_HOST_IFACE'),
  };
}
