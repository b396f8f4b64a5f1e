/** A UUID that this machine keeps: the same each time it is asked for, where the machine has one. */
import { createHmac } from 'node:crypto';

/** Where a UUID can come from, best first. */
export const MACHINE_ID = '/etc/machine-id';
export const DMI_PRODUCT_UUID = '/sys/class/dmi/id/product_uuid';
export const DEVICE_TREE_UUID = '/proc/device-tree/ibm,partition-uuid';

/** Names this use of the machine ID, which itself must not go over a network (machine-id(5)). */
const APPLICATION = '$nvmexpress.org$';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The text of a file, or undefined if there is none. May throw what reading throws. */
export type ReadFile = (path: string) => string | undefined;

function formatUuid(hex: string): string {
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20, 32),
  ].join('-');
}

/** All the same digit: what firmware and image builders write where they have no UUID. */
function isFiller(uuid: string): boolean {
  return /^([0f])\1*$/i.test(uuid.replaceAll('-', ''));
}

/**
 * The machine ID (32 hexadecimal digits) hashed for NVMe, as a version 4 UUID. Undefined if it is
 * not one, as in an image before its first boot (`uninitialized`, empty, zeros).
 */
export function uuidFromMachineId(machineId: string): string | undefined {
  const hex = machineId.trim();
  if (!/^[0-9a-f]{32}$/i.test(hex) || isFiller(hex)) return undefined;
  const digest = createHmac('sha256', APPLICATION).update(Buffer.from(hex, 'hex')).digest();
  const bytes = digest.subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return formatUuid(bytes.toString('hex'));
}

/**
 * The DMI UUID with the bytes of its first three fields in the other order (SMBIOS 3.0, 7.2.1: they
 * are little-endian). Undefined if there is none.
 */
export function uuidFromDmi(productUuid: string): string | undefined {
  const uuid = productUuid.slice(0, 36);
  if (!UUID.test(uuid) || isFiller(uuid)) return undefined;
  const swap = (field: string): string => (field.match(/../g) ?? []).reverse().join('');
  const [low = '', mid = '', high = '', ...rest] = uuid.split('-');
  return [swap(low), swap(mid), swap(high), ...rest].join('-');
}

/** The device tree's UUID; the file ends in a NUL. */
export function uuidFromDeviceTree(text: string): string | undefined {
  const uuid = text.slice(0, 36);
  return UUID.test(uuid) && !isFiller(uuid) ? uuid : undefined;
}

/** The first UUID that the machine has, or undefined: then a random one has to do. */
export function systemUuid(readFile: ReadFile): string | undefined {
  const read = (path: string, parse: (text: string) => string | undefined): string | undefined => {
    const text = readFile(path);
    return text === undefined ? undefined : parse(text);
  };
  return (
    read(MACHINE_ID, uuidFromMachineId) ??
    read(DMI_PRODUCT_UUID, uuidFromDmi) ??
    read(DEVICE_TREE_UUID, uuidFromDeviceTree)
  );
}
