/** Runs a command against a stand-in daemon on the fake bus. */
import { vi } from 'vitest';
import type { KernelView } from '../../../src/ctl/kernel-view.ts';
import { runCtl } from '../../../src/ctl/run.ts';
import type { Screen } from '../../../src/ctl/text.ts';
import type { Tool } from '../../../src/ctl/tools.ts';
import type { Bus } from '../../../src/ports/bus.ts';
import { PortError } from '../../../src/ports/errors.ts';
import type { Size } from '../../../src/ctl/watch/stage.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { FakeBusDaemon, type FakeBus } from '../../fakes/fake-bus.ts';
import { standIn } from './stand-in.ts';
import type { Dictionary, StandInController, StandInState } from './stand-in.ts';

export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export const pipe: Screen = { colour: false, width: undefined };

export interface RunOptions {
  /** No daemon runs if absent, and none is published. */
  readonly state?: StandInState;
  /** Puts a daemon on the bus. */
  readonly publish?: (bus: Bus) => Promise<void>;
  /** Its own if absent. */
  readonly clock?: FakeClock;
  readonly screen?: Screen;
  readonly openBus?: () => Promise<Bus>;
  /** Nothing is connected if absent. */
  readonly kernel?: KernelView | PortError;
  /** What happens during a watch, which is ended after it. */
  readonly meanwhile?: (world: WatchWorld) => Promise<void>;
  /** A terminal to watch on. */
  readonly size?: Size;
}

/** What a test does to a watch. */
export interface WatchWorld {
  readonly clock: FakeClock;
  readonly daemon: FakeBusDaemon;
  /** The connection that the daemon is on. */
  readonly bus: FakeBus;
  /** Printed so far. */
  readonly printed: () => string;
  /** The daemon tells that controllers have changed; resolves when that was seen. */
  changed(): Promise<void>;
  resize(size: Size): Promise<void>;
  suspend(): Promise<void>;
  /** The process ends, though nobody has ended the watch. */
  exit(): void;
}

const NO_CONNECTIONS: KernelView = { controllers: [], uses: new Map(), bytes: new Map() };

export async function run(tool: Tool, args: readonly string[], options: RunOptions = {}) {
  const { clock = new FakeClock() } = options;
  const daemon = new FakeBusDaemon();
  const standInBus = daemon.connect();
  if (options.state !== undefined) await standIn(standInBus, tool, options.state);
  await options.publish?.(standInBus);
  let [stdout, stderr] = ['', ''];
  let { size } = options;
  const listeners: Record<'end' | 'exit' | 'resize' | 'suspend', () => void> = {
    end: () => undefined,
    exit: () => undefined,
    resize: () => undefined,
    suspend: () => undefined,
  };
  const world: WatchWorld = {
    ...{ clock, daemon, bus: standInBus, printed: () => stdout },
    changed: async () => {
      standInBus.emitSignal(tool.path, tool.v1Interface, 'controllers_changed', []);
      await clock.advance(0);
    },
    resize: async (other) => {
      size = other;
      listeners.resize();
      await clock.advance(0);
    },
    suspend: async () => {
      listeners.suspend();
      await clock.advance(0);
    },
    exit: () => {
      listeners.exit();
    },
  };
  const running = runCtl(tool, {
    args,
    version: '1.2.3',
    screen: options.screen ?? pipe,
    stdout: (text) => void (stdout += text),
    stderr: (text) => void (stderr += text),
    kernelView: () => {
      const { kernel = NO_CONNECTIONS } = options;
      return kernel instanceof PortError ? Promise.reject(kernel) : Promise.resolve(kernel);
    },
    openBus: options.openBus ?? (() => Promise.resolve(daemon.connect())),
    stage: () =>
      Promise.resolve({
        clock,
        size: () => size,
        onResize: (listener) => void (listeners.resize = listener),
        onSuspend: (listener) => void (listeners.suspend = listener),
        onExit: (listener) => void (listeners.exit = listener),
        onEnd: (listener) => void (listeners.end = listener),
      }),
  });
  if (args.includes('watch')) {
    await vi.dynamicImportSettled();
    await clock.advance(0);
    await options.meanwhile?.(world);
    listeners.end();
  }
  const status = await running;
  return { status, stdout, stderr } satisfies Outcome;
}

export const HOST_NQN = 'nqn.2014-08.org.nvmexpress:uuid:f2782346-4809-484a-9a8b-952a04b57ba4';

/** A controller's dictionary with what a test says, and plausible values for the rest. */
export function controller(
  plain: Dictionary,
  rest: Omit<StandInController, 'plain'> = {},
): StandInController {
  return {
    plain: {
      transport: 'tcp',
      traddr: '192.168.1.10',
      trsvcid: '8009',
      subsysnqn: 'nqn.2014-08.org.nvmexpress.discovery',
      'host-traddr': '',
      'host-iface': '',
      'host-nqn': HOST_NQN,
      device: 'nvme0',
      ...plain,
    },
    details: { connected: 'True', 'retry connect timer': '60.0s [off]' },
    ...rest,
  };
}

export function entry(fields: Dictionary): Dictionary {
  return {
    trtype: 'tcp',
    adrfam: 'ipv4',
    traddr: '192.168.1.20',
    trsvcid: '4420',
    subnqn: 'nqn.2014-08.org.example:subsystem1',
    subtype: 'nvme',
    treq: 'not specified',
    portid: '1',
    cntlid: '65535',
    asqsz: '128',
    eflags: 'none',
    ...fields,
  };
}

export function state(
  controllers: readonly StandInController[],
  processInfo: Readonly<Record<string, unknown>> = { tron: false, 'log-level': 'INFO' },
): StandInState {
  return { controllers, processInfo, tron: false };
}
