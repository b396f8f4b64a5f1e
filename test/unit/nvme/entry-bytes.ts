/** Makes the bytes of a discovery log page entry as a controller would send them. */

export interface EntryBytes {
  readonly trtype?: number;
  readonly adrfam?: number;
  readonly subtype?: number;
  readonly treq?: number;
  readonly portid?: number;
  readonly cntlid?: number;
  readonly asqsz?: number;
  readonly eflags?: number;
  readonly trsvcid?: string | Uint8Array;
  readonly subnqn?: string | Uint8Array;
  readonly traddr?: string | Uint8Array;
  /** What fills the rest of string fields; NUL by default. */
  readonly fill?: number;
}

export function entryBytes(fields: EntryBytes = {}): Uint8Array {
  const bytes = new Uint8Array(1024);
  const view = new DataView(bytes.buffer);
  bytes[0] = fields.trtype ?? 3;
  bytes[1] = fields.adrfam ?? 1;
  bytes[2] = fields.subtype ?? 2;
  bytes[3] = fields.treq ?? 0;
  view.setUint16(4, fields.portid ?? 1, true);
  view.setUint16(6, fields.cntlid ?? 0xffff, true);
  view.setUint16(8, fields.asqsz ?? 32, true);
  view.setUint16(10, fields.eflags ?? 0, true);
  const put = (offset: number, length: number, value: string | Uint8Array): void => {
    bytes.fill(fields.fill ?? 0, offset, offset + length);
    const raw = typeof value === 'string' ? new TextEncoder().encode(value) : value;
    bytes.set(raw.subarray(0, length), offset);
  };
  put(32, 32, fields.trsvcid ?? '4420');
  put(256, 256, fields.subnqn ?? 'nqn.2014-08.org.example:one');
  put(512, 256, fields.traddr ?? '192.0.2.1');
  return bytes;
}

export function logOf(...entries: readonly Uint8Array[]): Uint8Array {
  const log = new Uint8Array(entries.length * 1024);
  for (const [index, entry] of entries.entries()) log.set(entry, index * 1024);
  return log;
}
