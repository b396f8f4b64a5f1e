/**
 * One QEMU process, its sockets and its directory.
 *
 * Invariants:
 * - images and saved states are never written to: each machine has an overlay of its own;
 * - QEMU does not outlive the thread that started it (the kernel sees to it), nor `kill()`;
 * - everything of a machine is in one temporary directory, named by the process that owns it.
 */
import { execFileSync, spawn } from 'node:child_process';
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
import { shellQuote } from './guest-agent.ts';
import type { Image } from './image.ts';
import { JsonLines } from './json-lines.ts';

/** What the machine is made of: two machines of equal hardware can have each other's state. */
export interface Hardware {
  readonly cpus: number;
  readonly memoryMiB: number;
  /** Files with ACPI tables. */
  readonly acpiTables: readonly string[];
  readonly kernelArguments: readonly string[];
}

/** The memory and disk of a machine that had booted. */
export interface SavedState {
  readonly memory: string;
  readonly disk: string;
}

/** How many consoles of failed machines are kept. */
const keptConsoles = 20;

export class Qemu {
  readonly directory: string;
  /** What this machine has written, over the image or the saved disk. */
  readonly disk: string;
  /** Resolves, to the reason, when QEMU has ended. */
  readonly ended: Promise<string>;
  readonly #forget: () => void;

  /** Starts QEMU: it boots `image`, or goes on where `saved` stopped (after `cont`). */
  constructor(image: Image, hardware: Hardware, saved?: SavedState) {
    removeLeftovers();
    this.directory = mkdtempSync(join(tmpdir(), `nvme-stas-vm-${process.pid}-`));
    this.disk = join(this.directory, 'disk.qcow2');
    const command = qemuCommand(this.directory, image, hardware, saved);
    try {
      createOverlay(this.disk, image, saved);
    } catch (error) {
      rmSync(this.directory, { recursive: true, force: true });
      throw error;
    }
    const child = spawn('setpriv', ['--pdeathsig=KILL', '--', ...command], {
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

  /** The path of one of the sockets, once QEMU has made it. */
  async socket(name: 'agent' | 'monitor'): Promise<string> {
    const path = join(this.directory, name);
    while (!existsSync(path)) await sleep(10);
    return path;
  }

  /** QEMU's monitor, ready for requests. */
  async monitor(): Promise<JsonLines> {
    const lines = await JsonLines.open(await this.socket('monitor'));
    await lines.request('qmp_capabilities');
    return lines;
  }

  /** Gives the result of `work`; throws `died`, `missing-program` or `timeout` if that comes first. */
  async unlessItDies<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
    // QEMU's own words say more than that its socket has closed.
    const unlessClosed = work.catch(async (error: unknown) => {
      if (error instanceof VmError && error.code === 'died') await this.ended;
      throw error;
    });
    unlessClosed.catch(() => undefined); // when the machine dies first
    const died = this.ended.then((why) => {
      const missing = /ENOENT|failed to execute/.test(why);
      const hint = missing ? ' (run `node tools/setup.mjs`)' : '';
      throw new VmError(missing ? 'missing-program' : 'died', `${why}${hint}`);
    });
    const timer = new AbortController();
    const late = sleep(timeoutMs, undefined, { signal: timer.signal }).then(() => {
      throw new VmError('timeout', `no answer after ${timeoutMs / 1000} s`);
    });
    late.catch(() => undefined);
    try {
      return await Promise.race([died, unlessClosed, late]);
    } finally {
      timer.abort();
    }
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

  /** Ends the process and removes its directory. */
  async kill(): Promise<void> {
    this.#forget();
    await this.ended;
  }
}

/** QEMU and its arguments, without what differs between machines that can share a state. */
export function hardwareArguments(image: Image, hardware: Hardware): readonly string[] {
  const kernel = [
    'root=/dev/vda rw console=ttyS0 loglevel=4 quiet mitigations=off oops=panic panic=-1',
    // The console is only recorded, and a shell is started when a person wants one.
    'systemd.show_status=no systemd.getty_auto=no',
    ...hardware.kernelArguments,
  ];
  return [
    'qemu-system-x86_64',
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-nic', 'none'],
    ...['-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max'],
    ...['-smp', String(hardware.cpus), '-m', String(hardware.memoryMiB)],
    ...['-kernel', image.kernel, '-initrd', image.initrd, '-append', kernel.join(' ')],
    ...['-device', 'virtio-blk-pci,drive=disk'],
    ...['-device', 'virtio-serial-pci'],
    ...['-device', 'virtserialport,chardev=agent,name=nvme-stas.agent'],
    ...['-device', 'virtconsole,chardev=terminal'],
    ...['-serial', 'chardev:console'],
    ...hardware.acpiTables.flatMap((table) => ['-acpitable', `file=${table}`]),
  ];
}

function qemuCommand(
  directory: string,
  image: Image,
  hardware: Hardware,
  saved: SavedState | undefined,
): readonly string[] {
  const socket = (id: string): readonly string[] => [
    '-chardev',
    `socket,id=${id},path=${join(directory, id)},server=on,wait=off`,
  ];
  return [
    // The character devices come before what is connected to them.
    ...hardwareArguments(image, hardware).slice(0, 1),
    ...[...socket('agent'), ...socket('terminal'), ...socket('monitor')],
    ...['-chardev', `file,id=console,path=${join(directory, 'console')}`],
    ...['-mon', 'chardev=monitor,mode=control'],
    ...[
      '-drive',
      `file=${join(directory, 'disk.qcow2')},format=qcow2,if=none,id=disk,cache=unsafe`,
    ],
    ...hardwareArguments(image, hardware).slice(1),
    ...(saved === undefined ? [] : ['-incoming', `exec:cat ${shellQuote(saved.memory)}`]),
  ];
}

function createOverlay(path: string, image: Image, saved: SavedState | undefined): void {
  const below =
    saved === undefined ? ['-F', 'raw', '-b', image.disk] : ['-F', 'qcow2', '-b', saved.disk];
  try {
    const create = ['create', '-q', '-f', 'qcow2', ...below, path];
    execFileSync('qemu-img', create, { stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const message = missing
      ? 'qemu-img is not installed: run `node tools/setup.mjs`'
      : (error as Error).message;
    throw new VmError(missing ? 'missing-program' : 'refused', message, { cause: error });
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
