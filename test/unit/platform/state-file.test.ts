import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DiskStateFile } from '../../../src/platform/state-file.ts';

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'state-'));
  path = join(directory, 'stafd.json');
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

test('is for its user alone, its directory too', async () => {
  const deep = join(directory, 'run', 'stafd.json');
  await new DiskStateFile(deep).write('{}');
  expect(statSync(deep).mode & 0o777).toBe(0o600);
  expect(statSync(join(directory, 'run')).mode & 0o777).toBe(0o700);
});

test('writes that are asked for together are done in order', async () => {
  const file = new DiskStateFile(path);
  await Promise.all(['1', '2', '3'].map((text) => file.write(text)));
  expect(await file.read()).toBe('3');
  expect(readdirSync(directory)).toEqual(['stafd.json']);
});

test('a write that fails does not stop the next', async () => {
  const file = new DiskStateFile(path);
  mkdirSync(path);
  await expect(file.write('1')).rejects.toMatchObject({ code: 'EISDIR', errorClass: 'final' });
  rmSync(path, { recursive: true });
  await file.write('2');
  expect(await file.read()).toBe('2');
});

test.each<[string, (file: string) => void]>([
  [
    'a symbolic link',
    (file) => {
      symlinkSync('/etc/hostname', file);
    },
  ],
  [
    'a directory',
    (file) => {
      mkdirSync(file);
    },
  ],
  ['a FIFO', (file) => void execFileSync('mkfifo', [file])],
  [
    'a file that others can write',
    (file) => {
      writeFileSync(file, '{}');
      chmodSync(file, 0o666);
    },
  ],
])('%s is not trusted, and can be set aside', async (_what, make) => {
  make(path);
  const file = new DiskStateFile(path);
  await expect(file.read()).rejects.toMatchObject({ code: 'NOT_TRUSTED', errorClass: 'final' });
  expect(await file.setAside()).toBe(`${path}.damaged`);
  expect(await file.read()).toBeUndefined();
});

test('what is too large is not read', async () => {
  const file = new DiskStateFile(path, 10);
  await file.write('12345678901');
  await expect(file.read()).rejects.toMatchObject({ code: 'TOO_LARGE', errorClass: 'final' });
});

test('setting aside keeps the last damaged file', async () => {
  const file = new DiskStateFile(path);
  await file.write('1');
  await file.setAside();
  await file.write('2');
  const aside = await file.setAside();
  expect(readFileSync(aside, 'utf8')).toBe('2');
  expect(readdirSync(directory)).toEqual(['stafd.json.damaged']);
});

test('setting aside what is not there rejects', async () => {
  await expect(new DiskStateFile(path).setAside()).rejects.toMatchObject({ code: 'ENOENT' });
});
