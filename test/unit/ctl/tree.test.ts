import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readKernelView, type KernelView } from '../../../src/ctl/kernel-view.ts';
import { sizeText } from '../../../src/ctl/subsystem-tree.ts';
import { stacctl, stafctl } from '../../../src/ctl/tools.ts';
import type { NamespaceUse } from '../../../src/nvme/block-use.ts';
import { PortError } from '../../../src/ports/errors.ts';
import { kernelController } from '../core/machine-world.ts';
import { controller, pipe, run, state } from './harness.ts';

const DATA = 'nqn.2014-08.org.example:data';

function ioc(device: string, traddr: string, fields = {}) {
  const basis = { device, instance: device, traddr, trsvcid: '4420', cntrltype: 'io' };
  return kernelController({ ...basis, subsysnqn: DATA, hasChildren: true, ...fields });
}

const shared: Pick<NamespaceUse, 'block' | 'uses'> = {
  block: 'nvme2n1',
  uses: [
    { kind: 'mount', device: 'nvme2n1p1', at: '/srv/data\u001b[31m', fileSystem: 'xfs' },
    { kind: 'holder', device: 'dm-3', holder: 'LVM', name: 'vg-data' },
  ],
};

const kernel: KernelView = {
  controllers: [
    ioc('nvme10', '192.0.2.21', { state: 'connecting', hostIface: 'eth1' }),
    ioc('nvme2', '192.0.2.20', { hostIface: 'eth0' }),
    ioc('nvme5', '192.0.2.30', { subsysnqn: 'nqn.2014-08.org.example:bare', hasChildren: false }),
    kernelController({ device: 'nvme0' }),
    kernelController({ device: 'nvme1', transport: 'pcie', cntrltype: 'io', hasChildren: true }),
  ],
  uses: new Map([
    [
      'nvme2',
      [
        { ...shared, otherPaths: [] },
        { block: 'nvme2n2', uses: [], otherPaths: [] },
      ],
    ],
    ['nvme10', [{ ...shared, otherPaths: ['nvme2'] }]],
    ['nvme5', []],
  ]),
  bytes: new Map([['nvme2n1', 1.5 * 2 ** 40]]),
};

const managed = state([controller({ device: 'nvme2' }), controller({ device: 'nvme5' })]);

describe('tree', () => {
  it('shows subsystems, controllers, namespaces and what is in use of them', async () => {
    const { status, stderr, stdout } = await run(stacctl, ['tree'], { state: managed, kernel });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    await expect(stdout).toMatchFileSnapshot('golden/tree.txt');
  });

  it('needs no daemon', async () => {
    const { status, stdout } = await run(stacctl, ['tree'], { kernel });
    expect(status).toBe(0);
    expect(stdout).toContain('nvme2n1 1.5 TiB, through nvme2, nvme10');
    expect(stdout).toContain("Which are stacd's is not known: stacd is not running");
    expect(stdout).not.toContain('not of stacd');
    const json: unknown = JSON.parse(
      (await run(stacctl, ['tree', '-o', 'json'], { kernel })).stdout,
    );
    expect(json).toMatchObject({ subsystems: [{}, { controllers: [{ stacd: null }, {}] }] });
  });

  it('colours states on a terminal', async () => {
    const screen = { ...pipe, colour: true, width: 80 };
    const { stdout } = await run(stacctl, ['tree'], { state: managed, kernel, screen });
    expect(stdout).toContain('\u001b[32mlive');
    expect(stdout).toContain('\u001b[31mconnecting');
  });

  it('has a stable shape for programs', async () => {
    const { stdout } = await run(stacctl, ['tree', '-o', 'json'], { state: managed, kernel });
    await expect(stdout).toMatchFileSnapshot('golden/tree-json.txt');
  });

  it('says that nothing is connected', async () => {
    const { status, stdout } = await run(stacctl, ['tree'], { state: managed });
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'no I/O controllers\n' });
  });

  it('fails with one line when the kernel cannot be asked', async () => {
    const error = new PortError('cannot read /sys/class/nvme', {
      code: 'EIO',
      errorClass: 'retry',
    });
    const { status, stderr, stdout } = await run(stacctl, ['tree'], { kernel: error });
    expect({ status, stderr, stdout }).toEqual({
      status: 1,
      stderr: 'stacctl: cannot read /sys/class/nvme\n',
      stdout: '',
    });
  });

  it('is of I/O controllers only', async () => {
    const { status, stderr } = await run(stafctl, ['tree'], { kernel });
    expect(status).toBe(2);
    expect(stderr).toContain("unknown command 'tree'");
  });
});

describe('the view of the kernel', () => {
  let root: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'kernel-view-'));
  });
  afterEach(async () => {
    await rm(root, { recursive: true });
  });

  async function put(path: string, text: string): Promise<void> {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }

  it('is of sysfs and proc, sizes in bytes', async () => {
    const fields = {
      ...{ transport: 'tcp', subsysnqn: DATA, hostnqn: 'nqn.host', hostid: 'id', state: 'live' },
      ...{ cntrltype: 'io', dctype: 'none', address: 'traddr=192.0.2.20,trsvcid=4420' },
    };
    for (const [name, text] of Object.entries(fields)) {
      await put(`sys/class/nvme/nvme2/${name}`, `${text}\n`);
    }
    await put('sys/class/nvme/nvme2/nvme2n1/size', '');
    await put('sys/class/block/nvme2n1/size', '2048\n');
    await put('sys/class/block/nvme2n1/dev', '259:1\n');
    await put('proc/1/mountinfo', '30 1 259:1 / /srv rw - ext4 /dev/nvme2n1 rw\n');
    await symlink('1', join(root, 'proc', 'self'));
    await put('proc/swaps', 'Filename Type Size Used Priority\n');
    await put('proc/version', 'Linux\n');
    const view = await readKernelView(join(root, 'sys'), join(root, 'proc'));
    expect(view.controllers.map(({ device }) => device)).toEqual(['nvme2']);
    expect(view.uses.get('nvme2')).toMatchObject([
      { block: 'nvme2n1', uses: [{ kind: 'mount', at: '/srv' }] },
    ]);
    expect(view.bytes).toEqual(new Map([['nvme2n1', 1024 ** 2]]));
  });
});

describe('a size', () => {
  it.each([
    [512, '512 B'],
    [1024 ** 2, '1 MiB'],
    [1.5 * 2 ** 40, '1.5 TiB'],
    [100.4 * 2 ** 30, '100 GiB'],
  ])('of %i bytes is %s', (bytes, text) => {
    expect(sizeText(bytes)).toBe(text);
  });
});
