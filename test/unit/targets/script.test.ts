import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { childrenOf, parseState } from '../../targets/configfs.ts';
import { renderScript } from '../../targets/script.ts';

describe('the script of a plan', () => {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'nvme-stas-targets-'));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  /** Runs the script on an ordinary directory in place of configfs. */
  function run(steps: Parameters<typeof renderScript>[0]): void {
    const script = renderScript(steps).replaceAll('/sys/kernel/config', directory);
    execFileSync('sh', ['-s'], { input: script, stdio: ['pipe', 'pipe', 'pipe'] });
  }

  it('does every kind of step, whatever is in a name or value', () => {
    mkdirSync(join(directory, 'gone'));
    writeFileSync(join(directory, 'link'), '');
    const odd = `it's "$HOME" \\ *`;
    run([
      { kind: 'unlink', path: 'link' },
      { kind: 'rmdir', path: 'gone' },
      { kind: 'mkdir', path: 'a' },
      { kind: 'mkdir', path: odd },
      { kind: 'write', path: `${odd}/value`, value: odd },
      { kind: 'link', directory: 'a', target: odd },
    ]);
    expect(readFileSync(join(directory, odd, 'value'), 'utf8')).toBe(odd);
    expect(readlinkSync(join(directory, 'a', odd))).toBe(join(directory, odd));
    expect(() => readFileSync(join(directory, 'link'))).toThrow('ENOENT');
  });

  it('starts one process for many steps of a kind', () => {
    const steps = Array.from({ length: 100 }, (_, index) => ({
      kind: 'mkdir' as const,
      path: `d${index}`,
    }));
    expect(renderScript(steps).match(/mkdir/g)).toHaveLength(1);
  });

  it('stops at the first failure and names the path, not the value', () => {
    const write = (path: string) => ({ kind: 'write' as const, path, value: 'secret' });
    expect(() => run([write('missing/key'), { kind: 'mkdir', path: 'later' }])).toThrow(
      /^(?!.*secret)[^]*cannot write missing\/key/,
    );
    expect(() => readFileSync(join(directory, 'later'))).toThrow('ENOENT');
  });
});

describe('the state of configfs', () => {
  const output = [
    'd nvmet/subsystems',
    'd nvmet/subsystems/nqn.2024-01.org:a',
    'l nvmet/ports/1/subsystems/nqn.2024-01.org:a',
    'nvmet/subsystems/nqn.2024-01.org:a/attr_model\0Linux: d x',
    'nvmet/subsystems/nqn.2024-01.org:a/attr_serial\0S1                  ',
    '',
  ].join('\n');

  it('is read with names and values that hold colons and spaces', () => {
    const state = parseState(output);
    expect([...state.attributes]).toEqual([
      ['nvmet/subsystems/nqn.2024-01.org:a/attr_model', 'Linux: d x'],
      ['nvmet/subsystems/nqn.2024-01.org:a/attr_serial', 'S1'],
    ]);
    expect([...state.links]).toEqual(['nvmet/ports/1/subsystems/nqn.2024-01.org:a']);
  });

  it('lists the direct children of a directory only', () => {
    const { directories } = parseState(output);
    expect(childrenOf(directories, 'nvmet')).toEqual(['subsystems']);
    expect(childrenOf(directories, 'nvmet/subsystems')).toEqual(['nqn.2024-01.org:a']);
  });
});
