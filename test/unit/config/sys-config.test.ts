import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { formatProblem } from '../../../src/config/problem.ts';
import { parseSysConfig, type ParsedSysConfig } from '../../../src/config/sys-config.ts';

const NQN = 'nqn.2014-08.org.nvmexpress:uuid:f2782346-4809-484a-9a8b-952a04b57ba4';
const ID = '30337838-5f1d-4e61-9c4e-d5ad2ad5b7ad';
const KEY = `DHHC-1:00:${'YWJj'.repeat(12)}:`;
const SYS_CONF = '/etc/stas/sys.conf';

const DEFAULTS = { '/etc/nvme/hostnqn': `${NQN}\n`, '/etc/nvme/hostid': `${ID}\n` };

function parse(
  text: string | undefined,
  files: Readonly<Record<string, string>> = DEFAULTS,
): ParsedSysConfig {
  return parseSysConfig(SYS_CONF, text, (path) => files[path]);
}

describe('the host identity', () => {
  it('comes from the default files where there is no sys.conf', () => {
    expect(parse(undefined)).toEqual({
      identity: { hostnqn: NQN, hostid: ID },
      problems: [],
      missing: [],
      privateFiles: [],
      sources: { nqn: '/etc/nvme/hostnqn', id: '/etc/nvme/hostid', key: '/etc/nvme/hostkey' },
    });
  });

  it('takes the key from its default file if there is one, and keeps it hidden', () => {
    const parsed = parse(undefined, { ...DEFAULTS, '/etc/nvme/hostkey': `${KEY} comment\nmore` });
    expect(parsed.identity?.key?.reveal()).toBe(KEY);
    expect(inspect(parsed) + JSON.stringify(parsed)).not.toContain('YWJj');
  });

  it('takes the first word of the first line of a file', () => {
    const files = { '/a': `  ${NQN}\tcomment\nnqn.other\n`, '/etc/nvme/hostid': `\uFEFF${ID}\r\n` };
    expect(parse('[Host]\nnqn=file:///a\n', files).identity).toEqual({ hostnqn: NQN, hostid: ID });
  });

  it('takes literals whole', () => {
    const text = `[Host]\nnqn = ${NQN}\nid=${ID}\nkey=${KEY}\nsymname = Rack 7 # left\n`;
    const { identity, problems } = parse(text, {});
    expect(problems).toEqual([]);
    expect(identity).toMatchObject({ hostnqn: NQN, hostid: ID, symname: 'Rack 7 # left' });
    expect(identity?.key?.reveal()).toBe(KEY);
  });

  it('reads the symbolic name from a file', () => {
    const files = { ...DEFAULTS, '/name': 'rack7 and more\n' };
    expect(parse('[Host]\nsymname=file:///name\n', files).identity?.symname).toBe('rack7');
  });
});

describe('what is missing', () => {
  it('is named with its file and the command that mends it', () => {
    const { identity, missing } = parse(undefined, {});
    expect(identity).toBeUndefined();
    expect(missing.map(({ message }) => message)).toEqual([
      'the host NQN is mandatory, and /etc/nvme/hostnqn does not exist; ' +
        'make one with "stasadm hostnqn -f /etc/nvme/hostnqn"',
      'the host ID is mandatory, and /etc/nvme/hostid does not exist; ' +
        'make one with "stasadm hostid -f /etc/nvme/hostid"',
    ]);
  });

  it.each<[string, Readonly<Record<string, string>>, string]>([
    ['', { '/etc/nvme/hostnqn': '' }, 'the host NQN in /etc/nvme/hostnqn is empty'],
    ['', { '/etc/nvme/hostnqn': '\nnqn.late' }, 'the host NQN in /etc/nvme/hostnqn is empty'],
    ['', { '/etc/nvme/hostnqn': 'iqn.x' }, 'in /etc/nvme/hostnqn does not begin with "nqn."'],
    ['', { '/etc/nvme/hostnqn': `nqn.${'x'.repeat(220)}` }, 'is longer than 223 bytes'],
    ['', { '/etc/nvme/hostnqn': 'nqn.a,b' }, 'contains a comma'],
    ['nqn=', {}, `the host NQN in ${SYS_CONF} is empty; make one with "stasadm hostnqn"`],
    [`nqn=nqn.a${KEY}`, {}, 'has a DH-HMAC-CHAP secret in it'],
    ['nqn=plain', {}, `the host NQN in ${SYS_CONF} does not begin with "nqn."`],
    ['nqn=file:///none', {}, '/none does not exist; make one with "stasadm hostnqn -f /none"'],
    ['nqn=file://none', {}, 'file://none is not of the form file:///path'],
    ['id=', {}, `the host ID in ${SYS_CONF} is empty`],
    ['id=7', {}, `the host ID in ${SYS_CONF} is not a UUID`],
    ['id=00000000-0000-0000-0000-000000000000', {}, 'is a UUID of zeros'],
  ])('%j with %o', (line, files, expected) => {
    const { identity, missing } = parse(`[Host]\n${line}\n`, { ...DEFAULTS, ...files });
    expect(identity).toBeUndefined();
    expect(missing).toHaveLength(1);
    expect(missing[0]?.message).toContain(expected);
    expect(missing[0]?.message).not.toContain('\n');
  });
});

describe('what is wrong with the rest', () => {
  it('is said of the line that names a file, and of the file', () => {
    const { problems } = parse('[Host]\nkey=file:///k\n', { ...DEFAULTS, '/k': 'word' });
    expect(problems.map(formatProblem)).toEqual([
      `${SYS_CONF}:2:5: [Host] key: is in /k, which is not a DH-HMAC-CHAP secret ` +
        '(allowed: DHHC-1:hh:base64:); the host has no key',
    ]);
  });

  it('fits on a line, whatever the path', () => {
    const path = 'file:///a\u001b[2J\u2028b';
    const { missing, problems } = parse(`[Host]\nnqn=${path}\nsymname=${path}\n`);
    const lines = [...missing.map(({ message }) => message), ...problems.map(formatProblem)];
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line).toContain('/a\\x1b[2J\\xe2\\x80\\xa8b');
  });

  it.each<[string, string]>([
    [
      'key=nokey',
      'key: is not a DH-HMAC-CHAP secret (allowed: DHHC-1:hh:base64:); the host has no',
    ],
    ['key=file:///none', 'key: is in /none, which does not exist'],
    [
      'symname=file:///none',
      'symname: is in /none, which does not exist; the host has no symbolic',
    ],
    [`symname=${'x'.repeat(257)}`, 'symname: is longer than 256 bytes'],
    ['symname=a\u0007b', 'symname: contains a control or invisible character'],
    ['nodename=x', 'nodename: is not an option of this section'],
  ])('is a problem, and the host keeps its identity: %s', (line, expected) => {
    const { identity, problems } = parse(`[Host]\n${line}\n`);
    expect(identity).toEqual({ hostnqn: NQN, hostid: ID });
    expect(problems).toHaveLength(1);
    expect(problems.map(formatProblem)[0]).toContain(expected);
  });

  it('never shows the key', () => {
    const texts = [
      `[Host]\nkey=${KEY}x\n`,
      `[Host]\nkey ${KEY}\n`,
      `key=${KEY}\n[Host]\nkey=1\nkey=${KEY}`,
      `[Host]\nkey=file:///${KEY}\n`,
    ];
    for (const text of texts) {
      const { problems } = parse(text);
      expect(problems.length).toBeGreaterThan(0);
      expect(problems.map(formatProblem).join() + inspect(problems)).not.toContain('YWJj');
    }
  });
});
