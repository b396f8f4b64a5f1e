/** stafd's service among fakes, with what mDNS reports set by the test. */
import { withHostIds } from '../../../src/config/host-identities.ts';
import { parseServiceConfig } from '../../../src/config/service-config.ts';
import type { PreviewedActions } from '../../../src/core/reload-preview.ts';
import type { TransportId } from '../../../src/nvme/transport-id.ts';
import type { MdnsReport } from '../../../src/stafd/plan.ts';
import { MdnsDiscovery } from '../../../src/stafd/mdns.ts';
import { StafdService } from '../../../src/stafd/service.ts';
import { STAFD_BUS_NAME, stafdObject, stafdSignals } from '../../../src/stafd/dbus-interface.ts';
import type { Bus, ExportedObject } from '../../../src/ports/bus.ts';
import type { ServiceSettings } from '../../../src/runtime/service-core.ts';
import type {
  DcBrowser,
  DcRecord,
  StafdListener,
  Unanswered,
} from '../../../src/stafd/service-types.ts';
import type { EntryFields } from '../../fakes/discovery-log.ts';
import type { FakeTarget, TargetFields } from '../../fakes/fabrics.ts';
import type { FakeServiceBrowser } from '../../fakes/service-browser.ts';
import { processFacts, ServiceKit, type KitOptions } from '../service-kit.ts';
import { found, foundSoFar } from './plan-samples.ts';

export class StafdBench extends ServiceKit {
  readonly service: StafdService;
  /** What listeners were told, with the number of entries that could be read then. */
  readonly told: string[] = [];
  /** Devices that were left to nvme-cli. */
  readonly leftToNvmeCli: string[] = [];
  mdns: MdnsReport = found();
  unanswered: readonly Unanswered[] = [];
  complaints: readonly string[] = [];
  /** Where it is published. */
  signals: StafdListener | undefined;
  /** How often it was told that controllers changed. */
  changes = 0;
  /** What a test does when that is told … */
  onChange: () => void = () => undefined;
  /** … and when what get_discovery_state says has changed. */
  onStateChange: () => void = () => undefined;
  /** Configurations that the browser was given. */
  browsed = 0;
  /** How often it was asked to try again. */
  retries = 0;
  #zeroconf = false;
  browserDisposed = false;

  /** As {@link ServiceKit}'s. */
  constructor(text = '', before?: StafdBench, options: KitOptions = {}) {
    super(before, options);
    this.service = new StafdService(this.settings(text), {
      ...this.ports,
      browser: this.#browser(options.services),
      nvmeCli: { connectAll: (device) => void this.leftToNvmeCli.push(device) },
      listener: {
        logPagesChanged: (tid, device) => {
          const log = this.record(tid.traddr)?.extra.log;
          const count = log?.kind === 'known' ? log.value.entries.length : -1;
          this.told.push(`log ${tid.traddr} ${device}: ${String(count)}`);
          this.signals?.logPagesChanged(tid, device);
        },
        dcRemoved: () => {
          this.told.push(`removed: ${this.traddrs.join(' ')}`);
          this.signals?.dcRemoved();
        },
        discoveryStateChanged: () => {
          this.onStateChange();
          this.signals?.discoveryStateChanged();
        },
        controllersChanged: () => {
          this.changes += 1;
          this.onChange();
          this.signals?.controllersChanged();
        },
      },
    });
  }

  #browser(services: FakeServiceBrowser | undefined): DcBrowser {
    if (services !== undefined) {
      const { ports } = this;
      return new MdnsDiscovery({
        ...{ ...ports, browser: services },
        changed: () => {
          this.service.sourceChanged();
        },
      });
    }
    return {
      configure: ({ config }) => {
        this.browsed += 1;
        this.#zeroconf = config.zeroconf;
      },
      look: () => (this.#zeroconf ? this.mdns : found()),
      preview: ({ config }) => {
        if (!config.zeroconf || this.#zeroconf) return config.zeroconf ? this.mdns : found();
        return foundSoFar('services are looked for anew');
      },
      info: () => ({ 'service types': [] }),
      unanswered: () => this.unanswered,
      complaints: () => this.complaints,
      retryNow: () => void (this.retries += 1),
      dispose: () => void (this.browserDisposed = true),
    };
  }

  async start(): Promise<this> {
    await this.service.start();
    await this.clock.advance(2_000);
    return this;
  }

  /** `ms`: how long to wait then; 0 lets one pass run. */
  async reload(text: string, ms = 2_000, hostnqn = this.hostnqn): Promise<void> {
    this.service.reload(this.settings(text, hostnqn));
    await this.clock.advance(ms);
  }

  preview(text: string, hostnqn = this.hostnqn): PreviewedActions {
    return this.service.preview(this.settings(text, hostnqn));
  }

  async reports(...tids: readonly TransportId[]): Promise<void> {
    this.mdns = found(...tids);
    this.service.sourceChanged();
    await this.clock.advance(2_000);
  }

  /** A DC that answers at this address. */
  target(traddr: string, fields: Partial<TargetFields> = {}): FakeTarget {
    const basis = { kind: 'discovery', traddr, trsvcid: '8009', subsysnqn: 'nqn.dc' } as const;
    const support = { supported: true, extdlpe: false, pleo: false, allsube: false };
    return this.fabrics.addTarget({ ...basis, support, ...fields });
  }

  get traddrs(): readonly string[] {
    return this.service
      .controllers()
      .map(({ driver }) => driver.tid.traddr)
      .sort();
  }

  record(traddr: string): DcRecord | undefined {
    return this.service.controllers().find(({ driver }) => driver.tid.traddr === traddr);
  }

  /** As the daemon reads them from its files. */
  settings(text: string, hostnqn = this.hostnqn): ServiceSettings {
    const host = this.host(hostnqn);
    const { config } = parseServiceConfig('stafd', [{ file: '/etc/stas/stafd.conf', text }]);
    return { config: withHostIds(config, host).config, host };
  }

  /** As it is on the bus. `present`: its file now. */
  object(present = ''): ExportedObject {
    const { clock, log, service } = this;
    return stafdObject({
      ...{ service, clock, log },
      facts: () => processFacts('stafd'),
      present: () => ({ settings: this.settings(present), problems: [], tracing: false }),
    });
  }

  /** On the bus, under its name, signals too. `present`: its file now. */
  async publish(bus: Bus, present = ''): Promise<void> {
    bus.export(this.object(present));
    this.signals = stafdSignals(bus);
    await bus.requestName(STAFD_BUS_NAME);
  }
}

/** A referral in a fake DC's log, to a DC as the bench makes them. */
export function refer(traddr: string): EntryFields {
  return { subtype: 1, traddr, trsvcid: '8009', subnqn: 'nqn.dc' };
}
