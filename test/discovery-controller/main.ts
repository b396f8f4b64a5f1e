/**
 * The program: `main.ts --config FILE.json --control PATH`. Prints one line of JSON on stdout when
 * every controller listens and the control socket is open: {"ready": true, "controllers": […]}.
 * SIGTERM, SIGINT and the control operation `shutdown` end it with exit code 0; a wrong command
 * line with 2, a configuration that cannot be used with 1 and one line on stderr.
 */
import { readFileSync, rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { openControlSocket } from './control-server.ts';
import { SimulatedControllers } from './server.ts';
import { readConfig } from './settings.ts';
import { realTimers } from './timers.ts';

async function run(config: string, control: string): Promise<void> {
  const timers = realTimers();
  const controllers = new SimulatedControllers(timers);
  const parsed: unknown = JSON.parse(readFileSync(config, 'utf8'));
  for (const one of readConfig(parsed)) await controllers.add(one);

  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    // Lets the reply to `shutdown` out.
    setImmediate(() => {
      controllers.close();
      rmSync(control, { force: true });
      process.exit(0);
    });
  };
  await openControlSocket(control, { controllers, timers, shutdown: stop });
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  const listening = controllers.all.map(({ controller, listeners }) => ({
    name: controller.name,
    listen: listeners.map(({ listen, port }) => ({ address: listen.address, port })),
  }));
  process.stdout.write(`${JSON.stringify({ ready: true, controllers: listening })}\n`);
}

function usage(): never {
  process.stderr.write('usage: discovery-controller --config FILE.json --control PATH\n');
  process.exit(2);
}

function readArguments(): { config: string; control: string } {
  try {
    const { values } = parseArgs({
      options: { config: { type: 'string' }, control: { type: 'string' } },
    });
    if (values.config !== undefined && values.control !== undefined) {
      return { config: values.config, control: values.control };
    }
  } catch {
    // An unknown option: the usage says what there is.
  }
  return usage();
}

const { config, control } = readArguments();
run(config, control).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
