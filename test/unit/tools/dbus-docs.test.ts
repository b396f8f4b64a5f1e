import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format } from 'prettier';
import { describe, expect, it } from 'vitest';
import { parseContract } from '../../../src/platform/dbus/contract.ts';
import { daemonContracts, withReference } from '../../../tools/dbus-docs.ts';

const root = join(import.meta.dirname, '../../..');

describe('docs/dbus.md', () => {
  it('says what the contracts and policies in dbus/ say (made by `npm run docs`)', async () => {
    const path = join(root, 'docs/dbus.md');
    const text = await readFile(path, 'utf8');
    const made = withReference(text, await daemonContracts(root));
    expect(await format(made, { parser: 'markdown', printWidth: 100 })).toBe(text);
  });

  it('has every member, with its types', async () => {
    for (const contract of await daemonContracts(root)) {
      const text = withReference(
        '<!-- Made from dbus/*.xml by `npm run docs`: do not edit below. -->',
        [contract],
      );
      for (const { name, methods, signals, properties } of parseContract(
        contract.xml,
      ).interfaces.values()) {
        const section = text.split(/^## /m).find((each) => each.includes(`: ${name}\n`)) ?? '';
        const members = [...methods.keys(), ...signals.keys(), ...properties.keys()];
        expect([...section.matchAll(/^### (.*)$/gm)].map(([, member]) => member).sort()).toEqual(
          members.sort(),
        );
        for (const { inSignature, name: method, outSignature } of methods.values()) {
          const [, line = ''] = new RegExp(`^(${method}\\(.*)$`, 'm').exec(section) ?? [];
          const types = [...line.matchAll(/\w+ ([a-z{}]+)[,)]|\w+ ([a-z{}]+)$/g)];
          expect([method, types.map(([, a, b]) => a ?? b).join('')]).toEqual([
            method,
            inSignature + outSignature,
          ]);
        }
      }
    }
  });

  it('marks what root alone may call', async () => {
    const text = withReference(
      '<!-- Made from dbus/*.xml by `npm run docs`: do not edit below. -->',
      await daemonContracts(root),
    );
    const rootOnly = text
      .split(/^### /m)
      .filter((section) => section.includes('\nRoot only.'))
      .map((section) => section.split('\n')[0]);
    expect(rootOnly.sort()).toEqual(['preview_reload', 'preview_reload', 'read_logs_again']);
  });
});
