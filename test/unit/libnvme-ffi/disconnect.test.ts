import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { disconnectController } from '../../../src/libnvme-ffi/disconnect.ts';
import type { KernelController } from '../../../src/ports/devices.ts';

let sysfs: string;
beforeEach(() => {
  sysfs = mkdtempSync(join(tmpdir(), 'nvme-stas-sysfs-'));
});
afterEach(() => {
  rmSync(sysfs, { recursive: true });
});

const NQN = 'nqn.2024-01.com.example:disk1';

/** Without `address`: to read it may end the host. */
function addDevice(device: string, uevent = 'NVME_TRADDR=192.0.2.1\nNVME_TRSVCID=4420'): void {
  const directory = join(sysfs, device);
  mkdirSync(directory);
  writeFileSync(join(directory, 'delete_controller'), '');
  writeFileSync(join(directory, 'subsysnqn'), `${NQN}\n`);
  writeFileSync(join(directory, 'uevent'), `DEVNAME=${device}\n${uevent}\n`);
}

function describeDevice(device: string): KernelController {
  return {
    device,
    instance: String(statSync(join(sysfs, device), { bigint: true }).ino),
    transport: 'tcp',
    traddr: '192.0.2.1',
    trsvcid: '4420',
    hostTraddr: '',
    hostIface: '',
    srcAddr: '192.0.2.9',
    subsysnqn: NQN,
    hostnqn: '',
    hostid: '',
    cntrltype: 'io',
    dctype: 'none',
    model: '',
    serial: '',
    cntlid: '',
    state: 'live',
    hasChildren: true,
  };
}

function asked(device: string): string {
  return readFileSync(join(sysfs, device, 'delete_controller'), 'utf8');
}

test('asks the kernel to delete the controller', async () => {
  addDevice('nvme3');
  await disconnectController(describeDevice('nvme3'), sysfs);
  expect(asked('nvme3')).toBe('1');
});

test('takes the controller for the same that was looked at before it had a subsystem', async () => {
  addDevice('nvme3');
  await disconnectController({ ...describeDevice('nvme3'), subsysnqn: '' }, sysfs);
  expect(asked('nvme3')).toBe('1');
});

test('leaves a later controller of the same name alone', async () => {
  addDevice('nvme3');
  const expected = describeDevice('nvme3');
  renameSync(join(sysfs, 'nvme3'), join(sysfs, 'former'));
  addDevice('nvme3');
  await expect(disconnectController(expected, sysfs)).rejects.toMatchObject({
    code: 'DEVICE_CHANGED',
    errorClass: 'final',
  });
  expect(asked('nvme3')).toBe('');
});

test.each<[string, Partial<KernelController>]>([
  ['subsystem', { subsysnqn: 'nqn.2024-01.com.example:disk2' }],
  ['address', { traddr: '192.0.2.2' }],
  ['port', { trsvcid: '4421' }],
])('leaves a controller of another %s alone', async (_, change) => {
  addDevice('nvme3');
  await expect(
    disconnectController({ ...describeDevice('nvme3'), ...change }, sysfs),
  ).rejects.toMatchObject({ code: 'DEVICE_CHANGED' });
  expect(asked('nvme3')).toBe('');
});

test('is content when the controller is gone already', async () => {
  addDevice('nvme3');
  const expected = describeDevice('nvme3');
  rmSync(join(sysfs, 'nvme3'), { recursive: true });
  await expect(disconnectController(expected, sysfs)).resolves.toBeUndefined();
});

test('goes by the instance where sysfs does not tell the address', async () => {
  addDevice('nvme3', 'NVME_TRTYPE=tcp');
  await disconnectController(describeDevice('nvme3'), sysfs);
  expect(asked('nvme3')).toBe('1');
  renameSync(join(sysfs, 'nvme3'), join(sysfs, 'former'));
  const former = { ...describeDevice('former'), device: 'nvme3' };
  addDevice('nvme3', 'NVME_TRTYPE=tcp');
  await expect(disconnectController(former, sysfs)).rejects.toMatchObject({
    code: 'DEVICE_CHANGED',
  });
  expect(asked('nvme3')).toBe('');
});

test('is content when the controller goes while it is looked at', async () => {
  addDevice('nvme3');
  rmSync(join(sysfs, 'nvme3', 'uevent'));
  await disconnectController(describeDevice('nvme3'), sysfs);
  expect(asked('nvme3')).toBe('');
});

test('is content when the kernel is deleting the controller already', async () => {
  addDevice('nvme3');
  rmSync(join(sysfs, 'nvme3', 'delete_controller'));
  await expect(disconnectController(describeDevice('nvme3'), sysfs)).resolves.toBeUndefined();
});

test('does not take another controller, that cannot be deleted, for one that is gone', async () => {
  addDevice('nvme3');
  const expected = describeDevice('nvme3');
  renameSync(join(sysfs, 'nvme3'), join(sysfs, 'former'));
  addDevice('nvme3');
  rmSync(join(sysfs, 'nvme3', 'delete_controller'));
  await expect(disconnectController(expected, sysfs)).rejects.toMatchObject({
    code: 'DEVICE_CHANGED',
  });
});

test('never touches a local controller', async () => {
  addDevice('nvme0');
  const local = { ...describeDevice('nvme0'), transport: 'pcie' };
  await expect(disconnectController(local, sysfs)).rejects.toMatchObject({ code: 'EOPNOTSUPP' });
  expect(asked('nvme0')).toBe('');
});

test.each(['nvme3/../nvme0', '../nvme0', 'nvme0n1', '', 'nvme'])(
  'never goes where %j leads',
  async (device) => {
    addDevice('nvme0');
    const elsewhere = { ...describeDevice('nvme0'), device };
    await expect(disconnectController(elsewhere, sysfs)).rejects.toMatchObject({
      code: 'EOPNOTSUPP',
    });
    expect(asked('nvme0')).toBe('');
  },
);

test('takes a controller without an address, as nvme-loop has them, by the rest', async () => {
  addDevice('nvme5', 'NVME_TRTYPE=loop\nNVME_TRADDR=(null)\nNVME_TRSVCID=none');
  const loop = { ...describeDevice('nvme5'), transport: 'loop', traddr: '', trsvcid: '' };
  await disconnectController(loop, sysfs);
  expect(asked('nvme5')).toBe('1');
});
