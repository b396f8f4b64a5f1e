/** Joins a command to the process that it runs in. */
import { reportBrokenOutput } from '../platform/broken-output.ts';
import { kernelView, openBus, screenOf, stage } from './process.ts';
import { runCtl } from './run.ts';
import type { Tool } from './tools.ts';

/** Runs the command of this process and sets its exit status. */
export async function main(tool: Tool): Promise<void> {
  const { stdout, stderr } = process;
  reportBrokenOutput(tool.name);
  const status = await runCtl(tool, {
    args: process.argv.slice(2),
    version: __VERSION__,
    screen: screenOf(stdout),
    stdout: (text) => void stdout.write(text),
    stderr: (text) => void stderr.write(text),
    openBus,
    stage,
    kernelView,
  });
  process.exitCode ??= status;
}
