import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SettingsReader } from '../../../src/daemon/settings.ts';
import { StartupError } from '../../../src/ports/errors.ts';
import { MemoryLog } from '../../fakes/log.ts';

const HOST_ID = 'f2782346-4809-484a-9a8b-952a04b57ba4';
const IDENTITY = `[Host]\nnqn = nqn.2014-08.org.nvmexpress:uuid:${HOST_ID}\nid = ${HOST_ID}\n`;
const CONTROLLER = '[Controllers]\ncontroller = transport=tcp;traddr=192.0.2.1\n';

let folder: string;
let confFile: string;
let sysConfFile: string;
let log: MemoryLog;
let reader: SettingsReader;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'settings-'));
  confFile = join(folder, 'stafd.conf');
  sysConfFile = join(folder, 'sys.conf');
  writeFileSync(sysConfFile, IDENTITY);
  log = new MemoryLog();
  reader = new SettingsReader({ daemon: 'stafd', confFile, sysConfFile });
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

test('reads both files', () => {
  writeFileSync(confFile, CONTROLLER);
  const { config, host } = reader.read(log);
  expect(config.controllers.map(({ tid }) => tid.traddr)).toEqual(['192.0.2.1']);
  expect(host.hostid).toBe(HOST_ID);
});

test('takes a configuration file that is not there for an empty one', () => {
  expect(reader.read(log).config.controllers).toEqual([]);
});

test('does not take a configuration file that cannot be read for an empty one', () => {
  writeFileSync(confFile, CONTROLLER);
  reader.read(log);
  rmSync(confFile);
  mkdirSync(confFile);
  expect(() => reader.read(log)).toThrow(StartupError);
  expect(() => reader.read(log)).toThrow(confFile);
});

test('does not take a configuration file that is too large for an empty one', () => {
  writeFileSync(confFile, `${CONTROLLER}#${'x'.repeat(1024 * 1024)}\n`);
  expect(() => reader.read(log)).toThrow(StartupError);
});

test('does not take a sys.conf that cannot be read for one without an identity of its own', () => {
  rmSync(sysConfFile);
  mkdirSync(sysConfFile);
  expect(() => reader.read(log)).toThrow(`${sysConfFile} is a directory`);
});

test('reads the drop-in files beside the file, in the order of their names', () => {
  writeFileSync(confFile, `${CONTROLLER}[Global]\nkato = 1\n`);
  mkdirSync(`${confFile}.d`);
  writeFileSync(`${confFile}.d/20-b.conf`, '[Global]\nkato = 3\n');
  writeFileSync(`${confFile}.d/10-a.conf`, `[Global]\nkato=2\n${CONTROLLER.replace('2.1', '2.2')}`);
  const { config } = reader.read(log);
  expect(config.options.kato).toBe(3);
  expect(config.controllers.map(({ tid }) => tid.traddr)).toEqual(['192.0.2.1', '192.0.2.2']);
  expect(log.lines).toEqual([]);
});

test('says once that a directory is not a drop-in file', () => {
  mkdirSync(`${confFile}.d/x.conf`, { recursive: true });
  reader.read(log);
  reader.read(log);
  expect(log.lines.map(({ message }) => message)).toEqual([
    `${confFile}.d/x.conf: is a directory; it is ignored`,
  ]);
});

test('does not take a drop-in file that cannot be read for an empty one', () => {
  mkdirSync(`${confFile}.d`);
  symlinkSync('none', `${confFile}.d/x.conf`);
  expect(() => reader.read(log)).toThrow(StartupError);
  expect(() => reader.read(log)).toThrow(`${confFile}.d/x.conf is a symbolic link to nothing`);
});

test.each([
  ['configuration', () => confFile],
  ['sys.conf', () => sysConfFile],
])('does not take a %s that was there before for an empty one', (_, name) => {
  writeFileSync(confFile, CONTROLLER);
  const text = readFileSync(name(), 'utf8');
  reader.read(log);
  rmSync(name());
  expect(() => reader.read(log)).toThrow(`${name()} is gone`);
  expect(() => reader.peek()).toThrow(StartupError);
  expect(() => reader.read(log)).toThrow(`${name()} is gone`);
  writeFileSync(name(), text);
  expect(reader.read(log).config.controllers).toHaveLength(1);
});

test('lets a drop-in file go, which is how its settings are taken back', () => {
  mkdirSync(`${confFile}.d`);
  writeFileSync(`${confFile}.d/x.conf`, CONTROLLER);
  expect(reader.read(log).config.controllers).toHaveLength(1);
  rmSync(`${confFile}.d`, { recursive: true });
  expect(reader.read(log).config.controllers).toHaveLength(0);
});

test('names the file of a value that cannot be read, and why', () => {
  symlinkSync('none', `${folder}/key`);
  writeFileSync(sysConfFile, `${IDENTITY}key = file://${folder}/key\n`);
  reader.read(log);
  expect(log.lines.map(({ message }) => message)).toEqual([
    `${sysConfFile}:4:7: [Host] key: is in ${folder}/key, which is a symbolic link to nothing ` +
      '(allowed: DHHC-1:hh:base64:); without it, the host has no key',
  ]);
});

test('reports hosts that contradict each other, in whatever files, once and when they come back', () => {
  const line = (id: string): string =>
    `${CONTROLLER.trimEnd()};host-nqn=nqn.2014-08.org.example:a;host-id=${id}\n`;
  const dropIn = `${confFile}.d/x.conf`;
  mkdirSync(`${confFile}.d`);
  const contradict = (): void => {
    writeFileSync(confFile, line('11111111-1111-4111-8111-111111111111'));
    writeFileSync(dropIn, line('22222222-2222-4222-8222-222222222222').replace('2.1', '2.2'));
  };
  contradict();
  const { config } = reader.read(log);
  reader.read(log);
  expect(config.controllers.map(({ hostId }) => hostId)).toEqual([
    '11111111-1111-4111-8111-111111111111',
    '11111111-1111-4111-8111-111111111111',
  ]);
  expect(log.messages('error')).toHaveLength(1);
  expect(log.messages('error')[0]).toContain(`${dropIn}:2: [Controllers] controller:`);
  expect(log.messages('error')[0]).toContain(`that ${confFile}, line 2 has`);
  writeFileSync(dropIn, '');
  reader.read(log);
  contradict();
  reader.read(log);
  expect(log.messages('error')).toHaveLength(2);
});

test('refuses a host without an identity', () => {
  writeFileSync(sysConfFile, `[Host]\nnqn = file://${folder}/none\nid = ${HOST_ID}\n`);
  expect(() => reader.read(log)).toThrow(`stasadm hostnqn -f ${folder}/none`);
});

test('reports what is wrong once, and again after it was right in between', () => {
  writeFileSync(confFile, '[Global]\ntron = perhaps\n');
  reader.read(log);
  reader.read(log);
  expect(log.lines).toHaveLength(1);
  writeFileSync(confFile, '');
  reader.read(log);
  writeFileSync(confFile, '[Global]\ntron = perhaps\n');
  reader.read(log);
  expect(log.lines).toHaveLength(2);
});

test('looks at the files as they are now without a word and without a trace', () => {
  reader.read(log);
  writeFileSync(confFile, `${CONTROLLER}[Global]\ntron = perhaps\n`);
  const present = reader.peek();
  expect(present.settings.config.controllers).toHaveLength(1);
  expect(present.settings.host.hostid).toBe(HOST_ID);
  expect(present.problems.map(({ key, line }) => ({ key, line }))).toEqual([
    { key: 'tron', line: 4 },
  ]);
  expect(log.lines).toEqual([]);
  reader.read(log);
  expect(log.lines).toHaveLength(1);
});

test('forgets nothing of what was reported when it only looks', () => {
  writeFileSync(confFile, '[Global]\ntron = perhaps\n');
  reader.read(log);
  writeFileSync(confFile, '');
  expect(reader.peek().problems).toEqual([]);
  writeFileSync(confFile, '[Global]\ntron = perhaps\n');
  reader.read(log);
  expect(log.lines).toHaveLength(1);
});

test('looks in vain at files that cannot be used', () => {
  writeFileSync(sysConfFile, `[Host]\nnqn = file://${folder}/none\nid = ${HOST_ID}\n`);
  expect(() => reader.peek()).toThrow(StartupError);
});
