import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const SYS_CONF = '/etc/stas/sys.conf';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'identity-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** Whether the script ends with 0, with `conf` for sys.conf (undefined: there is none). */
function succeeds(script: string, conf: string | undefined): boolean {
  const path = join(folder, 'sys.conf');
  if (conf !== undefined) writeFileSync(path, conf);
  try {
    execFileSync('/bin/sh', ['-ec', script.replaceAll(SYS_CONF, path)], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** The unit's condition, as systemd gives it to the shell. */
function unitWouldMake(what: string, conf: string | undefined): boolean {
  const unit = readFileSync('systemd/stas-config@.service', 'utf8');
  const condition = /^ExecCondition=\/bin\/sh -c '(.*)'$/m.exec(unit)?.[1] ?? '';
  expect(condition).toContain(SYS_CONF);
  return succeeds(condition.replaceAll('%i', what).replaceAll('$$', '$'), conf);
}

/** The condition of the script that runs on installation. */
function postinstWouldMake(what: string, conf: string | undefined): boolean {
  const script = readFileSync('tools/package/postinst', 'utf8');
  const condition = /^has_another\(\) \{\n[^}]*\{[^}]*\}[^}]*^\}$/m.exec(script)?.[0] ?? '';
  expect(condition).toContain(SYS_CONF);
  return succeeds(`${condition}\n! has_another ${what}`, conf);
}

describe.each([
  ['stas-config@.service', unitWouldMake],
  ['the installation', postinstWouldMake],
] as const)('%s', (_, wouldMake) => {
  test.each([
    ['there is no sys.conf', undefined],
    ['sys.conf says nothing', '[Host]\n#nqn=nqn.example\n#id=1\nsymname=nqn=x\n'],
    [
      'sys.conf names the usual files',
      '[Host]\nnqn = file:///etc/nvme/hostnqn\nID=file:///etc/nvme/hostid \n',
    ],
  ])('makes the NQN and the ID where %s', (_why, conf) => {
    expect(wouldMake('hostnqn', conf)).toBe(true);
    expect(wouldMake('hostid', conf)).toBe(true);
  });

  test('leaves an NQN that sys.conf holds itself', () => {
    const conf = '[Host]\n Nqn = nqn.2014-08.org.example:host\nid=file:///etc/nvme/hostid\n';
    expect(wouldMake('hostnqn', conf)).toBe(false);
    expect(wouldMake('hostid', conf)).toBe(true);
  });

  test('leaves an ID that another file holds', () => {
    const conf = '[Host]\nid=file:///etc/nvme/hostid.site\n';
    expect(wouldMake('hostnqn', conf)).toBe(true);
    expect(wouldMake('hostid', conf)).toBe(false);
  });
});
