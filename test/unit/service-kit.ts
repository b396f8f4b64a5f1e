/** What the services of both daemons stand on in unit tests: fakes of the kernel and the host. */
import { Secret } from '../../src/nvme/secret.ts';
import type { HostIdentity } from '../../src/ports/fabrics.ts';
import type { ProcessFacts } from '../../src/runtime/process-info.ts';
import { FakeClock } from '../fakes/clock.ts';
import { FakeDevices } from '../fakes/devices.ts';
import { FakeFabrics } from '../fakes/fabrics.ts';
import {
  FakeBootFirmware,
  FakeInterfaces,
  FakeProber,
  FakeResolver,
  MemoryStateFile,
} from '../fakes/host.ts';
import { MemoryLog } from '../fakes/log.ts';
import { FakeNetwork } from '../fakes/network.ts';
import type { FakeServiceBrowser } from '../fakes/service-browser.ts';

const HOST = 'nqn.2014-08.org.nvmexpress:uuid:host';

/** The host's DH-HMAC-CHAP secret: nobody is to see it. */
export const HOST_KEY = 'DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:';

export interface KitOptions {
  readonly ownFabrics?: boolean;
  /** Whose time it is; its own if absent. */
  readonly clock?: FakeClock;
  readonly hostnqn?: string;
  readonly hostid?: string;
  /** mDNS as the daemon follows it; what a test says that it reports, if absent. */
  readonly services?: FakeServiceBrowser;
}

export class ServiceKit {
  readonly bootFirmware: FakeBootFirmware;
  readonly clock: FakeClock;
  readonly devices: FakeDevices;
  readonly fabrics: FakeFabrics;
  readonly interfaces = new FakeInterfaces();
  readonly lkcFile: MemoryStateFile;
  readonly hostid: string;
  readonly hostnqn: string;
  readonly log = new MemoryLog(true);
  readonly network = new FakeNetwork();
  readonly prober = new FakeProber();
  readonly resolver = new FakeResolver();

  /**
   * `before`: the kit whose kernel and files this one finds, as after a restart. `ownFabrics`:
   * without its calls in flight and its targets, as after a crash.
   */
  constructor(before?: ServiceKit, options: KitOptions = {}) {
    const { clock, hostid, hostnqn, ownFabrics = false } = options;
    this.clock = clock ?? new FakeClock();
    this.hostnqn = hostnqn ?? HOST;
    this.hostid = hostid ?? 'id';
    this.bootFirmware = before?.bootFirmware ?? new FakeBootFirmware();
    this.devices = before?.devices ?? new FakeDevices();
    const there = ownFabrics ? undefined : before?.fabrics;
    this.fabrics = there ?? new FakeFabrics(this.devices);
    this.lkcFile = new MemoryStateFile(before?.lkcFile.text);
  }

  /** The fakes that both services take, as they take them. */
  protected get ports() {
    return {
      bootFirmware: this.bootFirmware,
      clock: this.clock,
      devices: this.devices,
      fabrics: this.fabrics,
      interfaces: this.interfaces,
      lkcFile: this.lkcFile,
      log: this.log,
      network: this.network,
      prober: this.prober,
      random: (): number => 0.5,
      resolver: this.resolver,
    };
  }

  /** Who this host is, as a daemon reads it from its files. */
  protected host(hostnqn: string): HostIdentity {
    return { hostnqn, hostid: this.hostid, key: new Secret(HOST_KEY) };
  }

  /** The addresses that the kernel is connected to. */
  get connected(): readonly string[] {
    return this.devices.controllers.map(({ traddr }) => traddr).sort();
  }
}

/** What a daemon tells of its process. */
export function processFacts(daemon: 'stafd' | 'stacd'): ProcessFacts {
  return {
    usage: () => ({
      startedAt: 1_767_322_800,
      cpuSeconds: 1.5,
      residentBytes: 70e6,
      heapUsedBytes: 9e6,
    }),
    lkcPath: `/run/${daemon}/last-known-config.json`,
    fabricsOptions: new Set(['discovery', 'host_iface']),
    version: '1.2.3',
    libnvmeVersion: '1.13',
  };
}
