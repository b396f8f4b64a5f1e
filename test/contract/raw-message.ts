/**
 * D-Bus messages made by hand (D-Bus specification, "Message Format"), also ones that no library
 * would send. Shares nothing with what it tests.
 */

export interface RawMessage {
  /** 1 call, 2 return, 3 error, 4 signal. */
  readonly type: number;
  readonly serial: number;
  readonly bigEndian?: boolean;
  /** Header fields: code, type (s, o, g or u) and value. */
  readonly fields: readonly (readonly [number, 's' | 'o' | 'g' | 'u', string | number])[];
  readonly body?: Buffer;
}

export const field = {
  path: (value: string) => [1, 'o', value] as const,
  interfaceName: (value: string) => [2, 's', value] as const,
  member: (value: string) => [3, 's', value] as const,
  errorName: (value: string) => [4, 's', value] as const,
  replySerial: (value: number) => [5, 'u', value] as const,
  destination: (value: string) => [6, 's', value] as const,
  sender: (value: string) => [7, 's', value] as const,
  signature: (value: string) => [8, 'g', value] as const,
};

/** Writes aligned values into a growing list of bytes. */
export class RawWriter {
  readonly #bytes: number[] = [];
  readonly #bigEndian: boolean;

  constructor(bigEndian = false) {
    this.#bigEndian = bigEndian;
  }

  get length(): number {
    return this.#bytes.length;
  }

  align(boundary: number): this {
    while (this.#bytes.length % boundary !== 0) this.#bytes.push(0);
    return this;
  }

  byte(value: number): this {
    this.#bytes.push(value);
    return this;
  }

  uint32(value: number): this {
    const bytes = Buffer.alloc(4);
    if (this.#bigEndian) bytes.writeUInt32BE(value);
    else bytes.writeUInt32LE(value);
    this.align(4);
    this.#bytes.push(...bytes);
    return this;
  }

  string(value: string | Buffer): this {
    const bytes = Buffer.from(value as string);
    this.uint32(bytes.length);
    this.#bytes.push(...bytes, 0);
    return this;
  }

  signature(value: string): this {
    this.#bytes.push(value.length, ...Buffer.from(value), 0);
    return this;
  }

  toBuffer(): Buffer {
    return Buffer.from(this.#bytes);
  }
}

/** The bytes of a message. */
export function rawMessage(message: RawMessage): Buffer {
  const { type, serial, bigEndian = false, fields, body = Buffer.alloc(0) } = message;
  const array = new RawWriter(bigEndian);
  for (const [code, kind, value] of fields) {
    array.align(8).byte(code).signature(kind);
    if (kind === 'u') array.uint32(Number(value));
    else if (kind === 'g') array.signature(String(value));
    else array.string(String(value));
  }
  const header = new RawWriter(bigEndian);
  header
    .byte(bigEndian ? 0x42 : 0x6c)
    .byte(type)
    .byte(0)
    .byte(1);
  header.uint32(body.length).uint32(serial).uint32(array.length);
  array.align(8);
  return Buffer.concat([header.toBuffer(), array.toBuffer(), body]);
}
