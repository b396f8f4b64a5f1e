/**
 * Discovery log page entries as they are scripted: JSON in, 1024 bytes out (NVMe Base 2.1,
 * clause 5.1.12, Discovery Log Page Entry). Nothing is checked that a controller could send:
 * tests need wrong entries as much as right ones.
 */
import { asHex, asInteger, Fields, InputError, isObject } from './json.ts';
import type { JsonObject } from './json.ts';
import { fieldText, readTextField } from './text.ts';

export const ENTRY_SIZE = 1024;

const TRTYPE = { pcie: 0, rdma: 1, fc: 2, tcp: 3, loop: 254 } as const;
const ADRFAM = { pci: 0, ipv4: 1, ipv6: 2, ib: 3, fc: 4, loop: 254 } as const;
const SUBTYPE = { referral: 1, nvme: 2, discovery: 3 } as const;
const TREQ = { unspecified: 0, required: 1, 'not-required': 2 } as const;
const CNTLID = { dynamic: 0xffff, static: 0xfffe } as const;
const EFLAGS: Readonly<Record<string, number>> = { dupretinfo: 1, epcsd: 2, ncc: 4 };
const SECTYPE = { none: 0, tls12: 1, tls13: 2 } as const;

/** One entry; `source` is the JSON that it came from, so that single members can be changed. */
export interface Entry {
  readonly id: string;
  readonly portid: number;
  readonly bytes: Buffer;
  readonly source: JsonObject;
}

function readEflags(value: unknown, path: string): number {
  if (!Array.isArray(value)) return asInteger(value, path, 0, 0xffff);
  let flags = 0;
  for (const name of value as readonly unknown[]) {
    const bit = typeof name === 'string' && Object.hasOwn(EFLAGS, name) ? EFLAGS[name] : undefined;
    if (bit === undefined) {
      throw new InputError(
        path,
        `holds a flag that is not one of ${Object.keys(EFLAGS).join(', ')}`,
      );
    }
    flags |= bit;
  }
  return flags;
}

function readTsas(value: unknown, path: string): Buffer {
  const tsas = Buffer.alloc(256);
  const fields = new Fields(value, path);
  if (fields.has('hex')) {
    const bytes = asHex(fields.raw('hex'), fields.where('hex'));
    if (bytes.length > tsas.length) throw new InputError(path, 'is longer than 256 bytes');
    bytes.copy(tsas);
  } else if (fields.has('sectype')) {
    tsas.writeUInt8(fields.choice('sectype', SECTYPE, 0, 255), 0);
  } else {
    tsas.writeUInt8(fields.integer('qptype', 1, 0, 255), 0);
    tsas.writeUInt8(fields.integer('prtype', 1, 0, 255), 1);
    tsas.writeUInt8(fields.integer('cms', 1, 0, 255), 2);
    tsas.writeUInt16LE(fields.integer('pkey', 0, 0, 0xffff), 8);
  }
  fields.done();
  return tsas;
}

/**
 * An entry from JSON; see README.md for its members. `fallbackId` names it if it has no `id`.
 * With `raw` the whole entry is given as up to 1024 bytes in hexadecimal.
 * @throws InputError
 */
export function readEntry(value: unknown, path: string, fallbackId: string): Entry {
  if (!isObject(value)) throw new InputError(path, 'is not an object');
  const fields = new Fields(value, path);
  const id = fields.optionalString('id') ?? fallbackId;
  const source: JsonObject = { ...value, id };
  const bytes = Buffer.alloc(ENTRY_SIZE);
  if (fields.has('raw')) {
    const raw = asHex(fields.raw('raw'), fields.where('raw'));
    if (raw.length > ENTRY_SIZE) throw new InputError(path, 'is longer than 1024 bytes');
    raw.copy(bytes);
    fields.done();
    return { id, portid: bytes.readUInt16LE(4), bytes, source };
  }
  const portid = fields.integer('portid', 1, 0, 0xffff);
  bytes.writeUInt8(fields.choice('trtype', TRTYPE, TRTYPE.tcp, 255), 0);
  bytes.writeUInt8(fields.choice('adrfam', ADRFAM, ADRFAM.ipv4, 255), 1);
  bytes.writeUInt8(fields.choice('subtype', SUBTYPE, SUBTYPE.nvme, 255), 2);
  bytes.writeUInt8(fields.choice('treq', TREQ, TREQ['not-required'], 255), 3);
  bytes.writeUInt16LE(portid, 4);
  bytes.writeUInt16LE(fields.choice('cntlid', CNTLID, CNTLID.dynamic, 0xffff), 6);
  bytes.writeUInt16LE(fields.integer('asqsz', 32, 0, 0xffff), 8);
  bytes.writeUInt16LE(fields.optional('eflags', readEflags) ?? 0, 10);
  const text = (name: string, offset: number, size: number, pad: 'nul' | 'space'): void => {
    const field = fields.optional(name, (text, where) => readTextField(text, where, size, pad));
    (field ?? readTextField('', name, size, pad)).copy(bytes, offset);
  };
  text('trsvcid', 32, 32, 'space');
  text('subnqn', 256, 256, 'nul');
  text('traddr', 512, 256, 'space');
  fields.optional('tsas', readTsas)?.copy(bytes, 768);
  fields.done();
  return { id, portid, bytes, source };
}

function nameOf(names: Readonly<Record<string, number>>, value: number): string | number {
  return Object.entries(names).find(([, number]) => number === value)?.[0] ?? value;
}

/** What an entry says, for people who look at the controller's status. */
export function describeEntry(entry: Entry): JsonObject {
  const { bytes } = entry;
  return {
    id: entry.id,
    trtype: nameOf(TRTYPE, bytes.readUInt8(0)),
    adrfam: nameOf(ADRFAM, bytes.readUInt8(1)),
    subtype: nameOf(SUBTYPE, bytes.readUInt8(2)),
    treq: bytes.readUInt8(3),
    portid: entry.portid,
    cntlid: bytes.readUInt16LE(6),
    asqsz: bytes.readUInt16LE(8),
    eflags: bytes.readUInt16LE(10),
    trsvcid: fieldText(bytes.subarray(32, 64)),
    subnqn: fieldText(bytes.subarray(256, 512)),
    traddr: fieldText(bytes.subarray(512, 768)),
  };
}
