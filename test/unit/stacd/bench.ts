/** stacd's service among fakes, with what stafd says set by the test. */
import { parseServiceConfig, type ServiceConfig } from '../../../src/config/service-config.ts';
import { unknown, type Answer } from '../../../src/core/answer.ts';
import type { PreviewedActions } from '../../../src/core/reload-preview.ts';
import { StacdService, type IocRecord } from '../../../src/stacd/service.ts';
import type { DiscoveryState } from '../../../src/stacd/plan.ts';
import { tidKey, type TransportId } from '../../../src/nvme/transport-id.ts';
import type { Bus, ExportedObject } from '../../../src/ports/bus.ts';
import { STACD_BUS_NAME, stacdObject, stacdSignals } from '../../../src/stacd/dbus-interface.ts';
import { FakeBlockUses } from '../../fakes/block-uses.ts';
import { processFacts, ServiceKit, type KitOptions } from '../service-kit.ts';

export const HOST = 'nqn.2014-08.org.nvmexpress:uuid:host';

export function stacdConfig(text: string): ServiceConfig {
  return parseServiceConfig('stacd', [{ file: '/etc/stas/stacd.conf', text }]).config;
}

export class StacdBench extends ServiceKit {
  readonly service: StacdService;
  readonly blockUses = new FakeBlockUses();
  /** How often stafd was to read its logs again. */
  confirmations = 0;
  /** What stafd does then. */
  confirmed: () => void = () => undefined;
  /** Where it is published. */
  signal: (() => void) | undefined;
  /** How often it was told that controllers changed. */
  changes = 0;
  /** What a test does when that is told. */
  onChange: () => void = () => undefined;
  #discovery: Answer<DiscoveryState> = unknown('stafd was not asked yet');

  /** As {@link ServiceKit}'s. */
  constructor(text = '', before?: StacdBench, options: KitOptions = {}) {
    super(before, options);
    this.service = new StacdService(this.settings(text), {
      ...this.ports,
      blockUses: this.blockUses,
      discovery: {
        current: () => this.#discovery,
        confirm: () => {
          this.confirmations += 1;
          this.confirmed();
          return Promise.resolve();
        },
      },
      controllersChanged: () => {
        this.changes += 1;
        this.onChange();
        this.signal?.();
      },
    });
  }

  async start(): Promise<this> {
    await this.service.start();
    await this.clock.advance(1_000);
    return this;
  }

  reload(text: string, hostnqn = this.hostnqn): void {
    this.service.reload(this.settings(text, hostnqn));
  }

  preview(
    text: string,
    removedDcs: readonly TransportId[] = [],
    hostnqn = this.hostnqn,
  ): Promise<PreviewedActions> {
    const removed = new Set(removedDcs.map(tidKey));
    return this.service.preview(this.settings(text, hostnqn), removed);
  }

  get discovery(): Answer<DiscoveryState> {
    return this.#discovery;
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

  record(traddr: string): IocRecord | undefined {
    return this.service.controllers().find(({ driver }) => driver.tid.traddr === traddr);
  }

  /** As the daemon reads them from its files. */
  settings(text: string, hostnqn = this.hostnqn) {
    return { config: stacdConfig(text), host: this.host(hostnqn) };
  }

  /** As it is on the bus. `present`: its file now. */
  object(present = ''): ExportedObject {
    const { clock, log, service } = this;
    return stacdObject({
      ...{ service, clock, log },
      facts: () => processFacts('stacd'),
      present: () => ({ settings: this.settings(present), problems: [], tracing: false }),
    });
  }

  /** On the bus, under its name, signals too. `present`: its file now. */
  async publish(bus: Bus, present = ''): Promise<void> {
    bus.export(this.object(present));
    this.signal = stacdSignals(bus);
    await bus.requestName(STACD_BUS_NAME);
  }
}
