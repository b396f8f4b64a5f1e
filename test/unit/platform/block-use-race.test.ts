/** A process that ends while its mounts are read. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test, vi } from 'vitest';

type ReadText = (path: string, encoding: BufferEncoding) => Promise<string>;

// It is there when the file is opened, and gone when it is read whole.
vi.mock('node:fs/promises', async (original) => {
  const real = await original<{ readonly readFile: ReadText }>();
  const readFile: ReadText = (path, encoding) =>
    path.endsWith('/1000/mountinfo')
      ? Promise.reject(Object.assign(new Error('ended'), { code: 'ESRCH' }))
      : real.readFile(path, encoding);
  return { ...real, readFile };
});

const { SystemBlockUses } = await import('../../../src/platform/block-use.ts');

test('another process of the same mount namespace tells what is mounted there', async () => {
  const root = await mkdtemp(join(tmpdir(), 'block-use-'));
  const put = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  };
  try {
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
    await put('proc/version', 'Linux\n');
    await put('sys/class/nvme/nvme0/nvme0n1/size', '8\n');
    await put('sys/class/block/nvme0n1/dev', '259:3\n');
    const found = await new SystemBlockUses(join(root, 'sys'), join(root, 'proc')).read(['nvme0']);
    expect(found.get('nvme0')).toMatchObject([
      { block: 'nvme0n1', uses: [{ kind: 'mount', at: '/data', process: 2000 }] },
    ]);
  } finally {
    await rm(root, { recursive: true });
  }
});
