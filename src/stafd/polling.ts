/** Which connections stafd keeps: `persistent-connections` and what DCs say of themselves. Pure. */
import type { ServiceConfig } from '../config/service-config.ts';
import { keepsPersistentConnections } from '../nvme/discovery-log.ts';
import type { LogAnswer } from './plan.ts';

type Settings = Pick<ServiceConfig, 'persistentConnections' | 'pollInterval'>;

/** Milliseconds between two polls of a DC that keeps none; undefined if all are held. */
export function pollMs({ persistentConnections, pollInterval }: Settings): number | undefined {
  return persistentConnections === 'auto' ? pollInterval * 1000 : undefined;
}

/** Whether a DC with this log is connected only to be read. */
export function isPolled(settings: Settings, log: LogAnswer): boolean {
  const unkept = log.kind === 'known' && !keepsPersistentConnections(log.value.entries);
  return unkept && pollMs(settings) !== undefined;
}

/** Whether the connection to a DC with this log stays in the kernel when stafd stops. */
export function keepsConnection(settings: Settings, log: LogAnswer): boolean {
  return settings.persistentConnections !== false && !isPolled(settings, log);
}
