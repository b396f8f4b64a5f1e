/**
 * A fabric with targets, and the kernel's connections to it.
 *
 * The test describes the world (which targets exist, what a DC's log holds, who refuses) and looks
 * at the world afterwards (`FakeDevices`, `registrations`). Any operation can be held, failed or
 * settled by hand: each is a {@link ScriptedOperation}.
 *
 * Invariants: a connection is a controller in `devices`, and only there; `connect` refuses a second
 * one with the same address, subsystem, host and binding, as the kernel does.
 */
import { WELL_KNOWN_DISCOVERY_NQN } from '../../src/nvme/transport-id.ts';
import type { Transport } from '../../src/nvme/transport-id.ts';
import type { KernelController } from '../../src/ports/devices.ts';
import { PortError } from '../../src/ports/errors.ts';
import type {
  ConnectRequest,
  DiscoveryLogSupport,
  Fabrics,
  FabricsOptions,
  HostIdentity,
  RawDiscoveryLog,
} from '../../src/ports/fabrics.ts';
import type { FakeDevices } from './devices.ts';
import { encodeLog } from './discovery-log.ts';
import type { EntryFields } from './discovery-log.ts';
import { ScriptedOperation } from './scripted.ts';

/** Something on the fabric that can be connected to. */
export interface TargetFields {
  readonly kind: 'discovery' | 'io';
  readonly transport?: Transport;
  readonly traddr: string;
  readonly trsvcid?: string;
  /** A discovery target also answers to the well-known NQN, whatever its own is. */
  readonly subsysnqn: string;
  /** What sysfs shows; `none` unless given. */
  readonly dctype?: string;
  /** Undefined: Get Supported Log Pages fails with an NVMe status. */
  readonly support?: DiscoveryLogSupport;
  /** The discovery log's entries. */
  readonly entries?: readonly EntryFields[];
  /** A DC that refuses DIM. */
  readonly refusesRegistration?: boolean;
}

/** A target's state; the test changes it while the daemon runs. */
export class FakeTarget {
  readonly fields: TargetFields;
  support: DiscoveryLogSupport | undefined;
  refusesRegistration: boolean;
  #entries: readonly EntryFields[];
  #generation = 1;

  constructor(fields: TargetFields) {
    this.fields = fields;
    this.support = fields.support;
    this.refusesRegistration = fields.refusesRegistration ?? false;
    this.#entries = fields.entries ?? [];
  }

  /** The log page now, with a generation counter that moves with each change. */
  get log(): RawDiscoveryLog {
    return encodeLog(this.#generation, this.#entries);
  }

  get entries(): readonly EntryFields[] {
    return this.#entries;
  }

  set entries(entries: readonly EntryFields[]) {
    this.#entries = entries;
    this.#generation += 1;
  }
}

export interface RegisterRequest {
  readonly device: string;
  readonly host: HostIdentity;
}

export interface LogRequest {
  readonly device: string;
  readonly pleo: boolean;
}

/** What `/dev/nvme-fabrics` of a current kernel lists, as far as the daemons ask. */
export const CURRENT_OPTIONS: readonly string[] = [
  'host_traddr',
  'host_iface',
  'discovery',
  'dhchap_secret',
  'dhchap_ctrl_secret',
  'ctrl_loss_tmo',
  'reconnect_delay',
  'keep_alive_tmo',
  'nr_io_queues',
  'nr_write_queues',
  'nr_poll_queues',
  'queue_size',
  'hdr_digest',
  'data_digest',
  'disable_sqflow',
  'tls',
];

const INVALID_FIELD = 0x002;

function canceled(): PortError {
  return new PortError('the process is ending', { code: 'ECANCELED', errorClass: 'retry' });
}

export class FakeFabrics implements Fabrics {
  readonly libnvmeVersion: string;
  readonly #devices: FakeDevices;
  readonly #targets = new Set<FakeTarget>();
  #options: FabricsOptions;
  #finishing = false;

  readonly connects = new ScriptedOperation<ConnectRequest, string>((request) =>
    this.#connect(request),
  );
  readonly disconnects = new ScriptedOperation<KernelController, undefined>((expected) =>
    this.#disconnect(expected),
  );
  readonly registers = new ScriptedOperation<RegisterRequest, undefined>((request) =>
    this.#register(request),
  );
  readonly supports = new ScriptedOperation<string, DiscoveryLogSupport>((device) =>
    this.#support(device),
  );
  readonly logs = new ScriptedOperation<LogRequest, RawDiscoveryLog>(
    ({ device }) => this.#targetOf(device).log,
  );

  /** Registrations that a DC took, in order. */
  readonly registrations: { readonly subsysnqn: string; readonly host: HostIdentity }[] = [];

  constructor(
    devices: FakeDevices,
    settings: { readonly libnvmeVersion?: string; readonly options?: readonly string[] } = {},
  ) {
    this.#devices = devices;
    this.libnvmeVersion = settings.libnvmeVersion ?? '1.13';
    this.#options = new Set(settings.options ?? CURRENT_OPTIONS);
  }

  /** A target appears on the fabric. */
  addTarget(fields: TargetFields): FakeTarget {
    const target = new FakeTarget(fields);
    this.#targets.add(target);
    return target;
  }

  /** The target is gone: connects fail; connections to it stay until the test removes them. */
  removeTarget(target: FakeTarget): void {
    this.#targets.delete(target);
  }

  setOptions(...options: readonly string[]): void {
    this.#options = new Set(options);
  }

  supportedOptions(): Promise<FabricsOptions> {
    return Promise.resolve(this.#options);
  }

  connect(request: ConnectRequest): Promise<string> {
    if (this.#finishing) return Promise.reject(canceled());
    return this.connects.call(request);
  }

  async disconnect(expected: KernelController): Promise<void> {
    await this.disconnects.call(expected);
  }

  async register(device: string, host: HostIdentity): Promise<void> {
    if (this.#finishing) throw canceled();
    await this.registers.call({ device, host });
  }

  getDiscoveryLogSupport(device: string): Promise<DiscoveryLogSupport> {
    if (this.#finishing) return Promise.reject(canceled());
    return this.supports.call(device);
  }

  getDiscoveryLog(device: string, options: { readonly pleo: boolean }): Promise<RawDiscoveryLog> {
    if (this.#finishing) return Promise.reject(canceled());
    return this.logs.call({ device, pleo: options.pleo });
  }

  finish(): void {
    this.#finishing = true;
  }

  async idle(): Promise<void> {
    while (this.inFlight > 0) {
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
  }

  /** Calls that were made and have not been settled. */
  get inFlight(): number {
    const operations = [this.connects, this.disconnects, this.registers, this.supports, this.logs];
    return operations.reduce((sum, operation) => sum + operation.pending.length, 0);
  }

  #connect({ tid, host, discovery }: ConnectRequest): string {
    const target = this.#find(
      (fields) =>
        (fields.transport ?? 'tcp') === tid.transport &&
        fields.traddr === tid.traddr &&
        (fields.trsvcid ?? tid.trsvcid) === tid.trsvcid &&
        (fields.subsysnqn === tid.subsysnqn ||
          (fields.kind === 'discovery' && tid.subsysnqn === WELL_KNOWN_DISCOVERY_NQN)),
    );
    if (target === undefined) {
      throw new PortError(`nothing listens at ${tid.traddr}`, {
        code: 'ECONNREFUSED',
        errorClass: 'retry',
        errno: 111,
      });
    }
    const hostnqn = tid.hostNqn === '' ? host.hostnqn : tid.hostNqn;
    // Linux 6.5 and newer: one host ID for a host NQN, and one host NQN for a host ID.
    const { hostid } = host;
    const sameHost = (other: KernelController): boolean =>
      other.hostid === '' || (other.hostnqn === hostnqn) === (other.hostid === hostid);
    if (!this.#devices.controllers.every(sameHost)) {
      throw new PortError('the host NQN or ID is in use with another', {
        code: 'EINVAL',
        errorClass: 'retry',
        errno: 22,
      });
    }
    const connection = {
      transport: tid.transport,
      traddr: tid.traddr,
      trsvcid: tid.trsvcid,
      hostTraddr: tid.hostTraddr,
      hostIface: tid.hostIface,
      hostnqn,
      subsysnqn: target.fields.subsysnqn,
    };
    if (this.#devices.controllers.some((other) => isSameConnection(other, connection))) {
      throw new PortError(`already connected to ${tid.traddr}`, {
        code: 'EALREADY',
        errorClass: 'retry',
        errno: 114,
      });
    }
    const { device } = this.#devices.add({
      ...connection,
      srcAddr: tid.hostTraddr,
      hostid,
      cntrltype: discovery ? 'discovery' : 'io',
      dctype: target.fields.dctype ?? 'none',
      hasChildren: !discovery,
    });
    this.#devices.emit({ kind: 'nvme-event', device, event: 'connected' });
    return device;
  }

  #disconnect(expected: KernelController): undefined {
    const controller = this.#devices.get(expected.device);
    if (controller === undefined) return undefined;
    const { instance, subsysnqn } = expected;
    if (controller.instance !== instance || controller.subsysnqn !== subsysnqn) {
      throw new PortError(`${expected.device} is another connection now`, {
        code: 'DEVICE_CHANGED',
        errorClass: 'final',
      });
    }
    this.#devices.remove(expected.device);
    return undefined;
  }

  #register({ device, host }: RegisterRequest): undefined {
    const target = this.#targetOf(device);
    if (target.refusesRegistration) throw statusError(device);
    this.registrations.push({ subsysnqn: target.fields.subsysnqn, host });
    return undefined;
  }

  #support(device: string): DiscoveryLogSupport {
    const { support } = this.#targetOf(device);
    if (support === undefined) throw statusError(device);
    return support;
  }

  #targetOf(device: string): FakeTarget {
    const controller = this.#devices.get(device);
    if (controller === undefined) {
      throw new PortError(`there is no ${device}`, {
        code: 'ENODEV',
        errorClass: 'retry',
        errno: 19,
      });
    }
    const target = this.#find(
      (fields) =>
        (fields.transport ?? 'tcp') === controller.transport &&
        fields.traddr === controller.traddr &&
        (fields.trsvcid ?? controller.trsvcid) === controller.trsvcid &&
        fields.subsysnqn === controller.subsysnqn,
    );
    if (target === undefined || controller.state !== 'live') {
      throw new PortError(`${device} does not answer`, {
        code: 'EAGAIN',
        errorClass: 'retry',
        errno: 11,
      });
    }
    return target;
  }

  #find(matches: (fields: TargetFields) => boolean): FakeTarget | undefined {
    return [...this.#targets].find((target) => matches(target.fields));
  }
}

type Connection = Pick<
  KernelController,
  'transport' | 'traddr' | 'trsvcid' | 'hostTraddr' | 'hostIface' | 'hostnqn' | 'subsysnqn'
>;

function isSameConnection(a: Connection, b: Connection): boolean {
  return (
    a.transport === b.transport &&
    a.traddr === b.traddr &&
    a.trsvcid === b.trsvcid &&
    a.hostTraddr === b.hostTraddr &&
    a.hostIface === b.hostIface &&
    a.hostnqn === b.hostnqn &&
    a.subsysnqn === b.subsysnqn
  );
}

function statusError(device: string): PortError {
  return new PortError(`${device} refused the command`, {
    code: 'NVME_STATUS',
    errorClass: 'final',
    nvmeStatus: INVALID_FIELD,
  });
}
