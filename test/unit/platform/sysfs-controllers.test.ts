import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SysfsControllers } from '../../../src/platform/sysfs-controllers.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sysfs-'));
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

const ASKED = {
  NVME_TRTYPE: 'tcp',
  NVME_TRADDR: '192.0.2.1',
  NVME_TRSVCID: '4420',
  NVME_HOST_TRADDR: 'none',
  NVME_HOST_IFACE: 'none',
};

/** The attribute `uevent`, as the kernel prints it. */
function uevent(asked: Readonly<Record<string, string>>): string {
  const all = { MAJOR: '241', MINOR: '0', DEVNAME: 'nvme0', ...asked };
  return Object.entries(all)
    .map(([key, value]) => `${key}=${value}`)
    .join('\n');
}

const TCP: Readonly<Record<string, string>> = {
  transport: 'tcp',
  address: 'traddr=192.0.2.1,trsvcid=4420,src_addr=192.0.2.9',
  uevent: uevent(ASKED),
  subsysnqn: 'nqn.2014-08.org.example:one',
  hostnqn: 'nqn.2014-08.org.nvmexpress:uuid:7',
  hostid: '7',
  cntrltype: 'io',
  dctype: 'none',
  model: 'Linux                                   ',
  serial: 'a1b2c3d4            ',
  cntlid: '1',
  state: 'live',
};

function directoryOf(device: string): string {
  return join(root, 'devices', 'ctl', device);
}

/** Makes a controller as the kernel shows it: a directory elsewhere, and a link in the class. */
function addController(device: string, attributes: Readonly<Record<string, string>> = {}): void {
  const directory = directoryOf(device);
  mkdirSync(join(directory, 'power'), { recursive: true });
  mkdirSync(join(root, 'class', 'nvme'), { recursive: true });
  for (const [name, value] of Object.entries({ ...TCP, ...attributes })) {
    writeFileSync(join(directory, name), `${value}\n`);
  }
  symlinkSync(directory, join(root, 'class', 'nvme', device));
}

function write(device: string, name: string, value: string): void {
  writeFileSync(join(directoryOf(device), name), `${value}\n`);
}

function removeController(device: string): void {
  unlinkSync(join(root, 'class', 'nvme', device));
  rmSync(directoryOf(device), { recursive: true });
}

function controllers(): SysfsControllers {
  return new SysfsControllers(root);
}

test('lists every controller by number, with what sysfs shows of it', async () => {
  addController('nvme10', { cntrltype: 'discovery', dctype: 'cdc' });
  addController('nvme2');
  const [first, second] = await controllers().list();
  expect(first).toEqual({
    device: 'nvme2',
    instance: expect.stringMatching(/^[0-9]+$/) as unknown,
    transport: 'tcp',
    traddr: '192.0.2.1',
    trsvcid: '4420',
    hostTraddr: '',
    hostIface: '',
    srcAddr: '192.0.2.9',
    subsysnqn: 'nqn.2014-08.org.example:one',
    hostnqn: 'nqn.2014-08.org.nvmexpress:uuid:7',
    hostid: '7',
    cntrltype: 'io',
    dctype: 'none',
    model: 'Linux',
    serial: 'a1b2c3d4',
    cntlid: '1',
    state: 'live',
    hasChildren: false,
  });
  expect(second).toMatchObject({ device: 'nvme10', cntrltype: 'discovery', dctype: 'cdc' });
});

test('lists nothing where the module is not loaded, or has no controllers', async () => {
  expect(await controllers().list()).toEqual([]);
  mkdirSync(join(root, 'class', 'nvme'), { recursive: true });
  expect(await controllers().list()).toEqual([]);
});

test('lists local controllers as pcie, with their PCI address', async () => {
  addController('nvme0', {
    transport: 'pcie',
    address: '0000:01:00.0',
    uevent: uevent({ NVME_TRTYPE: 'pcie' }),
    state: 'connecting',
  });
  const sysfs = controllers();
  const local = { transport: 'pcie', traddr: '0000:01:00.0', trsvcid: '', srcAddr: '' };
  expect(await sysfs.list()).toMatchObject([local]);
  write('nvme0', 'state', 'live');
  expect(await sysfs.list()).toMatchObject([local]);
});

test('reads again what was not there yet, in the moment in which a controller is added', async () => {
  addController('nvme0');
  for (const name of ['state', 'address', 'uevent']) rmSync(join(directoryOf('nvme0'), name));
  const sysfs = controllers();
  expect(await sysfs.list()).toMatchObject([{ state: '', traddr: '' }]);
  for (const name of ['state', 'address', 'uevent']) write('nvme0', name, TCP[name] ?? '');
  expect(await sysfs.list()).toMatchObject([
    { state: 'live', traddr: '192.0.2.1', srcAddr: '192.0.2.9' },
  ]);
});

test('leaves attributes empty that an older kernel has not', async () => {
  addController('nvme0');
  for (const name of ['cntrltype', 'dctype', 'hostid']) {
    rmSync(join(directoryOf('nvme0'), name));
  }
  const [old] = await controllers().list();
  expect(old).toMatchObject({ cntrltype: '', dctype: '', hostid: '', state: 'live' });
});

const CHILDREN = ['nvme0n1', 'nvme0c0n1', 'nvme7c0n1', 'ng0n1'];

test.each(CHILDREN)('sees %s as a child', async (child) => {
  addController('nvme0');
  mkdirSync(join(directoryOf('nvme0'), child));
  expect(await controllers().list()).toMatchObject([{ hasChildren: true }]);
});

test.each(['power', 'hwmon1', 'nvme0', 'nvme0n'])('does not take %s for a child', async (other) => {
  addController('nvme0');
  mkdirSync(join(directoryOf('nvme0'), other), { recursive: true });
  expect(await controllers().list()).toMatchObject([{ hasChildren: false }]);
});

test('sees in each pass what changes while a connection is up', async () => {
  addController('nvme0');
  const sysfs = controllers();
  await sysfs.list();
  mkdirSync(join(directoryOf('nvme0'), 'nvme0n1'));
  expect(await sysfs.list()).toMatchObject([{ hasChildren: true }]);
  write('nvme0', 'state', 'connecting');
  expect(await sysfs.list()).toMatchObject([{ state: 'connecting' }]);
});

test('reads everything again after a controller was seen not live', async () => {
  addController('nvme0', { state: 'connecting', subsysnqn: '(efault)', cntlid: '0' });
  const sysfs = controllers();
  expect(await sysfs.list()).toMatchObject([{ state: 'connecting', subsysnqn: '' }]);
  write('nvme0', 'state', 'live');
  write('nvme0', 'subsysnqn', 'nqn.a');
  write('nvme0', 'cntlid', '3');
  expect(await sysfs.list()).toMatchObject([{ subsysnqn: 'nqn.a', cntlid: '3' }]);
  write('nvme0', 'state', 'resetting');
  await sysfs.list();
  write('nvme0', 'state', 'live');
  write('nvme0', 'cntlid', '4');
  expect(await sysfs.list()).toMatchObject([{ cntlid: '4' }]);
});

const MOVED = 'traddr=192.0.2.1,trsvcid=4420,src_addr=192.0.2.10';

// Reading it while the kernel tears down the admin queue can end the host.
describe('the address is read no more often than it has to be', () => {
  test('once of one that stays live, and again after it was connected anew', async () => {
    addController('nvme0');
    addController('nvme1');
    const sysfs = controllers();
    await sysfs.list();
    write('nvme0', 'address', MOVED);
    write('nvme1', 'address', MOVED);
    const source = async (): Promise<readonly string[]> =>
      (await sysfs.list()).map(({ srcAddr }) => srcAddr);
    expect(await source()).toEqual(['192.0.2.9', '192.0.2.9']);
    sysfs.readdress('nvme0');
    expect(await source()).toEqual(['192.0.2.10', '192.0.2.9']);
    sysfs.readdress();
    expect(await source()).toEqual(['192.0.2.10', '192.0.2.10']);
    write('nvme0', 'address', TCP['address'] ?? '');
    expect(await source()).toEqual(['192.0.2.10', '192.0.2.10']);
  });

  test('not while it is not live: it has no source address then', async () => {
    addController('nvme0');
    const sysfs = controllers();
    await sysfs.list();
    write('nvme0', 'address', MOVED);
    for (const state of ['resetting', 'connecting', 'deleting', 'deleting (no IO)']) {
      write('nvme0', 'state', state);
      sysfs.readdress('nvme0');
      const [seen] = await sysfs.list();
      expect(seen).toMatchObject({ state, traddr: '192.0.2.1', srcAddr: '' });
    }
    write('nvme0', 'state', 'live');
    expect(await sysfs.list()).toMatchObject([{ srcAddr: '192.0.2.10' }]);
  });

  test.each(['new', 'connecting', 'resetting', 'deleting', 'deleting (no IO)', 'dead'])(
    'not of one that is first seen %s',
    async (state) => {
      const address = 'traddr=192.0.2.99,trsvcid=1,src_addr=192.0.2.98';
      addController('nvme0', { state, address });
      const sysfs = controllers();
      const [seen] = await sysfs.list();
      expect(seen).toMatchObject({ state, traddr: '192.0.2.1', trsvcid: '4420', srcAddr: '' });
      write('nvme0', 'state', 'live');
      expect(await sysfs.list()).toMatchObject([{ traddr: '192.0.2.1', srcAddr: '192.0.2.98' }]);
    },
  );

  test.each(['live', 'connecting', 'deleting'])(
    'nothing but the source of a fabrics controller, whatever its uevent says: %s',
    async (state) => {
      addController('nvme0', { state, uevent: uevent({ NVME_TRTYPE: 'tcp' }) });
      const sysfs = controllers();
      const [seen] = await sysfs.list();
      expect(seen).toMatchObject({
        state,
        traddr: '',
        srcAddr: state === 'live' ? '192.0.2.9' : '',
      });
      if (state === 'live') expect((await sysfs.list())[0]).toBe(seen);
      write('nvme0', 'uevent', TCP['uevent'] ?? '');
      expect(await sysfs.list()).toMatchObject([{ state, traddr: '192.0.2.1' }]);
    },
  );
});

test('tells a controller from a later one of the same name', async () => {
  addController('nvme0');
  const sysfs = controllers();
  const [before] = await sysfs.list();
  // Moved away and not removed: a disk gives an inode number anew, sysfs never does.
  renameSync(directoryOf('nvme0'), directoryOf('gone'));
  unlinkSync(join(root, 'class', 'nvme', 'nvme0'));
  addController('nvme0', { subsysnqn: 'nqn.2014-08.org.example:two' });
  const [after] = await sysfs.list();
  expect(after?.instance).not.toBe(before?.instance);
  expect(after?.subsysnqn).toBe('nqn.2014-08.org.example:two');
});

test('leaves out a controller whose directory is gone', async () => {
  addController('nvme0');
  addController('nvme1');
  rmSync(directoryOf('nvme0'), { recursive: true });
  expect(await controllers().list()).toMatchObject([{ device: 'nvme1' }]);
});

test('reads one controller by name, and no other path', async () => {
  addController('nvme0');
  const sysfs = controllers();
  expect(await sysfs.read('nvme0')).toMatchObject({ device: 'nvme0', traddr: '192.0.2.1' });
  expect(await sysfs.read('nvme1')).toBeUndefined();
  expect(await sysfs.read('../nvme/nvme0')).toBeUndefined();
});

test('answers each who asks with what was read after the asking', async () => {
  for (let number = 0; number < 40; number += 1) addController(`nvme${number}`);
  const sysfs = controllers();
  const first = sysfs.list();
  removeController('nvme0');
  addController('nvme40');
  const [second, third] = await Promise.all([sysfs.list(), sysfs.list()]);
  const names = second.map(({ device }) => device);
  expect(names).toContain('nvme40');
  expect(names).not.toContain('nvme0');
  expect(third).toBe(second);
  expect((await first).length).toBeGreaterThanOrEqual(39);
});

test('shows what a controller says of itself as one line', async () => {
  addController('nvme0', { model: 'Good\u001b[2J\nJan 01 stafd: all is well', serial: '\u202e1' });
  expect(await controllers().list()).toMatchObject([
    { model: 'Good\\x1b[2J\\nJan 01 stafd: all is well', serial: '\\u{202e}1' },
  ]);
});

test('rejects, rather than shows less, where the class cannot be read', async () => {
  mkdirSync(join(root, 'class'));
  writeFileSync(join(root, 'class', 'nvme'), '');
  await expect(controllers().list()).rejects.toMatchObject({ code: 'ENOTDIR' });
});

test('gives the same object as long as nothing changes', async () => {
  addController('nvme0');
  addController('nvme1', { state: 'connecting' });
  const sysfs = new SysfsControllers(root);
  const before = await sysfs.list();
  expect((await sysfs.list())[0]).toBe(before[0]);
  expect(await sysfs.read('nvme0')).toBe(before[0]);
  write('nvme0', 'address', 'traddr=192.0.2.1,trsvcid=4420,src_addr=192.0.2.10');
  sysfs.readdress('nvme0');
  const moved = await sysfs.read('nvme0');
  expect(moved?.srcAddr).toBe('192.0.2.10');
  sysfs.readdress('nvme0');
  expect(await sysfs.read('nvme0')).toBe(moved);
  write('nvme0', 'state', 'resetting');
  expect((await sysfs.read('nvme0'))?.state).toBe('resetting');
  write('nvme0', 'state', 'live');
  write('nvme0', 'cntrltype', 'discovery');
  expect(await sysfs.read('nvme0')).toMatchObject({ state: 'live', cntrltype: 'discovery' });
  write('nvme1', 'cntrltype', 'discovery');
  expect((await sysfs.list())[1]?.cntrltype).toBe('discovery');
});
