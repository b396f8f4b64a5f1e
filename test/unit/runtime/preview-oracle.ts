/** Compares what a preview said with what the reload then did. */
import { changedOptions, mergeOptions } from '../../../src/config/connect-option.ts';
import type { PreviewedActions } from '../../../src/core/reload-preview.ts';
import type { KernelController } from '../../../src/nvme/kernel-controller.ts';
import { tidToDict } from '../../../src/nvme/transport-id.ts';
import type { ControllerRecord } from '../../../src/runtime/controller-set.ts';
import type { ServiceExtra, ServiceSettings } from '../../../src/runtime/service-core.ts';
import type { FakeClock } from '../../fakes/clock.ts';
import type { FakeDevices } from '../../fakes/devices.ts';
import type { FakeFabrics } from '../../fakes/fabrics.ts';
import type { FakeProber, FakeResolver, MemoryStateFile } from '../../fakes/host.ts';
import type { MemoryLog } from '../../fakes/log.ts';

/** A bench of either daemon. */
export interface PreviewedBench {
  readonly clock: FakeClock;
  readonly devices: FakeDevices;
  readonly fabrics: FakeFabrics;
  readonly lkcFile: MemoryStateFile;
  readonly log: MemoryLog;
  readonly prober: FakeProber;
  readonly resolver: FakeResolver;
  readonly service: {
    readonly settings: ServiceSettings;
    controllers(): readonly ControllerRecord<ServiceExtra>[];
    disposing(): readonly ControllerRecord<ServiceExtra>[];
  };
}

/** Everything that a preview must leave as it is. */
export function fingerprint(bench: PreviewedBench): unknown {
  const { clock, devices, fabrics, lkcFile, log, prober, resolver, service } = bench;
  const { connects, disconnects, logs, registers, supports } = fabrics;
  const calls = [connects, disconnects, logs, registers, supports, prober.probes, resolver.lookups];
  return {
    controllers: service.controllers().map(({ driver, extra, keptBecause, sources }) => ({
      ...{ tid: driver.tid, model: driver.model, extra, keptBecause, sources: [...sources] },
    })),
    disposing: service.disposing().map(({ driver }) => driver.tid),
    settings: service.settings,
    kernel: devices.controllers,
    calls: calls.map((operation) => operation.calls.length),
    file: lkcFile.text,
    lines: log.lines.length,
    timers: [clock.pendingTimers, clock.nextTimerIn],
  };
}

function sorted(list: readonly unknown[]): readonly string[] {
  return list.map((item) => JSON.stringify(item)).sort();
}

/** The connection that each controller holds, by its TID. */
export type Held = ReadonlyMap<string, KernelController | undefined>;

export function heldBy(bench: PreviewedBench): Held {
  return new Map(
    bench.service
      .controllers()
      .map(({ driver }) => [JSON.stringify(tidToDict(driver.tid)), driver.kernel]),
  );
}

function tidOf(controller: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(controller).filter(([field]) => field !== 'device'));
}

type Named = readonly { readonly controller: Readonly<Record<string, string>> }[];

function named(list: Named): readonly string[] {
  return sorted(list.map(({ controller }) => tidOf(controller)));
}

/** What happened between two looks at the controllers, in the form of what was said of it. */
export function happened(bench: PreviewedBench, before: Held, disconnects: number) {
  const held = heldBy(bench);
  const after = [...held.keys()].sort();
  // Names of devices are given again; instances are not.
  const left = new Set(
    [...before].flatMap(([tid, kernel]) => (held.has(tid) ? [] : (kernel?.instance ?? []))),
  );
  const { config } = bench.service.settings;
  return {
    added: after.filter((tid) => !before.has(tid)),
    // What one that went has held, and one that came holds.
    passedOn: sorted(
      [...held].flatMap(([tid, kernel]) =>
        before.has(tid) || kernel === undefined || !left.has(kernel.instance)
          ? []
          : [[JSON.parse(tid), kernel.device]],
      ),
    ),
    removed: [...before.keys()].filter((tid) => !held.has(tid)).sort(),
    stayed: after.filter((tid) => before.has(tid)),
    disconnected: bench.fabrics.disconnects.requests
      .slice(disconnects)
      .map(({ device }) => device)
      .sort(),
    options: sorted(
      bench.service.controllers().flatMap(({ driver, extra }) => {
        const tid = tidToDict(driver.tid);
        if (!before.has(JSON.stringify(tid))) return [];
        const words = changedOptions({}, mergeOptions(config.options, extra.options));
        return [[tid, Object.fromEntries(words.map(({ option, to }) => [option, to]))]];
      }),
    ),
  };
}

/**
 * What a preview said, in the form of what happens. A removal of another's connection is one, too.
 * `there`: the devices that the kernel has, whether or not the service knows.
 */
export function foretold(
  preview: PreviewedActions,
  before: Held,
  there: ReadonlySet<string | undefined>,
) {
  const { add, change, keep, remove } = preview;
  const own = remove.filter(({ controller }) => before.has(JSON.stringify(tidOf(controller))));
  const passedOn = change.flatMap(({ becomes, controller }) =>
    becomes === undefined ? [] : [{ controller, becomes }],
  );
  const stayed = [...keep, ...change.filter(({ becomes }) => becomes === undefined)];
  return {
    added: named([...add, ...passedOn.map(({ becomes }) => ({ controller: becomes }))]),
    passedOn: sorted(
      passedOn.flatMap(({ becomes, controller: { device } }) =>
        there.has(device) ? [[becomes, device]] : [],
      ),
    ),
    removed: named([...own, ...passedOn]),
    stayed: named(stayed),
    // Two that go may have one connection between them.
    disconnected: [
      ...new Set(
        remove
          .filter(({ connection }) => connection === 'disconnected')
          .map(({ controller }) => controller['device']),
      ),
    ].sort(),
    options: sorted(stayed.map(({ controller, options }) => [tidOf(controller), options])),
  };
}
