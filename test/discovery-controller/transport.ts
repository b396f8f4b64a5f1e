/**
 * The controller's side of one NVMe/TCP connection, without any meaning of commands: ICReq and
 * ICResp, digests, command data in capsules or asked for with R2T, data and responses out,
 * termination requests (NVMe over TCP Transport 1.1).
 *
 * Invariants: nothing is written after the connection is closed; what a host sends is bounded
 * (capsule data, R2T transfers, commands in flight), so that no host makes the process grow.
 */
import type { Socket } from 'node:net';
import { decodeCommand, encodeCompletion, sendsData, SglType } from './command.ts';
import type { Command } from './command.ts';
import type { CapsuleCmd, DataPdu, Framing, IcReq, Pdu } from './pdu.ts';
import { encodePdu, FatalError, PLAIN } from './pdu.ts';
import { PduError, PduStream } from './pdu-stream.ts';
import { DNR, Status } from './status.ts';
import type { Timers } from './timers.ts';

/** NVMe/TCP gives admin commands 8 KiB in the capsule. */
const IN_CAPSULE_DATA = 8192;
const MAX_H2C_DATA = 0x20000;
const MAX_HOST_DATA = 0x100000;
const MAX_COMMANDS = 4096;
/** What an impatient host may send before it is answered, bytes. */
const MAX_EARLY = 0x10000;
/** How long a host may take to close after a termination request or our FIN, milliseconds. */
const CLOSE_GRACE = 1000;

export interface TransportOptions {
  readonly headerDigest: boolean;
  readonly dataDigest: boolean;
}

export interface TransportEvents {
  /** ICReq came; to be answered with `accept`, at once, later or never. */
  initialize(request: IcReq): void;
  /** A command with all its data. */
  command(command: Command, data: Buffer): void;
  /** A command that failed in the transport; already answered. */
  failed(command: Command, status: number): void;
  /** The host sent what no host may send; it is being disconnected. */
  garbage(problem: string): void;
  /** The connection is gone, once. */
  closed(reason: string): void;
}

interface Transfer {
  readonly command: Command;
  readonly data: Buffer;
  received: number;
  intact: boolean;
}

export class Transport {
  readonly #socket: Socket;
  readonly #timers: Timers;
  readonly #events: TransportEvents;
  readonly #stream = new PduStream({
    accepts: ['icReq', 'capsuleCmd', 'h2cData', 'h2cTermReq'],
    maxData: MAX_H2C_DATA,
  });
  readonly #transfers = new Map<number, Transfer>();
  readonly #inFlight = new Set<number>();
  #framing: Framing = PLAIN;
  #state: 'held' | 'new' | 'initializing' | 'ready' | 'closing' | 'closed' = 'held';
  #reason = 'closed by the host';
  #ttag = 0;
  #received = 0;
  /** 0's based; 0 until Connect says. */
  #sqsize = 0;
  #sqFlowControl = true;
  #cancelGrace: (() => void) | null = null;

  constructor(socket: Socket, timers: Timers, events: TransportEvents) {
    this.#socket = socket;
    this.#timers = timers;
    this.#events = events;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.#receive(chunk);
    });
    socket.on('error', (error) => {
      this.#reason = error.message;
    });
    socket.on('end', () => {
      socket.end();
    });
    socket.on('close', () => {
      this.#state = 'closed';
      this.#cancelGrace?.();
      this.#transfers.clear();
      events.closed(this.#reason);
    });
  }

  get digests(): { readonly header: boolean; readonly data: boolean } {
    return { header: this.#framing.headerDigest, data: this.#framing.dataDigest };
  }

  get sqFlowControl(): boolean {
    return this.#sqFlowControl;
  }

  /** Begins to look at what the host sends. */
  open(): void {
    if (this.#state !== 'held') return;
    this.#state = 'new';
    this.#drain();
  }

  /** Answers ICReq. Digests are used where both sides want them. */
  accept(request: IcReq, options: TransportOptions): void {
    if (this.#state !== 'initializing') return;
    const headerDigest = request.headerDigest && options.headerDigest;
    const dataDigest = request.dataDigest && options.dataDigest;
    this.#send({
      type: 'icResp',
      pfv: 0,
      cpda: 0,
      headerDigest,
      dataDigest,
      maxH2cData: MAX_H2C_DATA,
    });
    this.#state = 'ready';
    this.#framing = { headerDigest, dataDigest, alignment: (request.hpda + 1) * 4 };
    this.#stream.setDigests(headerDigest, dataDigest);
    // The host may not send before ICResp, but what an impatient one sent waits in the stream.
    this.#drain();
  }

  /** The queue as Connect made it: `sqsize` 0's based. */
  setQueue(sqsize: number, sqFlowControl: boolean): void {
    this.#sqsize = sqsize;
    this.#sqFlowControl = sqFlowControl;
  }

  /** Completes a command, `data` first; spares the response capsule where `bare` and the rules allow. */
  complete(
    command: { readonly cid: number },
    status: number,
    result: bigint,
    data: Buffer | null,
    out: { readonly maxC2hData: number; readonly successFlag: boolean },
  ): void {
    // A response capsule carries SQHD, which only a host without SQ flow control can do without.
    const bare =
      data !== null && out.successFlag && !this.#sqFlowControl && status === 0 && result === 0n;
    if (data !== null) this.#sendData(command.cid, data, out.maxC2hData, bare);
    this.#inFlight.delete(command.cid);
    if (bare) return;
    const sqhd = this.#sqFlowControl ? this.#received % (this.#sqsize + 1) : 0xffff;
    const cqe = encodeCompletion({ cid: command.cid, result, sqhd, status });
    this.#send({ type: 'capsuleResp', cqe });
  }

  /** Announces all of `data`, sends the first `bytes` of it and closes the connection. */
  breakOff(cid: number, data: Buffer, bytes: number): void {
    const pdu = encodePdu(
      {
        type: 'c2hData',
        cccid: cid,
        ttag: 0,
        offset: 0,
        last: true,
        success: false,
        data,
        dataIntact: true,
      },
      this.#framing,
    );
    const header = pdu.readUInt8(3);
    if (this.#state === 'ready') this.#socket.write(pdu.subarray(0, header + bytes));
    this.close('fin');
  }

  /** Ends the connection: with a FIN, a reset, or a termination request first. */
  close(how: 'fin' | 'reset' | 'term'): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    if (how === 'term') {
      this.#terminate(FatalError.sequenceError, 0, Buffer.alloc(0));
      return;
    }
    this.#state = 'closing';
    this.#reason = `closed by the controller (${how})`;
    if (how === 'reset') this.#socket.resetAndDestroy();
    else this.#finish();
  }

  #finish(): void {
    this.#socket.end();
    this.#cancelGrace = this.#timers.after(CLOSE_GRACE, () => {
      this.#socket.destroy();
    });
  }

  #terminate(fes: number, fei: number, header: Buffer): void {
    this.#send({ type: 'c2hTermReq', fes, fei, data: header });
    this.#state = 'closing';
    this.#reason = `terminated by the controller (FES ${String(fes)})`;
    this.#finish();
  }

  #send(pdu: Pdu): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    this.#socket.write(encodePdu(pdu, this.#framing));
  }

  #sendData(cid: number, data: Buffer, chunk: number, bare: boolean): void {
    for (let offset = 0; offset < data.length; offset += chunk) {
      const last = offset + chunk >= data.length;
      this.#send({
        type: 'c2hData',
        cccid: cid,
        ttag: 0,
        offset,
        last,
        success: last && bare,
        data: data.subarray(offset, offset + chunk),
        dataIntact: true,
      });
    }
  }

  #receive(chunk: Buffer): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    this.#stream.push(chunk);
    if (this.#state !== 'ready' && this.#stream.buffered > MAX_EARLY) {
      this.#events.garbage('too much before the connection is initialized');
      this.close('reset');
      return;
    }
    this.#drain();
  }

  #drain(): void {
    try {
      for (;;) {
        // Until ICResp is out, nothing but ICReq may be taken: the digests are not agreed on yet.
        if (this.#state !== 'new' && this.#state !== 'ready') return;
        const pdu = this.#stream.next();
        if (pdu === null) return;
        this.#handle(pdu);
      }
    } catch (error) {
      if (!(error instanceof PduError)) throw error;
      this.#events.garbage(error.message);
      this.#terminate(error.fes, error.fei, error.header);
    }
  }

  #handle(pdu: Pdu): void {
    const outOfOrder = (): never => {
      throw new PduError(FatalError.sequenceError, 0, Buffer.alloc(0), `unexpected ${pdu.type}`);
    };
    switch (pdu.type) {
      case 'icReq':
        if (this.#state !== 'new') outOfOrder();
        if (pdu.pfv !== 0) {
          const header = encodePdu(pdu, PLAIN);
          throw new PduError(FatalError.unsupportedParameter, 8, header, 'unknown PFV');
        }
        this.#state = 'initializing';
        this.#events.initialize(pdu);
        return;
      case 'capsuleCmd':
        if (this.#state !== 'ready') outOfOrder();
        this.#command(pdu);
        return;
      case 'h2cData':
        if (this.#state !== 'ready') outOfOrder();
        this.#data(pdu);
        return;
      case 'h2cTermReq':
        this.#reason = `terminated by the host (FES ${String(pdu.fes)})`;
        this.#state = 'closing';
        this.#finish();
        return;
      default:
        outOfOrder();
    }
  }

  #command(pdu: CapsuleCmd): void {
    const command = decodeCommand(pdu.sqe);
    this.#received++;
    if (this.#inFlight.size >= MAX_COMMANDS) {
      throw new PduError(FatalError.sequenceError, 0, pdu.sqe, 'too many commands in flight');
    }
    this.#inFlight.add(command.cid);
    const { length, type } = command.sgl;
    if (!sendsData(pdu.sqe) || length === 0) {
      this.#events.command(command, Buffer.alloc(0));
    } else if (type === SglType.inCapsule) {
      if (pdu.data.length !== length || length > IN_CAPSULE_DATA) {
        this.#fail(command, Status['invalid-field'] | DNR);
      } else if (!pdu.dataIntact) this.#fail(command, Status['transient-transport-error']);
      else this.#events.command(command, pdu.data);
    } else if (type === SglType.transport) {
      if (length > MAX_HOST_DATA) this.#fail(command, Status['invalid-field'] | DNR);
      else this.#askForData(command, length);
    } else this.#fail(command, Status['invalid-sgl-type'] | DNR);
  }

  #askForData(command: Command, length: number): void {
    const ttag = (this.#ttag = (this.#ttag + 1) & 0xffff);
    this.#transfers.set(ttag, {
      command,
      data: Buffer.alloc(length),
      received: 0,
      intact: true,
    });
    this.#send({ type: 'r2t', cccid: command.cid, ttag, offset: 0, length });
  }

  #data(pdu: DataPdu): void {
    const refuse = (fes: number, offset: number, problem: string): never => {
      throw new PduError(fes, offset, encodePdu({ ...pdu, data: Buffer.alloc(0) }, PLAIN), problem);
    };
    const transfer = this.#transfers.get(pdu.ttag);
    if (transfer?.command.cid !== pdu.cccid) {
      return refuse(FatalError.invalidHeaderField, 10, 'data for no transfer');
    }
    if (pdu.offset !== transfer.received || pdu.offset + pdu.data.length > transfer.data.length) {
      return refuse(FatalError.outOfRange, 12, 'data out of the range asked for');
    }
    pdu.data.copy(transfer.data, pdu.offset);
    transfer.received += pdu.data.length;
    transfer.intact &&= pdu.dataIntact;
    if (transfer.received < transfer.data.length) {
      if (pdu.last) refuse(FatalError.outOfRange, 1, 'the last data leaves a gap');
      return;
    }
    this.#transfers.delete(pdu.ttag);
    if (transfer.intact) this.#events.command(transfer.command, transfer.data);
    else this.#fail(transfer.command, Status['transient-transport-error']);
  }

  #fail(command: Command, status: number): void {
    this.#events.failed(command, status);
    this.complete(command, status, 0n, null, { maxC2hData: 4096, successFlag: false });
  }
}
