/**
 * The kernel's own target over loopback TCP, for the devices contract: runs as root in the virtual
 * machine, with nvme-cli. One port, one subsystem for I/O, and a second one whose coming and going
 * changes the discovery log.
 */
import { execFile, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  rmdirSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { WELL_KNOWN_DISCOVERY_NQN } from '../../src/nvme/transport-id.ts';
import type { Devices } from '../../src/ports/devices.ts';
import type { DevicesWorld } from './devices.contract.ts';

const run = promisify(execFile);

const NVMET = '/sys/kernel/config/nvmet';
const PORT = join(NVMET, 'ports', '77');
const TRADDR = '127.0.0.1';
const TRSVCID = '4477';
/** Behind both subsystems. */
const DISK = '/var/tmp/contract.img';
const IO_NQN = 'nqn.2014-08.org.example:contract-io';
const OTHER_NQN = 'nqn.2014-08.org.example:contract-other';
const HOST_NQN = 'nqn.2014-08.org.nvmexpress:uuid:0a0b0c0d-0000-4000-8000-000000000001';
const HOST_ID = '0a0b0c0d-0000-4000-8000-000000000001';

function makeSubsystem(nqn: string): void {
  const subsystem = join(NVMET, 'subsystems', nqn);
  if (existsSync(subsystem)) return;
  mkdirSync(subsystem);
  writeFileSync(join(subsystem, 'attr_allow_any_host'), '1');
  const namespace = join(subsystem, 'namespaces', '1');
  mkdirSync(namespace);
  if (!existsSync(DISK)) {
    writeFileSync(DISK, '');
    truncateSync(DISK, 16 * 1024 * 1024);
  }
  writeFileSync(join(namespace, 'buffered_io'), '1');
  writeFileSync(join(namespace, 'device_path'), DISK);
  writeFileSync(join(namespace, 'enable'), '1');
}

function offer(nqn: string): void {
  const link = join(PORT, 'subsystems', nqn);
  if (!existsSync(link)) symlinkSync(join(NVMET, 'subsystems', nqn), link);
}

function withdraw(nqn: string): void {
  const link = join(PORT, 'subsystems', nqn);
  if (existsSync(link)) unlinkSync(link);
}

/** Keeps udev from connecting by nvme-cli's rule what a changed discovery log lists. */
const NO_AUTOCONNECT = '/run/udev/rules.d/70-nvmf-autoconnect.rules';

function reloadUdev(): void {
  spawnSync('udevadm', ['control', '--reload']);
}

/** Makes the target; harmless when repeated. */
export function setUpTarget(): void {
  mkdirSync(dirname(NO_AUTOCONNECT), { recursive: true });
  writeFileSync(NO_AUTOCONNECT, '');
  reloadUdev();
  const modules = ['nvmet', 'nvmet-tcp', 'nvme-tcp'];
  const { status } = spawnSync('modprobe', ['-a', ...modules], { stdio: 'inherit' });
  if (status !== 0) throw new Error('the kernel lacks a module of the NVMe/TCP target');
  makeSubsystem(IO_NQN);
  makeSubsystem(OTHER_NQN);
  if (!existsSync(PORT)) {
    mkdirSync(PORT);
    const attributes = { trtype: 'tcp', adrfam: 'ipv4', traddr: TRADDR, trsvcid: TRSVCID };
    for (const [name, value] of Object.entries(attributes)) {
      writeFileSync(join(PORT, `addr_${name}`), value);
    }
  }
  offer(IO_NQN);
}

export function tearDownTarget(): void {
  unlinkSync(NO_AUTOCONNECT);
  reloadUdev();
  for (const nqn of [IO_NQN, OTHER_NQN]) withdraw(nqn);
  rmdirSync(PORT);
  for (const nqn of [IO_NQN, OTHER_NQN]) {
    const subsystem = join(NVMET, 'subsystems', nqn);
    rmdirSync(join(subsystem, 'namespaces', '1'));
    rmdirSync(subsystem);
  }
  unlinkSync(DISK);
}

/**
 * Waits until udevd has passed on, and the adapter has read, what happened before.
 * @param devices the adapter under test
 */
export async function nvmetWorld(devices: Devices): Promise<DevicesWorld> {
  await run('udevadm', ['settle']);
  await sleep(200);
  const connected = new Set<string>();

  const connect = async (nqn: string, more: readonly string[] = []): Promise<string> => {
    const { stdout } = await run('nvme', [
      'connect',
      ...['-t', 'tcp', '-a', TRADDR, '-s', TRSVCID, '-n', nqn],
      ...['-q', HOST_NQN, '-I', HOST_ID, '-o', 'json', ...more],
    ]);
    const device = /nvme[0-9]+/.exec(stdout)?.[0];
    if (device === undefined) throw new Error(`nvme connect printed ${stdout}`);
    connected.add(device);
    return device;
  };

  const disconnect = async (device: string): Promise<void> => {
    await run('nvme', ['disconnect', '-d', device]);
    connected.delete(device);
  };

  return {
    devices,
    expected: {
      transport: 'tcp',
      traddr: TRADDR,
      trsvcid: TRSVCID,
      srcAddr: TRADDR,
      hostTraddr: '',
      hostIface: '',
      subsysnqn: IO_NQN,
      hostnqn: HOST_NQN,
      hostid: HOST_ID,
      dctype: 'none',
      model: 'Linux',
    },
    connect: () => connect(IO_NQN),
    // A keep-alive time-out makes it persistent: only then does it ask for events.
    connectDiscovery: () => connect(WELL_KNOWN_DISCOVERY_NQN, ['-k', '30']),
    changeLog: () => {
      offer(OTHER_NQN);
      return Promise.resolve();
    },
    disconnect,
    close: async () => {
      for (const device of [...connected]) await disconnect(device);
      withdraw(OTHER_NQN);
    },
  };
}
