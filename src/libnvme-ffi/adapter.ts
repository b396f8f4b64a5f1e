/**
 * The fabrics port on libnvme. Wires the parts of this folder together; no handle of C leaves it.
 *
 * Invariants:
 * - each operation goes through the gate as one call and holds its place until it has ended;
 * - each connect and registration has a libnvme root of its own: calls share nothing in C.
 */
import { readFile } from 'node:fs/promises';
import { release } from 'node:os';
import type { KernelController } from '../ports/devices.ts';
import { PortError, StartupError } from '../ports/errors.ts';
import type {
  ConnectRequest,
  DiscoveryLogSupport,
  Fabrics,
  FabricsOptions,
  HostIdentity,
  RawDiscoveryLog,
} from '../ports/fabrics.ts';
import type { Clock } from '../ports/host.ts';
import type { Log } from '../ports/log.ts';
import { CallGate, finishing, laneLimits, threadPoolSize } from './call-gate.ts';
import type { OverdueCall } from './call-gate.ts';
import { planConnect } from './connect-plan.ts';
import { connectController, noFabrics } from './connect.ts';
import type { NativeApi } from './connect.ts';
import { disconnectController } from './disconnect.ts';
import { fsError } from './errors.ts';
import { optionsOfKernel, parseFabricsOptions } from './fabrics-options.ts';
import { loadLibc } from './libc.ts';
import { loadLibnvme } from './libnvme.ts';
import {
  LOG_DEADLINE_MS,
  readDiscoveryLog,
  readDiscoveryLogSupport,
  withLogReader,
} from './log-page.ts';
import type { LogReader } from './log-page.ts';
import { configureStacks } from './native.ts';
import { registerHost } from './register.ts';

export interface LibnvmeFabricsDeps {
  readonly log: Log;
  readonly clock: Pick<Clock, 'now' | 'setTimer'>;
  /** UV_THREADPOOL_SIZE as the process was started with; `process.env` unless given. */
  readonly threadPoolSize?: string;
}

/** Milliseconds after which a call is reported as overdue. */
const DEADLINE_MS = {
  // One dead address takes the kernel 3 s and more, and others may be before this one.
  connect: 30_000,
  disconnect: 30_000,
  register: 60_000,
  look: 10_000,
} as const;

/**
 * Loads libnvme and makes the port. Has to come before anything else loads a library by koffi.
 *
 * @throws StartupError with one line if libnvme.so.1 cannot be loaded or used.
 */
export function createLibnvmeFabrics(deps: LibnvmeFabricsDeps): Fabrics {
  const { log } = deps;
  const poolSize = threadPoolSize(deps.threadPoolSize ?? process.env['UV_THREADPOOL_SIZE']);
  if (!prepareCalls(poolSize)) {
    log.warning('koffi was in use before libnvme was loaded: its calls have small stacks');
  }
  const libnvme = loadLibnvme(log);
  return new LibnvmeFabrics({ libnvme, libc: loadLibc() }, poolSize, deps);
}

function prepareCalls(poolSize: number): boolean {
  try {
    return configureStacks(poolSize);
  } catch (cause) {
    const why = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
    throw new StartupError(`cannot load koffi, by which libnvme is called: ${why}`);
  }
}

class LibnvmeFabrics implements Fabrics {
  readonly libnvmeVersion: string;
  readonly #api: NativeApi;
  readonly #log: Log;
  readonly #clock: Pick<Clock, 'now' | 'setTimer'>;
  readonly #gate: CallGate;
  /** Options that were asked for in vain: each is told once. */
  readonly #droppedOptions = new Set<string>();
  #options: FabricsOptions | undefined;
  #readingOptions: Promise<FabricsOptions> | undefined;

  constructor(api: NativeApi, poolSize: number, { log, clock }: LibnvmeFabricsDeps) {
    this.libnvmeVersion = api.libnvme.version;
    this.#api = api;
    this.#log = log;
    this.#clock = clock;
    this.#gate = new CallGate({
      clock,
      limits: laneLimits(poolSize),
      onOverdue: (call) => this.#reportOverdue(call),
    });
  }

  async supportedOptions(): Promise<FabricsOptions> {
    if (this.#options !== undefined) return this.#options;
    // One reader for all who ask: it waits for the kernel's connect lock, in a thread.
    this.#readingOptions ??= this.#gate
      .run(
        { lane: 'admin', name: 'read /dev/nvme-fabrics', deadlineMs: DEADLINE_MS.look },
        readSupportedOptions,
      )
      .finally(() => {
        this.#readingOptions = undefined;
      });
    this.#options = await this.#readingOptions;
    return this.#options;
  }

  async connect(request: ConnectRequest): Promise<string> {
    const plan = planConnect(request, await this.supportedOptions());
    this.#reportDropped(plan.dropped);
    const { subsysnqn, transport, traddr, trsvcid } = request.tid;
    return this.#gate.run(
      {
        lane: 'connect',
        name: `connect to ${transport} ${traddr} ${trsvcid}`,
        fields: { NVME_TRADDR: traddr, NVME_TRSVCID: trsvcid, NVME_SUBSYSNQN: subsysnqn },
        deadlineMs: DEADLINE_MS.connect,
      },
      () => connectController(this.#api, plan),
    );
  }

  disconnect(expected: KernelController): Promise<void> {
    return this.#gate.run(
      {
        lane: 'disconnect',
        name: `disconnect ${expected.device}`,
        fields: {
          NVME_DEVICE: expected.device,
          NVME_TRADDR: expected.traddr,
          NVME_TRSVCID: expected.trsvcid,
          NVME_SUBSYSNQN: expected.subsysnqn,
        },
        deadlineMs: DEADLINE_MS.disconnect,
      },
      () => disconnectController(expected),
    );
  }

  register(device: string, host: HostIdentity): Promise<void> {
    return this.#gate.run(
      { lane: 'admin', name: `register with ${device}`, deadlineMs: DEADLINE_MS.register },
      () => registerHost(this.#api, device, host.symname),
    );
  }

  getDiscoveryLogSupport(device: string): Promise<DiscoveryLogSupport> {
    const doing = `read what ${device} supports`;
    return this.#readLog(device, doing, (read) => readDiscoveryLogSupport(read, doing));
  }

  getDiscoveryLog(device: string, options: { readonly pleo: boolean }): Promise<RawDiscoveryLog> {
    const doing = `read the discovery log of ${device}`;
    return this.#readLog(device, doing, (read) => {
      const end = this.#clock.now() + LOG_DEADLINE_MS;
      const checkTime = (): void => {
        if (this.#gate.finishing) throw finishing(doing);
        if (this.#clock.now() <= end) return;
        throw new PortError(`${doing}: it takes more than ${LOG_DEADLINE_MS / 1000} s`, {
          code: 'ETIMEDOUT',
          errorClass: 'retry',
        });
      };
      return readDiscoveryLog(read, { doing, pleo: options.pleo, checkTime });
    });
  }

  finish(): void {
    this.#gate.finish();
  }

  idle(): Promise<void> {
    return this.#gate.idle();
  }

  #readLog<T>(
    device: string,
    doing: string,
    operation: (read: LogReader) => Promise<T>,
  ): Promise<T> {
    const { libnvme, libc } = this.#api;
    return this.#gate.run({ lane: 'admin', name: doing, deadlineMs: LOG_DEADLINE_MS }, () =>
      withLogReader(libnvme, libc, device, doing, operation),
    );
  }

  #reportOverdue({ fields, name, runningMs, ended }: OverdueCall): void {
    const seconds = Math.round(runningMs / 1000);
    if (ended) this.#log.notice(`${name}: ended after ${seconds} s`, fields);
    else {
      const text = `${name}: has not ended after ${seconds} s and cannot be cancelled`;
      this.#log.warning(text, fields);
    }
  }

  #reportDropped(names: readonly string[]): void {
    for (const name of names) {
      if (this.#droppedOptions.has(name)) continue;
      this.#droppedOptions.add(name);
      this.#log.notice(
        `option ${name}: left out where the kernel or the connection does not take it`,
      );
    }
  }
}

const FABRICS_DEVICE = '/dev/nvme-fabrics';

/** Asks the kernel, or, before Linux 5.17, where reading is EINVAL, goes by its version. */
async function readSupportedOptions(): Promise<FabricsOptions> {
  try {
    const options = parseFabricsOptions(await readFile(FABRICS_DEVICE, 'latin1'));
    return options.size > 0 ? options : optionsOfKernel(release());
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EINVAL') return optionsOfKernel(release());
    if (code === 'ENOENT' || code === 'ENODEV' || code === 'ENXIO') throw noFabrics();
    throw fsError(`read ${FABRICS_DEVICE}`, error);
  }
}
