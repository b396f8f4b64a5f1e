/** Who connects a host to what a discovery controller lists: this project, and its peers. */
import { readFile } from 'node:fs/promises';
import { stafdConf, type Lab } from '../../e2e/lab.ts';
import { PEER, PEER_MODULES } from '../../vm/peer.ts';

/** Where the benchmark's own programs are in the machine. */
export const PROGRAMS = '/usr/local/lib/bench';
const DC_LINE = 'transport=tcp;traddr=127.0.0.1';

/** How one of them is set going in the machine, and what it has taken. */
export interface Contender {
  readonly name: 'ours' | 'the original' | 'nvme connect-all';
  /** Whether it stays to follow what changes. */
  readonly isDaemon: boolean;
  /** What `prepare` has made ready: a shell command that sets it going. */
  readonly command: string;
  /** Writes its configuration; `ctrlLossTmo` in seconds. */
  prepare(lab: Lab, options?: { readonly ctrlLossTmo?: number }): Promise<void>;
  /** Ends it at once; connections stay. */
  end(lab: Lab): Promise<void>;
  /** Its processes by the name of the daemon. */
  processes(lab: Lab): Promise<Readonly<Record<string, number>>>;
}

const DAEMONS = ['stafd', 'stacd'] as const;

async function unitProcesses(
  { machine }: Lab,
  unitOf: (daemon: string) => string,
): Promise<Readonly<Record<string, number>>> {
  const pids = await machine.sh(
    DAEMONS.map((daemon) => `systemctl show -P MainPID ${unitOf(daemon)}`).join('; '),
  );
  const numbers = pids.trim().split('\n').map(Number);
  return Object.fromEntries(DAEMONS.map((daemon, index) => [daemon, numbers[index] ?? 0]));
}

function globalSection(ctrlLossTmo: number | undefined): string {
  return ctrlLossTmo === undefined ? '' : `[Global]\nctrl-loss-tmo = ${String(ctrlLossTmo)}\n`;
}

export const ours: Contender = {
  name: 'ours',
  isDaemon: true,
  command: 'systemctl start stafd stacd',
  prepare: async (lab, { ctrlLossTmo } = {}) => {
    const global = globalSection(ctrlLossTmo);
    await lab.configure('stafd', `${global}${stafdConf(DC_LINE)}`);
    await lab.configure('stacd', global);
  },
  end: async ({ machine }) => {
    await machine.sh(
      'systemctl kill -s KILL stafd stacd; systemctl stop stafd stacd; rm -rf /run/stafd /run/stacd',
      { timeoutMs: 180_000 },
    );
  },
  processes: (lab) => unitProcesses(lab, (daemon) => daemon),
};

export const original: Contender = {
  name: 'the original',
  isDaemon: true,
  command: DAEMONS.map((daemon) =>
    [
      `systemd-run --quiet --unit=original-${daemon} --setenv=PYTHONPATH=${PEER_MODULES}`,
      `-p RuntimeDirectory=original-${daemon} -p CPUAccounting=yes`,
      `/usr/bin/python3 ${PEER}/usr/sbin/${daemon} --syslog -f /run/original-${daemon}.conf`,
    ].join(' '),
  ).join('; '),
  prepare: async ({ machine }, { ctrlLossTmo } = {}) => {
    const global = globalSection(ctrlLossTmo);
    await machine.writeFile('/run/original-stafd.conf', `${global}${stafdConf(DC_LINE)}`);
    await machine.writeFile('/run/original-stacd.conf', global);
  },
  end: async ({ machine }) => {
    const units = DAEMONS.map((daemon) => `original-${daemon}`).join(' ');
    await machine.sh(
      `systemctl kill -s KILL ${units}; systemctl stop ${units}; systemctl reset-failed ${units}; true`,
      { timeoutMs: 180_000 },
    );
  },
  processes: (lab) => unitProcesses(lab, (daemon) => `original-${daemon}`),
};

export const connectAll: Contender = {
  name: 'nvme connect-all',
  isDaemon: false,
  command: 'nvme connect-all -t tcp -a 127.0.0.1 -s 8009',
  prepare: () => Promise.resolve(),
  end: ({ machine }) => machine.sh('pkill -KILL -x nvme; true').then(() => undefined),
  processes: () => Promise.resolve({}),
};

/** Brings the benchmark's own programs into the machine. */
export async function furnish({ machine }: Lab): Promise<void> {
  for (const name of ['timed.pl', 'processes.pl', 'mute.pl']) {
    const script = await readFile(new URL(`guest/${name}`, import.meta.url));
    await machine.writeFile(`${PROGRAMS}/${name}`, script, { mode: 0o755 });
  }
}
