/** What both daemons' bus objects have in common: process_info, tracing, the seven TID strings. */
import { makeTid, printTid, TRANSPORTS, type TransportId } from '../nvme/transport-id.ts';
import type { BusProperty } from '../ports/bus.ts';
import type { HostIdentity } from '../ports/fabrics.ts';
import type { Log, TraceableLog } from '../ports/log.ts';
import type { ControllerRecord } from './controller-set.ts';
import { stateText, timerText, word } from './describe.ts';

/** What the process has used since it was started. */
export interface ProcessUsage {
  /** Seconds since 1970. */
  readonly startedAt: number;
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly heapUsedBytes: number;
}

export interface ProcessFacts {
  readonly lkcPath: string;
  readonly usage: () => ProcessUsage;
  /** Options that the fabrics device of this kernel knows. */
  readonly fabricsOptions: ReadonlySet<string>;
  readonly version: string;
  readonly libnvmeVersion: string;
}

/** JSON keys as nvme-stas 2.4.1 has them; whether a key is set is shown, never the key. */
export function processInfo(
  facts: ProcessFacts,
  log: Log,
  host: HostIdentity,
  disposing: readonly ControllerRecord<unknown>[],
): Record<string, unknown> {
  const info: Record<string, unknown> = {
    tron: log.tracing,
    'log-level': logLevel(log),
    hostnqn: host.hostnqn,
    hostid: host.hostid,
    hostkey: host.key === undefined ? null : '********',
    symname: host.symname ?? null,
    'last known config file': facts.lkcPath,
    'config soak timer': timerText(100, undefined),
    'kernel support.TP8013': word(facts.fabricsOptions.has('discovery')),
    'kernel support.host_iface': word(facts.fabricsOptions.has('host_iface')),
    'terminator.audit timer': timerText(30_000, undefined),
    version: facts.version,
    'libnvme version': facts.libnvmeVersion,
  };
  for (const { driver } of disposing) {
    info[`terminator.controller.${printTid(driver.tid)}`] = stateText(driver.model);
  }
  return info;
}

function logLevel(log: Log): string {
  return log.tracing ? 'DEBUG' : 'INFO';
}

/** The properties `tron` and `log_level` of a debug interface. */
export function debugProperties(
  interfaceName: string,
  log: TraceableLog,
): Readonly<Record<string, BusProperty>> {
  return {
    [`${interfaceName}.tron`]: {
      get: () => log.tracing,
      set: (on: boolean) => {
        log.setTracing(on);
      },
    },
    [`${interfaceName}.log_level`]: { get: () => logLevel(log) },
  };
}

/** Transport, traddr, trsvcid, subsysnqn, host-traddr, host-iface, host-nqn. */
export type TidStrings = readonly [string, string, string, string, string, string, string];

/**
 * The TID of the seven strings of a method call, or undefined if they name none. An empty host NQN
 * stands for the host's own.
 */
export function tidOfStrings(strings: TidStrings, host: HostIdentity): TransportId | undefined {
  const [name, traddr, trsvcid, subsysnqn, hostTraddr, hostIface, ownNqn] = strings;
  const transport = TRANSPORTS.find((candidate) => candidate === name);
  if (transport === undefined) return undefined;
  const hostNqn = ownNqn === '' ? host.hostnqn : ownNqn;
  return makeTid({ transport, traddr, trsvcid, subsysnqn, hostTraddr, hostIface, hostNqn });
}
