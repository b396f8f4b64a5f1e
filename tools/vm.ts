/**
 * A virtual machine to try things in: the package installed, two real NVMe targets, a simulated
 * discovery controller.
 *
 *   npm run vm                            a root shell in it
 *   npm run vm -- --exec 'stafctl ls'     one command; exits with its status
 */
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { applyTargets } from '../test/targets/host.ts';
import { type TargetDocument, targetSpec } from '../test/targets/spec.ts';
import { type Suite, suites } from '../test/vm/image.ts';
import { type Machine, startMachine } from '../test/vm/machine.ts';
import { buildPackage } from './package.ts';

const root = dirname(import.meta.dirname);
const programs = '/usr/local/lib/nvme-stas-vm';
const control = '/run/discovery-controller.sock';

const usage = `usage: npm run vm -- [OPTION…]
  --exec COMMAND   run a shell command in the machine instead of a shell, and exit with its status
  --suite SUITE    ${suites.join(', ')} (default: trixie)
  --targets FILE   NVMe targets (default: test/targets/default.json)
  --boot           boot, instead of going on from the saved state of a booted machine
  --no-package     leave the package out`;

const howTo = `
  This is a root shell in a machine of its own; everything in it is gone when you leave (exit, or Ctrl-]).

  nvmet show | nvmet apply FILE          the real targets (127.0.0.1:4420, [::1]:4420); /root/targets.json
  dc '{"op":"status"}'                   the simulated discovery controller on 127.0.0.1:8009
  nvme discover -t tcp -a 127.0.0.1 -s 8009
  printf '[Controllers]\\ncontroller=transport=tcp;traddr=127.0.0.1;trsvcid=8009\\n' >>/etc/stas/stafd.conf
  systemctl reload stafd                 stafctl ls   stafctl adlp -d   stacctl ls   nvme list-subsys
  journalctl -f -u stafd -u stacd
`;

interface Options {
  readonly exec: string | undefined;
  readonly suite: Suite;
  readonly targets: string;
  readonly boot: boolean;
  readonly withPackage: boolean;
}

/** Throws an Error with one line about what is wrong. */
function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      exec: { type: 'string' },
      suite: { type: 'string', default: 'trixie' },
      targets: { type: 'string', default: join(root, 'test/targets/default.json') },
      boot: { type: 'boolean', default: false },
      'no-package': { type: 'boolean', default: false },
    },
  });
  const suite = suites.find((name) => name === values.suite);
  if (suite === undefined) throw new Error(`--suite: one of ${suites.join(', ')}`);
  if (values.exec === undefined && !process.stdin.isTTY) {
    throw new Error('standard input is not a terminal: use --exec COMMAND');
  }
  const { targets, boot } = values;
  return { exec: values.exec, suite, targets, boot, withPackage: !values['no-package'] };
}

function say(line: string): void {
  process.stderr.write(`vm: ${line}\n`);
}

/** One file of a TypeScript program, that needs nothing but Node. */
async function bundle(entry: string): Promise<Uint8Array> {
  const result = await build({
    entryPoints: [join(root, entry)],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    write: false,
    logLevel: 'silent',
  });
  const [file] = result.outputFiles;
  if (file === undefined) throw new Error(`${entry} was not bundled`);
  return file.contents;
}

async function furnish(machine: Machine, targets: string, deb: string | undefined): Promise<void> {
  const text = await readFile(targets, 'utf8');
  const document = JSON.parse(text) as TargetDocument;
  const { ports, subsystems } = targetSpec(document);
  const script = (body: string): string => `#!/bin/sh\n${body} "$@"\n`;
  const dcScript = await readFile(join(root, 'test/discovery-controller/dc-control.sh'));
  const executable = { mode: 0o755 };
  const entries = ports.flatMap((port) =>
    port.transport === 'tcp'
      ? subsystems
          .filter((subsystem) => subsystem.ports.includes(port.id))
          .map(({ nqn }) => ({
            adrfam: port.address.includes(':') ? 'ipv6' : 'ipv4',
            traddr: port.address,
            trsvcid: port.service,
            subnqn: nqn,
            portid: port.id,
          }))
      : [],
  );
  const listen = [{ address: '127.0.0.1', port: 8009 }];
  const controllers = [{ name: 'cdc', dctype: 'cdc', pleo: true, listen, entries }];
  await Promise.all([
    machine.writeFile('/root/targets.json', text),
    machine.writeFile(`${programs}/nvmet.mjs`, await bundle('test/targets/nvmet.ts')),
    machine.writeFile(
      '/usr/local/bin/nvmet',
      script(`exec node ${programs}/nvmet.mjs`),
      executable,
    ),
    machine.writeFile(`${programs}/dc.mjs`, await bundle('test/discovery-controller/main.ts')),
    machine.writeFile(`${programs}/dc.json`, JSON.stringify({ controllers })),
    machine.writeFile(`${programs}/dc-control.sh`, dcScript, executable),
    machine.writeFile(
      '/usr/local/bin/dc',
      script(`exec ${programs}/dc-control.sh ${control}`),
      executable,
    ),
  ]);
  say('setting up the targets');
  await applyTargets(machine, document);
  say('starting the discovery controller');
  await machine.sh(
    `systemd-run --quiet --unit=discovery-controller node ${programs}/dc.mjs --config ${programs}/dc.json --control ${control}`,
  );
  await machine.waitFor(`test -S ${control}`, { timeoutMs: 60_000 });
  if (deb === undefined) return;
  say('installing the package');
  const inside = `/root/${basename(deb)}`;
  await machine.writeFile(inside, await readFile(deb));
  await machine.sh(`dpkg -i ${inside}`, { timeoutMs: 300_000 });
}

/** Connects this terminal to the machine's until the shell there ends, or Ctrl-] is pressed. */
async function shell(machine: Machine): Promise<void> {
  const { stdin, stdout } = process;
  const unit = 'serial-getty@hvc0.service';
  const fit = (): Promise<unknown> =>
    machine.exec(`stty -F /dev/hvc0 rows ${stdout.rows} columns ${stdout.columns}`);
  const terminal = connect(machine.terminalSocket);
  const closed = new Promise<void>((resolve) => {
    terminal.on('error', () => undefined);
    terminal.on('close', () => resolve());
  });
  terminal.pipe(stdout, { end: false });
  stdin.setRawMode(true);
  stdin.on('data', (keys: Buffer) => {
    if (keys.length === 1 && keys[0] === 0x1d) terminal.destroy();
    else terminal.write(keys);
  });
  const resized = (): void => void fit().catch(() => undefined);
  stdout.on('resize', resized);
  try {
    await fit();
    await machine.sh(`touch /root/.hushlogin; systemctl start ${unit}`);
    // The log-in sets a size of its own.
    await machine.waitFor('pgrep -t hvc0 bash');
    await fit();
    const day = { timeoutMs: 24 * 60 * 60 * 1000 };
    const ended = machine.exec(`while systemctl -q is-active ${unit}; do sleep 0.5; done`, day);
    await Promise.race([ended, closed]);
  } finally {
    stdout.off('resize', resized);
    stdin.setRawMode(false);
    stdin.pause();
    terminal.destroy();
    stdout.write('\n');
  }
}

async function main(options: Options): Promise<number> {
  const { suite, boot } = options;
  const deb = options.withPackage ? (await buildPackage({ suite, log: say })).debPath : undefined;
  const machine = await startMachine({ suite, boot, log: say });
  try {
    await furnish(machine, options.targets, deb);
    if (options.exec === undefined) {
      process.stdout.write(`${howTo}\n`);
      await shell(machine);
      return 0;
    }
    const result = await machine.exec(options.exec, { timeoutMs: 60 * 60 * 1000 });
    process.stdout.write(result.stdout);
    process.stderr.write(result.stderr);
    return result.status;
  } finally {
    await machine.stop();
  }
}

if (process.argv.includes('--help')) {
  console.log(usage);
} else {
  try {
    process.exitCode = await main(readOptions(process.argv.slice(2)));
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}
