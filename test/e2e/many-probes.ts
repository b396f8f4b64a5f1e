/** Many probes in the machine, and what they leave behind at the targets. */
import { daemonFlags } from '../../tools/package/tree.ts';
import { bundleOfSrc } from './bundle-of-src.ts';
import { GUEST, type Lab } from './lab.ts';

const PROGRAM = `${GUEST}/many-probes.mjs`;

/** What many probes of one address came to. */
export interface ProbeCount {
  readonly reachable: number;
  /** How others ended, each reason once. */
  readonly failures: readonly string[];
  readonly tookMs: number;
  /** Of the probing process. */
  readonly cpuMs: number;
}

/** What the machine has of sockets and memory. */
export interface Remains {
  /** TCP sockets on the targets' side, by their local port and state: `4420 01` is established. */
  readonly sockets: readonly string[];
  /** The kernel's memory that cannot be reclaimed, in KiB. */
  readonly slabKiB: number;
  /** Milliseconds that the processors were at work. */
  readonly busyMs: number;
}

/** Readies the machine for `manyProbes`. */
export async function installManyProbes({ machine }: Lab): Promise<void> {
  await machine.writeFile(PROGRAM, await bundleOfSrc('test/e2e/guest/many-probes.ts'));
}

/** Probes 127.0.0.1 `count` times, 100 at a time. */
export async function manyProbes(
  { machine }: Lab,
  port: number,
  mode: 'tcp' | 'nvme-tcp',
  count: number,
): Promise<ProbeCount> {
  const words = [PROGRAM, port, mode, count, 100];
  const said = await machine.sh(`node ${daemonFlags} ${words.join(' ')}`, {
    timeoutMs: 120_000,
  });
  return JSON.parse(said) as ProbeCount;
}

/** What there is when nothing closes any more on the targets' side of these ports. */
export async function remains({ machine }: Lab, ports: readonly number[]): Promise<Remains> {
  const hex = ports.map((port) => port.toString(16).toUpperCase().padStart(4, '0')).join('|');
  // Established and listening ones (01, 0A) stay; 06 is TIME_WAIT, which no socket is left of.
  const sockets = `perl -ane 'print "$1 $F[3]\\n" if $F[1] =~ /:(${hex})$/ && $F[3] ne "06"' /proc/net/tcp | sort`;
  await machine.waitFor(`! ${sockets} | grep -vE ' (01|0A)$'`, { timeoutMs: 60_000 });
  const said = await machine.sh(
    `sync; echo 3 >/proc/sys/vm/drop_caches; ${sockets}; echo ==; awk '/^SUnreclaim/ { print $2 }' /proc/meminfo; head -n 1 /proc/stat`,
  );
  const [found = '', rest = ''] = said.split('==\n');
  const [slab = '', stat = ''] = rest.split('\n');
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = stat
    .trim()
    .split(/ +/)
    .slice(1)
    .map(Number);
  return {
    sockets: found.split('\n').filter((line) => line !== ''),
    slabKiB: Number(slab),
    // In hundredths of a second (proc_stat(5)).
    busyMs: 10 * (user + nice + system + irq + softirq),
  };
}
