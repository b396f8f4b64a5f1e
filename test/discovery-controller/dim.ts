/**
 * The data of a Discovery Information Management command (TP8010; NVMe Base 2.1, Discovery
 * Information Management command): a 1024-byte header, then one discovery information entry (DIE)
 * per interface. A basic DIE looks like a discovery log page entry; an extended one goes on with
 * its total length (TEL), the number of extended attributes (EXAT) and these.
 */
import { fieldText } from './text.ts';

export const DIM_HEADER = 1024;
const DIE_BASIC = 1024;
const DIE_EXTENDED = 1032;
const EXAT_HEADER = 4;

export const DimTask = { register: 0, deregister: 1, update: 2 } as const;
export const EntryFormat = { basic: 1, extended: 2 } as const;
export const ExtendedAttribute = { hostId: 1, symbolicName: 2 } as const;

export interface ExtendedAttributeValue {
  readonly type: number;
  readonly hex: string;
}

export interface DiscoveryInformationEntry {
  readonly trtype: number;
  readonly adrfam: number;
  readonly subtype: number;
  readonly treq: number;
  readonly portid: number;
  readonly cntlid: number;
  readonly asqsz: number;
  readonly trsvcid: string;
  readonly nqn: string;
  readonly traddr: string;
  readonly tsas: string;
  readonly attributes: readonly ExtendedAttributeValue[];
  /** From the extended attributes, hexadecimal. */
  readonly hostid?: string;
  /** From the extended attributes. */
  readonly symbolicName?: string;
}

export interface DimData {
  readonly tdl: number;
  readonly nument: number;
  readonly entryFormat: number;
  readonly entityType: number;
  readonly portLocal: number;
  readonly entryKeyType: number;
  readonly entityId: string;
  readonly entityName: string;
  readonly entityVersion: string;
  readonly entries: readonly DiscoveryInformationEntry[];
}

export type DimResult =
  | { readonly kind: 'ok'; readonly dim: DimData }
  /** `dim` holds what could be read before the mistake. */
  | { readonly kind: 'bad'; readonly problem: string; readonly dim?: DimData };

class DimError extends Error {
  readonly code = 'dim-error';
}

function decodeAttributes(area: Buffer, count: number): ExtendedAttributeValue[] {
  const attributes: ExtendedAttributeValue[] = [];
  let offset = 0;
  for (let i = 0; i < count; i++) {
    if (offset + EXAT_HEADER > area.length) throw new DimError('an EXAT passes the end of its DIE');
    const length = area.readUInt16LE(offset + 2);
    const start = offset + EXAT_HEADER;
    if (start + length > area.length) throw new DimError('EXATLEN passes the end of its DIE');
    if (length % 4 !== 0) throw new DimError('EXATLEN is not a multiple of 4');
    attributes.push({
      type: area.readUInt16LE(offset),
      hex: area.toString('hex', start, start + length),
    });
    offset = start + length;
  }
  return attributes;
}

function decodeEntry(
  die: Buffer,
  attributes: readonly ExtendedAttributeValue[],
): DiscoveryInformationEntry {
  const hostid = attributes.find(({ type }) => type === ExtendedAttribute.hostId);
  const symbolicName = attributes.find(({ type }) => type === ExtendedAttribute.symbolicName);
  return {
    trtype: die.readUInt8(0),
    adrfam: die.readUInt8(1),
    subtype: die.readUInt8(2),
    treq: die.readUInt8(3),
    portid: die.readUInt16LE(4),
    cntlid: die.readUInt16LE(6),
    asqsz: die.readUInt16LE(8),
    trsvcid: fieldText(die.subarray(32, 64)),
    nqn: fieldText(die.subarray(256, 512)),
    traddr: fieldText(die.subarray(512, 768)),
    tsas: die.toString('hex', 768, 1024).replace(/(?:00)+$/, ''),
    attributes,
    ...(hostid === undefined ? {} : { hostid: hostid.hex }),
    ...(symbolicName === undefined
      ? {}
      : { symbolicName: fieldText(Buffer.from(symbolicName.hex, 'hex')) }),
  };
}

function decodeEntries(data: Buffer, count: number, format: number): DiscoveryInformationEntry[] {
  const entries: DiscoveryInformationEntry[] = [];
  let offset = DIM_HEADER;
  for (let i = 0; i < count; i++) {
    const extended = format === EntryFormat.extended;
    const least = extended ? DIE_EXTENDED : DIE_BASIC;
    if (offset + least > data.length) throw new DimError('an entry passes the end of the data');
    const length = extended ? data.readUInt32LE(offset + 1024) : DIE_BASIC;
    if (length < least || offset + length > data.length) throw new DimError('TEL is out of range');
    const die = data.subarray(offset, offset + length);
    const attributes = extended
      ? decodeAttributes(die.subarray(DIE_EXTENDED), die.readUInt16LE(1028))
      : [];
    entries.push(decodeEntry(die, attributes));
    offset += length;
  }
  return entries;
}

/** Decodes the data of a DIM command; `bad` with the reason if the lengths in it do not fit. */
export function decodeDim(data: Buffer): DimResult {
  if (data.length < DIM_HEADER) return { kind: 'bad', problem: 'shorter than its header' };
  const nument = data.readBigUInt64LE(8);
  const head = {
    tdl: data.readUInt32LE(0),
    nument: Number(nument),
    entryFormat: data.readUInt16LE(16),
    entityType: data.readUInt16LE(18),
    portLocal: data.readUInt8(20),
    entryKeyType: data.readUInt16LE(22),
    entityId: fieldText(data.subarray(24, 280)),
    entityName: fieldText(data.subarray(280, 536)),
    entityVersion: fieldText(data.subarray(536, 600)),
  };
  const bad = (problem: string): DimResult => ({
    kind: 'bad',
    problem,
    dim: { ...head, entries: [] },
  });
  if (head.tdl !== data.length) return bad('TDL is not the length of the data');
  if (head.entryFormat !== EntryFormat.basic && head.entryFormat !== EntryFormat.extended) {
    return bad('ENTFMT is reserved');
  }
  if (nument > BigInt(data.length)) return bad('NUMENT is more than the data can hold');
  try {
    const entries = decodeEntries(data, head.nument, head.entryFormat);
    return { kind: 'ok', dim: { ...head, entries } };
  } catch (error) {
    if (error instanceof DimError) return bad(error.message);
    throw error;
  }
}
