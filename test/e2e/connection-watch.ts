/**
 * Watches that connections of the kernel are left alone, and that I/O over them goes on: one more
 * look than sysfs, which cannot tell a connection from one that was made again in its place.
 *
 * Invariants:
 * - I/O runs, and uevents are recorded, without a gap from `start` to `stop`;
 * - what happened is told once: each `take` tells what happened since the one before.
 */
import { readFile } from 'node:fs/promises';
import { GUEST, type KernelView, type Lab } from './lab.ts';

const UEVENTS = '/run/e2e-uevents';
const IO = '/run/e2e-io';
const IO_TARGET_PORT = 4420;

/** I/O on one namespace, since the start. */
export interface IoCount {
  readonly block: string;
  readonly done: number;
  readonly failed: number;
  /** Milliseconds of the longest one. */
  readonly longest: number;
}

/** What happened since the last look. */
export interface Happenings {
  /** `remove nvme3`, `change nvme3 NVME_EVENT=connected`, …: of controllers. */
  readonly uevents: readonly string[];
  /** What the kernel's log says of NVMe, hosts and targets, and of failed I/O. */
  readonly kernelLog: readonly string[];
  /**
   * The host's ends of the established TCP connections to I/O controllers, sorted: a controller
   * that was reconnected has others.
   */
  readonly sockets: readonly string[];
  readonly io: readonly IoCount[];
}

export class ConnectionWatch {
  readonly #lab: Lab;
  #ueventsTold = 0;
  #logTold = 0;

  private constructor(lab: Lab) {
    this.#lab = lab;
  }

  /** Begins to watch, with I/O on the first namespace of each of these controllers. */
  static async start(lab: Lab, controllers: readonly KernelView[]): Promise<ConnectionWatch> {
    const { machine } = lab;
    const script = await readFile(new URL('guest/io-load.pl', import.meta.url));
    await machine.writeFile(`${GUEST}/io-load.pl`, script, { mode: 0o755 });
    const blocks = controllers.map(({ namespaces: [path = ''] }) => path.replace(/c\d+/, ''));
    await machine.sh(
      [
        `systemctl stop e2e-uevents e2e-io 2>/dev/null; rm -rf ${IO} ${UEVENTS}; mkdir ${IO}`,
        `systemd-run --quiet --unit=e2e-uevents sh -c "exec stdbuf -oL udevadm monitor --kernel --property --subsystem-match=nvme > ${UEVENTS}"`,
        `systemd-run --quiet --unit=e2e-io ${GUEST}/io-load.pl ${IO} ${blocks.join(' ')}`,
      ].join('\n'),
    );
    const all = `[ $(cat ${IO}/* | wc -l) = ${String(blocks.length)} ]`;
    await machine.waitFor(`grep -q ^KERNEL ${UEVENTS} && ${all}`, { timeoutMs: 120_000 });
    const watch = new ConnectionWatch(lab);
    await watch.take();
    return watch;
  }

  async take(): Promise<Happenings> {
    const established = `$F[3] eq "01" && $F[2] =~ /:${IO_TARGET_PORT.toString(16)}$/i`;
    const parts = await this.#lab.machine.sh(
      [
        `cat ${UEVENTS}; echo ==`,
        `perl -ane 'print "$F[1]\\n" if ${established}' /proc/net/tcp | sort; echo ==`,
        `cat ${IO}/*`,
      ].join('\n'),
    );
    const [events = '', sockets = '', io = ''] = parts.split('==\n');
    const uevents = readUevents(events);
    const log = lines(await this.#lab.journal('kernel')).filter((line) =>
      /nvme|I\/O error/.test(line),
    );
    const happenings = {
      uevents: uevents.slice(this.#ueventsTold),
      kernelLog: log.slice(this.#logTold),
      sockets: lines(sockets),
      io: lines(io).map(readIo),
    };
    this.#ueventsTold = uevents.length;
    this.#logTold = log.length;
    return happenings;
  }

  /** Ends the I/O; uevents are recorded until `stop`. */
  async stopIo(): Promise<void> {
    await this.#lab.machine.sh('systemctl stop e2e-io');
  }

  async stop(): Promise<void> {
    await this.#lab.machine.sh('systemctl stop e2e-io e2e-uevents 2>/dev/null || true');
  }
}

function lines(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '');
}

/** `udevadm monitor --property`: paragraphs of a head and `KEY=VALUE` lines. */
function readUevents(text: string): readonly string[] {
  return text.split('\n\n').flatMap((paragraph) => {
    const [, action, path] = /^KERNEL\[[\d.]+\] (\w+) +(\S+)/m.exec(paragraph) ?? [];
    if (action === undefined || path === undefined) return [];
    const why = /^NVME_(?:EVENT|AEN)=.*$/m.exec(paragraph)?.[0];
    return [[action, path.split('/').at(-1), why].filter((part) => part !== undefined).join(' ')];
  });
}

function readIo(line: string): IoCount {
  const [block = '', done, failed, longest] = line.trim().split(/ +/);
  return { block, done: Number(done), failed: Number(failed), longest: Number(longest) };
}
