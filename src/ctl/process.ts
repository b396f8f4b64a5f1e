/** The process that a command runs in: its terminal, its output, the bus. */
import type { SystemBus } from '../platform/dbus/system-bus.ts';
import type { KernelView } from './kernel-view.ts';
import type { Screen } from './text.ts';
import type { Stage } from './watch/stage.ts';

/**
 * How to print to a stream. NO_COLOR counts if it is set to anything (https://no-color.org: an empty
 * one does not).
 */
export function screenOf(
  stream: Pick<NodeJS.WriteStream, 'isTTY' | 'columns'>,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Screen {
  if (!stream.isTTY) return { colour: false, width: undefined };
  const { NO_COLOR, TERM } = env;
  const colour = (NO_COLOR === undefined || NO_COLOR === '') && TERM !== 'dumb';
  return { colour, width: stream.columns > 0 ? stream.columns : 80 };
}

/** Rejects with PortError. */
export async function kernelView(): Promise<KernelView> {
  const { readKernelView } = await import('./kernel-view.ts');
  return readKernelView();
}

/** The system bus. Rejects with BusError. */
export async function openBus(): Promise<SystemBus> {
  // Loaded only when needed: `--help` and mistakes must not wait for the D-Bus library.
  const { createSystemBus } = await import('../platform/dbus/system-bus.ts');
  return createSystemBus();
}

/** The terminal, the signals and the time of this process. */
export async function stage(): Promise<Stage> {
  const { processStage } = await import('./watch/stage.ts');
  return processStage();
}
