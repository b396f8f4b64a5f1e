/**
 * What stafd makes of the kernel's events: hints to its DCs, which look for themselves, and what is
 * left to nvme-cli.
 */
import { isDiscoveryLogChange } from '../nvme/aen.ts';
import { isBehindFcPort } from '../nvme/connection-match.ts';
import { printTid } from '../nvme/transport-id.ts';
import type { DeviceEvent } from '../ports/devices.ts';
import type { Interfaces, Clock } from '../ports/host.ts';
import type { Log } from '../ports/log.ts';
import type { ControllerSet } from '../runtime/controller-set.ts';
import { controllerFields } from '../runtime/reports.ts';
import type { ServiceLoop } from '../runtime/service-loop.ts';
import { heard } from './log-events.ts';
import type { StafdMetrics } from './metrics.ts';
import { leaveToNvmeCli } from './not-ours.ts';
import type { DcData, NvmeCli } from './service-types.ts';

export interface DcEventsDeps {
  readonly clock: Clock;
  readonly interfaces: Interfaces;
  readonly log: Log;
  readonly nvmeCli: NvmeCli;
}

/** What of the service it needs. */
export interface DcEventsCore {
  readonly controllers: ControllerSet<DcData>;
  readonly loop: ServiceLoop;
  readonly stopping: boolean;
}

export class DcEvents {
  readonly #deps: DcEventsDeps;
  readonly #core: DcEventsCore;
  readonly #metrics: StafdMetrics;

  constructor(deps: DcEventsDeps, core: DcEventsCore, metrics: StafdMetrics) {
    this.#deps = deps;
    this.#core = core;
    this.#metrics = metrics;
  }

  take(event: DeviceEvent): void {
    switch (event.kind) {
      case 'aen':
        if (isDiscoveryLogChange(event.aen)) this.#logChanged(event.device);
        return;
      case 'nvme-event':
        if (event.event === 'connected' || event.event === 'rediscover') {
          this.#hint(event.device, event.event);
        }
        return;
      case 'resync':
        // A lost event may have been a change of any log.
        for (const { driver } of this.#core.controllers.live()) {
          driver.feed({ kind: 'event', event: 'log-changed' });
        }
        return;
      case 'fc-discovery':
        this.#fcDiscovery(event);
        return;
      case 'add':
      case 'remove':
        return;
    }
  }

  /**
   * A Fibre Channel port says that there is something to discover behind it: the DC there is read
   * again, or connected at once. DCs that are not stafd's are the business of nvme-cli's own rule
   * for this event, which is not overridden.
   */
  #fcDiscovery(event: Extract<DeviceEvent, { readonly kind: 'fc-discovery' }>): void {
    for (const { driver } of this.#core.controllers.live()) {
      const { tid } = driver;
      if (!isBehindFcPort(tid, event)) continue;
      const text = `${printTid(tid)} - Event: Fibre Channel discovery`;
      this.#deps.log.debug(text, controllerFields(tid, driver.kernel?.device));
      driver.feed({ kind: 'event', event: 'log-changed' });
      driver.feed({ kind: 'kick' });
    }
  }

  #logChanged(device: string): void {
    for (const record of this.#core.controllers.holding(device)) {
      this.#metrics.eventHeard();
      record.extra = heard(record.extra, this.#deps.clock.now());
    }
    this.#hint(device, 'log-changed');
  }

  #hint(device: string, event: 'connected' | 'rediscover' | 'log-changed'): void {
    const records = this.#core.controllers.holding(device);
    for (const { driver } of records) {
      const { tid } = driver;
      const text = `${printTid(tid)} | ${device} - Event: ${event}`;
      this.#deps.log.debug(text, controllerFields(tid, device));
      driver.feed({ kind: 'event', event });
    }
    if (records.length === 0 && event !== 'connected') void this.#notOurs(device);
  }

  async #notOurs(device: string): Promise<void> {
    const { interfaces, nvmeCli } = this.#deps;
    const kernel = await this.#core.loop.index.read(device).catch(() => undefined);
    if (this.#core.stopping || kernel === undefined) return;
    leaveToNvmeCli(nvmeCli, kernel, this.#core.controllers.live(), interfaces.list());
  }
}
