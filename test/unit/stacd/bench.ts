/** stacd's service among fakes, with what stafd says set by the test. */
import { parseServiceConfig, type ServiceConfig } from '../../../src/config/service-config.ts';
import { unknown, type Answer } from '../../../src/core/answer.ts';
import type { PreviewedActions } from '../../../src/core/reload-preview.ts';
import { StacdService, type IocRecord } from '../../../src/stacd/service.ts';
import type { DiscoveryState } from '../../../src/stacd/plan.ts';
import { tidKey, type TransportId } from '../../../src/nvme/transport-id.ts';
import { Secret } from '../../../src/nvme/secret.ts';
import { FakeBlockUses } from '../../fakes/block-uses.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { FakeDevices } from '../../fakes/devices.ts';
import { FakeFabrics } from '../../fakes/fabrics.ts';
import {
  FakeBootFirmware,
  FakeInterfaces,
  FakeProber,
  FakeResolver,
  MemoryStateFile,
} from '../../fakes/host.ts';
import { MemoryLog } from '../../fakes/log.ts';
import { FakeNetwork } from '../../fakes/network.ts';

export const HOST = 'nqn.2014-08.org.nvmexpress:uuid:host';

export function stacdConfig(text: string): ServiceConfig {
  return parseServiceConfig('stacd', [{ file: 'stacd.conf', text }]).config;
}

/** The host's DH-HMAC-CHAP secret: nobody is to see it. */
export const HOST_KEY = 'DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:';

export class StacdBench {
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
  readonly service: StacdService;
  readonly blockUses = new FakeBlockUses();
  /** How often stafd was to read its logs again. */
  confirmations = 0;
  /** What stafd does then. */
  confirmed: () => void = () => undefined;
  /** How often it was told that controllers changed. */
  changes = 0;
  #discovery: Answer<DiscoveryState> = unknown('stafd was not asked yet');

  /**
   * `before`: the bench whose kernel and files this one finds, as after a restart. `ownFabrics`:
   * without its calls in flight and its targets, as after a crash.
   */
  constructor(text = '', before?: StacdBench, { ownFabrics = false } = {}) {
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
    this.service = new StacdService(this.settings(text), {
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
      blockUses: this.blockUses,
      discovery: {
        current: () => this.#discovery,
        confirm: () => {
          this.confirmations += 1;
          this.confirmed();
          return Promise.resolve();
        },
      },
      controllersChanged: () => void (this.changes += 1),
    });
  }

  async start(): Promise<this> {
    await this.service.start();
    await this.clock.advance(1_000);
    return this;
  }

  reload(text: string, hostnqn = HOST): void {
    this.service.reload(this.settings(text, hostnqn));
  }

  preview(
    text: string,
    removedDcs: readonly TransportId[] = [],
    hostnqn = HOST,
  ): Promise<PreviewedActions> {
    const removed = new Set(removedDcs.map(tidKey));
    return this.service.preview(this.settings(text, hostnqn), removed);
  }

  /** What stafd says, before the service has heard that there is something new. */
  set discovery(answer: Answer<DiscoveryState>) {
    this.#discovery = answer;
  }

  async says(answer: Answer<DiscoveryState>): Promise<void> {
    this.#discovery = answer;
    this.service.discoveryChanged();
    await this.clock.advance(1_000);
  }

  /** A target that answers at this address. */
  target(traddr: string, subsysnqn = 'nqn.sub'): void {
    this.fabrics.addTarget({ kind: 'io', traddr, trsvcid: '4420', subsysnqn });
  }

  /** The addresses that the kernel is connected to. */
  get connected(): readonly string[] {
    return this.devices.controllers.map(({ traddr }) => traddr).sort();
  }

  record(traddr: string): IocRecord | undefined {
    return this.service.controllers().find(({ driver }) => driver.tid.traddr === traddr);
  }

  /** As the daemon reads them from its files. */
  settings(text: string, hostnqn = HOST) {
    return {
      config: stacdConfig(text),
      host: { hostnqn, hostid: 'id', key: new Secret(HOST_KEY) },
    };
  }
}
