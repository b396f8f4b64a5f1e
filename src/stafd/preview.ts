/** What stafd adds to the preview of a reload: what mDNS and the logs have a say in. Pure. */
import type { ServiceConfig } from '../config/service-config.ts';
import type { PreviewNote } from '../core/reload-preview.ts';
import { printTid } from '../nvme/transport-id.ts';
import type { DcAction, StafdSnapshot } from './plan.ts';
import { isPolled } from './polling.ts';
import type { DcRecord } from './service-types.ts';

/** `picture`: as it would be right after the reload; `actions`: what is planned with it. */
export function previewNotes(
  now: ServiceConfig,
  { config, mdns }: Pick<StafdSnapshot, 'config' | 'mdns'>,
  actions: readonly DcAction[],
  records: readonly DcRecord[],
): readonly PreviewNote[] {
  const notes: PreviewNote[] = [];
  if (mdns.incomplete !== undefined) {
    notes.push({ kind: 'open', about: 'what mDNS finds', why: mdns.incomplete });
  }
  const removed = new Set(actions.flatMap((it) => (it.kind === 'remove' ? [it.key] : [])));
  for (const { driver, extra } of records) {
    const polled = isPolled(config, extra.log);
    if (polled === isPolled(now, extra.log)) continue;
    if (removed.has(driver.key) || driver.untouchable !== undefined) continue;
    const why = polled
      ? 'it keeps no persistent connections: it is disconnected when its log was read again, and polled'
      : 'it is no longer polled: its connection is held from then on';
    notes.push({ kind: 'open', about: printTid(driver.tid), why });
  }
  return notes;
}
