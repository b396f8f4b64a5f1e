import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { matchesExclude } from '../../../src/config/exclude.ts';
import type { Daemon } from '../../../src/config/option-table.ts';
import { formatProblem } from '../../../src/config/problem.ts';
import {
  parseServiceConfig,
  type ParsedServiceConfig,
  type ServiceConfig,
} from '../../../src/config/service-config.ts';
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
    ['what=ever', '"what=ever" is not a field of controller (allowed: transport, traddr'],
    ['nonsense', '"nonsense" is not of the form name=value'],
    ['=x', '"=x" is not of the form name=value'],
    ['dhchap-secret=abc', '"dhchap-secret=[redacted]" is not a DH-HMAC-CHAP secret'],
  ])('reports and skips the malformed field %s, and keeps the controller', (field, expected) => {
    const text = `[Controllers]\ncontroller=transport=tcp;${field};traddr=192.0.2.1;nqn=${NQN}\n`;
    const { config, problems } = parse('stacd', text);
    expect(config.controllers).toEqual([
      { tid: tid(), options: {}, hostId: '', file: 'F', line: 2 },
    ]);
    expect(problems).toHaveLength(1);
    expect(problems.map(formatProblem)[0]).toContain(expected);
  });

  it.each<[Daemon, string, string]>([
    ['stacd', 'traddr=192.0.2.1;nqn=x', 'has no transport'],
    ['stacd', 'transport=tcp;nqn=x', 'has no traddr'],
    ['stacd', 'transport=tcp;traddr=192.0.2.1', 'has no nqn'],
    [
      'stacd',
      'transport=pcie;traddr=192.0.2.1;nqn=x',
      'is not one of the words (allowed: tcp, rdma',
    ],
    ['stacd', 'transport=tcp;traddr=192.0.2.300;nqn=x', 'is not an IP address'],
    ['stacd', 'transport=tcp;traddr=010.0.0.1;nqn=x', 'is not an IP address'],
    ['stacd', 'transport=tcp;traddr=2001:db8::g;nqn=x', 'is not an IP address'],
    ['stacd', 'transport=tcp;traddr=[2001:db8::1];nqn=x', 'is not an IP address'],
    ['stacd', 'transport=tcp;traddr=a host;nqn=x', 'is neither an IP address nor a host name'],
    ['stacd', 'transport=tcp;traddr=-host;nqn=x', 'is neither an IP address nor a host name'],
    ['stacd', 'transport=tcp;traddr=a,b;nqn=x', 'is neither an IP address nor a host name'],
    ['stacd', 'transport=fc;traddr=192.0.2.1;nqn=x', 'is not a Fibre Channel address'],
    [
      'stacd',
      'transport=fc;traddr=NN-0x1000000000000001:PN-0x2000000000000001;nqn=x',
      'is not a Fibre Channel address',
    ],
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
      { tid: tid(), options: { kato: 1 }, hostId: '', file: 'F', line: 2 },
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
    expect(parse('stacd', text).config.excludes).toEqual([
      {
        transport: 'tcp',
        traddr: '192.0.2.1',
        trsvcid: '4420',
        subsysnqn: NQN,
        hostIface: 'eth0',
        file: 'F',
        line: 2,
      },
      { hostIface: 'eth1', file: 'F', line: 3 },
      { traddr: 'name.example', hostNqn: 'nqn.x', file: 'F', line: 4 },
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

  it('asks for its present name where its earlier one is used', () => {
    const text = '[Controllers]\nblacklist=host-iface=eth1\n';
    expect(lines('stacd', text)).toEqual([
      'F:2:1: [Controllers] blacklist: is an earlier name of an option (allowed: exclude); ' +
        'it applies all the same',
    ]);
  });

  it('ignores a host-traddr beside other fields', () => {
    const text = '[Controllers]\nexclude=traddr=192.0.2.1;host-traddr=192.0.2.9\n';
    expect(parse('stacd', text).config.excludes).toEqual([
      { traddr: '192.0.2.1', file: 'F', line: 2 },
    ]);
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
    const entry = { ...exclude, file: 'F', line: 1 };
    expect(matchesExclude(controller, [entry])).toBe(matches ? entry : undefined);
  });

  it('compares host names in any case, Fibre Channel addresses in any spelling, link-local ones without zone', () => {
    const all = [
      { traddr: 'Host.Example', file: 'F', line: 1 },
      { traddr: 'fe80::1', file: 'F', line: 2 },
    ];
    expect(matchesExclude(tid({ traddr: 'host.example' }), all)?.line).toBe(1);
    expect(matchesExclude(tid({ traddr: 'fe80::1%eth0' }), all)?.line).toBe(2);
    const wwns = { traddr: 'nn-10000000000000AB:pn-20000000000000AB', file: 'F', line: 3 };
    const fc = tid({ transport: 'fc', traddr: 'nn-0x10000000000000ab:pn-0x20000000000000ab' });
    expect(matchesExclude(fc, [...all, wwns])?.line).toBe(3);
  });

  it('finds the first of several', () => {
    const all = [
      { traddr: '192.0.2.9', file: 'F', line: 1 },
      { transport: 'tcp', file: 'F', line: 2 } as const,
    ];
    expect(matchesExclude(controller, all)?.line).toBe(2);
    expect(matchesExclude(controller, [])).toBeUndefined();
  });
});
