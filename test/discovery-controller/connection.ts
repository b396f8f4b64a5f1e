/**
 * One host's connection: puts transport, association, faults and record together.
 *
 * Invariants: every command is recorded before anything else is done to it; a fault rule is asked
 * once a command; a closed connection has no timer left.
 */
import type { Socket } from 'node:net';
import { done, execute } from './admin.ts';
import type { AdminContext, Outcome } from './admin.ts';
import { Association } from './association.ts';
import type { Command } from './command.ts';
import type { DiscoveryController } from './controller.ts';
import { describeCommand } from './describe.ts';
import type { FaultAction } from './faults.ts';
import type { JsonObject } from './json.ts';
import type { CommandRecord } from './recorder.ts';
import { statusName } from './status.ts';
import type { Timers } from './timers.ts';
import { Transport } from './transport.ts';

const CTRATT_TRAFFIC_BASED_KEEP_ALIVE = 1 << 6;

export interface ConnectionContext {
  readonly id: number;
  readonly controller: DiscoveryController;
  readonly portid: number;
  readonly timers: Timers;
  /** A controller ID that no living association has. */
  nextCntlid(): number;
  closed(connection: HostConnection): void;
}

const nothing = (): void => undefined;

export class HostConnection {
  readonly id: number;
  readonly #context: ConnectionContext;
  readonly #transport: Transport;
  readonly #remote: string;
  readonly #timers = new Set<() => void>();
  /** Commands that are delayed or will never be answered, by command identifier. */
  readonly #waiting = new Map<
    number,
    { cancel: () => void; act: () => void; record: CommandRecord }
  >();
  /** Records of Asynchronous Event Requests that wait for their event. */
  readonly #held = new Map<number, CommandRecord>();
  #association: Association | null = null;
  #cancelKeepAlive: (() => void) | null = null;

  constructor(socket: Socket, context: ConnectionContext) {
    this.id = context.id;
    this.#context = context;
    this.#remote = `${socket.remoteAddress ?? '?'} ${String(socket.remotePort ?? 0)}`;
    const { controller } = context;
    this.#transport = new Transport(socket, context.timers, {
      initialize: (request) => {
        const record = this.#record('icreq', {
          headerDigest: request.headerDigest,
          dataDigest: request.dataDigest,
          hpda: request.hpda,
        });
        const action = controller.faults.match({ point: 'icreq', hostnqn: '' });
        this.#inject(action, record, () => {
          record.status = 'success';
          this.#transport.accept(request, controller.settings);
        });
      },
      command: (command, data) => {
        this.#command(command, data);
      },
      failed: (command, status) => {
        const record = this.#record(command.body.op, { cid: command.cid, transportError: true });
        record.status = statusName(status);
      },
      garbage: (problem) => {
        this.#record('garbage', { problem });
      },
      closed: (reason) => {
        this.#closed(reason);
      },
    });
    const record = this.#record('accept', { remote: this.#remote });
    this.#inject(controller.faults.match({ point: 'accept', hostnqn: '' }), record, () => {
      record.status = 'success';
      this.#transport.open();
    });
  }

  get hostnqn(): string {
    return this.#association?.init.hostnqn ?? '';
  }

  get association(): Association | null {
    return this.#association;
  }

  drop(how: 'fin' | 'reset' | 'term'): void {
    this.#transport.close(how);
  }

  status(): JsonObject {
    const association = this.#association;
    const { header, data } = this.#transport.digests;
    return {
      connection: this.id,
      remote: this.#remote,
      headerDigest: header,
      dataDigest: data,
      ...(association === null
        ? { connected: false }
        : {
            connected: true,
            hostnqn: association.init.hostnqn,
            hostid: association.init.hostid,
            cntlid: association.init.cntlid,
            kato: association.kato,
            sqsize: association.init.sqsize,
            sqFlowControl: association.init.sqFlowControl,
            ready: association.ready,
            eventConfiguration: association.eventConfiguration,
            outstandingEventRequests: association.outstandingRequests,
            eventsSent: association.eventsSent,
          }),
    };
  }

  #record(command: string, details: JsonObject, hostnqn = this.hostnqn): CommandRecord {
    return this.#context.controller.recorder.add({
      time: this.#context.timers.now(),
      controller: this.#context.controller.name,
      connection: this.id,
      command,
      hostnqn,
      details,
      status: 'none',
    });
  }

  #settle(record: CommandRecord, status: string): void {
    record.status = status;
    this.#context.controller.recorder.changed();
  }

  /** For what is not a command yet (a connection, ICReq): goes on, waits, or closes. */
  #inject(action: FaultAction | null, record: CommandRecord, proceed: () => void): void {
    const act = (): void => {
      switch (action?.then.kind) {
        case undefined:
        case 'proceed':
          proceed();
          return;
        case 'drop':
        case 'status':
        case 'truncate':
          this.#settle(record, 'dropped');
          this.drop('fin');
          return;
        case 'never':
          return;
      }
    };
    if (action === null || action.delayMs === 0) act();
    else this.#after(action.delayMs, act);
  }

  #after(ms: number, run: () => void): () => void {
    const cancel = this.#context.timers.after(ms, () => {
      this.#timers.delete(cancel);
      run();
    });
    this.#timers.add(cancel);
    return () => {
      cancel();
      this.#timers.delete(cancel);
    };
  }

  /** Carries out at once what was to be delayed for longer. */
  hurry(): void {
    for (const { act, cancel } of [...this.#waiting.values()]) {
      cancel();
      act();
    }
  }

  #command(command: Command, data: Buffer): void {
    const { body, cid } = command;
    const { controller } = this.#context;
    const details = { cid, ...describeCommand(command, data) };
    // Connect is the host's own, although it is not connected yet.
    const hostnqn =
      'hostnqn' in details && typeof details.hostnqn === 'string' ? details.hostnqn : this.hostnqn;
    const record = this.#record(body.op, details, hostnqn);
    record.status = 'pending';
    this.#keepAlive(body.op === 'keep-alive');
    const action = controller.faults.match({
      point: body.op,
      ...(body.op === 'get-log-page' ? { lid: body.lid } : {}),
      hostnqn,
    });
    const act = (): void => {
      this.#waiting.delete(cid);
      this.#act(command, data, record, action?.then ?? { kind: 'proceed' });
    };
    if (action === null || action.delayMs === 0) act();
    else this.#waiting.set(cid, { cancel: this.#after(action.delayMs, act), act, record });
  }

  #act(command: Command, data: Buffer, record: CommandRecord, then: FaultAction['then']): void {
    switch (then.kind) {
      case 'status':
        this.#answer(command, record, done(then.status, BigInt(then.result)));
        return;
      case 'never':
        this.#waiting.set(command.cid, { cancel: nothing, act: nothing, record });
        return;
      case 'drop':
        this.#settle(record, 'dropped');
        this.drop('fin');
        return;
      case 'proceed':
        this.#answer(command, record, execute(this.#admin(record), command, data));
        // The timeout may be a new one.
        if (command.body.op === 'set-features') this.#keepAlive(true);
        return;
      case 'truncate': {
        const outcome = execute(this.#admin(record), command, data);
        if (outcome.kind !== 'done' || outcome.data === null) {
          this.#answer(command, record, outcome);
        } else if (then.drop) {
          this.#settle(record, 'dropped');
          this.#transport.breakOff(command.cid, outcome.data, then.bytes);
        } else {
          const short = outcome.data.subarray(0, then.bytes);
          this.#answer(command, record, { ...outcome, data: short });
        }
        return;
      }
    }
  }

  #answer(command: Command, record: CommandRecord, outcome: Outcome): void {
    if (outcome.kind === 'held') {
      // The event may have been delivered while the request was taken.
      if (record.status === 'pending') this.#settle(record, 'held');
      return;
    }
    this.#held.delete(command.cid);
    this.#settle(record, statusName(outcome.status));
    const { settings } = this.#context.controller;
    this.#transport.complete(command, outcome.status, outcome.result, outcome.data, settings);
  }

  #admin(record: CommandRecord): AdminContext {
    const { controller, portid } = this.#context;
    const cid = record.details['cid'];
    if (record.command === 'async-event-request' && typeof cid === 'number') {
      this.#held.set(cid, record);
    }
    return {
      controller,
      portid,
      association: this.#association,
      establish: (init) => this.#establish(init),
      cancel: (other) => {
        const waiting = this.#waiting.get(other);
        if (waiting === undefined) return false;
        waiting.cancel();
        this.#waiting.delete(other);
        this.#settle(waiting.record, 'abort-requested');
        this.#transport.complete({ cid: other }, 7, 0n, null, controller.settings);
        return true;
      },
    };
  }

  #establish(init: Parameters<AdminContext['establish']>[0]): Association {
    const { controller } = this.#context;
    const association = new Association(
      { ...init, cntlid: this.#context.nextCntlid() },
      () => controller.settings,
      (cid, status, result) => {
        const record = this.#held.get(cid);
        this.#held.delete(cid);
        if (record !== undefined) this.#settle(record, statusName(status));
        this.#transport.complete({ cid }, status, BigInt(result), null, controller.settings);
      },
    );
    this.#association = association;
    this.#transport.setQueue(init.sqsize, init.sqFlowControl);
    controller.attach(association);
    this.#keepAlive(true);
    return association;
  }

  /** Starts the keep alive timer anew (clause 5.1.14), on any command if it is traffic based. */
  #keepAlive(explicit: boolean): void {
    const association = this.#association;
    if (association === null) return;
    const { settings } = this.#context.controller;
    if (!explicit && (settings.ctratt & CTRATT_TRAFFIC_BASED_KEEP_ALIVE) === 0) return;
    this.#cancelKeepAlive?.();
    this.#cancelKeepAlive = null;
    if (association.kato === 0 || !settings.enforceKato) return;
    this.#cancelKeepAlive = this.#after(association.kato, () => {
      this.#record('keep-alive-expired', { kato: association.kato });
      this.drop('fin');
    });
  }

  #closed(reason: string): void {
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    this.#waiting.clear();
    this.#held.clear();
    this.#record('close', { reason });
    if (this.#association !== null) this.#context.controller.detach(this.#association);
    this.#context.closed(this);
  }
}
