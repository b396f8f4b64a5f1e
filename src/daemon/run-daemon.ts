/**
 * What both daemons' main programs have in common: command line, checks before the start, adapters,
 * signals, watchdog, an orderly end.
 *
 * Invariants:
 * - a prerequisite that is missing is one line on standard error and exit status 78 (EX_CONFIG);
 * - the bus name is taken when what it offers can be asked: whoever sees the name sees the state;
 * - start, reloads and stop follow one another (lifecycle.ts); a second signal to stop changes
 *   nothing.
 */
import { existsSync } from 'node:fs';
import { createLibnvmeFabrics } from '../libnvme-ffi/adapter.ts';
import { AcpiTables } from '../platform/acpi-tables.ts';
import { SystemClock } from '../platform/clock.ts';
import { createSystemBus } from '../platform/dbus/system-bus.ts';
import { KernelDevices } from '../platform/devices.ts';
import { SystemBlockUses } from '../platform/block-use.ts';
import { SystemInterfaces } from '../platform/interfaces.ts';
import { createLog } from '../platform/journal.ts';
import { RtnetlinkNetwork } from '../platform/network.ts';
import { TcpProber } from '../platform/prober.ts';
import { SystemResolver } from '../platform/resolver.ts';
import { SystemdServiceManager } from '../platform/service-manager.ts';
import { DiskStateFile } from '../platform/state-file.ts';
import type { BlockUses } from '../ports/block-use.ts';
import type { BootFirmware } from '../ports/boot-firmware.ts';
import { BusError, type Bus, type ExportedObject } from '../ports/bus.ts';
import type { Devices } from '../ports/devices.ts';
import { StartupError, toPortError } from '../ports/errors.ts';
import type { Fabrics } from '../ports/fabrics.ts';
import type { Clock, Interfaces, Prober, Resolver, StateFile } from '../ports/host.ts';
import type { TraceableLog } from '../ports/log.ts';
import type { Network } from '../ports/network.ts';
import type { ProcessFacts } from '../runtime/process-info.ts';
import type { PresentFiles } from '../runtime/reload-preview.ts';
import { daemonCommand, type CommandLine, type DaemonName } from './command-line.ts';
import { IdleMemory, LOOK_SOON_MS } from './idle-memory.ts';
import { Lifecycle } from './lifecycle.ts';
import { SettingsReader, type Settings } from './settings.ts';
import { processUsage } from './usage.ts';

const EX_CONFIG = 78;
const EX_USAGE = 2;
const FABRICS_DEVICE = '/dev/nvme-fabrics';
const SYS_CONF = '/etc/stas/sys.conf';
/** How long commands to controllers may go on after the end was asked for. */
const PATIENCE_MS = 1_000;

/** The adapters, for a daemon to be built on. */
export interface DaemonParts {
  readonly blockUses: BlockUses;
  readonly bootFirmware: BootFirmware;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly devices: Devices;
  readonly fabrics: Fabrics;
  readonly facts: () => ProcessFacts;
  readonly interfaces: Interfaces;
  readonly lkcFile: StateFile;
  readonly log: TraceableLog;
  readonly network: Network;
  /** The files as they are now. Throws where a reload would be refused. */
  readonly present: () => PresentFiles;
  readonly prober: Prober;
  readonly random: () => number;
  readonly resolver: Resolver;
  readonly settings: Settings;
}

export interface Daemon {
  readonly object: ExportedObject;
  /** Before the bus name is taken. */
  start(): Promise<void>;
  reload(settings: Settings): void;
  stop(): Promise<void>;
}

export interface DaemonDefinition {
  readonly name: DaemonName;
  readonly busName: string;
  build(parts: DaemonParts): Daemon;
  /** Called when it has started, ends in order, or says what it lacks: what it was started from works. */
  works(): void;
}

/** Runs until a signal or the loss of the bus ends it; sets the exit status. */
export async function runDaemon(definition: DaemonDefinition): Promise<void> {
  const options = parseCommandLine(definition);
  if (options === undefined) {
    definition.works();
    return;
  }
  try {
    if (options.version) printVersion();
    else await run(definition, options);
  } catch (thrown) {
    const message = toPortError(thrown).message.split('\n', 1)[0] ?? '';
    process.stderr.write(`${definition.name}: ${message}\n`);
    const isPrerequisite = thrown instanceof StartupError;
    if (isPrerequisite) definition.works();
    process.exit(isPrerequisite ? EX_CONFIG : 1);
  }
}

function parseCommandLine({ name }: DaemonDefinition): CommandLine | undefined {
  try {
    return daemonCommand(name).exitOverride().parse().opts<CommandLine>();
  } catch (thrown) {
    // commander has printed what is wrong, or the help that was asked for.
    const helped = thrown instanceof Error && 'exitCode' in thrown && thrown.exitCode === 0;
    process.exitCode = helped ? 0 : EX_USAGE;
    return undefined;
  }
}

function printVersion(): void {
  let libnvme: string;
  try {
    libnvme = createLibnvmeFabrics({ log: silentLog(), clock: new SystemClock() }).libnvmeVersion;
  } catch {
    libnvme = 'not found';
  }
  process.stdout.write(`nvme-stas ${__VERSION__}\nlibnvme ${libnvme}\n`);
}

function silentLog(): TraceableLog {
  const nothing = (): void => undefined;
  return {
    error: nothing,
    warning: nothing,
    notice: nothing,
    info: nothing,
    debug: nothing,
    tracing: false,
    setTracing: nothing,
  };
}

/** What must be there before anything is begun; one line each for what is not. */
function checkHost(name: string): void {
  if (process.geteuid?.() !== 0) {
    throw new StartupError(`must be run as root: use 'systemctl start ${name}' or sudo`);
  }
  if (!existsSync(FABRICS_DEVICE)) {
    throw new StartupError(
      `${FABRICS_DEVICE} is missing: this kernel has no NVMe over Fabrics, or its module is not loaded (try 'modprobe nvme-tcp')`,
    );
  }
}

async function run(definition: DaemonDefinition, options: CommandLine): Promise<void> {
  const { name } = definition;
  checkHost(name);
  if (!existsSync(options.confFile) && options.confFile !== `/etc/stas/${name}.conf`) {
    throw new StartupError(`there is no configuration file ${options.confFile}`);
  }
  const log = createLog({ identifier: name, syslog: options.syslog, tracing: options.tron });
  const reader = new SettingsReader({
    daemon: name,
    confFile: options.confFile,
    sysConfFile: SYS_CONF,
  });
  const settings = reader.read(log);
  const applyTracing = (tron: boolean): void => {
    log.setTracing(options.tron || tron);
  };
  applyTracing(settings.config.tron);

  const clock = new SystemClock();
  const fabrics = createLibnvmeFabrics({ log, clock });
  const manager = new SystemdServiceManager({ log });
  // Reading them takes the kernel's connect lock, which a dead address may hold for a while.
  let fabricsOptions: ReadonlySet<string> = new Set();
  fabrics.supportedOptions().then(
    (options) => {
      fabricsOptions = options;
    },
    (thrown: unknown) => {
      log.warning(`Cannot read what the kernel supports: ${toPortError(thrown).message}`);
    },
  );
  const bus = await createSystemBus({ log }).catch((thrown: unknown) => {
    throw new StartupError(`cannot reach the system bus: ${toPortError(thrown).message}`);
  });
  const lkcPath = `${runtimeDirectory(name)}/last-known-config.json`;
  const daemon = definition.build({
    bus,
    clock,
    bootFirmware: new AcpiTables(),
    devices: new KernelDevices({ log }),
    fabrics,
    facts: () => ({
      lkcPath,
      usage: processUsage,
      fabricsOptions,
      version: __VERSION__,
      libnvmeVersion: fabrics.libnvmeVersion,
    }),
    blockUses: new SystemBlockUses(),
    interfaces: new SystemInterfaces(),
    lkcFile: new DiskStateFile(lkcPath),
    log,
    network: new RtnetlinkNetwork({ log }),
    present: () => {
      const found = reader.peek();
      return { ...found, tracing: options.tron || found.settings.config.tron };
    },
    prober: new TcpProber({ log }),
    random: Math.random,
    resolver: new SystemResolver(),
    settings,
  });

  // Before the start, which may already have something to signal; nobody asks before the name is
  // taken.
  const published = bus.export(daemon.object);

  const lifecycle = new Lifecycle({
    start: () => daemon.start(),
    reload: () => {
      manager.reloading();
      try {
        const fresh = reader.read(log);
        applyTracing(fresh.config.tron);
        published.propertiesChanged();
        daemon.reload(fresh);
        log.info('Configuration reloaded');
      } catch (thrown) {
        log.error(`The configuration stays as it was: ${toPortError(thrown).message}`);
      }
      manager.ready('');
    },
    stop: async () => {
      // A discovery controller that does not answer must not hold up the end.
      clock.setTimer(PATIENCE_MS, () => {
        fabrics.finish();
      });
      await daemon.stop();
      fabrics.finish();
      await fabrics.idle();
    },
  });
  let signalled = false;
  const stop = (why: string, status: number): void => {
    if (signalled) return;
    signalled = true;
    log.info(`${name} is stopping: ${why}`);
    manager.stopping();
    lifecycle.stop().then(
      () => {
        definition.works();
        bus.close();
        process.exit(status);
      },
      (thrown: unknown) => {
        log.error(`${name} did not stop in order: ${toPortError(thrown).message}`);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', () => {
    stop('SIGTERM', 0);
  });
  process.on('SIGINT', () => {
    stop('SIGINT', 0);
  });
  process.on('SIGHUP', () => {
    lifecycle.reload();
  });
  process.on('unhandledRejection', (thrown) => {
    log.error(`Internal error: ${describe(thrown)}`);
  });
  process.on('uncaughtException', (thrown) => {
    // Connections outlive the daemon; the service manager starts it again.
    log.error(`Internal error, ending: ${describe(thrown)}`);
    process.exit(1);
  });
  bus.onLost((why) => {
    log.error(`The connection to the system bus is lost: ${why}`);
    // Without it nobody can be told anything; connections stay, whatever the configuration says.
    process.exit(1);
  });

  if (!(await lifecycle.start())) return;
  // Before the name, with which the service manager takes it for started.
  definition.works();
  try {
    await bus.requestName(definition.busName);
  } catch (thrown) {
    if (!(thrown instanceof BusError)) throw thrown;
    throw new StartupError(`cannot take the bus name ${definition.busName}: ${thrown.message}`);
  }
  const memory = new IdleMemory();
  const look = (): void => {
    setTimeout(look, memory.look());
  };
  setTimeout(look, LOOK_SOON_MS);
  if (manager.watchdogInterval !== undefined) {
    setInterval(() => {
      manager.watchdog();
    }, manager.watchdogInterval);
  }
  manager.ready('');
  log.info(`${name} ${__VERSION__} started (libnvme ${fabrics.libnvmeVersion})`);
}

function runtimeDirectory(name: string): string {
  const given = process.env['RUNTIME_DIRECTORY']?.split(':', 1)[0];
  return given === undefined || given === '' ? `/run/${name}` : given;
}

function describe(thrown: unknown): string {
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
}
