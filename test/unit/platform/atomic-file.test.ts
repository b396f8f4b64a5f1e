import { once } from 'node:events';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { replaceFile } from '../../../src/platform/atomic-file.ts';

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'atomic-'));
  path = join(directory, 'sys.conf');
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function modeOf(file: string): number {
  return statSync(file).mode & 0o7777;
}

test('makes a file with mode 0644, and the directories above it', async () => {
  const deep = join(directory, 'a', 'b', 'sys.conf');
  await replaceFile(deep, 'grüße\n');
  expect(readFileSync(deep, 'utf8')).toBe('grüße\n');
  expect(modeOf(deep)).toBe(0o644);
  expect(modeOf(join(directory, 'a'))).toBe(0o755);
});

test('keeps the mode of the file that it replaces, and leaves nothing beside it', async () => {
  writeFileSync(path, 'old');
  chmodSync(path, 0o640);
  const before = statSync(path);
  await replaceFile(path, 'new');
  const after = statSync(path);
  expect(readFileSync(path, 'utf8')).toBe('new');
  expect(after.mode).toBe(before.mode);
  expect([after.uid, after.gid]).toEqual([before.uid, before.gid]);
  expect(after.ino).not.toBe(before.ino);
  expect(readdirSync(directory)).toEqual(['sys.conf']);
});

test('gives the mode that was asked for, whatever the umask', async () => {
  const umask = process.umask(0o077);
  try {
    await replaceFile(path, 'x', { mode: 0o664 });
    await replaceFile(join(directory, 'new', 'file'), 'x');
  } finally {
    process.umask(umask);
  }
  expect(modeOf(path)).toBe(0o664);
  expect(modeOf(join(directory, 'new'))).toBe(0o755);
  expect(modeOf(join(directory, 'new', 'file'))).toBe(0o644);
});

test('writes bytes as they are', async () => {
  await replaceFile(path, Uint8Array.of(0xff, 0x00, 0xe4));
  expect([...readFileSync(path)]).toEqual([0xff, 0x00, 0xe4]);
});

test('follows a symbolic link', async () => {
  mkdirSync(join(directory, 'real'));
  const target = join(directory, 'real', 'hostnqn');
  writeFileSync(target, 'old');
  symlinkSync(join('real', 'hostnqn'), path);
  await replaceFile(path, 'new');
  expect(readlinkSync(path)).toBe(join('real', 'hostnqn'));
  expect(readFileSync(target, 'utf8')).toBe('new');
});

test('follows links as the system does: over several, above linked directories, to what is not there', async () => {
  mkdirSync(join(directory, 'a', 'deep'), { recursive: true });
  symlinkSync(join('a', 'deep'), join(directory, 'link'));
  symlinkSync('link/../made', path);
  const first = join(directory, 'first');
  symlinkSync(path, first);
  await replaceFile(first, 'new');
  expect(readFileSync(join(directory, 'a', 'made'), 'utf8')).toBe('new');
  expect(lstatSync(path).isSymbolicLink()).toBe(true);
  expect(lstatSync(first).isSymbolicLink()).toBe(true);
});

test('makes the directories of a link to nothing', async () => {
  symlinkSync(join(directory, 'not', 'there', 'yet'), path);
  await replaceFile(path, 'new');
  expect(readFileSync(join(directory, 'not', 'there', 'yet'), 'utf8')).toBe('new');
});

test('refuses links that lead in a circle', async () => {
  symlinkSync('sys.conf', path);
  await expect(replaceFile(path, 'new')).rejects.toMatchObject({ code: 'ELOOP' });
});

test('refuses to replace what is no file, also behind a link, and leaves nothing beside it', async () => {
  const socket = join(directory, 'socket');
  const server = createServer().listen(socket);
  await once(server, 'listening');
  try {
    symlinkSync(socket, path);
    for (const each of [socket, path]) {
      await expect(replaceFile(each, 'new')).rejects.toMatchObject({ code: 'NOT_A_FILE' });
    }
    expect(statSync(socket).isSocket()).toBe(true);
    expect(readdirSync(directory).sort()).toEqual(['socket', 'sys.conf']);
  } finally {
    server.close();
  }
});

test('replaces a symbolic link itself where that is asked for', async () => {
  const target = join(directory, 'secret');
  writeFileSync(target, 'secret');
  symlinkSync(target, path);
  await replaceFile(path, 'new', { links: 'replace', mode: 0o600 });
  expect(lstatSync(path).isFile()).toBe(true);
  expect(modeOf(path)).toBe(0o600);
  expect(readFileSync(target, 'utf8')).toBe('secret');
});

test('leaves the old file and nothing else when it fails', async () => {
  mkdirSync(path);
  writeFileSync(join(path, 'inside'), '');
  await expect(replaceFile(path, 'new')).rejects.toMatchObject({ code: 'EISDIR' });
  expect(readdirSync(directory)).toEqual(['sys.conf']);
});

test('a reader finds the old text or the new one, never a part', async () => {
  const texts = ['a'.repeat(100_000), 'b'.repeat(50_000)];
  await replaceFile(path, texts[0] ?? '');
  const progress = { writing: true };
  const write = (async () => {
    for (let round = 1; round <= 20; round += 1) await replaceFile(path, texts[round % 2] ?? '');
    progress.writing = false;
  })();
  let reads = 0;
  while (progress.writing) {
    expect(texts).toContain(readFileSync(path, 'utf8'));
    reads += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await write;
  expect(reads).toBeGreaterThan(0);
});

test('rejects where no directory can be made, instead of trying for ever', async () => {
  await expect(replaceFile('/proc/no-such-thing/sys.conf', 'x')).rejects.toMatchObject({
    code: 'ENOENT',
  });
});

test('rejects below what is not a directory', async () => {
  writeFileSync(path, 'old');
  await expect(replaceFile(join(path, 'a', 'sys.conf'), 'x')).rejects.toMatchObject({
    code: 'ENOTDIR',
  });
  expect(readFileSync(path, 'utf8')).toBe('old');
});

test('makes directories that another makes at the same time', async () => {
  const names = ['1', '2', '3', '4', '5', '6', '7', '8'];
  await Promise.all(names.map((name) => replaceFile(join(directory, 'a', 'b', name), name)));
  expect(readdirSync(join(directory, 'a', 'b')).sort()).toEqual(names);
});
