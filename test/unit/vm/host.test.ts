import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { npmPackagesMatch } from '../../../tools/setup.mjs';
import { cacheDirectory, cacheKey } from '../../vm/cache.ts';
import { undoAtExit } from '../../vm/cleanup.ts';
import { lock, tryLock } from '../../vm/lock.ts';

describe('the cache', () => {
  it('is where the environment says, in this order', () => {
    const environment = { XDG_CACHE_HOME: '/xdg', NVME_STAS_CACHE: '/own' };
    expect(cacheDirectory(environment)).toBe('/own');
    expect(cacheDirectory({ ...environment, NVME_STAS_CACHE: '' })).toBe('/xdg/nvme-stas-node');
    expect(cacheDirectory({})).toMatch(/\/\.cache\/nvme-stas-node$/);
  });

  it('tells apart parts that are cut at another place', () => {
    expect(cacheKey(['ab', 'c'])).not.toBe(cacheKey(['a', 'bc']));
    expect(cacheKey(['ab', 'c'])).toBe(cacheKey(['ab', 'c']));
  });
});

describe('a lock', () => {
  it('is held by one at a time, and handed on', async () => {
    const name = `test ${process.pid} ${Math.random()}`;
    const order: string[] = [];
    const release = await lock(name, () => order.push('first waits'));
    expect(await tryLock(name)).toBeUndefined();
    let second: Promise<void> = Promise.resolve();
    await new Promise<void>((resolve) => {
      second = lock(name, () => {
        order.push('second waits');
        resolve();
      }).then((releaseSecond) => {
        order.push('second has it');
        return releaseSecond();
      });
    });
    order.push('first releases');
    await release();
    await second;
    const again = await tryLock(name);
    expect(order).toEqual(['second waits', 'first releases', 'second has it']);
    expect(again).toBeDefined();
    await again?.();
  });
});

describe('what is undone at exit', () => {
  it('is undone once when asked for earlier, and leaves no handler behind', () => {
    const before = process.listenerCount('SIGTERM');
    let count = 0;
    const undo = undoAtExit(() => count++);
    expect(process.listenerCount('SIGTERM')).toBe(before + 1);
    undo();
    undo();
    expect(count).toBe(1);
    expect(process.listenerCount('SIGTERM')).toBe(before);
  });
});

describe('node_modules', () => {
  let directory = '';
  const entry = { version: '1.0.0', integrity: 'sha512-a' };
  const wanted = {
    '': { name: 'root' },
    'node_modules/a': entry,
    'node_modules/b': { ...entry, optional: true },
  };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'nvme-stas-setup-'));
    mkdirSync(join(directory, 'node_modules'));
    writeFileSync(join(directory, 'package-lock.json'), JSON.stringify({ packages: wanted }));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  it.each([
    ['match with all packages', { 'node_modules/a': entry, 'node_modules/b': entry }, true],
    ['match without an optional one', { 'node_modules/a': entry }, true],
    ['do not match without a needed one', { 'node_modules/b': entry }, false],
    [
      'do not match with another version',
      { 'node_modules/a': { ...entry, version: '2.0.0' } },
      false,
    ],
    ['do not match with one too many', { 'node_modules/a': entry, 'node_modules/c': entry }, false],
  ])('%s', (_what, packages, expected) => {
    const list = join(directory, 'node_modules', '.package-lock.json');
    writeFileSync(list, JSON.stringify({ packages }));
    expect(npmPackagesMatch(directory)).toBe(expected);
  });

  it('do not match while an installation is under way', () => {
    expect(npmPackagesMatch(directory)).toBe(false);
  });
});
