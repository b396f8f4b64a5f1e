/**
 * Bytes of a boot firmware table: numbers are little-endian, texts and lists lie in its heap. Every
 * reference is checked against the heap, and every text for what it is to be, before it is used.
 */
import { formatIpAddress } from './ip-address.ts';

/** A part of the bytes: what it reads was checked to be inside once, where it was made. */
export class Descriptor {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length(): number {
    return this.#bytes.length;
  }

  u8(offset: number): number {
    return this.#view.getUint8(offset);
  }

  u16(offset: number): number {
    return this.#view.getUint16(offset, true);
  }

  u32(offset: number): number {
    return this.#view.getUint32(offset, true);
  }

  bytes(offset: number, length: number): Uint8Array {
    return this.#bytes.subarray(offset, offset + length);
  }

  hex(offset: number, length: number): string {
    return toHex(this.bytes(offset, length)).join('');
  }

  /** An address of 16 bytes; `0.0.0.0` and `::` stand for none. */
  ipAddress(offset: number): string {
    return formatIpAddress(this.bytes(offset, 16));
  }

  /** A reference to the heap, to be followed by {@link Heap}. */
  reference(offset: number): HeapReference {
    return { offset: this.u32(offset), length: this.u16(offset + 4) };
  }
}

export function isSet(flags: number, bit: number): boolean {
  return ((flags >> bit) & 1) !== 0;
}

/** Two digits a byte. */
export function toHex(bytes: Uint8Array): readonly string[] {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0'));
}

export interface HeapReference {
  readonly offset: number;
  /** 0: there is no such object. */
  readonly length: number;
}

/** A field that cannot be used: why, in words that continue "its NQN …". */
export class FieldError extends Error {}

export class Heap {
  readonly #table: Uint8Array;
  readonly #start: number;
  readonly #end: number;
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

  /** `start` and `end` are within the table. */
  constructor(table: Uint8Array, start: number, end: number) {
    this.#table = table;
    this.#start = start;
    this.#end = end;
  }

  /** The bytes of an object, undefined if there is none. Throws FieldError if it is out of bounds. */
  object({ length, offset }: HeapReference): Uint8Array | undefined {
    if (length === 0) return undefined;
    if (offset < this.#start || offset + length > this.#end) {
      throw new FieldError('lies outside of the heap');
    }
    return this.#table.subarray(offset, offset + length);
  }

  /**
   * A text up to its first NUL, undefined if there is none. Throws FieldError unless it is UTF-8 of
   * at most `maxBytes` for which `check` finds no reason.
   */
  text(
    reference: HeapReference,
    maxBytes: number,
    check: (text: string) => string | undefined,
  ): string | undefined {
    const object = this.object(reference);
    if (object === undefined) return undefined;
    // No further than it may go: a length of 65535 costs nothing.
    const nul = object.subarray(0, maxBytes + 1).indexOf(0);
    const bytes = nul === -1 ? object : object.subarray(0, nul);
    if (bytes.length === 0) return undefined;
    if (bytes.length > maxBytes) throw new FieldError(`is longer than ${maxBytes} bytes`);
    const text = this.#decode(bytes);
    const reason = check(text);
    if (reason !== undefined) throw new FieldError(reason);
    return text;
  }

  #decode(bytes: Uint8Array): string {
    try {
      return this.#utf8.decode(bytes);
    } catch {
      throw new FieldError('contains bytes that are not UTF-8');
    }
  }
}
