/**
 * The laboratory of the end-to-end tests: one virtual machine for many scenarios, with the package
 * installed, real targets, and simulated discovery controllers.
 *
 * Invariants:
 * - one machine a worker, booted on first use, ended when the worker ends, and another one if it has
 *   died; besides, those that a scenario boots for itself;
 * - `reset` leaves no connection, target, simulated controller, state or configuration of an
 *   earlier scenario behind, and both daemons stopped.
 */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { build } from 'esbuild';
import { neverLoaded, requireBanner } from '../../tools/build.ts';
import { buildPackage } from '../../tools/package.ts';
import { applyTargets, clearTargets } from '../targets/host.ts';
import type { TargetDocument } from '../targets/spec.ts';
import { identity as host, type Suite } from '../vm/image.ts';
import { startMachine, type Machine } from '../vm/machine.ts';

/** Where the laboratory's own programs are in the machine. */
export const GUEST = '/usr/local/lib/e2e';
const CONTROL = '/run/e2e-dc.sock';
/** How long a condition is waited for: what comes at all comes much sooner, on any host. */
export const PATIENCE_MS = 120_000;

/** A controller as the kernel shows it in sysfs; null where there is no such attribute. */
export interface KernelView {
  readonly device: string;
  /** Of its sysfs directory: another number is another connection, whatever its name. */
  readonly inode: number;
  readonly transport: string | null;
  readonly address: string | null;
  readonly subsysnqn: string | null;
  readonly hostnqn: string | null;
  readonly hostid: string | null;
  readonly state: string | null;
  readonly cntrltype: string | null;
  readonly dctype: string | null;
  /**
   * Given by the target with every connect; the kernel's target may give the same one again, so
   * that it is no proof that the kernel did not reconnect: connection-watch.ts looks closer.
   */
  readonly cntlid: string | null;
  readonly kato: string | null;
  readonly sqsize: string | null;
  readonly queue_count: string | null;
  readonly reconnect_delay: string | null;
  readonly ctrl_loss_tmo: string | null;
  readonly dhchap_secret: string | null;
  readonly dhchap_ctrl_secret: string | null;
  /** Of the first namespace: 1 if the controller has queues that are polled. */
  readonly io_poll: string | null;
  readonly namespaces: readonly string[];
}

/** A dictionary of strings, as the commands print it with `-o json`. */
export type Dict = Readonly<Record<string, string>>;

export interface Lab {
  readonly machine: Machine;
  /** The package that is installed. */
  readonly debPath: string;
  /** Where it is in the machine. */
  readonly guestDeb: string;
  /** Back to the state right after installation, daemons stopped. */
  reset(): Promise<void>;
  /** Replaces stafd.conf or stacd.conf. */
  configure(daemon: 'stafd' | 'stacd', text: string): Promise<void>;
  systemctl(action: string): Promise<void>;
  targets(document: TargetDocument): Promise<void>;
  /** Removes all simulated discovery controllers. */
  clearDcs(): Promise<void>;
  /** A request to the simulated discovery controllers; see test/discovery-controller/README.md. */
  dc(request: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, unknown>>>;
  /** Adds a simulated discovery controller on 127.0.0.1:8009 unless told otherwise. */
  addDc(config?: Readonly<Record<string, unknown>>): Promise<void>;
  kernel(): Promise<readonly KernelView[]>;
  /** Waits until the kernel's controllers fulfil a condition, and returns them. */
  kernelUntil(
    what: string,
    condition: (controllers: readonly KernelView[]) => boolean,
    timeoutMs?: number,
  ): Promise<readonly KernelView[]>;
  /** The controllers of a daemon, from `stafctl` or `stacctl`. */
  list(command: 'stafctl' | 'stacctl'): Promise<readonly Dict[]>;
  /** Asks the daemon behind a command until its answer fulfils a condition, and returns it. */
  listUntil(
    command: 'stafctl' | 'stacctl',
    condition: (controllers: readonly Dict[]) => boolean,
    timeoutMs?: number,
  ): Promise<readonly Dict[]>;
  /** Lines of a program's journal since the last `reset`, by its syslog identifier. */
  journal(identifier: string): Promise<string>;
}

let started: Promise<Lab> | undefined;

/**
 * The laboratory of this worker; the first call boots it, or one after its end another.
 * `debPath`: the package to install; without one it is built.
 */
export function openLab(debPath?: string): Promise<Lab> {
  started ??= start(debPath).then((lab) => {
    void lab.machine.ended.then(() => (started = undefined));
    return lab;
  });
  return started;
}

/**
 * A laboratory in a machine of its own, which boots with these ACPI tables. Whoever opens it ends
 * it: `machine.stop()`.
 */
export function openLabWith(acpiTables: readonly string[], debPath: string): Promise<Lab> {
  return start(debPath, acpiTables);
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** A program for the machine, of what the repository has. */
async function bundle(entry: string): Promise<Uint8Array> {
  const result = await build({
    entryPoints: [entry],
    bundle: true,
    external: neverLoaded,
    // CommonJS packages in the bundle call require() for Node's own modules.
    banner: { js: requireBanner },
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

async function start(
  prebuilt: string | undefined,
  acpiTables: readonly string[] = [],
): Promise<Lab> {
  const suite = (process.env['NVME_STAS_SUITE'] ?? 'trixie') as Suite;
  const debPath = prebuilt ?? (await buildPackage({ suite, log: say })).debPath;
  const machine = await startMachine({ suite, acpiTables, log: say });
  try {
    return await furnish(machine, debPath);
  } catch (error) {
    await machine.stop();
    throw error;
  }
}

async function furnish(machine: Machine, debPath: string): Promise<Lab> {
  const guestDeb = `/root/${basename(debPath)}`;
  const dcScript = new URL('../discovery-controller/dc-control.sh', import.meta.url);
  const kernelScript = new URL('guest/kernel-controllers.pl', import.meta.url);
  const files: readonly (readonly [string, string | Uint8Array, number])[] = [
    [guestDeb, await readFile(debPath), 0o644],
    [`${GUEST}/dc.mjs`, await bundle('test/discovery-controller/main.ts'), 0o644],
    [`${GUEST}/dc-control.sh`, await readFile(dcScript), 0o755],
    [`${GUEST}/kernel.pl`, await readFile(kernelScript), 0o755],
    [`${GUEST}/dc.json`, '{"controllers":[]}\n', 0o644],
  ];
  for (const [path, data, mode] of files) await machine.writeFile(path, data, { mode });
  say('Installing the package');
  await machine.sh(`dpkg -i ${guestDeb}`, { timeoutMs: 600_000 });
  // For programs that load the package's add-ons.
  await machine.sh(`ln -sfn /usr/lib/nvme-stas-node/node_modules ${GUEST}/node_modules`);
  const lab = new RunningLab(machine, debPath, guestDeb);
  await lab.reset();
  return lab;
}

class RunningLab implements Lab {
  readonly machine: Machine;
  readonly debPath: string;
  readonly guestDeb: string;
  #cursor = '';
  #dcRunning = false;

  constructor(machine: Machine, debPath: string, guestDeb: string) {
    this.machine = machine;
    this.debPath = debPath;
    this.guestDeb = guestDeb;
  }

  async reset(): Promise<void> {
    // Stopping them leaves connections; those go before the targets do.
    await this.machine.sh(
      [
        'systemctl unmask --runtime stafd stacd >/dev/null 2>&1',
        'systemctl stop stafd stacd 2>/dev/null; systemctl reset-failed',
        'rm -rf /run/stafd /run/stacd',
        'nvme disconnect-all >/dev/null 2>&1 || true',
        'for d in stafd stacd; do printf "[Service Discovery]\\nzeroconf = disabled\\n" > /etc/stas/$d.conf; done',
        'sed -i /zeroconf/d /etc/stas/stacd.conf; sed -i "/Service Disc/d" /etc/stas/stacd.conf',
        'rm -f /etc/stas/sys.conf',
        `echo ${host.hostNqn} >/etc/nvme/hostnqn; echo ${host.hostId} >/etc/nvme/hostid`,
        'modprobe nvme-tcp',
      ].join('\n'),
      { timeoutMs: 180_000 },
    );
    await clearTargets(this.machine);
    await this.clearDcs();
    const cursor = await this.machine.sh('journalctl -n 0 --show-cursor');
    this.#cursor = /-- cursor: (.*)/.exec(cursor)?.[1] ?? '';
  }

  async clearDcs(): Promise<void> {
    if (!this.#dcRunning) return;
    const { controllers } = (await this.dc({ op: 'status' })) as {
      controllers: readonly { name: string }[];
    };
    await this.#ask(controllers.map(({ name }) => ({ op: 'remove-controller', controller: name })));
  }

  async configure(daemon: 'stafd' | 'stacd', text: string): Promise<void> {
    await this.machine.writeFile(`/etc/stas/${daemon}.conf`, text);
  }

  async systemctl(action: string): Promise<void> {
    await this.machine.sh(`systemctl ${action}`, { timeoutMs: 120_000 });
  }

  async targets(document: TargetDocument): Promise<void> {
    await applyTargets(this.machine, document);
  }

  async dc(request: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, unknown>>> {
    if (!this.#dcRunning) {
      this.#dcRunning = true;
      await this.machine.sh(
        `systemd-run --quiet --unit=e2e-dc /usr/bin/node ${GUEST}/dc.mjs --config ${GUEST}/dc.json --control ${CONTROL}`,
      );
      await this.machine.waitFor(`test -S ${CONTROL}`, { timeoutMs: 120_000 });
    }
    const [reply = {}] = await this.#ask([request]);
    return reply;
  }

  /** Several requests by one command: each costs an emulated machine its time. */
  async #ask(
    requests: readonly Readonly<Record<string, unknown>>[],
  ): Promise<readonly Readonly<Record<string, unknown>>[]> {
    if (requests.length === 0) return [];
    const lines = requests.map((request) => `${JSON.stringify(request)}\n`).join('');
    const { status, stdout, stderr } = await this.machine.exec(
      `${GUEST}/dc-control.sh ${CONTROL}`,
      // It may wait for commands.
      { stdin: lines, timeoutMs: 2 * PATIENCE_MS },
    );
    if (status !== 0) throw new Error(`discovery controller: ${stdout}${stderr}`);
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
  }

  async addDc(config: Readonly<Record<string, unknown>> = {}): Promise<void> {
    await this.dc({
      op: 'add-controller',
      config: {
        name: 'dc',
        listen: [{ address: '127.0.0.1', port: 8009 }],
        ...config,
      },
    });
  }

  async kernel(): Promise<readonly KernelView[]> {
    return JSON.parse(await this.machine.sh(`${GUEST}/kernel.pl`)) as readonly KernelView[];
  }

  async kernelUntil(
    what: string,
    condition: (controllers: readonly KernelView[]) => boolean,
    timeoutMs = PATIENCE_MS,
  ): Promise<readonly KernelView[]> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const begun = Date.now();
      const controllers = await this.kernel();
      if (condition(controllers)) return controllers;
      if (Date.now() > end) {
        const seen = controllers.map(({ device, state, subsysnqn, address }) =>
          [device, state, subsysnqn, address].join(' '),
        );
        throw new Error(
          [
            `the kernel does not show ${what} within ${String(timeoutMs)} ms:`,
            ...seen,
            await this.journal('stafd'),
            await this.journal('stacd'),
            await this.machine.sh('dmesg | tail -n 40'),
          ].join('\n'),
        );
      }
      // A look at many controllers takes seconds: half of the time is for what is waited for.
      const pause = Math.max(150, Date.now() - begun);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  async list(command: 'stafctl' | 'stacctl'): Promise<readonly Dict[]> {
    return JSON.parse(await this.machine.sh(`${command} ls -d -o json`)) as readonly Dict[];
  }

  async listUntil(
    command: 'stafctl' | 'stacctl',
    condition: (controllers: readonly Dict[]) => boolean,
    timeoutMs = PATIENCE_MS,
  ): Promise<readonly Dict[]> {
    const end = Date.now() + timeoutMs;
    // busctl: starting Node for each look costs seconds under emulation.
    const name = command === 'stafctl' ? 'staf' : 'stac';
    const call = `busctl call --auto-start=no --json=short org.nvmexpress.${name} /org/nvmexpress/${name} org.nvmexpress.${name} list_controllers b true`;
    for (;;) {
      const { status, stderr, stdout } = await this.machine.exec(call);
      const reply = status === 0 ? (JSON.parse(stdout) as { data: [readonly Dict[]] }) : undefined;
      const listed = reply?.data[0] ?? [];
      if (listed.length > 0 && condition(listed)) return listed;
      if (Date.now() > end) {
        const journals = `${await this.journal('stafd')}${await this.journal('stacd')}`;
        throw new Error(
          `${command.slice(0, 4)}d has in the end: ${stderr}${JSON.stringify(listed, null, 1)}\n${journals}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async journal(identifier: string): Promise<string> {
    const after = this.#cursor === '' ? '' : `--after-cursor='${this.#cursor}'`;
    return this.machine.sh(`journalctl -o short-precise --no-pager ${after} -t ${identifier}`);
  }
}

/** The live I/O controllers among the kernel's. */
export function liveIo(controllers: readonly KernelView[]): readonly KernelView[] {
  return controllers.filter(({ cntrltype, state }) => cntrltype === 'io' && state === 'live');
}

/** The live discovery controllers among the kernel's. */
export function liveDc(controllers: readonly KernelView[]): readonly KernelView[] {
  return controllers.filter(
    ({ cntrltype, state }) => cntrltype === 'discovery' && state === 'live',
  );
}

/** What tells whether a connection is still the same one. */
export function identity({ cntlid, device, inode, subsysnqn }: KernelView): string {
  return [device, inode, cntlid, subsysnqn].join(' ');
}

/** `count` subsystems `nqn.2024-01.org.example:s0`, … on one port, for `Lab.targets`. */
export function subsystems(
  count: number,
  ports: readonly number[] = [1],
): readonly {
  readonly nqn: string;
  readonly ports: readonly number[];
}[] {
  return Array.from({ length: count }, (_, index) => ({ nqn: subsystemNqn(index), ports }));
}

export function subsystemNqn(index: number): string {
  return `nqn.2024-01.org.example:s${String(index)}`;
}

export const LOCAL_PORT = {
  id: 1,
  transport: 'tcp',
  address: '127.0.0.1',
  service: '4420',
} as const;

/** Log entries of those subsystems, for the simulated discovery controllers. */
export function entries(
  count: number,
  address = '127.0.0.1',
  from = 0,
): readonly Readonly<Record<string, unknown>>[] {
  return Array.from({ length: count }, (_, index) => ({
    id: `s${String(from + index)}`,
    adrfam: address.includes(':') ? 'ipv6' : 'ipv4',
    traddr: address,
    trsvcid: '4420',
    subnqn: subsystemNqn(from + index),
  }));
}

/** A stafd.conf without mDNS, with these `controller=` lines. */
export function stafdConf(...controllers: readonly string[]): string {
  const lines = controllers.map((controller) => `controller = ${controller}\n`);
  return `[Service Discovery]\nzeroconf = disabled\n[Controllers]\n${lines.join('')}`;
}
