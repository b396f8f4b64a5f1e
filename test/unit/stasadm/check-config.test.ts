import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { kindOf } from '../../../src/stasadm/check-config.ts';
import { runStasadm } from '../../../src/stasadm/cli.ts';

const STAFD = '/etc/stas/stafd.conf';
const STACD = '/etc/stas/stacd.conf';
const SYS = '/etc/stas/sys.conf';
const NQN = 'nqn.2014-08.org.nvmexpress:uuid:f2782346-4809-484a-9a8b-952a04b57ba4';
const ID = '30337838-5f1d-4e61-9c4e-d5ad2ad5b7ad';
const SECRET = `DHHC-1:00:${'YWJj'.repeat(12)}:`;

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'check-config-'));
  put('/etc/nvme/hostnqn', `${NQN}\n`);
  put('/etc/nvme/hostid', `${ID}\n`);
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

interface Outcome {
  readonly status: number;
  readonly out: readonly string[];
  readonly err: string;
}

async function check(...args: readonly string[]): Promise<Outcome> {
  let out = '';
  let err = '';
  const environment = {
    root,
    isRoot: false,
    randomUuid: () => ID,
    diff: () => Promise.resolve(0),
    doctor: () => Promise.resolve(0),
    stdout: (text: string) => {
      out += text;
    },
    stderr: (text: string) => {
      err += text;
    },
  };
  const status = await runStasadm(['check-config', ...args], environment, '1');
  return { status, out: out.split('\n').slice(0, -1), err };
}

describe('check-config without files', () => {
  it('says that all is well where it is, and ends with 0', async () => {
    put(STAFD, '[Controllers]\ncontroller=transport=tcp;traddr=192.0.2.1\n');
    put(`${STAFD}.d/10-x.conf`, '[Global]\nkato=5\n');
    expect(await check()).toEqual({ status: 0, out: ['no problems; 2 files read'], err: '' });
  });

  it('tells everything that is wrong in all files, and ends with 1', async () => {
    put(
      STAFD,
      `kato=1
[Global]
kato = soon
tron=yes
nr-io-queues=1
[Global
[Controllers]
controller = transport=tcp;traddr=192.0.2.1;dhchap-secret=x${SECRET}
  transport=tcp;queue-size=9
blacklist = host-iface=eth1
`,
    );
    put(`${STAFD}.d/10-x.conf`, '[Global]\nkato=5\n[Mine]\nx=1\n');
    mkdirSync(join(root, `${STAFD}.d/20-y.conf`));
    put(STACD, '[I/O controller connection management]\nconnect-attempts-on-ncc=1\n');
    put(SYS, '[Host]\nid = 7\nkey = file:///etc/nvme/none\n');
    const { err, out, status } = await check();
    expect({ err, status }).toEqual({ err: '', status: 1 });
    expect(out).toEqual([
      '/etc/stas/stafd.conf:1:1: error: "kato=1" is a line before the first section; the line is ignored',
      '/etc/stas/stafd.conf:3:8: error: [Global] kato: "soon" is not a whole number (allowed: 0 and more, in seconds); /etc/stas/stafd.conf.d/10-x.conf, line 2 applies',
      '/etc/stas/stafd.conf:4:6: error: [Global] tron: "yes" is neither true nor false (allowed: true, false); the default applies',
      '/etc/stas/stafd.conf:5:1: error: [Global] nr-io-queues: is not an option of this section (allowed: in stacd.conf); it is ignored',
      '/etc/stas/stafd.conf:6:1: error: "[Global" is not a section header; the line is ignored',
      '/etc/stas/stafd.conf:8:14: error: [Controllers] controller: "dhchap-secret=[redacted]" is not a DH-HMAC-CHAP secret (allowed: DHHC-1:hh:base64:); the field is skipped',
      '/etc/stas/stafd.conf:9: error: [Controllers] controller: "transport=tcp;queue-size=9" has no traddr; the controller is skipped',
      '/etc/stas/stafd.conf:10:1: warning: [Controllers] blacklist: is an earlier name of an option (allowed: exclude); it applies all the same',
      '/etc/stas/stafd.conf.d/10-x.conf:3:1: error: [Mine] is not a section of this file (allowed: Global, Service Discovery, Discovery controller connection management, Controllers); the section is ignored',
      '/etc/stas/stafd.conf.d/20-y.conf: warning: is a directory; it is ignored',
      '/etc/stas/stacd.conf:2:25: warning: [I/O controller connection management] connect-attempts-on-ncc: "1" is too few, 2 is taken (allowed: 0, or 2 and more); the rest applies',
      '/etc/stas/sys.conf:2:6: error: [Host] id: is not a UUID (allowed: what "stasadm hostid" makes); stafd and stacd do not start',
      '/etc/stas/sys.conf:3:7: error: [Host] key: is in /etc/nvme/none, which does not exist (allowed: DHHC-1:hh:base64:); the host has no key',
      '13 problems in 5 files; 4 files read',
    ]);
  });

  it('tells what a host without identity lacks, and makes it with the command that it names', async () => {
    rmSync(join(root, '/etc/nvme'), { recursive: true });
    const { out, status } = await check();
    expect(status).toBe(1);
    expect(out).toEqual([
      '/etc/stas/sys.conf: error: [Host] nqn: is in /etc/nvme/hostnqn, which does not exist (allowed: what "stasadm hostnqn -f /etc/nvme/hostnqn" makes); stafd and stacd do not start',
      '/etc/stas/sys.conf: error: [Host] id: is in /etc/nvme/hostid, which does not exist (allowed: what "stasadm hostid -f /etc/nvme/hostid" makes); stafd and stacd do not start',
      '2 problems in 1 file; no files read',
    ]);
  });

  it('finds what the files of both daemons say differently of a host', async () => {
    const line = 'controller=transport=tcp;traddr=192.0.2.1;nqn=nqn.x;host-nqn=nqn.a';
    put(STAFD, `[Controllers]\n${line};host-id=11111111-1111-4111-8111-111111111111\n`);
    put(STACD, `[Controllers]\n${line};host-id=22222222-2222-4222-8222-222222222222\n`);
    expect((await check()).out).toEqual([
      '/etc/stas/stacd.conf:2: error: [Controllers] controller: "host-nqn=nqn.a" is connected with host ID 22222222-2222-4222-8222-222222222222, and in /etc/stas/stafd.conf, line 2 with 11111111-1111-4111-8111-111111111111 (allowed: one host-id for a host-nqn, one host-nqn for a host-id); the kernel refuses whichever is connected later',
      '1 problem in 1 file; 2 files read',
    ]);
    put(STACD, `[Controllers]\n${line};host-id=${ID}\n`);
    expect((await check('/etc/stas/stacd.conf')).out[0]).toContain("this host's own identity");
  });

  it('checks another sys.conf in its place', async () => {
    put('/tmp/mine', '[Host]\nsymname = a\u0007\n');
    const { out } = await check('-c', '/tmp/mine');
    expect(out[0]).toContain('/tmp/mine:2:11: error: [Host] symname: contains a control');
  });

  it('prints JSON for programs', async () => {
    put(STACD, '[Global]\nqueue-size=9\n');
    const { out, status } = await check('-o', 'json');
    expect(status).toBe(1);
    expect(JSON.parse(out.join('\n'))).toEqual({
      version: 1,
      files: [
        { file: STAFD, kind: 'stafd', state: 'missing' },
        { file: STACD, kind: 'stacd', state: 'read' },
        { file: SYS, kind: 'sys', state: 'missing' },
      ],
      problems: [
        {
          file: STACD,
          line: 2,
          column: 12,
          section: 'Global',
          key: 'queue-size',
          value: '9',
          severity: 'error',
          message: 'is out of range',
          allowed: '16 to 1024',
          effect: 'the default applies',
        },
      ],
    });
  });

  it('changes nothing', async () => {
    put(STAFD, '[Global]\ntron=yes\n');
    await check();
    expect(await check()).toEqual(await check());
  });
});

describe('check-config with files', () => {
  it('reads a main file with what is dropped in beside it', async () => {
    put('/new/stafd.conf', '[Global]\nkato=1\n');
    put('/new/stafd.conf.d/x.conf', '[Global]\nkato=x\n');
    expect((await check('/new/stafd.conf')).out).toEqual([
      '/new/stafd.conf.d/x.conf:2:6: error: [Global] kato: "x" is not a whole number (allowed: 0 and more, in seconds); /new/stafd.conf, line 2 applies',
      '1 problem in 1 file; 2 files read',
    ]);
  });

  it('reads a drop-in directory, and a drop-in file, by themselves', async () => {
    put('/new/stacd.conf', 'wrong\n');
    put('/new/stacd.conf.d/a.conf', '[Global]\nnr-io-queues=4\n');
    put('/new/stacd.conf.d/stafd.conf', '[Global]\nnr-poll-queues=x\n');
    expect((await check('/new/stacd.conf.d')).out.at(-1)).toBe('1 problem in 1 file; 2 files read');
    expect((await check('/new/stacd.conf.d/a.conf')).out).toEqual(['no problems; 1 file read']);
  });

  it.each<[string, readonly string[]]>([
    ['/x/test.conf', []],
    ['/x/stafd-and-stacd.conf', []],
    ['/x/system.conf', []],
    ['/x/stafd.conf', ['--as', 'nothing']],
    ['/x/stafd.conf', ['-o', 'yaml']],
    ['', []],
  ])('ends with 2 where it cannot be told what %j is (%j)', async (file, options) => {
    put('/x/stafd.conf', '');
    const { err, out, status } = await check(file, ...options);
    expect(status).toBe(2);
    expect(out).toEqual([]);
    expect(err).toMatch(/^stasadm: /);
  });

  it('takes what is said of a file, whatever its name', async () => {
    put('/x/stafd.conf', '[Global]\nnr-io-queues=4\n');
    expect((await check('/x/stafd.conf', '--as', 'stacd')).status).toBe(0);
    put('/x/me', `[Host]\nnqn=${NQN}\nid=${ID}\n`);
    expect((await check('/x/me', '--as', 'sys')).out).toEqual(['no problems; 1 file read']);
  });

  it('says that a file that was named is not there', async () => {
    const { out, status } = await check('/x/stafd.conf', '/x/sys.conf');
    expect(status).toBe(1);
    expect(out).toEqual([
      '/x/stafd.conf: error: does not exist; there is nothing to check',
      '/x/sys.conf: error: does not exist; there is nothing to check',
      '2 problems in 2 files; no files read',
    ]);
  });

  it('says that what is dropped in beside a file that is not there applies', async () => {
    put('/x/stafd.conf.d/a.conf', '');
    expect((await check('/x/stafd.conf')).out).toEqual([
      '/x/stafd.conf: error: does not exist; only what is dropped in beside it applies',
      '1 problem in 1 file; 1 file read',
    ]);
  });

  it('takes a key that only root may read for no mistake, and says that it was not checked', async () => {
    put(SYS, '[Host]\nkey=file:///etc/nvme/hostkey\nsymname=file:///etc/nvme\n');
    put('/etc/nvme/hostkey', 'x');
    chmodSync(root, 0o755);
    chmodSync(join(root, '/etc/nvme/hostkey'), 0);
    const symname =
      '/etc/stas/sys.conf:3:9: error: [Host] symname: is in /etc/nvme, which is a directory; without it, the host has no symbolic name';
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65534);
    try {
      expect(await check(SYS)).toEqual({
        status: 1,
        out: [
          symname,
          '1 problem in 1 file; 1 file read; not checked, since only others may read it: /etc/nvme/hostkey',
        ],
        err: '',
      });
      const { out } = await check('-o', 'json', SYS);
      expect(JSON.parse(out.join('\n'))).toMatchObject({
        files: [
          { file: SYS, kind: 'sys', state: 'read' },
          { file: '/etc/nvme/hostkey', kind: 'sys', state: 'private' },
        ],
      });
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });

  it('tells where a name begins, whatever stands before it', async () => {
    put('/x/stafd.conf', '\ufeff  [Mine]\r\n [Global]\r\n\tx = 1\r\n tron\r\n');
    expect((await check('/x/stafd.conf')).out.map((line) => line.slice(0, 40))).toEqual(
      [
        '/x/stafd.conf:1:3: error: [Mine] is not a section',
        '/x/stafd.conf:3:2: error: [Global] x: is',
        '/x/stafd.conf:4:2: error: "tron" is neith',
        '3 problems in 1 file; 1 file read',
      ].map((line) => line.slice(0, 40)),
    );
  });

  it('says why a file cannot be read, and goes on with the others', async () => {
    put('/x/stafd.conf', '[Global]\ntron=yes\n');
    mkdirSync(join(root, '/x/stafd.conf.d'));
    symlinkSync('none', join(root, '/x/stafd.conf.d/y.conf'));
    put('/x/stacd.conf', '[Global]\ntron=yes\n');
    const { out } = await check('/x/stafd.conf', '/x/stacd.conf', '/x/sys.conf.d', '--as', 'stafd');
    expect(out.slice(0, 2)).toEqual([
      '/x/stafd.conf.d/y.conf: error: is a symbolic link to nothing; stafd does not start with it; on a reload, what is in use stays',
      '/x/stacd.conf:2:6: error: [Global] tron: "yes" is neither true nor false (allowed: true, false); the default applies',
    ]);
  });

  it('takes relative names', async () => {
    const { out } = await check('no-such-stafd.conf');
    expect(out[0]).toContain(join(process.cwd(), 'no-such-stafd.conf'));
  });

  it('never shows a secret', async () => {
    put('/x/sys.conf', `[Host]\nkey=${SECRET}x\nnqn=${SECRET}\n${SECRET}\n`);
    put(
      '/x/stacd.conf',
      `[Controllers]\ncontroller=transport=tcp;traddr=${SECRET};nqn=${SECRET};dhchap-secret=${SECRET}\n`,
    );
    for (const format of ['text', 'json']) {
      const { out, status } = await check('/x/sys.conf', '/x/stacd.conf', '-o', format);
      expect(status).toBe(1);
      expect(out.join('\n')).not.toContain('YWJj');
    }
  });
});

it.each([
  ['/etc/stas/stafd.conf', 'stafd'],
  ['/etc/stas/stafd.conf.d', 'stafd'],
  ['/etc/stas/stafd.conf.d/10-stacd.conf', 'stafd'],
  ['/home/me/my-stacd.conf', 'stacd'],
  ['/stafd/stacd.conf.new', 'stacd'],
  ['/etc/stas/sys.conf', 'sys'],
  ['/etc/stas/sys.conf.doc', 'sys'],
  ['/etc/stafd/x.conf', undefined],
  ['/etc/system.conf', undefined],
])('%s is told to be of %s', (file, kind) => {
  expect(kindOf(file)).toBe(kind);
});
