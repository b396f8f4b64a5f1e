/** Discovery log page entries as bytes (NVMe base 2.1, figure 294), for what a fake DC sends. */
import type { RawDiscoveryLog } from '../../src/ports/fabrics.ts';

export const ENTRY_SIZE = 1024;

/** Numbers as on the wire; what is left out is that of a live NVMe/TCP subsystem over IPv4. */
export interface EntryFields {
  /** 1 RDMA, 2 FC, 3 TCP, 254 loop */
  readonly trtype?: number;
  /** 1 IPv4, 2 IPv6, 3 InfiniBand, 4 FC, 254 loop */
  readonly adrfam?: number;
  /** 1 referral, 2 NVM subsystem, 3 this discovery subsystem */
  readonly subtype?: number;
  readonly treq?: number;
  readonly portid?: number;
  readonly cntlid?: number;
  readonly asqsz?: number;
  /** DUPRETINFO 1, EPCSD 2, NCC 4. */
  readonly eflags?: number;
  readonly trsvcid?: string | Uint8Array;
  readonly subnqn?: string | Uint8Array;
  readonly traddr?: string | Uint8Array;
}

function put(entry: Uint8Array, offset: number, size: number, text: string | Uint8Array): void {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  if (bytes.length > size) throw new RangeError(`${bytes.length} bytes in a field of ${size}`);
  entry.set(bytes, offset);
}

export function encodeEntry(fields: EntryFields): Uint8Array {
  const entry = new Uint8Array(ENTRY_SIZE);
  const view = new DataView(entry.buffer);
  view.setUint8(0, fields.trtype ?? 3);
  view.setUint8(1, fields.adrfam ?? 1);
  view.setUint8(2, fields.subtype ?? 2);
  view.setUint8(3, fields.treq ?? 0);
  view.setUint16(4, fields.portid ?? 1, true);
  view.setUint16(6, fields.cntlid ?? 0xffff, true);
  view.setUint16(8, fields.asqsz ?? 32, true);
  view.setUint16(10, fields.eflags ?? 0, true);
  put(entry, 32, 32, fields.trsvcid ?? '4420');
  put(entry, 256, 256, fields.subnqn ?? '');
  put(entry, 512, 256, fields.traddr ?? '');
  return entry;
}

export function encodeLog(generation: number, entries: readonly EntryFields[]): RawDiscoveryLog {
  const bytes = new Uint8Array(entries.length * ENTRY_SIZE);
  entries.forEach((fields, index) => {
    bytes.set(encodeEntry(fields), index * ENTRY_SIZE);
  });
  return { generation: BigInt(generation), entries: bytes, count: entries.length };
}
