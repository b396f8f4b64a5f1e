/**
 * The PDUs of NVMe/TCP (NVMe over TCP Transport 1.1, PDU definitions): what they hold and how
 * they are put on the wire. pdu-stream.ts takes them off it.
 *
 * Numbers are little-endian. The common header (CH) is PDU-type, FLAGS, HLEN, PDO, PLEN (32 bits).
 */
import { crc32c } from './crc32c.ts';

export const COMMON_HEADER = 8;
export const DIGEST = 4;
export const SQE_SIZE = 64;
export const CQE_SIZE = 16;

export const PduType = {
  icReq: 0x00,
  icResp: 0x01,
  h2cTermReq: 0x02,
  c2hTermReq: 0x03,
  capsuleCmd: 0x04,
  capsuleResp: 0x05,
  h2cData: 0x06,
  c2hData: 0x07,
  r2t: 0x09,
} as const;
export type PduName = keyof typeof PduType;

export const PduFlag = { headerDigest: 1, dataDigest: 2, last: 4, success: 8 } as const;

/** HLEN is a constant of each type. */
export const HEADER_LENGTH: Readonly<Record<PduName, number>> = {
  icReq: 128,
  icResp: 128,
  h2cTermReq: 24,
  c2hTermReq: 24,
  capsuleCmd: COMMON_HEADER + SQE_SIZE,
  capsuleResp: COMMON_HEADER + CQE_SIZE,
  h2cData: 24,
  c2hData: 24,
  r2t: 24,
};

/** Fatal Error Status of a termination request. */
export const FatalError = {
  invalidHeaderField: 0x01,
  sequenceError: 0x02,
  headerDigestError: 0x03,
  outOfRange: 0x04,
  limitExceeded: 0x05,
  unsupportedParameter: 0x06,
} as const;

export interface IcReq {
  readonly type: 'icReq';
  readonly pfv: number;
  /** Host PDU Data Alignment: PDO of C2HData is a multiple of (hpda + 1) dwords. */
  readonly hpda: number;
  readonly headerDigest: boolean;
  readonly dataDigest: boolean;
  /** 0's based. */
  readonly maxR2t: number;
}
export interface IcResp {
  readonly type: 'icResp';
  readonly pfv: number;
  readonly cpda: number;
  readonly headerDigest: boolean;
  readonly dataDigest: boolean;
  /** Largest data of one H2CData PDU, bytes. */
  readonly maxH2cData: number;
}
export interface TermReq {
  readonly type: 'h2cTermReq' | 'c2hTermReq';
  /** Fatal Error Status, see FatalError. */
  readonly fes: number;
  /** Fatal Error Information: a byte offset or the received digest, by FES. */
  readonly fei: number;
  /** The header of the PDU in error. */
  readonly data: Buffer;
}
export interface CapsuleCmd {
  readonly type: 'capsuleCmd';
  readonly sqe: Buffer;
  readonly data: Buffer;
  /** False if the data arrived with a wrong digest: the command fails, the connection goes on. */
  readonly dataIntact: boolean;
}
export interface CapsuleResp {
  readonly type: 'capsuleResp';
  readonly cqe: Buffer;
}
export interface DataPdu {
  readonly type: 'h2cData' | 'c2hData';
  readonly cccid: number;
  readonly ttag: number;
  /** Of the command's data, bytes. */
  readonly offset: number;
  readonly last: boolean;
  /** C2HData only: no response capsule follows, the command succeeded. */
  readonly success: boolean;
  readonly data: Buffer;
  readonly dataIntact: boolean;
}
export interface R2t {
  readonly type: 'r2t';
  readonly cccid: number;
  readonly ttag: number;
  readonly offset: number;
  readonly length: number;
}
export type Pdu = IcReq | IcResp | TermReq | CapsuleCmd | CapsuleResp | DataPdu | R2t;

/** What the two sides agreed on, from the sender's point of view. */
export interface Framing {
  readonly headerDigest: boolean;
  readonly dataDigest: boolean;
  /** PDO is a multiple of this many bytes, as the receiver asked for with HPDA or CPDA. */
  readonly alignment: number;
}

/** The framing before the connection is initialized. */
export const PLAIN: Framing = { headerDigest: false, dataDigest: false, alignment: 4 };

/** ICReq, ICResp and termination requests never carry digests. */
export function mayHaveDigest(name: PduName): boolean {
  switch (name) {
    case 'icReq':
    case 'icResp':
    case 'h2cTermReq':
    case 'c2hTermReq':
      return false;
    case 'capsuleCmd':
    case 'capsuleResp':
    case 'h2cData':
    case 'c2hData':
    case 'r2t':
      return true;
  }
}

function frame(
  name: PduName,
  framing: Framing,
  flags: number,
  data: Buffer,
  fill: (header: Buffer) => void,
): Buffer {
  const hlen = HEADER_LENGTH[name];
  const digests = mayHaveDigest(name);
  const hdgst = digests && framing.headerDigest ? DIGEST : 0;
  const ddgst = digests && framing.dataDigest && data.length > 0 ? DIGEST : 0;
  const align = digests ? framing.alignment : 1;
  const pdo = data.length > 0 ? Math.ceil((hlen + hdgst) / align) * align : 0;
  const plen = (data.length > 0 ? pdo : hlen + hdgst) + data.length + ddgst;

  const pdu = Buffer.alloc(plen);
  pdu.writeUInt8(PduType[name], 0);
  pdu.writeUInt8(
    flags | (hdgst > 0 ? PduFlag.headerDigest : 0) | (ddgst > 0 ? PduFlag.dataDigest : 0),
    1,
  );
  pdu.writeUInt8(hlen, 2);
  pdu.writeUInt8(digests ? pdo : 0, 3);
  pdu.writeUInt32LE(plen, 4);
  fill(pdu);
  if (hdgst > 0) pdu.writeUInt32LE(crc32c(pdu.subarray(0, hlen)), hlen);
  if (data.length > 0) data.copy(pdu, pdo);
  if (ddgst > 0) pdu.writeUInt32LE(crc32c(data), pdo + data.length);
  return pdu;
}

const NOTHING = Buffer.alloc(0);

/** The bytes of one PDU, digests included. */
export function encodePdu(pdu: Pdu, framing: Framing): Buffer {
  switch (pdu.type) {
    case 'icReq':
    case 'icResp':
      return frame(pdu.type, PLAIN, 0, NOTHING, (out) => {
        out.writeUInt16LE(pdu.pfv, 8);
        out.writeUInt8(pdu.type === 'icReq' ? pdu.hpda : pdu.cpda, 10);
        out.writeUInt8((pdu.headerDigest ? 1 : 0) | (pdu.dataDigest ? 2 : 0), 11);
        out.writeUInt32LE(pdu.type === 'icReq' ? pdu.maxR2t : pdu.maxH2cData, 12);
      });
    case 'h2cTermReq':
    case 'c2hTermReq':
      return frame(pdu.type, PLAIN, 0, pdu.data, (out) => {
        out.writeUInt16LE(pdu.fes, 8);
        out.writeUInt32LE(pdu.fei >>> 0, 10);
      });
    case 'capsuleCmd':
      return frame(pdu.type, framing, 0, pdu.data, (out) => {
        pdu.sqe.copy(out, COMMON_HEADER, 0, SQE_SIZE);
      });
    case 'capsuleResp':
      return frame(pdu.type, framing, 0, NOTHING, (out) => {
        pdu.cqe.copy(out, COMMON_HEADER, 0, CQE_SIZE);
      });
    case 'h2cData':
    case 'c2hData': {
      const flags = (pdu.last ? PduFlag.last : 0) | (pdu.success ? PduFlag.success : 0);
      return frame(pdu.type, framing, flags, pdu.data, (out) => {
        out.writeUInt16LE(pdu.cccid, 8);
        out.writeUInt16LE(pdu.ttag, 10);
        out.writeUInt32LE(pdu.offset, 12);
        out.writeUInt32LE(pdu.data.length, 16);
      });
    }
    case 'r2t':
      return frame(pdu.type, framing, 0, NOTHING, (out) => {
        out.writeUInt16LE(pdu.cccid, 8);
        out.writeUInt16LE(pdu.ttag, 10);
        out.writeUInt32LE(pdu.offset, 12);
        out.writeUInt32LE(pdu.length, 16);
      });
  }
}
