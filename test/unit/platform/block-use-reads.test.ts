/** What is read to find out what is in use: with a process that ends meanwhile, and how much. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

type ReadText = (path: string, encoding: BufferEncoding) => Promise<string>;

/** Files that were read, below the root of the test. */
const read = vi.hoisted((): string[] => []);

// Process 1000 is there when the file is opened, and gone when it is read whole.
vi.mock('node:fs/promises', async (original) => {
  const real = await original<{ readonly readFile: ReadText }>();
  const readFile: ReadText = (path, encoding) => {
    read.push(path);
    return path.endsWith('/1000/mountinfo')
      ? Promise.reject(Object.assign(new Error('ended'), { code: 'ESRCH' }))
      : real.readFile(path, encoding);
  };
  return { ...real, readFile };
});

const { SystemBlockUses } = await import('../../../src/platform/block-use.ts');

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'block-use-'));
  await put('proc/version', 'Linux\n');
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text);
}

test('another process of the same mount namespace tells what is mounted there', async () => {
  const host = '22 1 8:1 / / rw - ext4 /dev/sda1 rw\n';
  const inner = '91 90 259:3 / /data rw - xfs /dev/nvme0n1 rw\n';
  for (const [process, text] of Object.entries({
    1: host,
    self: host,
    1000: inner,
    2000: inner,
  })) {
    await put(`proc/${process}/mountinfo`, text);
  }
  await put('sys/class/nvme/nvme0/nvme0n1/size', '8\n');
  await put('sys/class/block/nvme0n1/dev', '259:3\n');
  const found = await new SystemBlockUses(join(root, 'sys'), join(root, 'proc')).read(['nvme0']);
  expect(found.get('nvme0')).toMatchObject([
    { block: 'nvme0n1', uses: [{ kind: 'mount', at: '/data', process: 2000 }] },
  ]);
});

test('looks at a namespace and its paths once, however many controllers lead to it', async () => {
  for (const process of ['1', 'self']) await put(`proc/${process}/mountinfo`, 'none\n');
  const controllers = ['nvme0', 'nvme1', 'nvme2', 'nvme3'];
  for (const [index, controller] of controllers.entries()) {
    await put(`sys/class/nvme/${controller}/state`, 'live\n');
    const path = `sys/class/nvme/${controller}/nvme0c${String(index)}n1`;
    await put(`${path}/ana_state`, controller === 'nvme3' ? 'inaccessible\n' : 'optimized\n');
  }
  await put('sys/class/block/nvme0n1/dev', '259:3\n');
  read.length = 0;
  const uses = new SystemBlockUses(join(root, 'sys'), join(root, 'proc'));
  const found = await uses.read(controllers);
  expect([...found].map(([name, [use]]) => [name, use?.otherPaths])).toEqual([
    ['nvme0', ['nvme1', 'nvme2']],
    ['nvme1', ['nvme0', 'nvme2']],
    ['nvme2', ['nvme0', 'nvme1']],
    ['nvme3', ['nvme0', 'nvme1', 'nvme2']],
  ]);
  const times = (name: string): number => read.filter((path) => path.endsWith(name)).length;
  expect([times('/state'), times('/ana_state'), times('/nvme0n1/dev')]).toEqual([4, 4, 1]);
});
