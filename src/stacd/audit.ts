/**
 * The audit of disconnect-scope=all-connections-matching-disconnect-trtypes: which connections of
 * others stacd drops, and whether that can be told now. Pure.
 */
import type { ControllerModel } from '../core/controller-model.ts';
import { refusal } from '../core/refusal.ts';
import { BY_SETTING } from '../core/removal-brake.ts';
import type { InterfaceAddressLike } from '../nvme/connection-match.ts';
import type { KernelController } from '../nvme/kernel-controller.ts';
import { makeTid, TRANSPORTS, type TransportId } from '../nvme/transport-id.ts';
import { completeAt, unwantedConnections, type StacdSnapshot } from './plan.ts';

export type Audit =
  /** It is over; `unwanted` are to be disconnected. */
  | { readonly kind: 'done'; readonly unwanted: readonly Unwanted[] }
  /** Not everything is known: it stays due. */
  | { readonly kind: 'later' };

export interface Unwanted {
  readonly kernel: KernelController;
  /** When the oldest statement was made that it rests on, milliseconds; BY_SETTING: excluded. */
  readonly statedAt: number;
}

/** A driver, as far as it counts here. */
export interface AuditedDriver {
  readonly kernel: KernelController | undefined;
  readonly model: Pick<ControllerModel, 'phase'>;
}

export interface AuditInput {
  readonly picture: StacdSnapshot;
  readonly kernel: readonly KernelController[];
  /** Those that are on their way out, too. */
  readonly drivers: readonly AuditedDriver[];
  readonly interfaces: readonly InterfaceAddressLike[];
  /** A connection that must never be dropped, whoever made it. */
  untouchable(kernel: KernelController): boolean;
}

export function auditConnections(input: AuditInput): Audit {
  const { drivers, interfaces, kernel, picture } = input;
  if (!auditsOthers(picture)) return { kind: 'done', unwanted: [] };
  // One that is just being connected belongs to no driver yet.
  if (drivers.some(({ model }) => CONNECTING.has(model.phase.kind))) return { kind: 'later' };
  const held = new Set(drivers.flatMap((driver) => driver.kernel?.instance ?? []));
  const droppable = kernel.filter((controller) => !input.untouchable(controller));
  const unwanted = unwantedConnections(picture, droppable, held, interfaces);
  if (unwanted === undefined) return { kind: 'later' };
  const { config, discovery } = picture;
  // Any log might list it: they all say that they do not.
  const reportedAt = discovery.kind === 'known' ? completeAt(discovery.value) : -Infinity;
  const statedAt = (controller: KernelController): number => {
    const tid = kernelTid(controller);
    return tid !== undefined && refusal(config, tid) !== undefined ? BY_SETTING : reportedAt;
  };
  return { kind: 'done', unwanted: unwanted.map((it) => ({ kernel: it, statedAt: statedAt(it) })) };
}

/** The TID that would ask for just this connection; undefined for a local one. */
function kernelTid(kernel: KernelController): TransportId | undefined {
  const transport = TRANSPORTS.find((one) => one === kernel.transport);
  if (transport === undefined) return undefined;
  const { hostIface, hostnqn: hostNqn, hostTraddr, subsysnqn, traddr, trsvcid } = kernel;
  return makeTid({ transport, traddr, trsvcid, subsysnqn, hostTraddr, hostIface, hostNqn });
}

/** Whether connections that are not stacd's own are looked at. */
export function auditsOthers({ config }: Pick<StacdSnapshot, 'config'>): boolean {
  return config.disconnectScope === 'all-connections-matching-disconnect-trtypes';
}

const CONNECTING: ReadonlySet<string> = new Set(['connecting', 'disposing']);

/** Why a connection of others is dropped. */
export const UNWANTED = 'Nothing asks for this connection (disconnect-scope)';
