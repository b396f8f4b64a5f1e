import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AcpiTables } from '../../../src/platform/acpi-tables.ts';
import type { PortError } from '../../../src/ports/errors.ts';

describe('a boot firmware table', () => {
  let directory: string;
  const path = (name: string): string => join(directory, name);

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'acpi-'));
  });

  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  function codes(): readonly (string | undefined)[] {
    return new AcpiTables(directory).bootTables().map(({ error }) => error?.code);
  }

  test('that is a directory, a pipe or a symbolic link is not read', () => {
    mkdirSync(path('NBFT1'));
    execFileSync('mkfifo', [path('NBFT2')]);
    writeFileSync(path('other'), 'x', { mode: 0o400 });
    symlinkSync(path('other'), path('NBFT3'));
    expect(codes()).toEqual(['NOT_TRUSTED', 'NOT_TRUSTED', 'ELOOP']);
  });

  test('that others can write is not read', () => {
    writeFileSync(path('NBFT'), 'x');
    chmodSync(path('NBFT'), 0o646);
    expect(codes()).toEqual(['NOT_TRUSTED']);
  });

  test('of more than a mebibyte is not read', () => {
    writeFileSync(path('NBFT'), Buffer.alloc(1024 * 1024 + 1), { mode: 0o400 });
    expect(codes()).toEqual(['TOO_LARGE']);
  });

  test('has a name that is fit to print', () => {
    writeFileSync(path('NBFT\n<3>forged'), 'x', { mode: 0o400 });
    expect(new AcpiTables(directory).bootTables().map(({ name }) => name)).toEqual([
      'NBFT\\n<3>forged',
    ]);
  });

  test('is one of not too many', () => {
    for (let index = 0; index < 65; index += 1) writeFileSync(path(`NBFT${index}`), 'x');
    expect(() => new AcpiTables(directory).bootTables()).toThrow(
      expect.objectContaining({ code: 'TOO_MANY' }) as PortError,
    );
  });
});

test('a host without ACPI has no boot firmware tables', () => {
  expect(new AcpiTables('/nowhere/tables').bootTables()).toEqual([]);
  expect(new AcpiTables('/dev/null/tables').bootTables()).toEqual([]);
});
