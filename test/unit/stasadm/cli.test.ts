import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseSysConfig } from '../../../src/config/sys-config.ts';
import { runStasadm } from '../../../src/stasadm/cli.ts';
import type { DiffRequest } from '../../../src/stasadm/diff/command.ts';
import type { DoctorRequest } from '../../../src/stasadm/doctor/command.ts';

const SYS_CONF = '/etc/stas/sys.conf';
const MACHINE_ID = '0123456789abcdef0123456789abcdef\n';
const NQN = 'nqn.2014-08.org.nvmexpress:uuid:f2782346-4809-484a-9a8b-952a04b57ba4';
const RANDOM = '30337838-5f1d-4e61-9c4e-d5ad2ad5b7ad';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'stasadm-'));
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

function get(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

async function run(...args: readonly string[]): Promise<Outcome> {
  return runAs(true, ...args);
}

async function runAs(isRoot: boolean, ...args: readonly string[]): Promise<Outcome> {
  let out = '';
  let err = '';
  const environment = {
    root,
    isRoot,
    randomUuid: () => RANDOM,
    diff: (request: DiffRequest) => {
      out += JSON.stringify(request);
      return Promise.resolve(request.exitCode ? 3 : 0);
    },
    doctor: (request: DoctorRequest) => {
      out += JSON.stringify(request);
      return Promise.resolve(request.output === 'json' ? 1 : 0);
    },
    stdout: (text: string) => {
      out += text;
    },
    stderr: (text: string) => {
      err += text;
    },
  };
  const status = await runStasadm(args, environment, '1.2.3');
  return { status, out, err };
}

const DONE: Outcome = { status: 0, out: '', err: '' };

describe('stasadm hostnqn', () => {
  it('keeps an NQN made from the machine ID in sys.conf, which it makes', async () => {
    put('/etc/machine-id', MACHINE_ID);
    expect(await run('hostnqn')).toEqual(DONE);
    expect(get(SYS_CONF)).toBe(`[Host]\nnqn=${NQN}\n`);
  });

  it('keeps it in a file that sys.conf names, both in directories that were not there', async () => {
    put('/etc/machine-id', MACHINE_ID);
    expect(await run('hostnqn', '-f', '/etc/nvme/hostnqn')).toEqual(DONE);
    expect(get('/etc/nvme/hostnqn')).toBe(`${NQN}\n`);
    expect(get(SYS_CONF)).toBe('[Host]\nnqn=file:///etc/nvme/hostnqn\n');
  });

  it('has only a random UUID on a machine that has none', async () => {
    expect(await run('hostnqn')).toEqual(DONE);
    expect(get(SYS_CONF)).toContain(`nqn.2014-08.org.nvmexpress:uuid:${RANDOM}\n`);
  });

  it('passes over a source that even root cannot read, and tells others', async () => {
    mkdirSync(join(root, '/sys/class/dmi/id/product_uuid'), { recursive: true });
    expect(await runAs(false, 'hostnqn')).toEqual({
      status: 1,
      out: '',
      err:
        'stasadm: cannot read /sys/class/dmi/id/product_uuid: ' +
        'illegal operation on a directory (EISDIR)\n',
    });
    expect(await runAs(true, 'hostnqn')).toEqual(DONE);
    expect(get(SYS_CONF)).toContain(RANDOM);
  });

  it.each(['uninitialized\n', '', '\n', '0'.repeat(32)])(
    'takes the machine ID %j for none, and the UUID of the firmware or of the partition',
    async (machineId) => {
      put('/etc/machine-id', machineId);
      put('/proc/device-tree/ibm,partition-uuid', 'c0ffee00-1234-5678-9abc-def012345678\0');
      expect(await run('hostnqn')).toEqual(DONE);
      expect(get(SYS_CONF)).toContain('uuid:c0ffee00-1234-5678-9abc-def012345678\n');
      put('/sys/class/dmi/id/product_uuid', '00112233-4455-6677-8899-aabbccddeeff\n');
      expect(await run('hostnqn')).toEqual(DONE);
      expect(get(SYS_CONF)).toContain('uuid:33221100-5544-7766-8899-aabbccddeeff\n');
    },
  );

  it('makes files that everybody may read, whatever the umask', async () => {
    const umask = process.umask(0o077);
    try {
      expect(await run('hostnqn', '-f', '/etc/nvme/hostnqn')).toEqual(DONE);
    } finally {
      process.umask(umask);
    }
    const modeOf = (path: string): number => statSync(join(root, path)).mode & 0o777;
    expect(['/etc/nvme', '/etc/nvme/hostnqn', '/etc/stas', SYS_CONF].map(modeOf)).toEqual([
      0o755, 0o644, 0o755, 0o644,
    ]);
  });

  it('gives the same NQN each time', async () => {
    put('/sys/class/dmi/id/product_uuid', '00112233-4455-6677-8899-aabbccddeeff\n');
    await run('hostnqn');
    const first = get(SYS_CONF);
    await run('hostnqn');
    expect(get(SYS_CONF)).toBe(first);
    expect(first).toContain('uuid:33221100-5544-7766-8899-aabbccddeeff');
  });
});

describe('stasadm hostid', () => {
  it('keeps a random UUID in sys.conf, or in a file', async () => {
    expect(await run('hostid')).toEqual(DONE);
    expect(get(SYS_CONF)).toBe(`[Host]\nid=${RANDOM}\n`);
    expect(await run('hostid', '--file', '/etc/nvme/hostid')).toEqual(DONE);
    expect(get('/etc/nvme/hostid')).toBe(`${RANDOM}\n`);
    expect(get(SYS_CONF)).toBe('[Host]\nid=file:///etc/nvme/hostid\n');
  });
});

describe('stasadm set-symname and clear-symname', () => {
  it('set and unset the name, and leave all else of sys.conf as it was', async () => {
    const before = '# mine\n[Host]\n# the NQN\nnqn = nqn.x\n\n; end\n[Odd]\nx\n';
    put(SYS_CONF, before);
    expect(await run('set-symname', 'Rack 7')).toEqual(DONE);
    expect(get(SYS_CONF)).toBe(before.replace('nqn.x\n', 'nqn.x\nsymname=Rack 7\n'));
    expect(await run('clear-symname')).toEqual(DONE);
    expect(get(SYS_CONF)).toBe(before);
  });

  it('says that of a name in a file the first word counts', async () => {
    const err = 'stasadm: of a file, the daemons take the first word only: "Rack"\n';
    expect(await run('set-symname', '-f', '/name', 'Rack 7')).toEqual({ status: 0, out: '', err });
    expect(get('/name')).toBe('Rack 7\n');
  });

  it('keeps the name in a file', async () => {
    expect(await run('set-symname', '-f', '/etc/nvme/symname', 'rack7')).toEqual(DONE);
    expect(get('/etc/nvme/symname')).toBe('rack7\n');
    expect(get(SYS_CONF)).toBe('[Host]\nsymname=file:///etc/nvme/symname\n');
  });

  it('makes no file to clear a name that is nowhere', async () => {
    expect(await run('clear-symname')).toEqual(DONE);
    expect(existsSync(join(root, SYS_CONF))).toBe(false);
  });
});

describe('sys.conf', () => {
  it('is the one named by -c, before or after the command', async () => {
    await run('-c', '/a.conf', 'hostid');
    await run('hostid', '--conf-file', '/b.conf');
    expect(get('/a.conf')).toBe(get('/b.conf'));
    expect(existsSync(join(root, SYS_CONF))).toBe(false);
  });

  it('is not replaced by the value, whichever of its names is given', async () => {
    put(SYS_CONF, '[Host]\nid=1\n');
    symlinkSync('stas/sys.conf', join(root, '/etc/hostid'));
    const { err, status } = await run('hostid', '-f', '/etc/hostid');
    expect(status).toBe(2);
    expect(err).toContain('cannot be in one file');
    expect(get(SYS_CONF)).toBe('[Host]\nid=1\n');
  });

  it('keeps its permissions, and a link to it', async () => {
    put('/real.conf', '[Host]\nkey=DHHC-1:00:x:\n');
    chmodSync(join(root, 'real.conf'), 0o600);
    mkdirSync(join(root, '/etc/stas'), { recursive: true });
    symlinkSync(join(root, 'real.conf'), join(root, SYS_CONF));
    expect(await run('hostid')).toEqual(DONE);
    expect(get('/real.conf')).toContain(`id=${RANDOM}\n`);
    expect(statSync(join(root, 'real.conf')).mode & 0o777).toBe(0o600);
  });

  it.each([
    [
      'with a byte order mark and CRLF',
      '\ufeff# a\r\n[Host]\r\nid=1\r\n',
      'id=1\r\n',
      `id=${RANDOM}\r\n`,
    ],
    ['without an end of its last line', '[Host]\nkey=k', 'key=k', `key=k\nid=${RANDOM}\n`],
    [
      'with its section twice',
      '[Host]\nid=1\n[X]\n[Host]\nid=2\n',
      '\nid=1\n[X]\n[Host]\nid=2',
      `\n[X]\n[Host]\nid=${RANDOM}`,
    ],
    [
      'with a value on more lines',
      '[Host]\nid=\n  1\n\n  # c\n  2\nkey=k\n',
      'id=\n  1\n\n  # c\n  2\n',
      `id=${RANDOM}\n\n  # c\n`,
    ],
    ['that is wrong', 'x\n[Host\n[]\n[Host]\n=\nid\n', '[Host]\n', `[Host]\nid=${RANDOM}\n`],
  ])('is kept but for the value: one %s', async (_, before, old, changed) => {
    put(SYS_CONF, before);
    expect(await run('hostid')).toEqual(DONE);
    expect(get(SYS_CONF)).toBe(before.replace(old, changed));
  });

  it('may be of any encoding', async () => {
    const bytes = Buffer.from('# Geh\xe4use\n[Host]\nid=1\n# \xff', 'latin1');
    mkdirSync(join(root, '/etc/stas'), { recursive: true });
    writeFileSync(join(root, SYS_CONF), bytes);
    expect(await run('hostid')).toEqual(DONE);
    expect(readFileSync(join(root, SYS_CONF), 'latin1')).toBe(
      bytes.toString('latin1').replace('id=1', `id=${RANDOM}`),
    );
  });

  it('is what the daemons read afterwards', async () => {
    put('/etc/machine-id', MACHINE_ID);
    await run('hostnqn', '-f', '/etc/nvme/hostnqn');
    await run('hostid');
    await run('set-symname', 'a name');
    const read = (path: string): string | undefined =>
      existsSync(join(root, path)) ? get(path) : undefined;
    expect(parseSysConfig(SYS_CONF, get(SYS_CONF), read)).toEqual({
      identity: { hostnqn: NQN, hostid: RANDOM, symname: 'a name' },
      problems: [],
      missing: [],
      privateFiles: [],
      sources: {
        nqn: '/etc/nvme/hostnqn',
        id: SYS_CONF,
        key: '/etc/nvme/hostkey',
        symname: SYS_CONF,
      },
    });
  });
});

describe('the command line', () => {
  it.each([
    [[]],
    [['bogus']],
    [['hostnqn', 'extra']],
    [['hostnqn', '-x']],
    [['hostid', '-f']],
    [['set-symname']],
    [['set-symname', '']],
    [['set-symname', 'a\nb']],
    [['set-symname', 'x'.repeat(257)]],
    [['set-symname', 'left\u202eright']],
    [['hostid', '-f', SYS_CONF]],
    [['hostid', '-f', '/a\ufffdb']],
    [['hostid', '-f', ' ']],
    [['hostid', '-f', '/a\n[Host]']],
    [['help']],
  ])('ends with 2 and says why, and changes nothing, for %j', async (args) => {
    const { status, out, err } = await run(...args);
    expect(status).toBe(2);
    expect(out).toBe('');
    expect(err).toMatch(/^(?:stasadm: .+\nsee: stasadm.* --help\n$|Usage: stasadm)/);
    expect(existsSync(join(root, 'etc'))).toBe(false);
  });

  it('prints its version and its help', async () => {
    expect(await run('-v')).toEqual({ status: 0, out: 'nvme-stas 1.2.3\n', err: '' });
    expect(await run('--version')).toEqual({ status: 0, out: 'nvme-stas 1.2.3\n', err: '' });
    const help = await run('--help');
    expect(help).toMatchObject({ status: 0, err: '' });
    for (const command of ['hostnqn', 'hostid', 'set-symname', 'clear-symname', '--conf-file']) {
      expect(help.out).toContain(command);
    }
  });

  it('ends with 1 and one line if it cannot read or write', async () => {
    put('/file', '');
    mkdirSync(join(root, 'directory'));
    expect(await run('-c', '/file/sys.conf', 'hostid')).toEqual({
      status: 1,
      out: '',
      err: 'stasadm: cannot write /file/sys.conf: not a directory (ENOTDIR)\n',
    });
    expect(await run('-c', '/directory', 'hostid')).toEqual({
      status: 1,
      out: '',
      err: 'stasadm: /directory is a directory\n',
    });
    expect(await run('hostid', '-f', '/directory')).toEqual({
      status: 1,
      out: '',
      err: 'stasadm: cannot write /directory: illegal operation on a directory (EISDIR)\n',
    });
  });

  it('leaves sys.conf alone if the file cannot be written', async () => {
    put('/file', '');
    expect((await run('hostid', '-f', '/file/hostid')).status).toBe(1);
    expect(existsSync(join(root, SYS_CONF))).toBe(false);
  });
});

describe('diff', () => {
  it('is carried out as the command line says, and ends with its status', async () => {
    expect(await run('diff')).toMatchObject({
      status: 0,
      out: JSON.stringify({ output: 'text', exitCode: false }),
    });
    expect(await run('diff', '-o', 'json', '--exit-code')).toMatchObject({
      status: 3,
      out: JSON.stringify({ output: 'json', exitCode: true }),
    });
    expect(await run('diff', '-o', 'xml')).toMatchObject({ status: 2, out: '' });
    expect(await run('diff', 'stafd')).toMatchObject({ status: 2, out: '' });
  });
});

describe('doctor', () => {
  it('is carried out as the command line says, and ends with its status', async () => {
    expect(await run('doctor')).toMatchObject({
      status: 0,
      out: JSON.stringify({ output: 'text', sysConf: SYS_CONF }),
    });
    expect(await run('-c', '/x/sys.conf', 'doctor', '-o', 'json')).toMatchObject({
      status: 1,
      out: JSON.stringify({ output: 'json', sysConf: '/x/sys.conf' }),
    });
    expect(await run('doctor', '-o', 'xml')).toMatchObject({ status: 2, out: '' });
    expect(await run('doctor', 'x')).toMatchObject({ status: 2, out: '' });
  });
});
