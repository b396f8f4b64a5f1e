import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeOptions, optionsToDict } from '../../../src/config/connect-option.ts';
import { matchesExclude } from '../../../src/config/exclude.ts';
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
import {
  makeTid,
  WELL_KNOWN_DISCOVERY_NQN,
  type TidFields,
} from '../../../src/nvme/transport-id.ts';

const NQN = 'nqn.2014-08.org.example:one';
const SECRET = `DHHC-1:00:${'YWJj'.repeat(12)}:`;
/** Base64 of a length that ends in padding, as secrets of 48 and 64 bytes do. */
const PADDED_SECRET = `DHHC-1:01:${'YWJj'.repeat(16)}YWI=:`;

function parse(daemon: Daemon, text: string): ParsedServiceConfig {
  return parseServiceConfig(daemon, 'F', text);
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
persistent-connections=false
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
      persistentConnections: false,
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

  it.each<[string, boolean]>([
    ['', true],
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

describe('controller=', () => {
  it('collects controllers in file order, over sections and continuation lines', () => {
    const { controllers } = clean(
      'stafd',
      `[Controllers]
controller = transport=tcp;traddr=one.example
controller =
  transport = rdma ; traddr = 192.0.2.2
  transport=tcp;traddr=192.0.2.3;
[Controllers]
controller=transport=fc;traddr=nn-0x204600a098cbcac6:pn-0x204700a098cbcac6
`,
    );
    expect(controllers.map(({ tid: each, line }) => [line, each.transport, each.traddr])).toEqual([
      [2, 'tcp', 'one.example'],
      [4, 'rdma', '192.0.2.2'],
      [5, 'tcp', '192.0.2.3'],
      [7, 'fc', 'nn-0x204600a098cbcac6:pn-0x204700a098cbcac6'],
    ]);
  });

  it('fills in the service, and the well-known NQN for stafd', () => {
    const text = '[Controllers]\ncontroller=transport=tcp;traddr=192.0.2.1\n';
    expect(clean('stafd', text).controllers[0]?.tid).toEqual({
      transport: 'tcp',
      traddr: '192.0.2.1',
      trsvcid: '8009',
      subsysnqn: WELL_KNOWN_DISCOVERY_NQN,
      hostTraddr: '',
      hostIface: '',
      hostNqn: '',
    });
  });

  it('reads every field', () => {
    const fields = [
      'transport=tcp',
      'traddr=2001:db8::1',
      'trsvcid=4420',
      `nqn=${NQN}`,
      'host-traddr=2001:db8::10',
      'host-iface=eth0',
      'host-nqn=nqn.2014-08.org.example:host',
      `dhchap-secret=${SECRET}`,
      `dhchap-ctrl-secret=${PADDED_SECRET}`,
      'hdr-digest=true',
      'data-digest=false',
      'nr-io-queues=1',
      'nr-write-queues=2',
      'nr-poll-queues=3',
      'queue-size=64',
      'kato=7',
      'reconnect-delay=8',
      'ctrl-loss-tmo=9',
      'disable-sqflow=true',
    ].join(';');
    const [controller] = clean('stacd', `[Controllers]\ncontroller=${fields}\n`).controllers;
    expect(controller?.tid).toEqual({
      transport: 'tcp',
      traddr: '2001:db8::1',
      trsvcid: '4420',
      subsysnqn: NQN,
      hostTraddr: '2001:db8::10',
      hostIface: 'eth0',
      hostNqn: 'nqn.2014-08.org.example:host',
    });
    const { dhchapSecret, dhchapCtrlSecret, ...options } = controller?.options ?? {};
    expect(options).toEqual({
      hdrDigest: true,
      dataDigest: false,
      nrIoQueues: 1,
      nrWriteQueues: 2,
      nrPollQueues: 3,
      queueSize: 64,
      kato: 7,
      reconnectDelay: 8,
      ctrlLossTmo: 9,
      disableSqflow: true,
    });
    expect(dhchapSecret?.reveal()).toBe(SECRET);
    expect(dhchapCtrlSecret?.reveal()).toBe(PADDED_SECRET);
  });

  it.each([
    ['subsysnqn', `subsysnqn=${NQN}`],
    ['nqn', `nqn=${NQN}`],
    ['NQN', `NQN=${NQN}`],
  ])('takes the subsystem by the name %s', (_, field) => {
    const text = `[Controllers]\ncontroller=transport=tcp;traddr=192.0.2.1;${field}\n`;
    expect(clean('stacd', text).controllers[0]?.tid.subsysnqn).toBe(NQN);
  });

  it.each<[string, string]>([
    ['trsvcid=65536', '"trsvcid=65536" is not a port (allowed: 1 to 65535)'],
    ['host-traddr=eth0', '"host-traddr=eth0" is not an IP address'],
    ['host-iface=a-name-that-is-too-long', 'is longer than 15 characters'],
    ['host-nqn=iqn.x', '"host-nqn=iqn.x" does not begin with "nqn."'],
    ['queue-size=8', '"queue-size=8" is out of range (allowed: 16 to 1024); [Global] decides'],
    ['hdr-digest=on', '"hdr-digest=on" is neither true nor false'],
    ['what=ever', '"what=ever" is not a field of a controller'],
    ['nonsense', '"nonsense" is not of the form name=value'],
    ['=x', '"=x" is not of the form name=value'],
    ['dhchap-secret=abc', '"dhchap-secret=[redacted]" is not a DH-HMAC-CHAP secret'],
  ])('reports and skips the malformed field %s, and keeps the controller', (field, expected) => {
    const text = `[Controllers]\ncontroller=transport=tcp;${field};traddr=192.0.2.1;nqn=${NQN}\n`;
    const { config, problems } = parse('stacd', text);
    expect(config.controllers).toEqual([{ tid: tid(), options: {}, line: 2 }]);
    expect(problems).toHaveLength(1);
    expect(problems.map(formatProblem)[0]).toContain(expected);
  });

  it.each<[Daemon, string, string]>([
    ['stacd', 'traddr=192.0.2.1;nqn=x', 'has no transport'],
    ['stacd', 'transport=tcp;nqn=x', 'has no traddr'],
    ['stacd', 'transport=tcp;traddr=192.0.2.1', 'has no nqn'],
    ['stacd', 'transport=pcie;traddr=192.0.2.1;nqn=x', 'is not a transport (allowed: tcp, rdma'],
    ['stacd', 'transport=tcp;traddr=192.0.2.300;nqn=x', 'is not an IP address'],
    ['stacd', 'transport=tcp;traddr=010.0.0.1;nqn=x', 'is not an IP address'],
    ['stacd', 'transport=tcp;traddr=2001:db8::g;nqn=x', 'is not an IP address'],
    ['stacd', 'transport=tcp;traddr=[2001:db8::1];nqn=x', 'is not an IP address'],
    ['stacd', 'transport=tcp;traddr=a host;nqn=x', 'is neither an IP address nor a host name'],
    ['stacd', 'transport=tcp;traddr=-host;nqn=x', 'is neither an IP address nor a host name'],
    ['stacd', 'transport=tcp;traddr=a,b;nqn=x', 'is neither an IP address nor a host name'],
    ['stacd', 'transport=fc;traddr=192.0.2.1;nqn=x', 'is not a Fibre Channel address'],
    ['stacd', 'transport=tcp;traddr=192.0.2.1;nqn=a,b', 'contains a comma'],
    ['stafd', 'garbage', 'has no transport'],
    ['stafd', `transport=tcp;traddr=${'x'.repeat(9000)}`, 'is longer than 8192 characters'],
  ])('%s: skips %s, and no other entry suffers', (daemon, value, expected) => {
    const good = `controller=transport=tcp;traddr=192.0.2.1;nqn=${NQN}`;
    const text = `[Controllers]\n${good}\ncontroller=${value}\n${good.replace('2.1;', '2.2;')}\n`;
    const { config, problems } = parse(daemon, text);
    expect(config.controllers.map((each) => each.tid.traddr)).toEqual(['192.0.2.1', '192.0.2.2']);
    expect(problems.map(formatProblem).join('\n')).toContain(expected);
    expect(problems.map(({ effect }) => effect)).toContain('the controller is skipped');
    expect(problems.every(({ line }) => line === 3)).toBe(true);
  });

  it('takes the well-known NQN in place of a malformed one for a DC', () => {
    const text = '[Controllers]\ncontroller=transport=tcp;traddr=192.0.2.1;nqn=a,b\n';
    const { config } = parse('stafd', text);
    expect(config.controllers[0]?.tid.subsysnqn).toBe(WELL_KNOWN_DISCOVERY_NQN);
  });

  it('keeps the first of two equal controllers, and says so', () => {
    const entry = `controller=transport=tcp;traddr=192.0.2.1;nqn=${NQN}`;
    const text = `[Controllers]\n${entry};kato=1\n${entry};trsvcid=8009;kato=2\n`;
    expect(parse('stacd', text).config.controllers).toEqual([
      { tid: tid(), options: { kato: 1 }, line: 2 },
    ]);
    expect(lines('stacd', text)).toEqual([
      'F:3: [Controllers] controller: is the same controller as in line 2; the first one counts',
    ]);
  });

  it('says nothing about an empty one', () => {
    expect(clean('stafd', '[Controllers]\ncontroller=\n').controllers).toEqual([]);
  });

  it('never shows a secret, wherever in the line it slipped', () => {
    const places = [
      `controller=transport=tcp;dhchap-secret=x${SECRET}`,
      `controller=transport=tcp;dhchap-secret${SECRET}`,
      `controller=transport=tcp;dhchap-secrt=${SECRET}`,
      `controller=transport=tcp;traddr=${SECRET}`,
      `controller=transport=${SECRET}`,
      `controller=${SECRET}`,
      `exclude=dhchap-secret=${SECRET}`,
      `exclude=nqn=${SECRET} x`,
      `dhchap-secret=${SECRET}`,
      `dhchap-secret ${SECRET}`,
      `dhchap-secret=plainwordsecretvalue`,
    ];
    for (const place of places) {
      const { problems } = parse('stacd', `[Controllers]\n${place}\n`);
      const shown = problems.map(formatProblem).join('\n') + inspect(problems);
      expect(shown).not.toContain('YWJj');
      expect(shown).not.toContain('plainword');
      expect(problems.length).toBeGreaterThan(0);
    }
  });
});

describe('exclude=', () => {
  it('collects excludes under both names, in file order', () => {
    const text = `[Controllers]
exclude=transport=tcp;traddr=192.0.2.1;trsvcid=4420;nqn=${NQN};host-iface=eth0
blacklist=host-iface=eth1
exclude=traddr=name.example;host-nqn=nqn.x
`;
    expect(clean('stacd', text).excludes).toEqual([
      {
        transport: 'tcp',
        traddr: '192.0.2.1',
        trsvcid: '4420',
        subsysnqn: NQN,
        hostIface: 'eth0',
        line: 2,
      },
      { hostIface: 'eth1', line: 3 },
      { traddr: 'name.example', hostNqn: 'nqn.x', line: 4 },
    ]);
  });

  it.each([
    '',
    ';',
    'host-traddr=192.0.2.1',
    'transport=tcp;tradr=192.0.2.1',
    'transport=tcp;garbage',
    'transport=usb',
    'traddr=192.0.2.1.5',
    'transport=tcp;kato=5',
  ])('excludes nothing by %j, and says so', (value) => {
    const { config, problems } = parse('stacd', `[Controllers]\nexclude=${value}\n`);
    expect(config.excludes).toEqual([]);
    expect(problems.some(({ effect }) => effect === 'the entry excludes nothing')).toBe(true);
  });

  it('ignores a host-traddr beside other fields', () => {
    const text = '[Controllers]\nexclude=traddr=192.0.2.1;host-traddr=192.0.2.9\n';
    expect(parse('stacd', text).config.excludes).toEqual([{ traddr: '192.0.2.1', line: 2 }]);
  });
});

describe('matchesExclude', () => {
  const controller = tid({ trsvcid: '4420', hostIface: 'eth0', hostNqn: 'nqn.host' });

  it.each([
    [{ transport: 'tcp' }, true],
    [{ transport: 'rdma' }, false],
    [{ traddr: '192.0.2.1' }, true],
    [{ traddr: '::ffff:c000:201' }, true],
    [{ traddr: '192.0.2.2' }, false],
    [{ trsvcid: '4420' }, true],
    [{ trsvcid: '8009' }, false],
    [{ subsysnqn: NQN }, true],
    [{ subsysnqn: 'nqn.other' }, false],
    [{ hostIface: 'eth0' }, true],
    [{ hostIface: 'eth1' }, false],
    [{ hostNqn: 'nqn.host' }, true],
    [{ hostNqn: 'nqn.other' }, false],
    [{ transport: 'tcp', traddr: '192.0.2.1', hostIface: 'eth0' }, true],
    [{ transport: 'tcp', traddr: '192.0.2.1', hostIface: 'eth1' }, false],
    [{}, false],
  ] as const)('with %o is %s', (exclude, matches) => {
    const entry = { ...exclude, line: 1 };
    expect(matchesExclude(controller, [entry])).toBe(matches ? entry : undefined);
  });

  it('compares host names and Fibre Channel addresses in any case, and link-local ones without zone', () => {
    const all = [
      { traddr: 'Host.Example', line: 1 },
      { traddr: 'fe80::1', line: 2 },
    ];
    expect(matchesExclude(tid({ traddr: 'host.example' }), all)?.line).toBe(1);
    expect(matchesExclude(tid({ traddr: 'fe80::1%eth0' }), all)?.line).toBe(2);
  });

  it('finds the first of several', () => {
    const all = [{ traddr: '192.0.2.9', line: 1 }, { transport: 'tcp', line: 2 } as const];
    expect(matchesExclude(controller, all)?.line).toBe(2);
    expect(matchesExclude(controller, [])).toBeUndefined();
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
