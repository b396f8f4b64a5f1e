/** Joins a command to the process that it runs in. */
import type { SystemBus } from '../platform/dbus/system-bus.ts';
import { runCtl } from './run.ts';
import type { Screen } from './text.ts';
import type { Tool } from './tools.ts';

function screenOf(stream: NodeJS.WriteStream): Screen {
  if (!stream.isTTY) return { colour: false, width: undefined };
  const { NO_COLOR, TERM } = process.env;
  const colour = (NO_COLOR === undefined || NO_COLOR === '') && TERM !== 'dumb';
  return { colour, width: stream.columns > 0 ? stream.columns : 80 };
}

async function openBus(): Promise<SystemBus> {
  // Loaded only when needed: `--help` and mistakes must not wait for the D-Bus library.
  const { createSystemBus } = await import('../platform/dbus/system-bus.ts');
  return createSystemBus();
}

/** Runs the command of this process and sets its exit status. */
export async function main(tool: Tool): Promise<void> {
  const { stdout, stderr } = process;
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    // `stafctl ls | head` closes the pipe early: that is no failure of the command.
    if (error.code === 'EPIPE') return;
    process.exitCode = 1;
    stderr.write(`${tool.name}: cannot write the output: ${error.message}\n`);
  });
  const status = await runCtl(tool, {
    args: process.argv.slice(2),
    version: __VERSION__,
    screen: screenOf(stdout),
    stdout: (text) => void stdout.write(text),
    stderr: (text) => void stderr.write(text),
    openBus,
  });
  process.exitCode ??= status;
}
