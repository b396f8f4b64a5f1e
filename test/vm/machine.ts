/**
 * A virtual machine of Debian with its own kernel, systemd, D-Bus, Avahi and NVMe target: no KVM, no
 * network, no trace on the host after its end.
 *
 * Invariants:
 * - the image is never written to: each machine has an overlay without a name;
 * - QEMU does not outlive the thread that started it (the kernel sees to it), nor `stop()`;
 * - everything of a machine is in one temporary directory, named by the process that owns it.
 *
 * Measured (two emulated processors on a two-core host): see README.md beside this file.
 */
import { spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cacheDirectory } from './cache.ts';
import { undoAtExit } from './cleanup.ts';
import { VmError } from './errors.ts';
import { describe, type ExecOptions, type ExecResult, GuestAgent } from './guest-agent.ts';
import { ensureImage, type Image, type Suite } from './image.ts';

export interface MachineOptions {
  /** Default: trixie. */
  readonly suite?: Suite;
  /** Default: 2. */
  readonly cpus?: number;
  /** Default: 2048. */
  readonly memoryMiB?: number;
  /** Files with ACPI tables that the firmware hands to the kernel (an NBFT, for example). */
  readonly acpiTables?: readonly string[];
  /** More of the kernel's command line. */
  readonly kernelArguments?: readonly string[];
  /** How long one try to boot may take; default 180 s, as the host may be busy. */
  readonly bootTimeoutMs?: number;
  /** Takes a line now and then; default: nothing is said. */
  readonly log?: (line: string) => void;
}

/** A running machine. Every method throws VmError; `died` once the machine has ended. */
export interface Machine {
  readonly image: Image;
  /** Runs a shell command as root; see GuestAgent.exec. Any number may run at a time. */
  exec(command: string, options?: ExecOptions): Promise<ExecResult>;
  /** As exec, but throws `command-failed` with the output unless the status is 0. Gives stdout. */
  sh(command: string, options?: ExecOptions): Promise<string>;
  /**
   * Runs `command` in the machine again and again until it exits with 0, and gives its last
   * stdout. Throws `timeout`, with what it printed last. Default: 30 s, every 100 ms.
   */
  waitFor(command: string, options?: WaitOptions): Promise<string>;
  /** Replaces a file, makes its directory. Default mode: 0644. */
  writeFile(path: string, data: string | Uint8Array, options?: { mode?: number }): Promise<void>;
  readFile(path: string): Promise<Buffer>;
  /** What the kernel and systemd have printed on the serial console. */
  consoleLog(): string;
  /** The socket of the machine's terminal (/dev/hvc0), for a person. */
  readonly terminalSocket: string;
  /** Shuts down in good order, within 60 s, then ends as stop() does. */
  shutdown(): Promise<void>;
  /** Ends the machine at once and removes all that is left of it. Harmless when repeated. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface WaitOptions {
  readonly timeoutMs?: number;
  readonly intervalMs?: number;
}

/** How often a machine that dies or hangs before it has booted is started anew. */
const bootTries = 3;

/** How many consoles of failed machines are kept. */
const keptConsoles = 20;

/** Boots a machine and waits until systemd has started everything. Builds the image if need be. */
export async function startMachine(options: MachineOptions = {}): Promise<Machine> {
  const log = options.log ?? (() => undefined);
  const image = await ensureImage({ suite: options.suite ?? 'trixie', log });
  removeLeftovers();
  for (let attempt = 1; ; attempt++) {
    const qemu = new Qemu(image, options);
    try {
      const started = performance.now();
      const agent = await qemu.boot(options.bootTimeoutMs ?? 180_000);
      log(`the machine has booted in ${((performance.now() - started) / 1000).toFixed(1)} s`);
      return new RunningMachine(image, qemu, agent);
    } catch (error) {
      const console = qemu.keepConsole();
      qemu.kill();
      await qemu.ended;
      if (!(error instanceof VmError) || error.code === 'missing-program') throw error;
      const what = `the machine did not boot (${error.message}; its console: ${console})`;
      if (attempt === bootTries) throw new VmError('boot-failed', what, { cause: error });
      // Emulated processors: the kernel dies now and then while it patches its own code.
      log(`${what}; trying again (${attempt + 1} of ${bootTries})`);
    }
  }
}

/** The process, its sockets and its directory. */
class Qemu {
  readonly directory: string;
  readonly #forget: () => void;
  /** Resolves, to the reason, when QEMU has ended. */
  readonly ended: Promise<string>;

  constructor(image: Image, options: MachineOptions) {
    this.directory = mkdtempSync(join(tmpdir(), `nvme-stas-vm-${process.pid}-`));
    const child = spawn('setpriv', ['--pdeathsig=KILL', '--', ...this.#command(image, options)], {
      // Ctrl-C is for us: we end it, with all else.
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
    this.ended = new Promise((resolve) => {
      child.on('error', (error) => resolve(error.message));
      child.on('close', (code, signal) => {
        const status = signal === null ? `QEMU exited with ${code ?? -1}` : `QEMU got ${signal}`;
        resolve(errors.trim() === '' ? status : `${status}: ${errors.trim()}`);
      });
    });
    this.#forget = undoAtExit(() => {
      child.kill('SIGKILL');
      rmSync(this.directory, { recursive: true, force: true });
    });
  }

  /** Waits until the guest agent answers and systemd is done. Throws `died` or `timeout`. */
  async boot(timeoutMs: number): Promise<GuestAgent> {
    const boot = this.#connect();
    boot.catch(() => undefined); // when the machine dies first
    const died = this.ended.then((why) => {
      const code = /ENOENT|failed to execute/.test(why) ? 'missing-program' : 'died';
      const hint = code === 'died' ? '' : ' (run `node tools/setup.mjs`)';
      throw new VmError(code, `${why}${hint}`);
    });
    const timeout = new AbortController();
    const late = sleep(timeoutMs, undefined, { signal: timeout.signal }).then(() => {
      throw new VmError('timeout', `no answer after ${timeoutMs / 1000} s`);
    });
    late.catch(() => undefined);
    try {
      return await Promise.race([boot, died, late]);
    } finally {
      timeout.abort();
    }
  }

  async #connect(): Promise<GuestAgent> {
    const socket = join(this.directory, 'agent');
    while (!existsSync(socket)) await sleep(20);
    const agent = await GuestAgent.open(socket);
    // `degraded` is a state that a test may want to look into, not a failure to boot.
    await agent.exec('systemctl is-system-running --wait', { timeoutMs: 120_000 });
    return agent;
  }

  console(): string {
    try {
      return readFileSync(join(this.directory, 'console'), 'utf8');
    } catch {
      return '';
    }
  }

  /** Puts the console where it survives this machine, and gives its path. */
  keepConsole(): string {
    const logs = join(cacheDirectory(), 'consoles');
    mkdirSync(logs, { recursive: true });
    const names = readdirSync(logs).sort();
    for (const name of names.slice(0, Math.max(0, names.length + 1 - keptConsoles))) {
      rmSync(join(logs, name), { force: true });
    }
    const stamp = new Date().toISOString().replaceAll(/[:.]/g, '-');
    const path = join(logs, `${stamp}-${basename(this.directory)}.log`);
    try {
      copyFileSync(join(this.directory, 'console'), path);
    } catch {
      return 'none'; // QEMU did not come as far
    }
    return path;
  }

  kill(): void {
    this.#forget();
  }

  #command(image: Image, options: MachineOptions): readonly string[] {
    const file = (name: string): string => join(this.directory, name);
    const socket = (id: string): readonly string[] => [
      '-chardev',
      `socket,id=${id},path=${file(id)},server=on,wait=off`,
    ];
    const kernel = [
      'root=/dev/vda rw console=ttyS0 loglevel=4 quiet mitigations=off oops=panic panic=-1',
      // The console is only recorded, and a shell is started when a person wants one.
      'systemd.show_status=no systemd.getty_auto=no',
      ...(options.kernelArguments ?? []),
    ];
    return [
      'qemu-system-x86_64',
      ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-nic', 'none'],
      ...['-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max'],
      ...['-smp', String(options.cpus ?? 2), '-m', String(options.memoryMiB ?? 2048)],
      ...['-kernel', image.kernel, '-initrd', image.initrd, '-append', kernel.join(' ')],
      ...['-drive', `file=${image.disk},format=raw,if=none,id=disk,snapshot=on,cache=unsafe`],
      ...['-device', 'virtio-blk-pci,drive=disk'],
      ...['-device', 'virtio-serial-pci'],
      ...[
        ...socket('agent'),
        '-device',
        'virtserialport,chardev=agent,name=org.qemu.guest_agent.0',
      ],
      ...[...socket('terminal'), '-device', 'virtconsole,chardev=terminal'],
      ...['-serial', `file:${file('console')}`],
      ...(options.acpiTables ?? []).flatMap((table) => ['-acpitable', `file=${table}`]),
    ];
  }
}

class RunningMachine implements Machine {
  readonly image: Image;
  readonly terminalSocket: string;
  readonly #qemu: Qemu;
  readonly #agent: GuestAgent;

  constructor(image: Image, qemu: Qemu, agent: GuestAgent) {
    this.image = image;
    this.terminalSocket = join(qemu.directory, 'terminal');
    this.#qemu = qemu;
    this.#agent = agent;
  }

  exec(command: string, options?: ExecOptions): Promise<ExecResult> {
    return this.#agent.exec(command, options);
  }

  async sh(command: string, options?: ExecOptions): Promise<string> {
    const result = await this.exec(command, options);
    if (result.status !== 0) {
      throw new VmError('command-failed', describe(`status ${result.status}`, command, result));
    }
    return result.stdout;
  }

  async waitFor(command: string, options: WaitOptions = {}): Promise<string> {
    const { timeoutMs = 30_000, intervalMs = 100 } = options;
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const left = Math.max(1000, deadline - performance.now());
      const result = await this.exec(command, { timeoutMs: left });
      if (result.status === 0) return result.stdout;
      if (performance.now() > deadline) {
        const what = `not so after ${timeoutMs} ms (status ${result.status})`;
        throw new VmError('timeout', describe(what, command, result));
      }
      await sleep(intervalMs);
    }
  }

  writeFile(
    path: string,
    data: string | Uint8Array,
    options: { mode?: number } = {},
  ): Promise<void> {
    return this.#agent.writeFile(path, data, options.mode);
  }

  readFile(path: string): Promise<Buffer> {
    return this.#agent.readFile(path);
  }

  consoleLog(): string {
    return this.#qemu.console();
  }

  async shutdown(): Promise<void> {
    // The agent may end before it answers.
    const asked = this.exec('systemctl --no-block poweroff').catch(() => undefined);
    await Promise.race([
      asked.then(() => this.#qemu.ended),
      sleep(60_000, undefined, { ref: false }),
    ]);
    await this.stop();
  }

  async stop(): Promise<void> {
    this.#agent.close();
    this.#qemu.kill();
    await this.#qemu.ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** Removes the directories of machines whose process was killed before it could. */
function removeLeftovers(): void {
  for (const name of readdirSync(tmpdir())) {
    const owner = /^nvme-stas-vm-(\d+)-/.exec(name)?.[1];
    if (owner === undefined || existsSync(`/proc/${owner}`)) continue;
    try {
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
    } catch {
      // Somebody else's.
    }
  }
}
