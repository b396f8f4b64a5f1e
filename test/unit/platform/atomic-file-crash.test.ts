import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type * as FsPromises from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { replaceFile } from '../../../src/platform/atomic-file.ts';

/** Everything that is done to the file system, in order; after `left` steps, the process is no more. */
const machine = vi.hoisted(() => ({ steps: [] as string[], left: Infinity }));

vi.mock('node:fs/promises', async (importActual) => {
  const actual = await importActual<typeof FsPromises>();
  const step = (name: string): void => {
    if (machine.left <= 0) throw new Error('the process was killed');
    machine.left -= 1;
    machine.steps.push(name);
  };
  /** A file or directory that is open: its methods are steps, too. */
  const watched = (handle: FsPromises.FileHandle, what: string): FsPromises.FileHandle =>
    new Proxy(handle, {
      get: (target, property) => {
        const member: unknown = Reflect.get(target, property, target);
        if (typeof member !== 'function') return member;
        return (...args: readonly unknown[]): unknown => {
          // A process that ends closes its files.
          if (property !== 'close') step(`${String(property)} ${what}`);
          return Reflect.apply(member, target, args);
        };
      },
    });
  return {
    ...actual,
    open: async (path: string, flags: number, mode?: number) => {
      const what = path.endsWith('.tmp') ? 'file' : `directory ${path.split('/').at(-1) ?? ''}`;
      step(`open ${what}`);
      return watched(await actual.open(path, flags, mode), what);
    },
    mkdir: async (path: string, mode: number) => {
      step(`mkdir ${path.split('/').at(-1) ?? ''}`);
      await actual.mkdir(path, mode);
    },
    chmod: async (path: string, mode: number) => {
      step(`chmod ${path.split('/').at(-1) ?? ''}`);
      await actual.chmod(path, mode);
    },
    rename: async (from: string, to: string) => {
      step('rename');
      await actual.rename(from, to);
    },
    unlink: async (path: string) => {
      step('unlink');
      await actual.unlink(path);
    },
  };
});

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'crash-'));
  path = join(folder, 'sys.conf');
  machine.steps = [];
  machine.left = Infinity;
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe('replaceFile', () => {
  it('stores content and permissions before the name, and the name before it returns', async () => {
    writeFileSync(path, 'old');
    await replaceFile(path, 'new');
    const name = `directory ${folder.split('/').at(-1) ?? ''}`;
    const order = machine.steps.filter((step) => !step.startsWith('stat '));
    expect(order).toEqual([
      'open file',
      'writeFile file',
      'chmod file',
      'sync file',
      'rename',
      `open ${name}`,
      `sync ${name}`,
    ]);
  });

  it('stores the names of directories that it made, each in the one above', async () => {
    await replaceFile(join(folder, 'a', 'b', 'hostnqn'), 'new');
    const { steps } = machine;
    expect(steps.slice(0, 4)).toEqual(['mkdir a', 'chmod a', 'mkdir b', 'chmod b']);
    const synced = steps.filter((step) => step.startsWith('sync directory'));
    expect(synced).toEqual([
      'sync directory b',
      `sync directory ${folder.split('/').at(-1) ?? ''}`,
      'sync directory a',
    ]);
  });

  it('leaves the old file or the new one, whenever the process is killed', async () => {
    writeFileSync(path, 'old');
    await replaceFile(path, 'old');
    const all = machine.steps.length;
    const found: string[] = [];
    for (let steps = 0; steps < all; steps += 1) {
      writeFileSync(path, 'old');
      machine.left = steps;
      await expect(replaceFile(path, 'new')).rejects.toThrow('killed');
      found.push(readFileSync(path, 'utf8'));
      expect(readdirSync(folder).length).toBeLessThanOrEqual(steps + 2);
    }
    expect(new Set(found)).toEqual(new Set(['old', 'new']));
    expect(found.indexOf('new')).toBeGreaterThan(found.lastIndexOf('old'));
  });
});
