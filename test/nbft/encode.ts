/**
 * Makes NVMe boot firmware tables (NVM Express Boot Specification 1.0) of a description, as firmware
 * would. Imports nothing of the parser that it is to test.
 */
import { Buffer } from 'node:buffer';
import { isIPv4 } from 'node:net';

export interface NbftDescription {
  /** 12 bytes are written of each; default: a host with {@link HOST_NQN}. */
  readonly host?: HostDescription;
  readonly hfis?: readonly HfiDescription[];
  readonly securities?: readonly SecurityDescription[];
  readonly discoveries?: readonly DiscoveryDescription[];
  readonly subsystems?: readonly SubsystemDescription[];
  /** The control descriptor says that it is valid; default: true. */
  readonly valid?: boolean;
  readonly minorRevision?: number;
  /** Bytes appended to every descriptor of a list, as a later revision might; default: 0. */
  readonly appended?: number;
}

export interface HostDescription {
  readonly nqn?: string;
  /** 32 hexadecimal digits; hyphens do not count. */
  readonly id?: string;
  /** Default: true. */
  readonly nqnConfigured?: boolean;
  /** Default: true. */
  readonly idConfigured?: boolean;
  readonly primary?: number;
}

export interface HfiDescription {
  /** `52:54:00:12:34:56` */
  readonly mac: string;
  readonly vlan?: number;
  readonly address?: string;
  readonly prefixLength?: number;
  readonly gateway?: string;
  /** DHCP server that the address came from. */
  readonly dhcpServer?: string;
  readonly hostName?: string;
  /** Default: its place in the list, from 1. */
  readonly index?: number;
  /** Default: 3 (NVMe/TCP). */
  readonly trtype?: number;
  readonly pciSbdf?: number;
  readonly routeMetric?: number;
}

export interface SecurityDescription {
  /** 0 not supported, 1 not required, 2 required; default: 0. */
  readonly authentication?: number;
  readonly secureChannel?: number;
}

export interface DiscoveryDescription {
  readonly uri: string;
  readonly nqn?: string;
  /** Default: 1. */
  readonly hfi?: number;
  readonly security?: number;
  /** Default: true. */
  readonly valid?: boolean;
}

export interface SubsystemDescription {
  readonly nqn?: string | Uint8Array;
  readonly traddr?: string;
  /** Default: 4420. */
  readonly trsvcid?: string;
  /** Index of the primary HFI; default: 1. */
  readonly hfi?: number;
  readonly secondaryHfis?: readonly number[];
  readonly discovery?: number;
  readonly security?: number;
  readonly nsid?: number;
  /** A UUID, 32 hexadecimal digits. */
  readonly nid?: string;
  readonly controllerId?: number;
  readonly dhcpRootPath?: string;
  readonly discovered?: boolean;
  readonly unavailable?: boolean;
  /** Default: 3 (NVMe/TCP). */
  readonly trtype?: number;
  /** Transport specific flags: 2 header digest, 4 data digest. */
  readonly trflags?: number;
  /** Default: true. */
  readonly valid?: boolean;
}

export const HOST_NQN = 'nqn.2014-08.org.nvmexpress:uuid:01234567-89ab-cdef-0123-456789abcdef';
export const HOST_ID = '01234567-89ab-cdef-0123-456789abcdef';

/** Lengths of the descriptors of 1.0. */
const LENGTH = {
  header: 64,
  control: 64,
  host: 32,
  hfi: 32,
  ssns: 128,
  security: 64,
  discovery: 32,
};
const TCP_INFO_LENGTH = 128;
const EXTENDED_INFO_LENGTH = 32;

/** Where things are, for tests that damage them. */
export interface NbftPlaces {
  readonly control: number;
  readonly host: number;
  readonly heap: number;
  /** By the place in its list, from 0. */
  hfi(place: number): number;
  security(place: number): number;
  discovery(place: number): number;
  ssns(place: number): number;
}

export interface EncodedNbft {
  readonly bytes: Uint8Array;
  readonly places: NbftPlaces;
}

/** Objects one after the other, each text with a NUL after it, which its length does not count. */
class HeapWriter {
  readonly #start: number;
  readonly #parts: Buffer[] = [];
  #length = 0;

  constructor(start: number) {
    this.#start = start;
  }

  add(object: Buffer | string | Uint8Array | undefined): Reference {
    if (object === undefined || object.length === 0) return { offset: 0, length: 0 };
    const bytes = Buffer.from(object as Uint8Array);
    const offset = this.#start + this.#length;
    const terminated = Buffer.concat([bytes, Buffer.alloc(1)]);
    this.#parts.push(terminated);
    this.#length += terminated.length;
    return { offset, length: bytes.length };
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

interface Reference {
  readonly offset: number;
  readonly length: number;
}

function writeReference(into: Buffer, at: number, { length, offset }: Reference): void {
  into.writeUInt32LE(offset, at);
  into.writeUInt16LE(length, at + 4);
}

/** Sixteen bytes: an IPv4 address is mapped; IPv6 as eight groups or with one `::`. */
export function addressBytes(text: string): Buffer {
  const bytes = Buffer.alloc(16);
  if (isIPv4(text)) {
    bytes.fill(0xff, 10, 12);
    text.split('.').forEach((part, index) => bytes.writeUInt8(Number(part), 12 + index));
    return bytes;
  }
  const [head = '', tail] = text.split('::');
  const groups = (half: string): readonly string[] => (half === '' ? [] : half.split(':'));
  const [before, after] = [groups(head), groups(tail ?? '')];
  before.forEach((group, index) => bytes.writeUInt16BE(parseInt(group, 16), index * 2));
  after.forEach((group, index) =>
    bytes.writeUInt16BE(parseInt(group, 16), 16 - (after.length - index) * 2),
  );
  return bytes;
}

function hexBytes(text: string): Buffer {
  return Buffer.from(text.replaceAll(/[-:]/g, ''), 'hex');
}

function flag(bit: number, on: boolean | undefined): number {
  return on === true ? 1 << bit : 0;
}

/** Sets the checksum, so that all bytes that the header counts sum to 0. */
export function seal(bytes: Uint8Array): Uint8Array {
  bytes[9] = 0;
  const length = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).readUInt32LE(4);
  const sum = bytes.subarray(0, length).reduce((total, byte) => (total + byte) & 0xff, 0);
  bytes[9] = (0x100 - sum) & 0xff;
  return bytes;
}

export function encodeNbft(description: NbftDescription): EncodedNbft {
  const {
    appended = 0,
    discoveries = [],
    hfis = [],
    securities = [],
    subsystems = [],
  } = description;
  let end = LENGTH.header + LENGTH.control;
  const place = (length: number, count = 1): { at: number; length: number; count: number } => {
    const placed = { at: end, length, count };
    end += length * count;
    return placed;
  };
  const host = place(LENGTH.host);
  const lists = {
    hfi: place(LENGTH.hfi + appended, hfis.length),
    ssns: place(LENGTH.ssns + appended, subsystems.length),
    security: place(LENGTH.security + appended, securities.length),
    discovery: place(LENGTH.discovery + appended, discoveries.length),
  };
  const heap = new HeapWriter(end);
  const fixed = Buffer.alloc(end);
  const descriptor = (list: { at: number; length: number }, index: number): Buffer =>
    fixed.subarray(list.at + index * list.length, list.at + (index + 1) * list.length);

  writeHost(fixed.subarray(host.at, host.at + host.length), description.host ?? {}, heap);
  hfis.forEach((hfi, index) => {
    writeHfi(descriptor(lists.hfi, index), hfi, index + 1, heap);
  });
  subsystems.forEach((subsystem, index) => {
    writeSubsystem(descriptor(lists.ssns, index), subsystem, index + 1, heap);
  });
  securities.forEach((security, index) => {
    const into = descriptor(lists.security, index);
    into.writeUInt8(5, 0);
    into.writeUInt8(index + 1, 1);
    const { authentication = 0, secureChannel = 0 } = security;
    into.writeUInt16LE(1 | (authentication << 1) | (secureChannel << 5), 2);
  });
  discoveries.forEach((discovery, index) => {
    writeDiscovery(descriptor(lists.discovery, index), discovery, index + 1, heap);
  });

  const control = fixed.subarray(LENGTH.header, LENGTH.header + LENGTH.control);
  control.writeUInt8(1, 0);
  control.writeUInt8(1, 1);
  control.writeUInt16LE(LENGTH.control, 4);
  control.writeUInt8(flag(0, description.valid ?? true), 6);
  writeReference(control, 8, { offset: host.at, length: host.length });
  control.writeUInt8(1, 14);
  [lists.hfi, lists.ssns, lists.security, lists.discovery].forEach((list, index) => {
    const into = control.subarray(16 + index * 8);
    if (list.count === 0) return;
    into.writeUInt32LE(list.at, 0);
    into.writeUInt16LE(list.length, 4);
    into.writeUInt8(1, 6);
    into.writeUInt8(list.count, 7);
  });

  const heapBytes = heap.bytes();
  fixed.write('NBFT', 0, 'latin1');
  fixed.writeUInt32LE(end + heapBytes.length, 4);
  fixed.writeUInt8(1, 8);
  fixed.write('TESTER', 10, 'latin1');
  fixed.write('BUILDER ', 16, 'latin1');
  fixed.writeUInt32LE(1, 24);
  fixed.write('TEST', 28, 'latin1');
  fixed.writeUInt32LE(1, 32);
  fixed.writeUInt32LE(end, 36);
  fixed.writeUInt32LE(heapBytes.length, 40);
  fixed.writeUInt8(description.minorRevision ?? 0, 50);

  const of =
    (list: { at: number; length: number }) =>
    (index: number): number =>
      list.at + index * list.length;
  return {
    bytes: seal(new Uint8Array(Buffer.concat([fixed, heapBytes]))),
    places: {
      control: LENGTH.header,
      host: host.at,
      heap: end,
      hfi: of(lists.hfi),
      security: of(lists.security),
      discovery: of(lists.discovery),
      ssns: of(lists.ssns),
    },
  };
}

function writeHost(into: Buffer, host: HostDescription, heap: HeapWriter): void {
  into.writeUInt8(2, 0);
  into.writeUInt8(
    1 |
      flag(1, host.idConfigured ?? true) |
      flag(2, host.nqnConfigured ?? true) |
      ((host.primary ?? 0) << 3),
    1,
  );
  hexBytes(host.id ?? HOST_ID).copy(into, 2);
  writeReference(into, 18, heap.add(host.nqn ?? HOST_NQN));
}

function writeHfi(into: Buffer, hfi: HfiDescription, place: number, heap: HeapWriter): void {
  const index = hfi.index ?? place;
  into.writeUInt8(3, 0);
  into.writeUInt8(index, 1);
  into.writeUInt8(1, 2);
  into.writeUInt8(hfi.trtype ?? 3, 3);
  const info = Buffer.alloc(TCP_INFO_LENGTH);
  [7, 1, 3, 1].forEach((byte, at) => info.writeUInt8(byte, at));
  info.writeUInt16LE(index, 4);
  info.writeUInt8(1 | flag(1, true) | flag(2, hfi.dhcpServer !== undefined), 6);
  info.writeUInt32LE(hfi.pciSbdf ?? 0, 7);
  hexBytes(hfi.mac).copy(info, 11);
  info.writeUInt16LE(hfi.vlan ?? 0, 17);
  info.writeUInt8(hfi.dhcpServer === undefined ? 1 : 3, 19);
  addressBytes(hfi.address ?? '0.0.0.0').copy(info, 20);
  info.writeUInt8(hfi.prefixLength ?? 24, 36);
  addressBytes(hfi.gateway ?? '0.0.0.0').copy(info, 37);
  info.writeUInt16LE(hfi.routeMetric ?? 0, 54);
  addressBytes('0.0.0.0').copy(info, 56);
  addressBytes('0.0.0.0').copy(info, 72);
  if (hfi.dhcpServer !== undefined) addressBytes(hfi.dhcpServer).copy(info, 88);
  writeReference(info, 104, heap.add(hfi.hostName));
  writeReference(into, 16, heap.add(info));
}

function writeDiscovery(
  into: Buffer,
  discovery: DiscoveryDescription,
  index: number,
  heap: HeapWriter,
): void {
  into.writeUInt8(6, 0);
  into.writeUInt8(flag(0, discovery.valid ?? true), 1);
  into.writeUInt8(index, 2);
  into.writeUInt8(discovery.hfi ?? 1, 3);
  into.writeUInt8(discovery.security ?? 0, 4);
  writeReference(into, 6, heap.add(discovery.uri));
  writeReference(into, 12, heap.add(discovery.nqn));
}

function writeSubsystem(
  into: Buffer,
  subsystem: SubsystemDescription,
  index: number,
  heap: HeapWriter,
): void {
  into.writeUInt8(4, 0);
  into.writeUInt16LE(index, 1);
  into.writeUInt16LE(
    flag(0, subsystem.valid ?? true) |
      flag(2, subsystem.security !== undefined) |
      flag(4, true) |
      flag(6, subsystem.discovered) |
      flag(8, subsystem.unavailable),
    3,
  );
  into.writeUInt8(subsystem.trtype ?? 3, 5);
  into.writeUInt16LE(subsystem.trflags ?? 0, 6);
  into.writeUInt8(subsystem.discovery ?? 0, 8);
  const { traddr } = subsystem;
  writeReference(into, 10, heap.add(traddr === undefined ? undefined : addressBytes(traddr)));
  writeReference(into, 16, heap.add(subsystem.trsvcid ?? '4420'));
  into.writeUInt32LE(subsystem.nsid ?? 1, 24);
  into.writeUInt8(3, 28);
  hexBytes(subsystem.nid ?? '0'.repeat(32)).copy(into, 29);
  into.writeUInt8(subsystem.security ?? 0, 45);
  into.writeUInt8(subsystem.hfi ?? 1, 46);
  writeReference(into, 48, heap.add(Buffer.from(subsystem.secondaryHfis ?? [])));
  writeReference(into, 54, heap.add(subsystem.nqn));
  const info = Buffer.alloc(EXTENDED_INFO_LENGTH);
  info.writeUInt8(9, 0);
  info.writeUInt8(1, 1);
  info.writeUInt16LE(index, 2);
  info.writeUInt32LE(1, 4);
  info.writeUInt16LE(subsystem.controllerId ?? 0, 8);
  writeReference(info, 12, heap.add(subsystem.dhcpRootPath));
  writeReference(into, 60, heap.add(info));
}
