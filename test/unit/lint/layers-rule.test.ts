import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Linter } from 'eslint';
import tseslint from 'typescript-eslint';
import { describe, expect, it } from 'vitest';
import { layers } from '../../../tools/lint/layers.ts';
import type { LayerTable } from '../../../tools/lint/layers.ts';
import { createLayersRule, resolveImport } from '../../../tools/lint/layers-rule.ts';

const root = resolve(import.meta.dirname, '../../..');

/** The messages of the rule for `code` as the content of `file`. */
function lint(file: string, code: string, table: LayerTable = layers): string[] {
  const linter = new Linter({ cwd: root });
  const plugin = { rules: { layers: createLayersRule(table, root) } };
  const config: Linter.Config = {
    files: ['**/*.ts'],
    languageOptions: { parser: tseslint.parser },
    plugins: { local: plugin },
    rules: { 'local/layers': 'error' },
  };
  return linter.verify(code, [config], { filename: join(root, file) }).map((m) => m.message);
}

const see = '(see tools/lint/layers.ts)';

describe('resolveImport', () => {
  it('resolves a relative name from the folder of the importing file', () => {
    expect(resolveImport('src/core/a/b.ts', '../../nvme/nqn.ts')).toEqual({
      kind: 'file',
      path: 'src/nvme/nqn.ts',
    });
  });

  it('gives a built-in module its node: name however it is written', () => {
    expect(resolveImport('src/a.ts', 'fs/promises')).toEqual({
      kind: 'builtin',
      name: 'node:fs/promises',
    });
  });

  it('reduces a path inside a package to the name of the package', () => {
    expect(resolveImport('src/a.ts', '@scope/name/file.js')).toEqual({
      kind: 'package',
      name: '@scope/name',
    });
    expect(resolveImport('src/a.ts', 'name/file.js')).toEqual({ kind: 'package', name: 'name' });
  });
});

describe('the layer table', () => {
  it.each([
    ['src/nvme/a.ts', './b.ts'],
    ['src/config/a.ts', '../nvme/b.ts'],
    ['src/config/a.ts', 'ini'],
    ['src/core/a.ts', '../config/b.ts'],
    ['src/runtime/a.ts', '../ports/b.ts'],
    ['src/platform/a.ts', 'dbus-next'],
    ['src/platform/a.ts', 'koffi'],
    ['src/platform/a.ts', 'node:net'],
    ['src/libnvme-ffi/a.ts', 'koffi'],
    ['src/stafd/main.ts', '../platform/a.ts'],
    ['src/daemon/a.ts', 'commander'],
    ['src/stafd/main.ts', '../daemon/a.ts'],
    ['src/daemon/a.ts', '../libnvme-ffi/b.ts'],
    ['src/stacd/main.ts', '../libnvme-ffi/a.ts'],
    ['src/stafd/dbus-interface.ts', '../../dbus/org.nvmexpress.staf.xml'],
    ['src/stasadm/a.ts', '../platform/atomic-file.ts'],
    ['src/ctl/a.ts', '../platform/bus.ts'],
    ['src/ctl/a.ts', 'commander'],
    ['test/discovery-controller/a.ts', 'node:net'],
    ['test/unit/core/a.ts', '../../../src/core/b.ts'],
  ])('lets %s import %s', (file, specifier) => {
    expect(lint(file, `import { x } from '${specifier}'; x();`)).toEqual([]);
  });

  it.each([
    ['src/nvme/a.ts', '../config/b.ts', 'src/nvme/ may not import src/config/b.ts'],
    ['src/nvme/a.ts', 'node:fs', 'src/nvme/ may not import node:fs'],
    ['src/nvme/a.ts', 'ini', 'src/nvme/ may not import the package ini'],
    ['src/core/a.ts', '../ports/b.ts', 'src/core/ may not import src/ports/b.ts'],
    ['src/core/a.ts', 'timers', 'src/core/ may not import node:timers'],
    ['src/runtime/a.ts', '../platform/b.ts', 'src/runtime/ may not import src/platform/b.ts'],
    ['src/platform/a.ts', '../runtime/b.ts', 'src/platform/ may not import src/runtime/b.ts'],
    [
      'src/libnvme-ffi/a.ts',
      '../platform/b.ts',
      'src/libnvme-ffi/ may not import src/platform/b.ts',
    ],
    ['src/libnvme-ffi/a.ts', 'udev', 'src/libnvme-ffi/ may not import the package udev'],
    ['src/stafd/plan.ts', '../platform/b.ts', 'src/stafd/ may not import src/platform/b.ts'],
    ['src/stafd/service.ts', '../daemon/b.ts', 'src/stafd/ may not import src/daemon/b.ts'],
    ['src/daemon/a.ts', '../stafd/b.ts', 'src/daemon/ may not import src/stafd/b.ts'],
    ['src/stafd/main.ts', '../stacd/b.ts', 'src/stafd/main.ts may not import src/stacd/b.ts'],
    ['src/stacd/a.ts', '../stafd/b.ts', 'src/stacd/ may not import src/stafd/b.ts'],
    ['src/stasadm/a.ts', '../platform/b.ts', 'src/stasadm/ may not import src/platform/b.ts'],
    ['src/stasadm/a.ts', 'koffi', 'src/stasadm/ may not import the package koffi'],
    ['src/ctl/a.ts', '../libnvme-ffi/b.ts', 'src/ctl/ may not import src/libnvme-ffi/b.ts'],
    [
      'test/discovery-controller/a.ts',
      '../../src/nvme/b.ts',
      'test/discovery-controller/ may not import src/nvme/b.ts',
    ],
  ])('keeps %s from importing %s', (file, specifier, reason) => {
    expect(lint(file, `import { x } from '${specifier}'; x();`)).toEqual([`${reason} ${see}`]);
  });

  it('lets the ports import types of nvme and nothing that exists at run time', () => {
    const value = 'src/ports/ may import only types from src/nvme/b.ts';
    const specifiers = "from '../nvme/b.ts'";
    expect(lint('src/ports/a.ts', `import type { X } ${specifiers}; export type Y = X;`)).toEqual(
      [],
    );
    expect(lint('src/ports/a.ts', `import { type X } ${specifiers}; export type Y = X;`)).toEqual(
      [],
    );
    expect(lint('src/ports/a.ts', `import { x } ${specifiers}; x();`)).toEqual([`${value} ${see}`]);
    expect(lint('src/ports/a.ts', `import ${specifiers.slice(5)};`)).toEqual([`${value} ${see}`]);
  });

  it('refuses a file of src that no row is for, whatever it imports', () => {
    expect(lint('src/misc/a.ts', 'export const x = 1;')).toEqual([
      'src/misc/a.ts fits no row of the layer table in tools/lint/layers.ts',
    ]);
    expect(lint('src/version.ts', 'export const x = 1;')).toHaveLength(1);
  });

  it('has a row for every folder of src', () => {
    const folders = readdirSync(join(root, 'src'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => `src/${entry.name}/`);
    expect(folders.filter((folder) => lint(`${folder}x.ts`, '').length > 0)).toEqual([]);
  });

  it('names only folders that exist', () => {
    const missing = layers.rows
      .map((row) => row.where)
      .filter((where) => where.endsWith('/') && !existsSync(join(root, where)));
    expect(missing).toEqual([]);
  });
});

describe('every way to name a module', () => {
  const reason = [`src/nvme/ may not import src/core/b.ts ${see}`];

  it.each([
    ["import '../core/b.ts';"],
    ["import * as b from '../core/b.ts'; b.x();"],
    ["import type { B } from '../core/b.ts'; export type C = B;"],
    ["export * from '../core/b.ts';"],
    ["export { x } from '../core/b.ts';"],
    ["export type { X } from '../core/b.ts';"],
    ["const b = import('../core/b.ts'); b.then();"],
    ["import b = require('../core/b.ts'); b();"],
    ["const b = require('../core/b.ts'); b();"],
    ["export type B = import('../core/b.ts').B;"],
  ])('is looked at: %s', (code) => {
    expect(lint('src/nvme/a.ts', code)).toEqual(reason);
  });

  it('refuses a module name that is computed', () => {
    const message = 'A module name must be a literal here, so that its layer can be checked';
    expect(lint('src/nvme/a.ts', 'const b = import(name); b.then();')).toEqual([message]);
    expect(lint('src/nvme/a.ts', 'const b = require(name); b();')).toEqual([message]);
    expect(lint('tools/a.ts', 'const b = import(name); b.then();')).toEqual([]);
  });

  it('lets exports without a source be', () => {
    expect(lint('src/nvme/a.ts', 'const x = 1; export { x }; export default x;')).toEqual([]);
  });
});
