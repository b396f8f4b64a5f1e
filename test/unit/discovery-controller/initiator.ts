/**
 * A small NVMe/TCP host for tests: one admin queue, no retries.
 *
 * Invariants: one command identifier is in flight at most once; every promise settles when the
 * connection closes.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import {
  decodeCompletion,
  encodeCommand,
  encodeConnectData,
  FabricsType,
  Opcode,
  SglType,
} from '../../discovery-controller/command.ts';
import type { CommandBody, Completion } from '../../discovery-controller/command.ts';
import { encodePdu, PLAIN } from '../../discovery-controller/pdu.ts';
import type { Framing, Pdu, TermReq } from '../../discovery-controller/pdu.ts';
import { PduStream } from '../../discovery-controller/pdu-stream.ts';

export interface Answer extends Completion {
  readonly data: Buffer;
  /** Completed by the SUCCESS flag of the data, without a response capsule. */
  readonly bare: boolean;
}

export interface InitiatorOptions {
  readonly headerDigest?: boolean;
  readonly dataDigest?: boolean;
  readonly hpda?: number;
}

export interface ConnectOptions {
  readonly hostnqn?: string;
  readonly hostid?: string;
  readonly subnqn?: string;
  readonly kato?: number;
  readonly qid?: number;
  readonly cattr?: number;
}

interface Pending {
  readonly hostData: Buffer;
  readonly parts: Buffer[];
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

export const HOST_NQN = 'nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555';
export const HOST_ID = '11111111-2222-3333-4444-555555555555';
export const WELL_KNOWN = 'nqn.2014-08.org.nvmexpress.discovery';

function opcodeOf(body: CommandBody): number {
  switch (body.op) {
    case 'connect':
    case 'property-get':
    case 'property-set':
    case 'fabrics':
      return Opcode.fabrics;
    case 'identify':
      return Opcode.identify;
    case 'get-log-page':
      return Opcode.getLogPage;
    case 'get-features':
      return Opcode.getFeatures;
    case 'set-features':
      return Opcode.setFeatures;
    case 'keep-alive':
      return Opcode.keepAlive;
    case 'async-event-request':
      return Opcode.asyncEventRequest;
    case 'abort':
      return Opcode.abort;
    case 'dim':
      return Opcode.discoveryInformationManagement;
    case 'unknown':
      return 0xc1;
  }
}

export class Initiator {
  readonly #socket: Socket;
  readonly #stream = new PduStream({
    accepts: ['icResp', 'capsuleResp', 'c2hData', 'r2t', 'c2hTermReq'],
    maxData: 0x1000000,
  });
  readonly #pending = new Map<number, Pending>();
  readonly #pdus: Pdu[] = [];
  readonly #closed: Promise<void>;
  #wake: () => void = () => undefined;
  #framing: Framing = PLAIN;
  #cid = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#stream.push(chunk);
      for (let pdu = this.#stream.next(); pdu !== null; pdu = this.#stream.next()) {
        this.#handle(pdu);
      }
    });
    socket.on('error', () => undefined);
    this.#closed = new Promise((resolve) => {
      socket.on('close', () => {
        for (const { reject } of this.#pending.values()) reject(new Error('connection closed'));
        this.#pending.clear();
        this.#wake();
        resolve();
      });
    });
  }

  /** A TCP connection, nothing said yet. */
  static dial(port: number, host = '127.0.0.1'): Promise<Initiator> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, host);
      socket.once('error', reject);
      socket.once('connect', () => {
        resolve(new Initiator(socket));
      });
    });
  }

  /** Dials and initializes the connection. */
  static async open(
    port: number,
    options: InitiatorOptions = {},
    host?: string,
  ): Promise<Initiator> {
    const initiator = await Initiator.dial(port, host);
    await initiator.initialize(options);
    return initiator;
  }

  /** Dials, initializes, connects and enables: a host as it is when it works. */
  static async host(
    port: number,
    options: ConnectOptions = {},
    transport: InitiatorOptions = {},
  ): Promise<Initiator> {
    const initiator = await Initiator.open(port, transport);
    const answer = await initiator.connect(options);
    if (answer.status !== 0) throw new Error(`Connect failed: 0x${answer.status.toString(16)}`);
    await initiator.enable();
    return initiator;
  }

  /** Resolves when the connection is gone. */
  get closed(): Promise<void> {
    return this.#closed;
  }

  get digests(): { header: boolean; data: boolean } {
    return { header: this.#framing.headerDigest, data: this.#framing.dataDigest };
  }

  async initialize(options: InitiatorOptions): Promise<void> {
    this.write({
      type: 'icReq',
      pfv: 0,
      hpda: options.hpda ?? 0,
      headerDigest: options.headerDigest ?? false,
      dataDigest: options.dataDigest ?? false,
      maxR2t: 0,
    });
    const response = await this.#next();
    if (response.type !== 'icResp') throw new Error(`expected icResp, got ${response.type}`);
    const { headerDigest, dataDigest } = response;
    this.#framing = { headerDigest, dataDigest, alignment: (response.cpda + 1) * 4 };
    this.#stream.setDigests(headerDigest, dataDigest);
  }

  connect(options: ConnectOptions = {}): Promise<Answer> {
    const data = encodeConnectData({
      hostid: options.hostid ?? HOST_ID,
      cntlid: 0xffff,
      subnqn: options.subnqn ?? WELL_KNOWN,
      hostnqn: options.hostnqn ?? HOST_NQN,
    });
    const body: CommandBody = {
      op: 'connect',
      recfmt: 0,
      qid: options.qid ?? 0,
      sqsize: 31,
      cattr: options.cattr ?? 0,
      kato: options.kato ?? 0,
    };
    return this.send(body, data);
  }

  enable(): Promise<Answer> {
    return this.send({ op: 'property-set', size: 4, offset: 0x14, value: 0x460001n });
  }

  async property(offset: number, size: 4 | 8 = 4): Promise<bigint> {
    return (await this.send({ op: 'property-get', size, offset })).result;
  }

  identify(): Promise<Answer> {
    return this.read({ op: 'identify', cns: 1, cntid: 0, csi: 0 }, 4096);
  }

  log(
    lpo: number,
    length: number,
    more: { lid?: number; lsp?: number; rae?: boolean } = {},
  ): Promise<Answer> {
    return this.read(
      {
        op: 'get-log-page',
        lid: more.lid ?? 0x70,
        lpo: BigInt(lpo),
        length,
        lsp: more.lsp ?? 0,
        lsi: 0,
        rae: more.rae ?? false,
        ot: false,
      },
      length,
    );
  }

  /** Turns on discovery log change events. */
  wantEvents(): Promise<Answer> {
    return this.send({ op: 'set-features', fid: 0x0b, save: false, cdw11: 0x80000000 });
  }

  awaitEvent(): Promise<Answer> {
    return this.send({ op: 'async-event-request' });
  }

  /** A command with data to the controller in the capsule, or asked for with R2T. */
  send(body: CommandBody, data: Buffer = Buffer.alloc(0), inCapsule = true): Promise<Answer> {
    const type = data.length > 0 && inCapsule ? SglType.inCapsule : SglType.transport;
    return this.#submit(body, data.length, type, data, inCapsule);
  }

  /** A command that reads `length` bytes. */
  read(body: CommandBody, length: number): Promise<Answer> {
    return this.#submit(body, length, SglType.transport, Buffer.alloc(0), true);
  }

  /** The identifier of the last command sent. */
  get lastCid(): number {
    return this.#cid;
  }

  write(pdu: Pdu): void {
    this.#socket.write(encodePdu(pdu, this.#framing));
  }

  writeRaw(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  close(): void {
    this.#socket.destroy();
  }

  /** The termination request that the controller sends before it closes. */
  async termination(): Promise<TermReq> {
    const pdu = await this.#next();
    if (pdu.type !== 'c2hTermReq') throw new Error(`expected c2hTermReq, got ${pdu.type}`);
    return pdu;
  }

  #submit(
    body: CommandBody,
    length: number,
    type: number,
    hostData: Buffer,
    inCapsule: boolean,
  ): Promise<Answer> {
    const cid = (this.#cid = (this.#cid + 1) & 0xffff);
    const sqe = encodeCommand({
      cid,
      opcode: opcodeOf(body),
      nsid: 0,
      sgl: { address: 0n, length, type },
      body,
    });
    if (body.op === 'connect') sqe.writeUInt8(FabricsType.connect, 4);
    return new Promise((resolve, reject) => {
      this.#pending.set(cid, { hostData, parts: [], resolve, reject });
      const data = inCapsule ? hostData : Buffer.alloc(0);
      this.write({ type: 'capsuleCmd', sqe, data, dataIntact: true });
    });
  }

  #handle(pdu: Pdu): void {
    switch (pdu.type) {
      case 'capsuleResp': {
        const completion = decodeCompletion(pdu.cqe);
        this.#finish(completion, false);
        return;
      }
      case 'c2hData':
        this.#pending.get(pdu.cccid)?.parts.push(pdu.data);
        if (!pdu.dataIntact) throw new Error('wrong data digest');
        if (pdu.success) this.#finish({ cid: pdu.cccid, result: 0n, sqhd: 0, status: 0 }, true);
        return;
      case 'r2t': {
        const { hostData } = this.#pending.get(pdu.cccid) ?? { hostData: Buffer.alloc(0) };
        const half = pdu.offset + Math.floor(pdu.length / 2);
        const end = pdu.offset + pdu.length;
        for (const [from, to] of [
          [pdu.offset, half],
          [half, end],
        ] as const) {
          this.write({
            type: 'h2cData',
            cccid: pdu.cccid,
            ttag: pdu.ttag,
            offset: from,
            last: to === end,
            success: false,
            data: hostData.subarray(from, to),
            dataIntact: true,
          });
        }
        return;
      }
      default:
        this.#pdus.push(pdu);
        this.#wake();
    }
  }

  #finish(completion: Completion, bare: boolean): void {
    const pending = this.#pending.get(completion.cid);
    this.#pending.delete(completion.cid);
    pending?.resolve({ ...completion, bare, data: Buffer.concat(pending.parts) });
  }

  async #next(): Promise<Pdu> {
    for (;;) {
      const pdu = this.#pdus.shift();
      if (pdu !== undefined) return pdu;
      if (this.#socket.destroyed) throw new Error('connection closed');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
