/**
 * Takes PDUs off a byte stream.
 *
 * Invariants: no more is buffered than one PDU of the largest length allowed plus one chunk; a
 * PDU is judged by its common header before its body is awaited, so that garbage is refused after
 * eight bytes; after a PduError the stream is dead and yields nothing more.
 */
import { crc32c } from './crc32c.ts';
import {
  COMMON_HEADER,
  DIGEST,
  FatalError,
  HEADER_LENGTH,
  mayHaveDigest,
  PduFlag,
  PduType,
} from './pdu.ts';
import type { Pdu, PduName } from './pdu.ts';

/** A fatal transport error: what the termination request to the other side says. */
export class PduError extends Error {
  readonly code = 'pdu-error';
  readonly fes: number;
  readonly fei: number;
  /** The start of the PDU in error, to be returned with the termination request. */
  readonly header: Buffer;

  constructor(fes: number, fei: number, header: Buffer, problem: string) {
    super(problem);
    this.name = 'PduError';
    this.fes = fes;
    this.fei = fei;
    this.header = Buffer.from(header);
  }
}

/** Bytes of a PDU in error that a termination request may carry back. */
const MAX_TERM_DATA = 128;

export interface ReceiveRules {
  /** The types that the other side may send. */
  readonly accepts: readonly PduName[];
  /** Largest data of one PDU, bytes. */
  readonly maxData: number;
}

const NAMES: ReadonlyMap<number, PduName> = new Map(
  (Object.keys(PduType) as PduName[]).map((name) => [PduType[name], name]),
);

function carriesData(name: PduName): boolean {
  return name === 'capsuleCmd' || name === 'h2cData' || name === 'c2hData';
}

export class PduStream {
  readonly #rules: ReceiveRules;
  #headerDigest = false;
  #dataDigest = false;
  #buffered: Buffer = Buffer.alloc(0);
  #dead = false;

  constructor(rules: ReceiveRules) {
    this.#rules = rules;
  }

  /** Digests that the two sides agreed on: applies to every PDU taken from now on. */
  setDigests(headerDigest: boolean, dataDigest: boolean): void {
    this.#headerDigest = headerDigest;
    this.#dataDigest = dataDigest;
  }

  /** Bytes pushed and not taken yet. */
  get buffered(): number {
    return this.#buffered.length;
  }

  push(chunk: Buffer): void {
    if (this.#dead) return;
    this.#buffered = this.#buffered.length === 0 ? chunk : Buffer.concat([this.#buffered, chunk]);
  }

  /** The next whole PDU, or null until more bytes come. @throws PduError once, on garbage. */
  next(): Pdu | null {
    if (this.#dead || this.#buffered.length < COMMON_HEADER) return null;
    try {
      const name = this.#checkHeader(this.#buffered);
      const plen = this.#buffered.readUInt32LE(4);
      if (this.#buffered.length < plen) return null;
      const pdu = this.#decode(name, this.#buffered.subarray(0, plen));
      this.#buffered = this.#buffered.subarray(plen);
      return pdu;
    } catch (error) {
      this.#dead = true;
      this.#buffered = Buffer.alloc(0);
      throw error;
    }
  }

  #fail(fes: number, fei: number, pdu: Buffer, problem: string): never {
    throw new PduError(fes, fei, pdu.subarray(0, Math.min(pdu.length, MAX_TERM_DATA)), problem);
  }

  #checkHeader(bytes: Buffer): PduName {
    const bad = (offset: number, problem: string): never =>
      this.#fail(FatalError.invalidHeaderField, offset, bytes, problem);

    const name = NAMES.get(bytes.readUInt8(0));
    if (name === undefined || !this.#rules.accepts.includes(name)) {
      return bad(0, `unexpected PDU type ${String(bytes.readUInt8(0))}`);
    }
    const hlen = HEADER_LENGTH[name];
    if (bytes.readUInt8(2) !== hlen) return bad(2, `HLEN is ${String(bytes.readUInt8(2))}`);

    const flags = bytes.readUInt8(1);
    const digests = mayHaveDigest(name);
    const hdgst = digests && this.#headerDigest ? DIGEST : 0;
    if (digests && ((flags & PduFlag.headerDigest) !== 0) !== this.#headerDigest) {
      return bad(1, 'the header digest flag is not as agreed');
    }
    const plen = bytes.readUInt32LE(4);
    const isTermReq = name === 'h2cTermReq' || name === 'c2hTermReq';
    const most =
      hlen +
      hdgst +
      (carriesData(name) ? 128 + this.#rules.maxData + DIGEST : 0) +
      (isTermReq ? MAX_TERM_DATA : 0);
    if (plen < hlen + hdgst || plen > most) return bad(4, `PLEN is ${String(plen)}`);
    return name;
  }

  #decode(name: PduName, pdu: Buffer): Pdu {
    const hlen = HEADER_LENGTH[name];
    if (mayHaveDigest(name) && this.#headerDigest) {
      const received = pdu.readUInt32LE(hlen);
      if (received !== crc32c(pdu.subarray(0, hlen))) {
        this.#fail(FatalError.headerDigestError, received, pdu, 'wrong header digest');
      }
    }
    const flags = pdu.readUInt8(1);
    switch (name) {
      case 'icReq':
      case 'icResp': {
        const common = {
          pfv: pdu.readUInt16LE(8),
          headerDigest: (pdu.readUInt8(11) & 1) !== 0,
          dataDigest: (pdu.readUInt8(11) & 2) !== 0,
        };
        const last = pdu.readUInt32LE(12);
        return name === 'icReq'
          ? { type: name, ...common, hpda: pdu.readUInt8(10), maxR2t: last }
          : { type: name, ...common, cpda: pdu.readUInt8(10), maxH2cData: last };
      }
      case 'h2cTermReq':
      case 'c2hTermReq':
        return {
          type: name,
          fes: pdu.readUInt16LE(8),
          fei: pdu.readUInt32LE(10),
          data: Buffer.from(pdu.subarray(hlen)),
        };
      case 'capsuleCmd':
        return {
          type: name,
          sqe: Buffer.from(pdu.subarray(COMMON_HEADER, hlen)),
          ...this.#data(pdu, hlen),
        };
      case 'capsuleResp':
        return { type: name, cqe: Buffer.from(pdu.subarray(COMMON_HEADER, hlen)) };
      case 'h2cData':
      case 'c2hData': {
        const body = this.#data(pdu, hlen);
        if (pdu.readUInt32LE(16) !== body.data.length) {
          this.#fail(FatalError.invalidHeaderField, 16, pdu, 'the data length contradicts PLEN');
        }
        return {
          type: name,
          cccid: pdu.readUInt16LE(8),
          ttag: pdu.readUInt16LE(10),
          offset: pdu.readUInt32LE(12),
          last: (flags & PduFlag.last) !== 0,
          success: (flags & PduFlag.success) !== 0,
          ...body,
        };
      }
      case 'r2t':
        return {
          type: name,
          cccid: pdu.readUInt16LE(8),
          ttag: pdu.readUInt16LE(10),
          offset: pdu.readUInt32LE(12),
          length: pdu.readUInt32LE(16),
        };
    }
  }

  #data(pdu: Buffer, hlen: number): { data: Buffer; dataIntact: boolean } {
    const headerEnd = hlen + (this.#headerDigest ? DIGEST : 0);
    if (pdu.length === headerEnd) return { data: Buffer.alloc(0), dataIntact: true };

    const hasDigest = (pdu.readUInt8(1) & PduFlag.dataDigest) !== 0;
    if (hasDigest !== this.#dataDigest) {
      this.#fail(FatalError.invalidHeaderField, 1, pdu, 'the data digest flag is not as agreed');
    }
    const start = pdu.readUInt8(3);
    const end = pdu.length - (hasDigest ? DIGEST : 0);
    if (start < headerEnd || start >= end) {
      this.#fail(FatalError.invalidHeaderField, 3, pdu, `PDO is ${String(start)}`);
    }
    const data = Buffer.from(pdu.subarray(start, end));
    if (data.length > this.#rules.maxData) {
      this.#fail(FatalError.limitExceeded, 4, pdu, `${String(data.length)} bytes of data`);
    }
    return {
      data,
      dataIntact: !hasDigest || pdu.readUInt32LE(end) === crc32c(data),
    };
  }
}
