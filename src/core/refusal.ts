import { matchesExclude } from '../config/exclude.ts';
import { placeText } from '../config/problem.ts';
import type { ServiceConfig } from '../config/service-config.ts';
import type { TransportId } from '../nvme/transport-id.ts';
import { addressRefusal } from './address-rules.ts';

/** An explicit setting that forbids the controller, in words, or undefined. */
export function refusal(config: ServiceConfig, tid: TransportId): string | undefined {
  const exclude = matchesExclude(tid, config.excludes);
  if (exclude !== undefined) return `excluded by ${placeText(exclude)}`;
  return addressRefusal(tid, config.ipFamilies);
}
