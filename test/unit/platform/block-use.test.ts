import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseMountinfo, parseSwaps, SystemBlockUses } from '../../../src/platform/block-use.ts';
import type { NamespaceUse } from '../../../src/ports/block-use.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'block-use-'));
  mountinfo();
  process(1, '');
  put('proc/version');
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

function put(path: string, text = ''): void {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

function mountinfo(...lines: readonly string[]): void {
  put('proc/self/mountinfo', lines.map((line) => `${line}\n`).join(''));
}

/** A process; without lines, one that ends while it is looked at. */
function process(id: number, ...lines: readonly string[]): void {
  mkdirSync(join(root, 'proc', String(id)), { recursive: true });
  if (lines.length > 0) put(`proc/${String(id)}/mountinfo`, lines.map((it) => `${it}\n`).join(''));
}

function swaps(...files: readonly string[]): void {
  const lines = files.map((file) => `${file}  partition  1048572  0  -2\n`);
  put('proc/swaps', `Filename  Type  Size  Used  Priority\n${lines.join('')}`);
}

/** A controller with its paths, as `name: ana_state`; of a namespace without ANA, `name: ''`. */
function controller(name: string, paths: Readonly<Record<string, string>>, state = 'live'): void {
  const directory = `sys/devices/ctl/${name}`;
  put(`${directory}/state`, `${state}\n`);
  put(`${directory}/power/control`);
  for (const [path, ana] of Object.entries(paths)) {
    put(`${directory}/${path}/size`, '8\n');
    if (ana !== '') put(`${directory}/${path}/ana_state`, `${ana}\n`);
  }
  mkdirSync(join(root, 'sys/class/nvme'), { recursive: true });
  symlinkSync(join(root, directory), join(root, 'sys/class/nvme', name));
}

interface BlockFields {
  readonly number: string;
  readonly partitions?: Readonly<Record<string, string>>;
  readonly holders?: readonly string[];
  readonly dm?: { readonly name: string; readonly uuid: string };
  readonly slaves?: readonly string[];
}

function block(name: string, fields: BlockFields): void {
  const directory = `sys/devices/block/${name}`;
  put(`${directory}/dev`, `${fields.number}\n`);
  put(`${directory}/holders/x`);
  rmSync(join(root, directory, 'holders/x'));
  for (const holder of fields.holders ?? []) put(`${directory}/holders/${holder}/dev`);
  for (const slave of fields.slaves ?? []) put(`${directory}/slaves/${slave}/dev`);
  if (fields.dm !== undefined) {
    put(`${directory}/dm/name`, `${fields.dm.name}\n`);
    put(`${directory}/dm/uuid`, `${fields.dm.uuid}\n`);
  }
  mkdirSync(join(root, 'sys/class/block'), { recursive: true });
  symlinkSync(join(root, directory), join(root, 'sys/class/block', name));
  for (const [partition, number] of Object.entries(fields.partitions ?? {})) {
    put(`${directory}/${partition}/dev`, `${number}\n`);
    put(`${directory}/${partition}/partition`, '1\n');
    symlinkSync(join(root, directory, partition), join(root, 'sys/class/block', partition));
  }
}

async function uses(name = 'nvme0'): Promise<readonly NamespaceUse[]> {
  const system = new SystemBlockUses(join(root, 'sys'), join(root, 'proc'));
  return (await system.read([name])).get(name) ?? [];
}

test('finds what is mounted on a namespace, by its number and with its real name', async () => {
  controller('nvme0', { nvme0n1: '' });
  block('nvme0n1', { number: '259:0' });
  mountinfo(
    '25 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw',
    '40 25 259:0 / /srv/my\\040data rw shared:2 master:7 - xfs /dev/disk/by-id/x rw',
    '41 25 259:0 /home /home rw - xfs /dev/disk/by-id/x rw',
  );
  expect(await uses()).toEqual([
    {
      block: 'nvme0n1',
      uses: [
        { kind: 'mount', device: 'nvme0n1', at: '/srv/my data', fileSystem: 'xfs' },
        { kind: 'mount', device: 'nvme0n1', at: '/home', fileSystem: 'xfs' },
      ],
      otherPaths: [],
    },
  ]);
});

test('finds what is mounted in other mount namespaces only, by one of their processes', async () => {
  controller('nvme0', { nvme0n1: '', nvme0n2: '' });
  block('nvme0n1', { number: '259:0' });
  block('nvme0n2', { number: '259:1' });
  const host = '40 25 259:0 / /srv rw - xfs /dev/nvme0n1 rw';
  mountinfo(host);
  process(1, host);
  process(20);
  process(21, host, '41 25 259:1 / /container rw - ext4 /dev/nvme0n2 rw');
  process(30, '41 25 259:1 / /copy rw - ext4 /dev/nvme0n2 rw');
  mkdirSync(join(root, 'proc/40'));
  expect((await uses()).map((namespace) => namespace.uses)).toEqual([
    [{ kind: 'mount', device: 'nvme0n1', at: '/srv', fileSystem: 'xfs' }],
    [{ kind: 'mount', device: 'nvme0n2', at: '/container', fileSystem: 'ext4', process: 21 }],
  ]);
});

test('finds what the first process sees though this one, in a sandbox, does not', async () => {
  controller('nvme0', { nvme0n1: '' });
  block('nvme0n1', { number: '259:0' });
  mountinfo('40 25 8:1 / / rw - ext4 /dev/sda1 rw');
  process(1, '40 25 259:0 / /home/u/data rw - xfs /dev/nvme0n1 rw');
  expect((await uses())[0]?.uses).toEqual([
    { kind: 'mount', device: 'nvme0n1', at: '/home/u/data', fileSystem: 'xfs' },
  ]);
});

test('is at a loss where /proc shows nothing but processes: there may be swap', async () => {
  controller('nvme0', { nvme0n1: '' });
  block('nvme0n1', { number: '259:0' });
  rmSync(join(root, 'proc/version'));
  await expect(uses()).rejects.toThrow(/cannot find out/);
  swaps('/dev/nvme0n1');
  expect((await uses())[0]?.uses).toEqual([{ kind: 'swap', device: 'nvme0n1' }]);
});

test('counts what dm-multipath joins as paths of one namespace', async () => {
  controller('nvme0', { nvme0n1: '' });
  controller('nvme1', { nvme1n1: '' });
  controller('nvme2', { nvme2n1: '' }, 'connecting');
  const [number, holders] = ['259:0', ['dm-0']];
  for (const name of ['nvme0n1', 'nvme1n1', 'nvme2n1']) block(name, { number, holders });
  const dm = { name: 'mpatha', uuid: 'mpath-eui.1' };
  block('dm-0', { number: '253:0', dm, slaves: ['nvme0n1', 'nvme1n1', 'nvme2n1', 'sda'] });
  expect(await uses()).toEqual([
    {
      block: 'nvme0n1',
      uses: [{ kind: 'holder', device: 'dm-0', holder: 'dm-multipath', name: 'mpatha' }],
      otherPaths: ['nvme1'],
    },
  ]);
});

test('looks into partitions, for mounts and for swap', async () => {
  controller('nvme0', { nvme0n1: '' });
  block('nvme0n1', {
    number: '259:0',
    partitions: { nvme0n1p1: '259:1', nvme0n1p2: '259:2', nvme0n1p3: '259:3' },
  });
  mountinfo('40 25 259:1 / /boot rw - ext4 /dev/nvme0n1p1 rw');
  swaps('/dev/nvme0n1p2', '/var/swapfile');
  expect(await uses()).toMatchObject([
    {
      uses: [
        { kind: 'mount', device: 'nvme0n1p1', at: '/boot' },
        { kind: 'swap', device: 'nvme0n1p2' },
      ],
    },
  ]);
});

test('follows what is made of a namespace up to what uses that', async () => {
  controller('nvme0', { nvme0n1: '' });
  const partitions = { nvme0n1p1: '259:1' };
  block('nvme0n1', { number: '259:0', partitions, holders: ['md127'] });
  block('md127', { number: '9:127', holders: ['dm-0'] });
  block('dm-0', {
    number: '253:0',
    holders: ['dm-1'],
    dm: { name: 'luks-a', uuid: 'CRYPT-LUKS2' },
  });
  block('dm-1', { number: '253:1', dm: { name: 'vg-data', uuid: 'LVM-AbC' } });
  mountinfo('40 25 253:1 / /data rw - xfs /dev/mapper/vg-data rw');
  const [namespace] = await uses();
  expect(namespace?.uses).toEqual([
    { kind: 'holder', device: 'md127', holder: 'RAID', name: '' },
    { kind: 'holder', device: 'dm-0', holder: 'encryption', name: 'luks-a' },
    { kind: 'holder', device: 'dm-1', holder: 'LVM', name: 'vg-data' },
    { kind: 'mount', device: 'dm-1', at: '/data', fileSystem: 'xfs' },
  ]);
});

test('finds swap by the mapped name, and a loop device that stands on a partition', async () => {
  controller('nvme0', { nvme0n1: '' });
  block('nvme0n1', {
    number: '259:0',
    partitions: { nvme0n1p1: '259:1' },
    holders: ['dm-3'],
  });
  block('dm-3', { number: '253:3', dm: { name: 'vg-swap', uuid: 'LVM-x' } });
  block('loop4', { number: '7:4' });
  put('sys/devices/block/loop4/loop/backing_file', '/dev/nvme0n1p1\n');
  block('loop5', { number: '7:5' });
  mountinfo('40 25 7:4 / /image rw - squashfs /dev/loop4 ro');
  swaps('/dev/mapper/vg-swap');
  const [namespace] = await uses();
  expect(namespace?.uses).toEqual([
    { kind: 'holder', device: 'dm-3', holder: 'LVM', name: 'vg-swap' },
    { kind: 'swap', device: 'dm-3' },
    { kind: 'holder', device: 'loop4', holder: 'other', name: '' },
    { kind: 'mount', device: 'loop4', at: '/image', fileSystem: 'squashfs' },
  ]);
});

describe('btrfs, whose mounts name one device and no number of it', () => {
  beforeEach(() => {
    controller('nvme0', { nvme0n1: '' });
    controller('nvme1', { nvme1n1: '' });
    block('nvme0n1', { number: '259:0' });
    block('nvme1n1', { number: '259:1' });
    put('sys/fs/btrfs/features/raid1c34');
    for (const device of ['nvme0n1', 'nvme1n1']) {
      put(`sys/fs/btrfs/11111111-2222/devices/${device}`);
    }
  });

  test('is found on each of its devices', async () => {
    mountinfo('40 25 0:33 /@data /data rw - btrfs /dev/nvme0n1 rw,subvolid=256');
    const at = { kind: 'mount', at: '/data', fileSystem: 'btrfs' };
    expect(await uses('nvme0')).toMatchObject([{ uses: [{ ...at, device: 'nvme0n1' }] }]);
    expect(await uses('nvme1')).toMatchObject([{ uses: [{ ...at, device: 'nvme1n1' }] }]);
  });

  test('is found where the mount cannot be seen', async () => {
    const [namespace] = await uses('nvme1');
    expect(namespace?.uses).toEqual([
      { kind: 'holder', device: 'nvme1n1', holder: 'btrfs', name: '11111111-2222' },
    ]);
  });
});

describe('several paths to a namespace', () => {
  beforeEach(() => {
    block('nvme3n2', { number: '259:7' });
    mountinfo('40 25 259:7 / /data rw - ext4 /dev/nvme3n2 rw');
  });

  test('are all those through which I/O gets now', async () => {
    controller('nvme3', { nvme3c3n2: 'optimized' });
    controller('nvme4', { nvme3c4n2: 'non-optimized', nvme3c4n9: 'optimized' });
    controller('nvme5', { nvme3c5n2: 'inaccessible' });
    controller('nvme6', { nvme3c6n2: 'optimized' }, 'connecting');
    controller('nvme7', { nvme3c7n2: '' });
    controller('nvme8', { nvme8c8n2: 'optimized' });
    expect(await uses('nvme3')).toMatchObject([
      { block: 'nvme3n2', uses: [{ at: '/data' }], otherPaths: ['nvme4', 'nvme7'] },
    ]);
    expect(await uses('nvme4')).toMatchObject([
      { block: 'nvme3n2', uses: [{ at: '/data' }], otherPaths: ['nvme3', 'nvme7'] },
      { block: 'nvme3n9', uses: [], otherPaths: [] },
    ]);
  });

  test('are none of a controller that the kernel does not have', async () => {
    controller('nvme3', { nvme3c3n2: 'optimized' });
    expect(await uses('nvme9')).toEqual([]);
    expect(await uses('../../proc')).toEqual([]);
  });
});

test('says nothing is in use on a host without NVMe, block devices or swap', async () => {
  expect(await uses()).toEqual([]);
});

test('does not take for unused what it cannot find out', async () => {
  controller('nvme0', { nvme0n1: '' });
  rmSync(join(root, 'proc/1/mountinfo'));
  await expect(uses()).rejects.toMatchObject({ name: 'PortError', code: 'ENOENT' });
  process(1, '');
  rmSync(join(root, 'proc/self/mountinfo'));
  await expect(uses()).rejects.toMatchObject({ name: 'PortError', code: 'ENOENT' });
  mkdirSync(join(root, 'proc/self/mountinfo'));
  await expect(uses()).rejects.toMatchObject({ name: 'PortError', code: 'EISDIR' });
});

describe('the lines of mountinfo and swaps', () => {
  test('keep names of any bytes', () => {
    const raw = Buffer.from(
      '40 25 259:0 / /\\011\\012\\134x\\043/é rw - ext4 /dev/a\\040b rw',
      'utf8',
    );
    expect(parseMountinfo(raw.toString('latin1'))).toEqual([
      { number: '259:0', at: '/\t\n\\x#/é', fileSystem: 'ext4', source: '/dev/a b' },
    ]);
    expect(parseSwaps('Filename\n/dev/a\\040b partition 1 0 -2\n/x\ty\n')).toEqual([
      '/dev/a b',
      '/x',
    ]);
  });

  test('are left out where they are of no known form, whatever they are', () => {
    expect(parseMountinfo('\n40 25 259:0 / /a rw - \n40 25 259:0 / /a rw\n- - - - - - -')).toEqual(
      [],
    );
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const text = Buffer.from(bytes).toString('latin1');
        parseMountinfo(text);
        parseSwaps(text);
      }),
    );
  });
});
