/** Checks of JSON that came from a file or the bus: nothing is believed by its type alone. */
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
  const traddr = dict['traddr'];
  const subsysnqn = dict['subsysnqn'];
  if (transport === undefined || traddr === undefined || traddr === '') return undefined;
  if (subsysnqn === undefined || subsysnqn === '') return undefined;
  return makeTid({
    transport,
    traddr,
    trsvcid: dict['trsvcid'] ?? '',
    subsysnqn,
    hostTraddr: dict['host-traddr'] ?? '',
    hostIface: dict['host-iface'] ?? '',
    hostNqn: dict['host-nqn'] ?? '',
  });
}
