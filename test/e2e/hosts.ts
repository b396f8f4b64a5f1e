/**
 * What NVMe/TCP hosts do when they connect: the daemons' probes and the kernel's connections, read
 * off the loopback interface of the machine, and the kernel's Connect commands, from its own trace.
 */
import { readFile } from 'node:fs/promises';
import type { Machine } from '../vm/machine.ts';

const SCRIPT = '/usr/local/lib/e2e/host-monitor.pl';
const EVENTS = '/run/e2e-hosts';
const TRACE = '/sys/kernel/tracing';
/** Nobody listens there; a connection to it marks a moment in what was noted. */
const MARK_PORT = 9;

/** A TCP connection of a host. A probe sends no command, one of TCP alone no ICReq either. */
export interface HostConnection {
  /** The host's end. */
  readonly host: string;
  /** The controller's end. */
  readonly address: string;
  readonly port: number;
  readonly icReq?: { readonly headerDigest: boolean; readonly dataDigest: boolean };
  readonly commands: boolean;
}

/** A Connect command of the kernel (NVMe over Fabrics), of any transport. */
export interface ConnectCommand {
  readonly device: string;
  /** 0 is the admin queue. */
  readonly qid: number;
  /** 0's based. */
  readonly sqsize: number;
  /** Bit 2: SQ flow control is disabled. */
  readonly cattr: number;
  /** Milliseconds; of the admin queue alone. */
  readonly kato: number;
}

export interface HostActivity {
  /** In the order in which they were opened. */
  readonly connections: readonly HostConnection[];
  readonly connects: readonly ConnectCommand[];
}

interface HostEvent {
  readonly event: 'open' | 'icreq' | 'command';
  readonly host: string;
  readonly from: number;
  readonly address: string;
  readonly port: number;
  readonly headerDigest: boolean;
  readonly dataDigest: boolean;
}

/** Begins to note what hosts do, for {@link hostActivity}; earlier notes are gone. */
export async function watchHosts(machine: Machine): Promise<void> {
  const script = await readFile(new URL('guest/host-monitor.pl', import.meta.url));
  await machine.writeFile(SCRIPT, script, { mode: 0o755 });
  await machine.sh(
    [
      'systemctl stop e2e-hosts 2>/dev/null',
      `rm -f ${EVENTS}`,
      `systemd-run --quiet --unit=e2e-hosts sh -c "exec ${SCRIPT} > ${EVENTS}"`,
      'modprobe nvme-fabrics',
      `cd ${TRACE}`,
      // The fabrics command (7Fh) Connect (01h).
      'echo "opcode == 0x7f && fctype == 0x01" > events/nvme/nvme_setup_cmd/filter',
      'echo 1 > events/nvme/nvme_setup_cmd/enable',
      'echo > trace',
    ].join('\n'),
  );
  await machine.waitFor(`grep -q ready ${EVENTS}`, { timeoutMs: 120_000 });
}

/** What they did since {@link watchHosts}. */
export async function hostActivity(machine: Machine): Promise<HostActivity> {
  // The notes come later than what they tell of: up to a mark, they are all there.
  const marks = `grep -c '"port":${String(MARK_PORT)}}' ${EVENTS}`;
  const [events, trace] = await Promise.all([
    machine.sh(
      [
        `before=$(${marks})`,
        `bash -c '</dev/tcp/127.0.0.1/${String(MARK_PORT)}' 2>/dev/null`,
        `until [ "$(${marks})" -gt "$before" ]; do sleep 0.1; done`,
        `cat ${EVENTS}`,
      ].join('\n'),
      { timeoutMs: 120_000 },
    ),
    machine.sh(`cat ${TRACE}/trace`),
  ]);
  const connections = readEvents(events).filter(({ port }) => port !== MARK_PORT);
  return { connections, connects: readTrace(trace) };
}

function readEvents(text: string): readonly HostConnection[] {
  const connections: HostConnection[] = [];
  const latest = new Map<string, number>();
  for (const line of text.split('\n').slice(1)) {
    // The last one may be half written.
    if (!line.endsWith('}')) continue;
    const { address, dataDigest, event, from, headerDigest, host, port } = JSON.parse(
      line,
    ) as HostEvent;
    const key = [host, from, address, port].join(' ');
    const index = latest.get(key);
    const known = index === undefined ? undefined : connections[index];
    if (event === 'open' || index === undefined || known === undefined) {
      latest.set(key, connections.push({ host, address, port, commands: false }) - 1);
    } else if (event === 'icreq') {
      connections[index] = { ...known, icReq: { headerDigest, dataDigest } };
    } else {
      connections[index] = { ...known, commands: true };
    }
  }
  return connections;
}

function readTrace(text: string): readonly ConnectCommand[] {
  const connect =
    /(nvme\d+):.*connect recfmt=\d+, qid=(\d+), sqsize=(\d+), cattr=(\d+), kato=(\d+)/;
  return text.split('\n').flatMap((line) => {
    const [, device, ...numbers] = connect.exec(line) ?? [];
    const [qid, sqsize, cattr, kato] = numbers.map(Number);
    return device === undefined || kato === undefined
      ? []
      : [{ device, qid: qid ?? 0, sqsize: sqsize ?? 0, cattr: cattr ?? 0, kato }];
  });
}
