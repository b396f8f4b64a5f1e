/** Checks of JSON that came from a file or the bus: nothing is believed by its type alone. */
import { checkHostId } from '../nvme/host-id.ts';
import { checkInterfaceName } from '../nvme/ip-address.ts';
import { checkNqn, checkSubsystemNqn } from '../nvme/nqn.ts';
import { checkHostTraddr, checkTraddr, checkTrsvcid } from '../nvme/transport-address.ts';
import { makeTid, TRANSPORTS, type Transport, type TransportId } from '../nvme/transport-id.ts';

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A dictionary of strings; other members are left out. */
export function stringDict(value: unknown): Readonly<Record<string, string>> | undefined {
  if (!isRecord(value)) return undefined;
  const dict: Record<string, string> = {};
  for (const [key, member] of Object.entries(value)) {
    if (typeof member === 'string') dict[key] = member;
  }
  return dict;
}

export function stringList(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.every((member) => typeof member === 'string') ? value : undefined;
}

/** The TID of a dictionary with hyphenated keys, or undefined if it names no controller. */
export function tidFromDict(value: unknown): TransportId | undefined {
  const dict = stringDict(value);
  if (dict === undefined) return undefined;
  const transport = TRANSPORTS.find((name): name is Transport => name === dict['transport']);
  if (transport === undefined) return undefined;
  const tid = makeTid({
    transport,
    traddr: dict['traddr'] ?? '',
    trsvcid: dict['trsvcid'] ?? '',
    subsysnqn: dict['subsysnqn'] ?? '',
    hostTraddr: dict['host-traddr'] ?? '',
    hostIface: dict['host-iface'] ?? '',
    hostNqn: dict['host-nqn'] ?? '',
  });
  return isSound(tid) ? tid : undefined;
}

/** A host ID, or empty if it is not one: then the host NQN decides. */
export function hostIdFrom(value: unknown): string {
  return typeof value === 'string' && checkHostId(value) === undefined ? value : '';
}

/** Every field is what a configuration or a log page might hold; the host's side may be empty. */
function isSound(tid: TransportId): boolean {
  const { hostIface, hostNqn, hostTraddr, subsysnqn, traddr, transport, trsvcid } = tid;
  const reasons = [
    checkTraddr(transport, traddr),
    checkTrsvcid(transport, trsvcid),
    checkSubsystemNqn(subsysnqn),
    hostTraddr === '' ? undefined : checkHostTraddr(transport, hostTraddr),
    hostIface === '' ? undefined : checkInterfaceName(hostIface),
    hostNqn === '' ? undefined : checkNqn(hostNqn),
  ];
  return reasons.every((reason) => reason === undefined);
}
