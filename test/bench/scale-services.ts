/** Both services over a host of test/bench/scale-world.ts: real core and runtime, no I/O. */
import { withHostIds } from '../../src/config/host-identities.ts';
import { parseServiceConfig } from '../../src/config/service-config.ts';
import { known } from '../../src/core/answer.ts';
import { makeTid } from '../../src/nvme/transport-id.ts';
import type { Devices } from '../../src/ports/devices.ts';
import type { RawDiscoveryLog } from '../../src/ports/fabrics.ts';
import type { ServiceSettings } from '../../src/runtime/service-core.ts';
import { decodeEntries } from '../../src/nvme/discovery-log.ts';
import type { DiscoveryState } from '../../src/stacd/plan.ts';
import { StacdService } from '../../src/stacd/service.ts';
import { StafdService } from '../../src/stafd/service.ts';
import { encodeLog, type EntryFields } from '../fakes/discovery-log.ts';
import { ScaleClock, ScaleDevices, ScaleFabrics, ScaleLog, ScaleStateFile } from './scale-world.ts';

const HOST = 'nqn.2014-08.org.nvmexpress:uuid:f2782346-4809-484a-9a8b-952a04b57ba4';
const HOST_ID = 'f2782346-4809-484a-9a8b-952a04b57ba4';

/** An array has few addresses, and many subsystems behind each. */
const PORTALS = 16;
/** They list the same subsystems, as the controllers of one array do. */
const LOGS = 4;

export function subsystem(index: number): string {
  return `nqn.2024-01.org.example:storage-array-0042:subsystem-${String(index)}`;
}

export function portal(index: number): string {
  return `10.1.0.${String(1 + (index % PORTALS))}`;
}

function dcAddress(index: number): string {
  return `10.${String(2 + (index >> 16))}.${String((index >> 8) & 255)}.${String(index & 255)}`;
}

/** The log of `count` subsystems. */
export function logOf(count: number): RawDiscoveryLog {
  const entries = Array.from({ length: count }, (_, index): EntryFields => {
    return { subnqn: subsystem(index), traddr: portal(index), cntlid: index & 0xff };
  });
  return encodeLog(1, entries);
}

function settingsOf(daemon: 'stafd' | 'stacd', text: string): ServiceSettings {
  const host = { hostnqn: HOST, hostid: HOST_ID };
  const { config } = parseServiceConfig(daemon, [{ file: `${daemon}.conf`, text }]);
  return { config: withHostIds(config, host).config, host };
}

function sharedDeps() {
  const clock = new ScaleClock();
  return {
    clock,
    bootFirmware: { bootTables: () => [] },
    interfaces: {
      list: () => [
        { name: 'eth0', address: '10.9.0.1', family: 'ipv4' as const, mac: '02:00:00:00:00:01' },
      ],
      vlanOf: () => 0,
    },
    log: new ScaleLog(),
    lkcFile: new ScaleStateFile(),
    network: { onUp: () => ({ dispose: () => undefined }) },
    prober: { probe: () => Promise.resolve({ kind: 'reachable' as const }) },
    random: () => 0.5,
    resolver: { resolve: (name: string) => Promise.resolve([name]) },
  };
}

/** What is measured of a service. */
export interface Scale {
  readonly clock: ScaleClock;
  readonly devices: ScaleDevices;
  readonly lkcFile: ScaleStateFile;
  /** Connected controllers. */
  connected(): number;
  /** Marks that something changed, as a source does. */
  mark(): void;
}

export interface StafdScale extends Scale {
  readonly service: StafdService;
  settings(text: string): ServiceSettings;
}

export interface StacdScale extends Scale {
  readonly service: StacdService;
  /** What stafd says from now on: the log of so many subsystems. */
  says(count: number): void;
}

/** `count` configured DCs, each with a log of `entries`; not started. `read`: sysfs's reader. */
export function stafdScale(count: number, entries: number, read?: Devices): StafdScale {
  const deps = sharedDeps();
  const devices = new ScaleDevices();
  const raw = logOf(entries);
  const text = `[Service Discovery]\nzeroconf=disabled\n[Controllers]\n${Array.from(
    { length: count },
    (_, index) => `controller=transport=tcp;traddr=${dcAddress(index)};nqn=nqn.dc\n`,
  ).join('')}`;
  const service = new StafdService(settingsOf('stafd', text), {
    ...deps,
    devices: read ?? devices,
    fabrics: new ScaleFabrics(devices, () => raw),
    browser: {
      configure: () => undefined,
      look: () => ({ offered: [], announced: new Set(), incomplete: undefined, missing: false }),
      preview: () => ({ offered: [], announced: new Set(), incomplete: undefined, missing: false }),
      info: () => ({}),
      unanswered: () => [],
      complaints: () => [],
      retryNow: () => undefined,
      dispose: () => undefined,
    },
    nvmeCli: { connectAll: () => undefined },
    listener: {
      logPagesChanged: () => undefined,
      dcRemoved: () => undefined,
      discoveryStateChanged: () => undefined,
      controllersChanged: () => undefined,
    },
  });
  return {
    ...{ devices, service, clock: deps.clock, lkcFile: deps.lkcFile },
    settings: (other) => settingsOf('stafd', other),
    connected: () =>
      service.controllers().filter(({ driver }) => driver.model.phase.kind === 'connected').length,
    mark: () => {
      service.sourceChanged();
    },
  };
}

/** stacd that is told of `count` subsystems; not started. `read`: sysfs's reader. */
export function stacdScale(count: number, read?: Devices): StacdScale {
  const deps = sharedDeps();
  const devices = new ScaleDevices();
  const dcs = Array.from({ length: LOGS }, (_, index) =>
    makeTid({ transport: 'tcp', traddr: dcAddress(index), subsysnqn: 'nqn.dc', hostNqn: HOST }),
  );
  const stateOf = (entries: number): DiscoveryState => {
    const raw = logOf(entries);
    const { entries: decoded } = decodeEntries(raw.entries, raw.count);
    const readAt = deps.clock.now();
    return {
      settled: true,
      askedAt: readAt,
      // Each DC has a log of its own, whatever it says.
      controllers: dcs.map((tid) => {
        return { tid, hostId: '', log: known([...decoded]), fresh: true, readAt };
      }),
      removed: new Map(),
    };
  };
  let state = stateOf(count);
  const service = new StacdService(settingsOf('stacd', ''), {
    ...deps,
    devices: read ?? devices,
    fabrics: new ScaleFabrics(devices, () => logOf(0)),
    blockUses: { read: (names) => Promise.resolve(new Map(names.map((name) => [name, []]))) },
    discovery: { current: () => known(state), confirm: () => Promise.resolve() },
    controllersChanged: () => undefined,
  });
  return {
    ...{ devices, service, clock: deps.clock, lkcFile: deps.lkcFile },
    says: (entries) => {
      state = stateOf(entries);
      service.discoveryChanged();
    },
    connected: () =>
      service.controllers().filter(({ driver }) => driver.model.phase.kind === 'connected').length,
    mark: () => {
      service.discoveryChanged();
    },
  };
}
