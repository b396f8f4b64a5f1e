import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../../src/nvme/secret.ts';

describe('Secret', () => {
  const secret = new Secret('DHHC-1:00:hidden:');

  it('shows its text in no form that is printed or stored', () => {
    const forms = [
      String(secret),
      JSON.stringify({ secret }),
      inspect({ secret }, { showHidden: true, depth: 9 }),
      JSON.stringify(Object.getOwnPropertyDescriptors(secret)),
    ];
    for (const form of forms) expect(form).not.toContain('hidden');
  });

  it('gives its text when asked, and compares without', () => {
    expect(secret.reveal()).toBe('DHHC-1:00:hidden:');
    expect(secret.equals(new Secret('DHHC-1:00:hidden:'))).toBe(true);
    expect(secret.equals(new Secret('DHHC-1:00:other:'))).toBe(false);
  });
});
