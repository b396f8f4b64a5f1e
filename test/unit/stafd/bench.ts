/** stafd's service among fakes, with what mDNS reports set by the test. */
import { withHostIds } from '../../../src/config/host-identities.ts';
import { parseServiceConfig } from '../../../src/config/service-config.ts';
import type { PreviewedActions } from '../../../src/core/reload-preview.ts';
import type { TransportId } from '../../../src/nvme/transport-id.ts';
import type { MdnsReport } from '../../../src/stafd/plan.ts';
import { StafdService } from '../../../src/stafd/service.ts';
import type { ServiceSettings } from '../../../src/runtime/service-core.ts';
import type { DcRecord, Unanswered } from '../../../src/stafd/service-types.ts';
import { Secret } from '../../../src/nvme/secret.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { FakeDevices } from '../../fakes/devices.ts';
import type { EntryFields } from '../../fakes/discovery-log.ts';
import { FakeFabrics, type FakeTarget, type TargetFields } from '../../fakes/fabrics.ts';
import {
  FakeBootFirmware,
  FakeInterfaces,
  FakeProber,
  FakeResolver,
  MemoryStateFile,
} from '../../fakes/host.ts';
import { MemoryLog } from '../../fakes/log.ts';
import { FakeNetwork } from '../../fakes/network.ts';
import { found, foundSoFar, HOST } from './plan-samples.ts';

/** The host's DH-HMAC-CHAP secret: nobody is to see it. */
export const HOST_KEY = 'DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:';

export class StafdBench {
  readonly bootFirmware: FakeBootFirmware;
  readonly clock = new FakeClock();
  readonly devices: FakeDevices;
  readonly fabrics: FakeFabrics;
  readonly interfaces = new FakeInterfaces();
  readonly log = new MemoryLog(true);
  readonly network = new FakeNetwork();
  readonly prober = new FakeProber();
  readonly resolver = new FakeResolver();
  readonly lkcFile: MemoryStateFile;
  readonly service: StafdService;
  /** What listeners were told, with the number of entries that could be read then. */
  readonly told: string[] = [];
  /** Devices that were left to nvme-cli. */
  readonly leftToNvmeCli: string[] = [];
  mdns: MdnsReport = found();
  unanswered: readonly Unanswered[] = [];
  /** How often it was told that controllers changed. */
  changes = 0;
  /** Configurations that the browser was given. */
  browsed = 0;
  /** How often it was asked to try again. */
  retries = 0;
  #zeroconf = false;
  browserDisposed = false;

  /**
   * `before`: the bench whose kernel and files this one finds, as after a restart. `ownFabrics`:
   * without its calls in flight and its targets, as after a crash.
   */
  constructor(text = '', before?: StafdBench, { ownFabrics = false } = {}) {
    this.bootFirmware = before?.bootFirmware ?? new FakeBootFirmware();
    this.devices = before?.devices ?? new FakeDevices();
    const there = ownFabrics ? undefined : before?.fabrics;
    this.fabrics = there ?? new FakeFabrics(this.devices);
    this.lkcFile = new MemoryStateFile(before?.lkcFile.text);
    const {
      bootFirmware,
      clock,
      devices,
      fabrics,
      interfaces,
      lkcFile,
      log,
      network,
      prober,
      resolver,
    } = this;
    this.service = new StafdService(this.settings(text), {
      ...{
        bootFirmware,
        clock,
        devices,
        fabrics,
        interfaces,
        lkcFile,
        log,
        network,
        prober,
        resolver,
      },
      random: () => 0.5,
      browser: {
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
        retryNow: () => void (this.retries += 1),
        dispose: () => void (this.browserDisposed = true),
      },
      nvmeCli: { connectAll: (device) => void this.leftToNvmeCli.push(device) },
      listener: {
        logPagesChanged: (tid, device) => {
          const log = this.record(tid.traddr)?.extra.log;
          const count = log?.kind === 'known' ? log.value.entries.length : -1;
          this.told.push(`log ${tid.traddr} ${device}: ${String(count)}`);
        },
        dcRemoved: () => {
          this.told.push(`removed: ${this.traddrs.join(' ')}`);
        },
        discoveryStateChanged: () => undefined,
        controllersChanged: () => void (this.changes += 1),
      },
    });
  }

  async start(): Promise<this> {
    await this.service.start();
    await this.clock.advance(2_000);
    return this;
  }

  /** `ms`: how long to wait then; 0 lets one pass run. */
  async reload(text: string, ms = 2_000, hostnqn = HOST): Promise<void> {
    this.service.reload(this.settings(text, hostnqn));
    await this.clock.advance(ms);
  }

  preview(text: string, hostnqn = HOST): PreviewedActions {
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

  /** The addresses that the kernel is connected to. */
  get connected(): readonly string[] {
    return this.devices.controllers.map(({ traddr }) => traddr).sort();
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
  settings(text: string, hostnqn = HOST): ServiceSettings {
    const host = { hostnqn, hostid: 'id', key: new Secret(HOST_KEY) };
    const { config } = parseServiceConfig('stafd', [{ file: 'stafd.conf', text }]);
    return { config: withHostIds(config, host).config, host };
  }
}

/** A referral in a fake DC's log, to a DC as the bench makes them. */
export function refer(traddr: string): EntryFields {
  return { subtype: 1, traddr, trsvcid: '8009', subnqn: 'nqn.dc' };
}
