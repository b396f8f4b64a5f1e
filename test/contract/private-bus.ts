/** A real dbus-daemon of the test's own, with the limits of a system bus and no access rules. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const config = (socket: string): string => `<!DOCTYPE busconfig PUBLIC
 "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path=${socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
  <limit name="max_message_size">33554432</limit>
  <limit name="max_match_rules_per_connection">512</limit>
</busconfig>
`;

export interface PrivateBus {
  readonly address: string;
  readonly socket: string;
  /** As a crash: connections break. Resolves when the process is gone. */
  stop(): Promise<void>;
}

/** Why no bus can be started here, or undefined. */
export function whyNoPrivateBus(): string | undefined {
  const { error, status } = spawnSync('dbus-daemon', ['--version'], { stdio: 'ignore' });
  return error === undefined && status === 0 ? undefined : 'dbus-daemon is not installed';
}

/** Starts a bus with its socket somewhere in `parent`; resolves once it takes connections. */
export async function startPrivateBus(parent = tmpdir()): Promise<PrivateBus> {
  const directory = mkdtempSync(join(parent, 'bus-'));
  const file = join(directory, 'bus.conf');
  const socket = join(directory, 'socket');
  writeFileSync(file, config(socket));
  const daemon = spawn(
    'dbus-daemon',
    [`--config-file=${file}`, '--nofork', '--nopidfile', '--print-address=1'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = new Promise<void>((resolve) => {
    daemon.once('exit', () => {
      rmSync(directory, { recursive: true, force: true });
      resolve();
    });
  });
  const address = await new Promise<string>((resolve, reject) => {
    createInterface(daemon.stdout).once('line', resolve);
    daemon.once('error', reject);
    daemon.once('exit', () => reject(new Error('dbus-daemon ended at once')));
  });
  return {
    address,
    socket,
    stop: async () => {
      daemon.kill('SIGKILL');
      await ended;
    },
  };
}
