/**
 * Finds what may be one connection without comparing each with each: thousands of subsystems may be
 * behind one address. What {@link matchConnection} accepts is always among what is found. Pure.
 */
import type { KernelController } from '../nvme/kernel-controller.ts';
import { WELL_KNOWN_DISCOVERY_NQN, type TransportId } from '../nvme/transport-id.ts';
import { addressKey } from './address-rules.ts';

/** Of controllers of the kernel: those that may be the connection that a TID asks for. */
export function controllersByPlace(
  controllers: Iterable<KernelController>,
): (tid: TransportId) => readonly KernelController[] {
  const bySubsystem = new Map<string, KernelController[]>();
  const byAddress = new Map<string, KernelController[]>();
  for (const controller of controllers) {
    const address = addressKey(controller.transport, controller.traddr);
    append(byAddress, address, controller);
    append(bySubsystem, place(address, controller.subsysnqn), controller);
  }
  return ({ subsysnqn, traddr, transport }) => {
    const address = addressKey(transport, traddr);
    // A DC that is asked for by the well-known NQN may answer with one of its own.
    const there =
      subsysnqn === WELL_KNOWN_DISCOVERY_NQN
        ? byAddress.get(address)
        : bySubsystem.get(place(address, subsysnqn));
    return there ?? [];
  };
}

/** Of TIDs: those that may ask for this connection. */
export function tidsByPlace(
  tids: Iterable<TransportId>,
): (kernel: KernelController) => readonly TransportId[] {
  const bySubsystem = new Map<string, TransportId[]>();
  for (const tid of tids) {
    append(bySubsystem, place(addressKey(tid.transport, tid.traddr), tid.subsysnqn), tid);
  }
  return ({ subsysnqn, traddr, transport }) => {
    const address = addressKey(transport, traddr);
    return [...new Set([subsysnqn, WELL_KNOWN_DISCOVERY_NQN])].flatMap(
      (nqn) => bySubsystem.get(place(address, nqn)) ?? [],
    );
  };
}

function place(address: string, subsysnqn: string): string {
  return `${address} ${subsysnqn}`;
}

function append<T>(map: Map<string, T[]>, key: string, item: T): void {
  const there = map.get(key);
  if (there === undefined) map.set(key, [item]);
  else there.push(item);
}
