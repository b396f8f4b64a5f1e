/**
 * A virtual machine of Debian with its own kernel, systemd, D-Bus, Avahi and NVMe target: no KVM, no
 * network, no trace on the host after its end.
 * Measured times: README.md beside this file.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { VmError } from './errors.ts';
import { describe, type ExecOptions, type ExecResult, GuestAgent } from './guest-agent.ts';
import { ensureImage, type Image, type Suite } from './image.ts';
import { type Hardware, Qemu } from './qemu.ts';
import { dropState, findState, resumeState, saveState, stateDirectory } from './saved-state.ts';

export interface MachineOptions {
  /** Default: trixie. */
  readonly suite?: Suite;
  /** Default: 2. */
  readonly cpus?: number;
  /** Default: 2048. */
  readonly memoryMiB?: number;
  /** Files with ACPI tables that the firmware hands to the kernel (an NBFT, for example). */
  readonly acpiTables?: readonly string[];
  /**
   * Whether to boot even if there is a saved state, as a test of the boot itself wants. A machine
   * with ACPI tables or kernel arguments always boots.
   */
  readonly boot?: boolean;
  /** More of the kernel's command line. */
  readonly kernelArguments?: readonly string[];
  /** How long one try to boot may take; default 600 s, as the host may be busy. */
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
  /** Resolves when the machine has ended, by itself or because it was told to. */
  readonly ended: Promise<unknown>;
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

/** Lines of its console that are shown of a machine that has ended by itself: an oops. */
const lastLines = 60;

/** How long a saved machine may take to answer. */
const resumeTimeoutMs = 120_000;

/**
 * Starts a machine in which systemd has started everything. Builds the image if there is none,
 * boots, and keeps the booted machine's state; later starts go on from there.
 */
export async function startMachine(options: MachineOptions = {}): Promise<Machine> {
  const log = options.log ?? (() => undefined);
  const image = await ensureImage({ suite: options.suite ?? 'trixie', log });
  const hardware: Hardware = {
    cpus: options.cpus ?? 2,
    memoryMiB: options.memoryMiB ?? 2048,
    acpiTables: options.acpiTables ?? [],
    kernelArguments: options.kernelArguments ?? [],
  };
  const special = hardware.acpiTables.length + hardware.kernelArguments.length > 0;
  if (options.boot === true || special) return boot(image, hardware, options);
  const state = stateDirectory(image, hardware);
  const resumed = await resume(image, hardware, state, log);
  if (resumed !== undefined) return resumed;
  const machine = await boot(image, hardware, options);
  try {
    await machine.save(state);
  } catch (error) {
    await machine.stop();
    throw error;
  }
  return machine;
}

async function resume(
  image: Image,
  hardware: Hardware,
  directory: string,
  log: (line: string) => void,
): Promise<RunningMachine | undefined> {
  const saved = findState(directory);
  if (saved === undefined) return undefined;
  const started = performance.now();
  const qemu = new Qemu(image, hardware, saved);
  const work = async (): Promise<GuestAgent> => {
    await resumeState(qemu);
    const agent = await GuestAgent.open(await qemu.socket('agent'));
    // The clock stood still, and two machines of one state would draw the same random numbers.
    const now = (Date.now() / 1000).toFixed(3);
    await agent.exec(`date --set=@${now}; cat >/dev/urandom`, { stdin: randomBytes(64) });
    return agent;
  };
  try {
    const agent = await qemu.unlessItDies(work(), resumeTimeoutMs);
    log(`the machine goes on from its saved state, after ${secondsSince(started)} s`);
    return new RunningMachine(image, qemu, agent);
  } catch (error) {
    const console = qemu.keepConsole();
    await qemu.kill();
    if (!(error instanceof VmError) || error.code === 'missing-program') throw error;
    log(`the saved machine does not go on (${error.message}; its console: ${console}): booting`);
    dropState(directory);
    return undefined;
  }
}

async function boot(
  image: Image,
  hardware: Hardware,
  { log = () => undefined, bootTimeoutMs = 600_000 }: MachineOptions,
): Promise<RunningMachine> {
  for (let attempt = 1; ; attempt++) {
    const started = performance.now();
    const qemu = new Qemu(image, hardware);
    const work = async (): Promise<GuestAgent> => {
      const agent = await GuestAgent.open(await qemu.socket('agent'));
      // `degraded` is a state that a test may want to look into, not a failure to boot.
      const booted = 'systemctl is-system-running --wait; udevadm settle';
      await agent.exec(booted, { timeoutMs: bootTimeoutMs });
      return agent;
    };
    try {
      const agent = await qemu.unlessItDies(work(), bootTimeoutMs);
      log(`the machine has booted in ${secondsSince(started)} s`);
      return new RunningMachine(image, qemu, agent);
    } catch (error) {
      const console = qemu.keepConsole();
      await qemu.kill();
      if (!(error instanceof VmError) || error.code === 'missing-program') throw error;
      const what = `the machine did not boot (${error.message}; its console: ${console})`;
      if (attempt === bootTries) throw new VmError('boot-failed', what, { cause: error });
      // Emulated processors: the kernel dies now and then while it patches its own code.
      log(`${what}; trying again (${attempt + 1} of ${bootTries})`);
    }
  }
}

/** Emulated processors: the kernel dies now and then. Whoever waits for it is told that it did. */
function sayLastWords(qemu: Qemu, why: string): void {
  const last = qemu.console().trimEnd().split('\n').slice(-lastLines);
  const path = qemu.keepConsole();
  process.stderr.write(
    `${[`the machine has ended (${why}); its console, ${path}:`, ...last].join('\n')}\n`,
  );
}

function secondsSince(started: number): string {
  return ((performance.now() - started) / 1000).toFixed(1);
}

class RunningMachine implements Machine {
  readonly image: Image;
  readonly ended: Promise<unknown>;
  readonly terminalSocket: string;
  readonly #qemu: Qemu;
  readonly #agent: GuestAgent;
  #toEnd = false;

  constructor(image: Image, qemu: Qemu, agent: GuestAgent) {
    this.image = image;
    this.ended = qemu.ended.then((why) => {
      if (!this.#toEnd) sayLastWords(qemu, why);
    });
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
    const { timeoutMs = 120_000, intervalMs = 100 } = options;
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

  /** Keeps the state of the machine in `directory`. */
  save(directory: string): Promise<void> {
    return this.#qemu.unlessItDies(saveState(this.#qemu, this.image, directory), 300_000);
  }

  async shutdown(): Promise<void> {
    this.#toEnd = true;
    // The agent may end before it answers.
    const asked = this.exec('systemctl --no-block poweroff').catch(() => undefined);
    await Promise.race([
      asked.then(() => this.#qemu.ended),
      sleep(60_000, undefined, { ref: false }),
    ]);
    await this.stop();
  }

  async stop(): Promise<void> {
    this.#toEnd = true;
    this.#agent.close();
    await this.#qemu.kill();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
