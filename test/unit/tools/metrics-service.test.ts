import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const root = dirname(dirname(dirname(import.meta.dirname)));
const unit = readFileSync(join(root, 'systemd', 'nvme-stas-metrics.service'), 'utf8');

/** The shell's text of a line of the unit, as systemd gives it to the shell. */
function script(setting: string): string {
  const [, text] = new RegExp(`^${setting}=/bin/sh -c '([^']*)'$`, 'm').exec(unit) ?? [];
  if (text === undefined) throw new Error(`the unit has no ${setting}`);
  return text.replaceAll(/\\\n\s*/g, ' ').replaceAll('$$', '$');
}

describe('what follows a run of nvme-stas-metrics.service', () => {
  const FILES = ['nvme-stas-stacd.prom', 'nvme-stas-stafd.prom', 'nvme-stas-stafd.prom.new'];
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'metrics-'));
    for (const name of [...FILES, 'other.prom']) writeFileSync(join(folder, name), '');
  });

  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  function after(result: string): readonly string[] {
    const env = { PATH: process.env['PATH'], DIRECTORY: folder, SERVICE_RESULT: result };
    const ended = spawnSync('/bin/sh', ['-c', script('ExecStopPost')], { env });
    expect(ended.status).toBe(0);
    return readdirSync(folder).sort();
  }

  it.each(['timeout', 'exit-code', 'signal'])(
    'leaves no old values when it failed: %s',
    (result) => {
      expect(after(result)).toEqual(['other.prom']);
    },
  );

  it('leaves what was written when it did not', () => {
    expect(after('success')).toEqual([...FILES, 'other.prom']);
  });
});
