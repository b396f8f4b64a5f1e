import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeOptions, optionsToDict } from '../../../src/config/connect-option.ts';
import type { Daemon } from '../../../src/config/option-table.ts';
import { formatProblem } from '../../../src/config/problem.ts';
import {
  defaultServiceConfig,
  normalizeConfiguredTid,
  parseServiceConfig,
  type ParsedServiceConfig,
  type ServiceConfig,
} from '../../../src/config/service-config.ts';
import { Secret } from '../../../src/nvme/secret.ts';
import { makeTid, type TidFields } from '../../../src/nvme/transport-id.ts';

const NQN = 'nqn.2014-08.org.example:one';

function parse(daemon: Daemon, text: string): ParsedServiceConfig {
  return parseServiceConfig(daemon, [{ file: 'F', text }]);
}

function lines(daemon: Daemon, text: string): string[] {
  return parse(daemon, text).problems.map(formatProblem);
}

/** The configuration of a file in which nothing is wrong. */
function clean(daemon: Daemon, text: string): ServiceConfig {
  const { config, problems } = parse(daemon, text);
  expect(problems.map(formatProblem)).toEqual([]);
  return config;
}

function tid(fields: Partial<TidFields> = {}): ReturnType<typeof makeTid> {
  return makeTid({ transport: 'tcp', traddr: '192.0.2.1', subsysnqn: NQN, ...fields });
}

describe('defaults', () => {
  it('gives stafd a keep-alive and both daemons a controller loss timeout', () => {
    expect(defaultServiceConfig('stafd').options).toEqual({ kato: 30, ctrlLossTmo: 600 });
    expect(defaultServiceConfig('stacd').options).toEqual({ ctrlLossTmo: 600 });
  });

  it('applies to an empty file', () => {
    expect(clean('stafd', '')).toEqual(defaultServiceConfig('stafd'));
    expect(clean('stacd', '# nothing\n')).toEqual(defaultServiceConfig('stacd'));
  });
});

describe('values', () => {
  it('reads every option of stafd.conf', () => {
    const config = clean(
      'stafd',
      `[Global]
tron = TRUE
hdr-digest=true
data-digest=True
kato=0
queue-size=16
reconnect-delay=1
ctrl-loss-tmo=-1
disable-sqflow=true
ignore-iface=true
ip-family=ipv6
reachability-check=tcp
pleo=Disabled
[Service Discovery]
zeroconf=disabled
[Discovery controller connection management]
persistent-connections=Auto
poll-interval=1.5 hours
zeroconf-connections-persistence=3 days 5 hours
`,
    );
    expect(config).toMatchObject({
      tron: true,
      options: {
        hdrDigest: true,
        dataDigest: true,
        kato: 0,
        queueSize: 16,
        reconnectDelay: 1,
        ctrlLossTmo: -1,
        disableSqflow: true,
      },
      ignoreIface: true,
      ipFamilies: new Set(['ipv6']),
      reachabilityCheck: 'tcp',
      pleo: false,
      zeroconf: false,
      persistentConnections: 'auto',
      pollInterval: 5400,
      zeroconfPersistence: 277200,
    });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('reads every option of stacd.conf', () => {
    const config = clean(
      'stacd',
      `[Global]
nr-io-queues=4
nr-write-queues=2
nr-poll-queues=1
ip-family=ipv6+ipv4
[I/O controller connection management]
disconnect-scope=no-disconnect
disconnect-trtypes=fc+tcp
connect-attempts-on-ncc=5
`,
    );
    expect(config).toMatchObject({
      options: { nrIoQueues: 4, nrWriteQueues: 2, nrPollQueues: 1, ctrlLossTmo: 600 },
      ipFamilies: new Set(['ipv4', 'ipv6']),
      disconnectScope: 'no-disconnect',
      disconnectTrtypes: new Set(['tcp', 'fc']),
      connectAttemptsOnNcc: 5,
    });
  });

  it.each<[Daemon, string, string]>([
    ['stafd', '[Global]\ntron=yes', 'F:2:6: [Global] tron: "yes" is neither true nor false'],
    ['stafd', '[Global]\ntron=', 'F:2:6: [Global] tron: "" is neither true nor false'],
    ['stafd', '[Global]\nkato=soon', 'F:2:6: [Global] kato: "soon" is not a whole number'],
    ['stafd', '[Global]\nkato=-1', 'F:2:6: [Global] kato: "-1" is out of range'],
    ['stafd', '[Global]\nkato=1.5', 'F:2:6: [Global] kato: "1.5" is not a whole number'],
    ['stafd', '[Global]\nkato=99999999999', 'F:2:6: [Global] kato: "99999999999" is out of range'],
    ['stafd', '[Global]\nqueue-size=15', 'F:2:12: [Global] queue-size: "15" is out of range'],
    ['stafd', '[Global]\nqueue-size=1025', 'F:2:12: [Global] queue-size: "1025" is out of range'],
    ['stafd', '[Global]\nctrl-loss-tmo=-2', 'F:2:15: [Global] ctrl-loss-tmo: "-2" is out of range'],
    ['stafd', '[Global]\nreconnect-delay=0', '[Global] reconnect-delay: "0" is out of range'],
    ['stafd', '[Global]\nip-family=ipv4+ipv5', '[Global] ip-family: "ipv4+ipv5" has a word'],
    ['stafd', '[Global]\npleo=true', '[Global] pleo: "true" is neither enabled nor disabled'],
    [
      'stafd',
      '[Global]\nreachability-check=ping',
      '"ping" is not one of the words (allowed: nvme-',
    ],
    [
      'stafd',
      '[Discovery controller connection management]\nzeroconf-connections-persistence=later',
      '"later" is not a time span',
    ],
    [
      'stacd',
      '[I/O controller connection management]\ndisconnect-scope=all',
      '"all" is not one of the words',
    ],
    [
      'stacd',
      '[I/O controller connection management]\ndisconnect-trtypes=ib+usb',
      '"ib+usb" has a word that is not known (allowed: tcp, rdma, fc, joined by +); the default',
    ],
    ['stacd', '[Global]\nnr-io-queues=0', '[Global] nr-io-queues: "0" is out of range'],
  ])('%s: refuses %j in one line, and the default applies', (daemon, text, expected) => {
    const { config, problems } = parse(daemon, text);
    expect(problems).toHaveLength(1);
    expect(problems.map(formatProblem)[0]).toContain(expected);
    expect(problems[0]).toMatchObject({ severity: 'error', effect: 'the default applies' });
    expect(config).toEqual(defaultServiceConfig(daemon));
  });

  it('leaves unknown transports out of disconnect-trtypes', () => {
    const text = '[I/O controller connection management]\ndisconnect-trtypes=rdma+usb+rdma\n';
    expect(parse('stacd', text).config.disconnectTrtypes).toEqual(new Set(['rdma']));
    expect(lines('stacd', text)[0]).toContain('which is left out');
  });

  it('takes 1 connect attempt on NCC for 2', () => {
    const text = '[I/O controller connection management]\nconnect-attempts-on-ncc=1\n';
    expect(parse('stacd', text).config.connectAttemptsOnNcc).toBe(2);
    expect(parse('stacd', text).problems[0]?.severity).toBe('warning');
  });

  it.each([
    ['0', 0],
    ['-1', -1],
    ['- 1 minute', -1],
    ['30', 30],
    ['1.2 minutes', 72],
  ])('reads a persistence of %j as %d', (text, seconds) => {
    const file = `[Discovery controller connection management]\nzeroconf-connections-persistence=${text}`;
    expect(clean('stafd', file).zeroconfPersistence).toBe(seconds);
  });

  it.each(['0', '-1', '0.5', 'soon'])('refuses to poll every %j', (text) => {
    const file = `[Discovery controller connection management]\npoll-interval=${text}`;
    const { config, problems } = parse('stafd', file);
    expect(config.pollInterval).toBe(900);
    expect(problems).toHaveLength(1);
    expect(problems[0]?.allowed).toContain('at least 1 s');
  });

  it.each<[string, boolean | 'auto']>([
    ['', true],
    ['[Global]\npersistent-connections=auto', true],
    ['[Discovery controller connection management]\npersistent-connections=auto', 'auto'],
    [
      '[Global]\npersistent-connections=false\n' +
        '[Discovery controller connection management]\npersistent-connections=auto',
      'auto',
    ],
    ['[Global]\npersistent-connections=false', false],
    ['[Global]\npersistent-connections=true', true],
    ['[Discovery controller connection management]\npersistent-connections=false', false],
    [
      '[Global]\npersistent-connections=true\n' +
        '[Discovery controller connection management]\npersistent-connections=false',
      true,
    ],
    ['[Discovery controller connection management]\npersistent-connections=maybe', true],
  ])('reads persistent-connections at both places: %j', (text, expected) => {
    expect(parse('stafd', text).config.persistentConnections).toBe(expected);
  });

  it('lets the last line of a key count, and says so', () => {
    const text = '[Global]\nkato=1\n[Service Discovery]\n[Global]\nkato=2\n';
    expect(parse('stafd', text).config.options.kato).toBe(2);
    expect(lines('stafd', text)).toEqual([
      'F:2:6: [Global] kato: "1" is given again further down; line 5 counts',
    ]);
  });

  it('joins the continuation lines of a value', () => {
    const text =
      '[Discovery controller connection management]\n' +
      'zeroconf-connections-persistence=\n  3 days\n  5 hours\n';
    expect(clean('stafd', text).zeroconfPersistence).toBe(277200);
  });
});

describe('what is no option', () => {
  it('reports lines before the first section, and reads the rest', () => {
    const { config, problems } = parse('stafd', 'tron=true\n[Global]\nkato=5\n');
    expect(config.tron).toBe(false);
    expect(config.options.kato).toBe(5);
    expect(problems.map(formatProblem)).toEqual([
      'F:1:1: "tron=true" is a line before the first section; the line is ignored',
    ]);
  });

  it('reports unknown sections once, and keys with their place where there is one', () => {
    const text = '[global]\ntron=true\n[Global]\nzeroconf=enabled\nnr-io-queues=1\nfoo=1\n';
    expect(lines('stafd', text)).toEqual([
      'F:1:1: [global] is not a section of this file (allowed: Global, Service Discovery, ' +
        'Discovery controller connection management, Controllers); the section is ignored',
      'F:4:1: [Global] zeroconf: is not an option of this section ' +
        '(allowed: in section [Service Discovery]); it is ignored',
      'F:5:1: [Global] nr-io-queues: is not an option of this section ' +
        '(allowed: in stacd.conf); it is ignored',
      'F:6:1: [Global] foo: is not an option of this section; it is ignored',
    ]);
  });

  it('shows hostile text escaped', () => {
    const [line = ''] = lines('stafd', '[Global]\nkato=\u001b[2J\u202E1\n');
    expect(line).toContain('"\\x1b[2J\\xe2\\x80\\xae1"');
  });
});

describe('options and TIDs', () => {
  it('lets a controller override [Global], and leaves the rest', () => {
    const merged = mergeOptions({ kato: 30, hdrDigest: true }, { kato: 0, queueSize: 32 });
    expect(merged).toEqual({ kato: 0, hdrDigest: true, queueSize: 32 });
    expect(Object.isFrozen(merged)).toBe(true);
  });

  it('writes options in the words of the public interface, without secrets', () => {
    const dict = optionsToDict({
      hdrDigest: true,
      dataDigest: false,
      kato: 0,
      ctrlLossTmo: -1,
      dhchapSecret: new Secret('hidden'),
    });
    expect(dict).toEqual({
      'hdr-digest': 'True',
      'data-digest': 'False',
      kato: '0',
      'ctrl-loss-tmo': '-1',
    });
  });

  it('drops the interface where it is to be ignored, and fills in the host NQN', () => {
    const own = tid({ hostIface: 'eth0' });
    expect(normalizeConfiguredTid(own, { ignoreIface: true, hostNqn: 'nqn.h' })).toEqual(
      tid({ hostNqn: 'nqn.h' }),
    );
    const other = tid({ hostIface: 'eth0', hostNqn: 'nqn.other' });
    expect(normalizeConfiguredTid(other, { ignoreIface: false, hostNqn: 'nqn.h' })).toEqual(other);
  });
});

describe('any file at all', () => {
  it('shows no secret that stands where a section, a key or a field should', () => {
    const secret = `DHHC-1:00:${'YWJj'.repeat(12)}==:`;
    for (const text of [`[${secret}]`, `[Global]\n${secret}`, `[Controllers]\nexclude=${secret}`]) {
      const { problems } = parse('stafd', text);
      expect(problems).not.toEqual([]);
      expect(`${JSON.stringify(problems)}${problems.map(formatProblem).join('')}`).not.toMatch(
        /YWJj/i,
      );
    }
  });

  it('makes no NQN or address of a secret before which the ; is missing', () => {
    const secret = `dhchap-secret=DHHC-1:00:${'YWJj'.repeat(12)}:`;
    const { config, problems } = parse(
      'stacd',
      `[Controllers]\ncontroller=transport=tcp;traddr=192.0.2.1;nqn=${NQN}${secret}\n` +
        `exclude=transport=loop;traddr=a${secret}\n`,
    );
    expect(config.controllers).toEqual([]);
    expect(config.excludes).toEqual([]);
    expect(problems.map(({ message }) => message)).toEqual([
      'has a DH-HMAC-CHAP secret in it',
      'has a DH-HMAC-CHAP secret in it',
    ]);
  });

  it('may have more mistakes than a call takes arguments', () => {
    expect(parse('stafd', '[x]\n'.repeat(200_000)).problems).toHaveLength(200_000);
  });

  it('gives a usable configuration and problems that fit on a line', () => {
    const part = fc.constantFrom(
      '[Global]',
      '[Controllers]',
      '[I/O controller connection management]',
      'tron',
      'kato',
      'controller',
      'exclude',
      'disconnect-trtypes',
      'transport=tcp',
      'traddr=1.2.3.4',
      'nqn=x',
      '=',
      ';',
      '\n',
      '\n  ',
      '+',
      'true',
      '7',
      '\u0000',
    );
    const text = fc
      .array(fc.oneof({ weight: 5, arbitrary: part }, fc.string()), { maxLength: 60 })
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.constantFrom<Daemon>('stafd', 'stacd'), text, (daemon, content) => {
        const { config, problems } = parse(daemon, content);
        expect(config.ipFamilies.size).toBeGreaterThan(0);
        for (const { tid: each } of config.controllers) {
          expect(/[,\n\0]/.test(Object.values(each).join(''))).toBe(false);
        }
        for (const problem of problems) {
          expect(/[\p{C}\p{Zl}\p{Zp}]/u.test(formatProblem(problem))).toBe(false);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
