/**
 * What a discovery controller does with the commands of its admin queue (NVMe Base 2.1, Discovery
 * Controller; Fabrics commands: clause 6; Discovery Information Management: TP8010).
 */
import type { Association } from './association.ts';
import { CC_ENABLE } from './association.ts';
import type { Command, CommandBody } from './command.ts';
import { decodeConnectData, SglType } from './command.ts';
import type { DiscoveryController } from './controller.ts';
import { decodeDim } from './dim.ts';
import { identifyController } from './identify.ts';
import { DiscoveryLsp, featureEffects, Lid, supportedLogPages } from './log-pages.ts';
import { DNR, Status } from './status.ts';

/** How a command ends. `held`: an Asynchronous Event Request that waits for its event. */
export type Outcome =
  | {
      readonly kind: 'done';
      readonly status: number;
      readonly result: bigint;
      readonly data: Buffer | null;
    }
  | { readonly kind: 'held' };

export function done(status: number, result = 0n, data: Buffer | null = null): Outcome {
  return { kind: 'done', status, result, data };
}

const failed = (name: keyof typeof Status): Outcome => done(Status[name] | DNR);

/** No log page of a simulation is larger; more is a host gone wrong. */
const MAX_TRANSFER = 0x1000000;
const DYNAMIC_CNTLID = 0xffff;
const CATTR_NO_SQ_FLOW_CONTROL = 0x4;

export interface AdminContext {
  readonly controller: DiscoveryController;
  /** The identifier of the port that the host came through. */
  readonly portid: number;
  readonly association: Association | null;
  /** Makes the association of a host that Connect accepts. */
  establish(init: {
    readonly hostnqn: string;
    readonly hostid: string;
    readonly kato: number;
    readonly sqsize: number;
    readonly sqFlowControl: boolean;
  }): Association;
  /** Calls off a delayed command, for Abort. Whether there was one. */
  cancel(cid: number): boolean;
}

type Body<Op extends CommandBody['op']> = Extract<CommandBody, { op: Op }>;

/** Result of Connect Invalid Parameters: which byte of the SQE (0) or of the data (1) is wrong. */
function invalidParameter(inData: boolean, offset: number): Outcome {
  const result = BigInt(offset) | ((inData ? 1n : 0n) << 16n);
  return done(Status['connect-invalid-parameters'] | DNR, result);
}

function connect(context: AdminContext, body: Body<'connect'>, data: Buffer): Outcome {
  if (context.association !== null) return failed('command-sequence-error');
  if (body.recfmt !== 0) return failed('connect-incompatible-format');
  const connectData = decodeConnectData(data);
  if (connectData === null) return failed('invalid-field');
  // A discovery controller has no I/O queues: only the admin queue can be connected.
  if (body.qid !== 0) return invalidParameter(false, 42);
  if (body.sqsize === 0) return invalidParameter(false, 44);
  if (connectData.cntlid !== DYNAMIC_CNTLID) return invalidParameter(true, 16);
  if (!context.controller.answersTo(connectData.subnqn)) return invalidParameter(true, 256);
  if (!connectData.hostnqn.startsWith('nqn.')) return invalidParameter(true, 512);
  const association = context.establish({
    hostnqn: connectData.hostnqn,
    hostid: connectData.hostid,
    kato: body.kato,
    sqsize: body.sqsize,
    sqFlowControl: (body.cattr & CATTR_NO_SQ_FLOW_CONTROL) === 0,
  });
  return done(Status.success, BigInt(association.init.cntlid));
}

/** CAP: NVM command set, 7.5 s to become ready, contiguous queues, MQES. */
function capabilities(mqes: number): bigint {
  return (1n << 37n) | (15n << 24n) | (1n << 16n) | BigInt(mqes);
}

const Property = { cap: 0x00, vs: 0x08, cc: 0x14, csts: 0x1c } as const;

function propertyGet(context: AdminContext, body: Body<'property-get'>): Outcome {
  const { association, controller } = context;
  if (association === null) return failed('command-sequence-error');
  const value = ((): bigint | null => {
    switch (body.offset) {
      case Property.cap:
        return body.size === 8 ? capabilities(controller.settings.mqes) : null;
      case Property.vs:
        return body.size === 4 ? BigInt(controller.settings.version) : null;
      case Property.cc:
        return body.size === 4 ? BigInt(association.cc) : null;
      case Property.csts:
        return body.size === 4 ? BigInt(association.csts) : null;
      default:
        return null;
    }
  })();
  return value === null ? failed('invalid-field') : done(Status.success, value);
}

function propertySet(context: AdminContext, body: Body<'property-set'>): Outcome {
  if (context.association === null) return failed('command-sequence-error');
  if (body.offset !== Property.cc || body.size !== 4) return failed('invalid-field');
  context.association.configure(Number(body.value & 0xffffffffn));
  return done(Status.success);
}

/** Bytes `offset` and on of a page, zeroes past its end. */
function slice(page: Buffer, offset: number, length: number): Buffer {
  const part = Buffer.alloc(length);
  if (offset < page.length) page.copy(part, 0, offset, Math.min(page.length, offset + length));
  return part;
}

function logPage(context: AdminContext, body: Body<'get-log-page'>): Buffer | null {
  const { controller, portid } = context;
  const { settings } = controller;
  switch (body.lid) {
    case Lid.supportedLogPages:
      return settings.supportedLogPages ? supportedLogPages(settings) : null;
    case Lid.featureEffects:
      return settings.supportedLogPages ? featureEffects() : null;
    case Lid.miEffects:
      return settings.supportedLogPages ? Buffer.alloc(1024) : null;
    case Lid.errorInformation:
      return Buffer.alloc(64);
    case Lid.discovery:
      return controller.log(settings.pleo && (body.lsp & DiscoveryLsp.portLocalOnly) !== 0, portid);
    default:
      return null;
  }
}

function getLogPage(
  context: AdminContext,
  association: Association,
  command: Command,
  body: Body<'get-log-page'>,
): Outcome {
  const page = logPage(context, body);
  if (page === null) return failed('invalid-log-page');
  const { mdts } = context.controller.settings;
  const most = mdts === 0 ? MAX_TRANSFER : Math.min(MAX_TRANSFER, 4096 * 2 ** mdts);
  if (body.ot || body.lpo % 4n !== 0n || body.lpo > BigInt(page.length) || body.length > most) {
    return failed('invalid-field');
  }
  if (command.sgl.type !== SglType.transport) return failed('invalid-sgl-type');
  if (command.sgl.length < body.length) return failed('invalid-field');
  const data = slice(page, Number(body.lpo), body.length);
  if (body.lid === Lid.discovery) {
    if (!body.rae) association.logRead();
    context.controller.logWasRead();
  }
  return done(Status.success, 0n, data);
}

const Feature = { asyncEventConfiguration: 0x0b, keepAliveTimer: 0x0f } as const;

function getFeatures(association: Association, body: Body<'get-features'>): Outcome {
  // SEL 0 current; the defaults are 0, nothing is saved; 3: not saveable, changeable.
  if (body.sel > 3) return failed('invalid-field');
  const answer = (current: number): Outcome =>
    done(Status.success, body.sel === 0 ? BigInt(current) : body.sel === 3 ? 4n : 0n);
  switch (body.fid) {
    case Feature.asyncEventConfiguration:
      return answer(association.eventConfiguration);
    case Feature.keepAliveTimer:
      return answer(association.kato);
    default:
      // Among them Number of Queues (07h), which discovery controllers do not have.
      return failed('invalid-field');
  }
}

function setFeatures(association: Association, body: Body<'set-features'>): Outcome {
  if (body.save) return done(0x10d | DNR);
  switch (body.fid) {
    case Feature.asyncEventConfiguration:
      association.eventConfiguration = body.cdw11;
      return done(Status.success);
    case Feature.keepAliveTimer:
      association.kato = body.cdw11;
      return done(Status.success);
    default:
      return failed('invalid-field');
  }
}

function manageInformation(
  context: AdminContext,
  association: Association,
  body: Body<'dim'>,
  data: Buffer,
): Outcome {
  // TP8010: a controller that is neither DDC nor CDC takes no registrations.
  if (context.controller.settings.dctype === 0) return failed('invalid-opcode');
  const decoded = decodeDim(data);
  if (decoded.kind === 'bad') return failed('invalid-discovery-information');
  const { hostnqn } = association.init;
  return context.controller.manageInformation(hostnqn, body.task, decoded.dim)
    ? done(Status.success)
    : failed('invalid-field');
}

/** Carries out one command; `data` is what the host sent along. */
export function execute(context: AdminContext, command: Command, data: Buffer): Outcome {
  const { body } = command;
  switch (body.op) {
    case 'connect':
      return connect(context, body, data);
    case 'property-get':
      return propertyGet(context, body);
    case 'property-set':
      return propertySet(context, body);
    case 'fabrics':
      return failed('invalid-opcode');
    default:
      break;
  }
  const { association } = context;
  // Everything else needs an enabled controller.
  if (association === null || (association.cc & CC_ENABLE) === 0 || !association.ready) {
    return failed('command-sequence-error');
  }
  switch (body.op) {
    case 'identify': {
      if (body.cns !== 1) return failed('invalid-field');
      if (command.sgl.type !== SglType.transport) return failed('invalid-sgl-type');
      const page = identifyController(context.controller.settings, association.init.cntlid);
      return done(Status.success, 0n, slice(page, 0, Math.min(command.sgl.length, page.length)));
    }
    case 'get-log-page':
      return getLogPage(context, association, command, body);
    case 'get-features':
      return getFeatures(association, body);
    case 'set-features':
      return setFeatures(association, body);
    case 'keep-alive':
      return done(Status.success);
    case 'async-event-request':
      return association.request(command.cid) ? { kind: 'held' } : failed('async-event-limit');
    case 'abort':
      // Bit 0 of the result: 0 the command was aborted, 1 it was not.
      return done(
        Status.success,
        body.sqid === 0 &&
          (association.abortRequest(body.abortCid) || context.cancel(body.abortCid))
          ? 0n
          : 1n,
      );
    case 'dim':
      return manageInformation(context, association, body, data);
    case 'unknown':
      return failed('invalid-opcode');
  }
}
