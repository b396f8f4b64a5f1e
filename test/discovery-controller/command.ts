/**
 * Submission and completion queue entries (NVMe Base 2.1, Submission Queue Entry, Completion
 * Queue Entry; Fabrics commands: clause 6) as far as a discovery controller meets them.
 */
import { SQE_SIZE } from './pdu.ts';
import { Status } from './status.ts';
import { fieldText } from './text.ts';

export const Opcode = {
  getLogPage: 0x02,
  identify: 0x06,
  abort: 0x08,
  setFeatures: 0x09,
  getFeatures: 0x0a,
  asyncEventRequest: 0x0c,
  keepAlive: 0x18,
  discoveryInformationManagement: 0x21,
  fabrics: 0x7f,
} as const;

export const FabricsType = { propertySet: 0x00, connect: 0x01, propertyGet: 0x04 } as const;

/** SGL descriptor types with their sub types, byte 15 of the descriptor. */
export const SglType = { inCapsule: 0x01, transport: 0x5a } as const;

export type CommandBody =
  | {
      readonly op: 'connect';
      readonly recfmt: number;
      readonly qid: number;
      /** 0's based. */
      readonly sqsize: number;
      readonly cattr: number;
      /** Milliseconds. */
      readonly kato: number;
    }
  | { readonly op: 'property-get'; readonly size: 4 | 8; readonly offset: number }
  | {
      readonly op: 'property-set';
      readonly size: 4 | 8;
      readonly offset: number;
      readonly value: bigint;
    }
  | { readonly op: 'fabrics'; readonly fctype: number }
  | { readonly op: 'identify'; readonly cns: number; readonly cntid: number; readonly csi: number }
  | {
      readonly op: 'get-log-page';
      readonly lid: number;
      /** Bytes. */
      readonly lpo: bigint;
      /** Bytes, from NUMDU and NUMDL. */
      readonly length: number;
      /** Log Specific Parameter, 7 bits. */
      readonly lsp: number;
      readonly lsi: number;
      /** Retain Asynchronous Event. */
      readonly rae: boolean;
      /** Offset Type: LPO is an index. */
      readonly ot: boolean;
    }
  | { readonly op: 'get-features'; readonly fid: number; readonly sel: number }
  | {
      readonly op: 'set-features';
      readonly fid: number;
      readonly save: boolean;
      readonly cdw11: number;
    }
  | { readonly op: 'keep-alive' }
  | { readonly op: 'async-event-request' }
  | { readonly op: 'abort'; readonly sqid: number; readonly abortCid: number }
  | { readonly op: 'dim'; readonly task: number }
  | { readonly op: 'unknown' };

export type CommandName = CommandBody['op'];

export interface Command {
  readonly cid: number;
  readonly opcode: number;
  readonly nsid: number;
  readonly sgl: { readonly address: bigint; readonly length: number; readonly type: number };
  readonly body: CommandBody;
}

function propertySize(attributes: number): 4 | 8 {
  return (attributes & 7) === 1 ? 8 : 4;
}

function decodeFabrics(sqe: Buffer): CommandBody {
  const fctype = sqe.readUInt8(4);
  switch (fctype) {
    case FabricsType.connect:
      return {
        op: 'connect',
        recfmt: sqe.readUInt16LE(40),
        qid: sqe.readUInt16LE(42),
        sqsize: sqe.readUInt16LE(44),
        cattr: sqe.readUInt8(46),
        kato: sqe.readUInt32LE(48),
      };
    case FabricsType.propertyGet:
      return {
        op: 'property-get',
        size: propertySize(sqe.readUInt8(40)),
        offset: sqe.readUInt32LE(44),
      };
    case FabricsType.propertySet:
      return {
        op: 'property-set',
        size: propertySize(sqe.readUInt8(40)),
        offset: sqe.readUInt32LE(44),
        value: sqe.readBigUInt64LE(48),
      };
    default:
      return { op: 'fabrics', fctype };
  }
}

function decodeBody(sqe: Buffer): CommandBody {
  const cdw10 = sqe.readUInt32LE(40);
  const cdw11 = sqe.readUInt32LE(44);
  switch (sqe.readUInt8(0)) {
    case Opcode.fabrics:
      return decodeFabrics(sqe);
    case Opcode.identify:
      return { op: 'identify', cns: cdw10 & 0xff, cntid: cdw10 >>> 16, csi: cdw11 >>> 24 };
    case Opcode.getLogPage: {
      const numd = (cdw11 & 0xffff) * 0x10000 + (cdw10 >>> 16);
      return {
        op: 'get-log-page',
        lid: cdw10 & 0xff,
        lsp: (cdw10 >>> 8) & 0x7f,
        rae: (cdw10 & 0x8000) !== 0,
        length: (numd + 1) * 4,
        lsi: cdw11 >>> 16,
        lpo: sqe.readBigUInt64LE(48),
        ot: (sqe.readUInt32LE(56) & 0x800000) !== 0,
      };
    }
    case Opcode.getFeatures:
      return { op: 'get-features', fid: cdw10 & 0xff, sel: (cdw10 >>> 8) & 7 };
    case Opcode.setFeatures:
      return { op: 'set-features', fid: cdw10 & 0xff, save: cdw10 >>> 31 === 1, cdw11 };
    case Opcode.keepAlive:
      return { op: 'keep-alive' };
    case Opcode.asyncEventRequest:
      return { op: 'async-event-request' };
    case Opcode.abort:
      return { op: 'abort', sqid: cdw10 & 0xffff, abortCid: cdw10 >>> 16 };
    case Opcode.discoveryInformationManagement:
      return { op: 'dim', task: cdw10 & 0xf };
    default:
      return { op: 'unknown' };
  }
}

/** Decodes a 64-byte submission queue entry; never fails, what it does not know is `unknown`. */
export function decodeCommand(sqe: Buffer): Command {
  return {
    cid: sqe.readUInt16LE(2),
    opcode: sqe.readUInt8(0),
    nsid: sqe.readUInt8(0) === Opcode.fabrics ? 0 : sqe.readUInt32LE(4),
    sgl: {
      address: sqe.readBigUInt64LE(24),
      length: sqe.readUInt32LE(32),
      type: sqe.readUInt8(39),
    },
    body: decodeBody(sqe),
  };
}

/** Whether the command moves data to the controller (bits 1:0 of the opcode, or of FCTYPE). */
export function sendsData(sqe: Buffer): boolean {
  const kind = sqe.readUInt8(0) === Opcode.fabrics ? sqe.readUInt8(4) : sqe.readUInt8(0);
  return (kind & 3) === 1;
}

function encodeBody(sqe: Buffer, body: CommandBody): void {
  const opcode = (value: number): void => void sqe.writeUInt8(value, 0);
  const fabrics = (fctype: number): void => {
    opcode(Opcode.fabrics);
    sqe.writeUInt8(fctype, 4);
  };
  switch (body.op) {
    case 'connect':
      fabrics(FabricsType.connect);
      sqe.writeUInt16LE(body.recfmt, 40);
      sqe.writeUInt16LE(body.qid, 42);
      sqe.writeUInt16LE(body.sqsize, 44);
      sqe.writeUInt8(body.cattr, 46);
      sqe.writeUInt32LE(body.kato, 48);
      return;
    case 'property-get':
    case 'property-set':
      fabrics(body.op === 'property-get' ? FabricsType.propertyGet : FabricsType.propertySet);
      sqe.writeUInt8(body.size === 8 ? 1 : 0, 40);
      sqe.writeUInt32LE(body.offset, 44);
      if (body.op === 'property-set') sqe.writeBigUInt64LE(body.value, 48);
      return;
    case 'fabrics':
      fabrics(body.fctype);
      return;
    case 'identify':
      opcode(Opcode.identify);
      sqe.writeUInt32LE((body.cns | (body.cntid << 16)) >>> 0, 40);
      sqe.writeUInt8(body.csi, 47);
      return;
    case 'get-log-page': {
      opcode(Opcode.getLogPage);
      const numd = body.length / 4 - 1;
      sqe.writeUInt8(body.lid, 40);
      sqe.writeUInt8(body.lsp | (body.rae ? 0x80 : 0), 41);
      sqe.writeUInt16LE(numd % 0x10000, 42);
      sqe.writeUInt16LE(Math.floor(numd / 0x10000), 44);
      sqe.writeUInt16LE(body.lsi, 46);
      sqe.writeBigUInt64LE(body.lpo, 48);
      sqe.writeUInt32LE(body.ot ? 0x800000 : 0, 56);
      return;
    }
    case 'get-features':
      opcode(Opcode.getFeatures);
      sqe.writeUInt32LE(body.fid | (body.sel << 8), 40);
      return;
    case 'set-features':
      opcode(Opcode.setFeatures);
      sqe.writeUInt32LE((body.fid | (body.save ? 0x80000000 : 0)) >>> 0, 40);
      sqe.writeUInt32LE(body.cdw11, 44);
      return;
    case 'keep-alive':
      opcode(Opcode.keepAlive);
      return;
    case 'async-event-request':
      opcode(Opcode.asyncEventRequest);
      return;
    case 'abort':
      opcode(Opcode.abort);
      sqe.writeUInt16LE(body.sqid, 40);
      sqe.writeUInt16LE(body.abortCid, 42);
      return;
    case 'dim':
      opcode(Opcode.discoveryInformationManagement);
      sqe.writeUInt32LE(body.task, 40);
      return;
    case 'unknown':
      return;
  }
}

/** The submission queue entry of a command: what a host sends. */
export function encodeCommand(command: Command): Buffer {
  const sqe = Buffer.alloc(SQE_SIZE);
  sqe.writeUInt8(command.opcode, 0);
  // PSDT 01b: the data pointer is an SGL, always so on a fabric.
  sqe.writeUInt8(0x40, 1);
  sqe.writeUInt16LE(command.cid, 2);
  if (command.opcode !== Opcode.fabrics) sqe.writeUInt32LE(command.nsid, 4);
  sqe.writeBigUInt64LE(command.sgl.address, 24);
  sqe.writeUInt32LE(command.sgl.length, 32);
  sqe.writeUInt8(command.sgl.type, 39);
  encodeBody(sqe, command.body);
  return sqe;
}

export interface Completion {
  readonly cid: number;
  /** Dwords 0 and 1, command specific. */
  readonly result: bigint;
  readonly sqhd: number;
  readonly status: number;
}

export function encodeCompletion(completion: Completion): Buffer {
  const cqe = Buffer.alloc(16);
  cqe.writeBigUInt64LE(completion.result, 0);
  cqe.writeUInt16LE(completion.sqhd, 8);
  cqe.writeUInt16LE(completion.cid, 12);
  cqe.writeUInt16LE((completion.status << 1) & 0xfffe, 14);
  return cqe;
}

export function decodeCompletion(cqe: Buffer): Completion {
  return {
    result: cqe.readBigUInt64LE(0),
    sqhd: cqe.readUInt16LE(8),
    cid: cqe.readUInt16LE(12),
    status: cqe.readUInt16LE(14) >>> 1,
  };
}

export const CONNECT_DATA_SIZE = 1024;

export interface ConnectData {
  /** As a UUID. */
  readonly hostid: string;
  readonly cntlid: number;
  readonly subnqn: string;
  readonly hostnqn: string;
}

function uuid(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** The data of a Connect command, or null if it is not 1024 bytes long. */
export function decodeConnectData(data: Buffer): ConnectData | null {
  if (data.length !== CONNECT_DATA_SIZE) return null;
  return {
    hostid: uuid(data.subarray(0, 16)),
    cntlid: data.readUInt16LE(16),
    subnqn: fieldText(data.subarray(256, 512)),
    hostnqn: fieldText(data.subarray(512, 768)),
  };
}

export function encodeConnectData(connect: ConnectData): Buffer {
  const data = Buffer.alloc(CONNECT_DATA_SIZE);
  Buffer.from(connect.hostid.replaceAll('-', ''), 'hex').copy(data, 0, 0, 16);
  data.writeUInt16LE(connect.cntlid, 16);
  data.write(connect.subnqn, 256, 256, 'utf8');
  data.write(connect.hostnqn, 512, 256, 'utf8');
  return data;
}

export function succeeded(completion: Completion): boolean {
  return completion.status === Status.success;
}
