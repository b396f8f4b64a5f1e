import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  addressOf,
  bind,
  bindIfPresent,
  callAsync,
  configureStacks,
  hasSymbol,
  keepAlive,
  loadLibrary,
} from '../../../src/libnvme-ffi/native.ts';

// Before any library is loaded, as in the daemons.
const configured = configureStacks(4);
const libc = loadLibrary(null);
const open = bind<[string, number], number>(libc, 'open', 'int %(const char *path, int flags)');
const read = bind<[number, Uint8Array, number], number>(
  libc,
  'read',
  'intptr_t %(int fd, void *buffer, size_t size)',
);

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'nvme-stas-native-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

test('asynchronous calls get a stack of 4 MiB', () => {
  expect(configured).toBe(true);
  expect(configureStacks(4)).toBe(true);
});

describe('an asynchronous call', () => {
  test('brings the errno of its own thread, whatever happens in between', async () => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    const paths = ['/nonexistent/x', `${file}/x`, `/${'x'.repeat(300)}`];
    const outcomes = await Promise.all(
      Array.from({ length: 60 }, (_, i) => callAsync(open, paths[i % 3] ?? '', 0)),
    );
    const { ENOENT, ENOTDIR, ENAMETOOLONG } = constants.errno;
    expect(outcomes.map(({ result }) => result)).toEqual(Array(60).fill(-1));
    expect(outcomes.map(({ errno }) => errno)).toEqual(
      Array.from({ length: 20 }, () => [ENOENT, ENOTDIR, ENAMETOOLONG]).flat(),
    );
  });

  test('writes into the buffer that it was given', async () => {
    const file = join(directory, 'file');
    writeFileSync(file, 'bytes of a file');
    const fd = openSync(file, 'r');
    try {
      const buffer = new Uint8Array(5);
      const { result } = await callAsync(read, fd, buffer, buffer.length);
      expect(result).toBe(5);
      expect(Buffer.from(buffer).toString()).toBe('bytes');
    } finally {
      closeSync(fd);
    }
  });

  test('rejects when an argument cannot be passed', async () => {
    const wrong = open as unknown as typeof read;
    await expect(callAsync(wrong, 1, new Uint8Array(1), 1)).rejects.toThrow();
  });
});

test('the address of a buffer is that of its bytes', () => {
  const buffer = new Uint8Array([1, 2, 3, 4]);
  const copy = new Uint8Array(4);
  const memcpy = bind<[Uint8Array, Uint8Array, number], bigint>(
    libc,
    'memcpy',
    'void *%(void *to, const void *from, size_t size)',
  );
  expect(memcpy(copy, buffer, 4)).toBe(addressOf(copy));
  expect([...copy]).toEqual([1, 2, 3, 4]);
  expect(addressOf(buffer.subarray(2))).toBe(addressOf(buffer) + 2n);
  expect(keepAlive(buffer)).toBe(buffer);
});

test('a function that is missing is found out, not called', () => {
  expect(hasSymbol(libc, 'open')).toBe(true);
  expect(hasSymbol(libc, 'nvme_no_such_function')).toBe(false);
  expect(bindIfPresent(libc, 'nvme_no_such_function', 'int %(void)')).toBeUndefined();
  expect(bindIfPresent<[], number>(libc, 'getpid', 'int %()')?.()).toBe(process.pid);
});

test('a library that is missing is an error with its name or reason', () => {
  expect(() => loadLibrary('libnvme-no-such.so.1')).toThrow(/no such|cannot open/i);
});

test('calls leave no descriptor open', async () => {
  const count = (): number => readdirSync('/proc/self/fd').length;
  const before = count();
  await Promise.all(Array.from({ length: 20 }, () => callAsync(open, '/nonexistent/x', 0)));
  expect(count()).toBe(before);
  expect(readFileSync('/proc/self/stat', 'utf8')).toContain(String(process.pid));
});
