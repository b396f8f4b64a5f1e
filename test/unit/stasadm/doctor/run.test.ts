import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { examine } from '../../../../src/stasadm/doctor/checks.ts';
import { known, unknown } from '../../../../src/core/answer.ts';
import { gather } from '../../../../src/stasadm/doctor/gather/gather.ts';
import type { World } from '../../../../src/stasadm/doctor/gather/world.ts';
import { runProgram } from '../../../../src/stasadm/doctor/gather/run-program.ts';
import {
  isHealthy,
  renderDoctor,
  renderDoctorJson,
} from '../../../../src/stasadm/doctor/render.ts';
import { runDoctor } from '../../../../src/stasadm/doctor/run.ts';
import { entry, HEALTHY, LIVE, NO_UNIT, OTHER_ID } from './healthy.ts';

const ILL = examine({
  ...HEALTHY,
  controllers: known([{ ...LIVE, hostid: OTHER_ID }]),
  units: { ...HEALTHY.units, 'nvme-discoverd.service': { ...NO_UNIT, active: known('active') } },
  avahi: { ...HEALTHY.avahi, server: known('absent') },
  packetFilter: unknown('\u001b[2Jthe rules are\nfor root only'),
  confEntries: known([entry('/etc/stas/stacd.conf', { holdsSecret: true })]),
});

const PLAIN = { colour: false, width: undefined };

describe('what stasadm doctor prints', () => {
  it('is a line a check, with what to do', async () => {
    await expect(renderDoctor(ILL, PLAIN)).toMatchFileSnapshot('../golden/doctor.txt');
  });

  it('is the same as JSON', async () => {
    await expect(renderDoctorJson(ILL)).toMatchFileSnapshot('../golden/doctor-json.txt');
    expect(JSON.parse(renderDoctorJson(ILL))).toMatchObject({
      version: 1,
      healthy: false,
      findings: ILL,
    });
  });

  it.each([renderDoctor(ILL, PLAIN), renderDoctorJson(ILL)])(
    'cannot be made to move a cursor',
    (text) => {
      expect(text).not.toMatch(/[^\P{C}\n]/u);
    },
  );

  it('has colours for a terminal', () => {
    const [first] = renderDoctor(ILL, { colour: true, width: 80 }).split('\n');
    expect(first).toBe('\u001b[32mok\u001b[0m       Kernel version: Linux 6.12.43-amd64');
  });

  it('says that a host is healthy with warnings and what is not known', () => {
    const harmless = ILL.filter(({ severity }) => severity !== 'failure');
    expect(new Set(harmless.map(({ severity }) => severity))).toEqual(
      new Set(['ok', 'warning', 'unknown']),
    );
    expect(isHealthy(harmless)).toBe(true);
    expect(isHealthy(ILL)).toBe(false);
  });
});

describe('stasadm doctor', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'doctor-'));
  });
  afterEach(() => {
    rmSync(root, { recursive: true });
  });

  it('ends with 1 where something fails, and has printed all the same', async () => {
    let out = '';
    const world: World = {
      root,
      isRoot: false,
      release: '6.12.0',
      sysConf: '/etc/stas/sys.conf',
      interfaces: { list: () => [], vlanOf: () => 0 },
      openBus: () => Promise.reject(new Error('there is no bus')),
      run: () => Promise.resolve({ kind: 'absent' }),
      timeoutMs: 1000,
    };
    const status = await runDoctor(
      { output: 'json' },
      {
        gather: () => gather(world, process.execPath),
        screen: PLAIN,
        stdout: (text) => void (out += text),
      },
    );
    expect(status).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ healthy: false, counts: { warning: 1 } });
  });
});

describe('a program of the system', () => {
  it('is run with an end, and read', async () => {
    expect(await runProgram('echo', ['a  b'], 10_000)).toEqual({ kind: 'output', text: 'a  b\n' });
    expect(await runProgram('false', [], 10_000)).toEqual({ kind: 'failed' });
    expect(await runProgram('/nonexistent', [], 10_000)).toEqual({ kind: 'absent' });
    expect(await runProgram('cat', ['/dev/zero'], 10_000)).toEqual({ kind: 'given-up' });
    expect(await runProgram('sleep', ['1000'], 1)).toEqual({ kind: 'given-up' });
  });
});
