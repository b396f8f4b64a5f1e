/** Fakes of the host: name resolution, interfaces, probe, state file, service manager. */
import { isIP } from 'node:net';
import type { ProbeMode } from '../../src/nvme/connect-options.ts';
import type { TransportId } from '../../src/nvme/transport-id.ts';
import type { BootFirmware, BootTableFile } from '../../src/ports/boot-firmware.ts';
import { PortError } from '../../src/ports/errors.ts';
import type {
  InterfaceAddress,
  Interfaces,
  Prober,
  ProbeResult,
  Resolver,
  ServiceManager,
  StateFile,
} from '../../src/ports/host.ts';
import { ScriptedOperation } from './scripted.ts';

/** Knows addresses, and the names that were set; every other one fails with ENOTFOUND. */
export class FakeResolver implements Resolver {
  readonly #names = new Map<string, readonly string[]>();

  readonly lookups = new ScriptedOperation<string, readonly string[]>((name) => {
    if (isIP(name) !== 0) return [name];
    const addresses = this.#names.get(name);
    if (addresses === undefined) {
      throw new PortError(`cannot resolve ${name}: ENOTFOUND`, {
        code: 'ENOTFOUND',
        errorClass: 'retry',
      });
    }
    return addresses;
  });

  resolve(name: string): Promise<readonly string[]> {
    return this.lookups.call(name);
  }

  /** Addresses in the order in which they are to be returned; none makes the name unknown. */
  set(name: string, ...addresses: readonly string[]): void {
    if (addresses.length === 0) this.#names.delete(name);
    else this.#names.set(name, addresses);
  }
}

export class FakeInterfaces implements Interfaces {
  #addresses: readonly InterfaceAddress[];
  /** VLAN identifiers by the interface's name. */
  readonly vlans = new Map<string, number>();

  constructor(...addresses: readonly InterfaceAddress[]) {
    this.#addresses = addresses;
  }

  list(): readonly InterfaceAddress[] {
    return this.#addresses;
  }

  set(...addresses: readonly InterfaceAddress[]): void {
    this.#addresses = addresses;
  }

  vlanOf(name: string): number {
    return this.vlans.get(name) ?? 0;
  }
}

export interface ProbeRequest {
  readonly tid: TransportId;
  readonly mode: ProbeMode;
}

const REACHABLE: ProbeResult = { kind: 'reachable' };

/** Everything is reachable except what the test takes away. */
export class FakeProber implements Prober {
  readonly #unreachable = new Map<string, PortError>();

  readonly probes = new ScriptedOperation<ProbeRequest, ProbeResult>(({ tid, mode }) => {
    const error = this.#unreachable.get(addressKey(tid.traddr, tid.trsvcid));
    return tid.transport !== 'tcp' || mode === 'disabled' || error === undefined
      ? REACHABLE
      : { kind: 'unreachable', error };
  });

  async probe(tid: TransportId, mode: ProbeMode, signal?: AbortSignal): Promise<ProbeResult> {
    if (signal?.aborted === true) return aborted();
    const answer = this.probes.call({ tid, mode });
    if (signal === undefined) return answer;
    let onAbort = (): void => undefined;
    const whenAborted = new Promise<ProbeResult>((resolve) => {
      onAbort = () => {
        resolve(aborted());
      };
    });
    signal.addEventListener('abort', onAbort);
    try {
      return await Promise.race([answer, whenAborted]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** The address stops answering; `code` is an errno name. */
  setUnreachable(
    traddr: string,
    trsvcid: string,
    code = 'ETIMEDOUT',
    message = `${traddr}:${trsvcid} does not answer`,
  ): void {
    const error = new PortError(message, { code, errorClass: 'retry' });
    this.#unreachable.set(addressKey(traddr, trsvcid), error);
  }

  setReachable(traddr: string, trsvcid: string): void {
    this.#unreachable.delete(addressKey(traddr, trsvcid));
  }
}

function addressKey(traddr: string, trsvcid: string): string {
  return JSON.stringify([traddr, trsvcid]);
}

function aborted(): ProbeResult {
  const error = new PortError('the probe was cancelled', { code: 'ABORTED', errorClass: 'retry' });
  return { kind: 'unreachable', error };
}

/** A state file in memory, with what was set aside. */
export class MemoryStateFile implements StateFile {
  /** What the file holds now; undefined: there is none. */
  text: string | undefined;
  /** The damaged texts, oldest first. */
  readonly setAsides: string[] = [];

  readonly reads = new ScriptedOperation<undefined, string | undefined>(() => this.text);
  readonly writes = new ScriptedOperation<string, undefined>((text) => {
    this.text = text;
    return undefined;
  });

  constructor(text?: string) {
    this.text = text;
  }

  read(): Promise<string | undefined> {
    return this.reads.call(undefined);
  }

  async write(text: string): Promise<void> {
    await this.writes.call(text);
  }

  setAside(): Promise<string> {
    if (this.text === undefined) {
      const details = { code: 'ENOENT', errorClass: 'final' } as const;
      return Promise.reject(new PortError('there is no state file', details));
    }
    this.setAsides.push(this.text);
    this.text = undefined;
    return Promise.resolve(`/memory/state.json.damaged-${this.setAsides.length}`);
  }
}

/** The boot firmware tables that were set; an error stands for one that cannot be read. */
export class FakeBootFirmware implements BootFirmware {
  readonly #files = new Map<string, Uint8Array | PortError>();
  /** Set: whether there are tables cannot be told. */
  failure: PortError | undefined;

  bootTables(): readonly BootTableFile[] {
    if (this.failure !== undefined) throw this.failure;
    return [...this.#files]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, content]) =>
        content instanceof PortError ? { name, error: content } : { name, bytes: content },
      );
  }

  set(name: string, content: Uint8Array | PortError): void {
    this.#files.set(name, content);
  }
}

/** Remembers what the service manager was told, as lines `READY status`, `WATCHDOG`, … */
export class FakeServiceManager implements ServiceManager {
  readonly told: string[] = [];
  readonly watchdogInterval: number | undefined;

  constructor(watchdogInterval?: number) {
    this.watchdogInterval = watchdogInterval;
  }

  ready(status: string): void {
    this.told.push(`READY ${status}`);
  }

  reloading(): void {
    this.told.push('RELOADING');
  }

  stopping(): void {
    this.told.push('STOPPING');
  }

  status(text: string): void {
    this.told.push(`STATUS ${text}`);
  }

  watchdog(): void {
    this.told.push('WATCHDOG');
  }
}
