/** Which controllers `exclude=` drops. */
import { sameTraddr } from '../nvme/transport-address.ts';
import type { TransportId } from '../nvme/transport-id.ts';
import type { Exclude } from './controller-entry.ts';

function excludes(exclude: Exclude, tid: TransportId): boolean {
  const tests = [
    exclude.transport === undefined ? undefined : exclude.transport === tid.transport,
    exclude.traddr === undefined ? undefined : sameTraddr(exclude.traddr, tid.traddr),
    exclude.trsvcid === undefined ? undefined : exclude.trsvcid === tid.trsvcid,
    exclude.subsysnqn === undefined ? undefined : exclude.subsysnqn === tid.subsysnqn,
    exclude.hostIface === undefined ? undefined : exclude.hostIface === tid.hostIface,
    exclude.hostNqn === undefined ? undefined : exclude.hostNqn === tid.hostNqn,
  ].filter((test) => test !== undefined);
  return tests.length > 0 && tests.every((test) => test);
}

/**
 * The first entry that excludes the controller, with every field that it names (a minimal match);
 * undefined if none does. An entry without fields excludes nothing.
 */
export function matchesExclude(tid: TransportId, entries: readonly Exclude[]): Exclude | undefined {
  return entries.find((exclude) => excludes(exclude, tid));
}
