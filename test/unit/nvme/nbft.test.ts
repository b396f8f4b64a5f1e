import { describe, expect, it } from 'vitest';
import { parseNbft } from '../../../src/nvme/nbft.ts';
import type { NbftTable } from '../../../src/nvme/nbft-table.ts';
import { encodeNbft, HOST_ID, HOST_NQN, seal, type NbftDescription } from '../../nbft/encode.ts';
import { codeOf, damaged, DESCRIPTION, ROOT } from './nbft-damage.ts';

const DISCOVERY_NQN = 'nqn.2014-08.org.nvmexpress.discovery';

function parse(description: NbftDescription): NbftTable {
  return parseNbft(encodeNbft(description).bytes);
}

describe('a boot firmware table', () => {
  it('says host, interfaces, discovery controllers and subsystems', () => {
    const table = parse(DESCRIPTION);
    expect(table.problems).toEqual([]);
    expect(table.host).toEqual({
      id: HOST_ID,
      idConfigured: true,
      nqn: HOST_NQN,
      nqnConfigured: true,
      primary: 'not-indicated',
    });
    expect(table.hfis).toMatchObject([
      {
        index: 1,
        mac: '52:54:00:00:00:01',
        vlan: 0,
        address: '192.0.2.10',
        prefixLength: 25,
        gateway: '192.0.2.1',
        dhcp: true,
        dhcpServer: '192.0.2.2',
        hostName: 'host.example',
      },
      { index: 2, vlan: 7, address: '2001:db8::10', dhcp: false, dhcpServer: '', hostName: '' },
    ]);
    expect(table.securities).toEqual([
      { index: 1, authentication: 'not-required', secureChannel: 'required' },
    ]);
    expect(table.discoveries).toMatchObject([
      { transport: 'tcp', traddr: '192.0.2.20', trsvcid: '8009', nqn: DISCOVERY_NQN, hfi: 1 },
      {
        transport: 'tcp',
        traddr: '2001:DB8::20',
        trsvcid: '',
        nqn: 'nqn.2024-01.org.example:dc',
        hfi: 2,
        security: 1,
      },
    ]);
    expect(table.subsystems).toMatchObject([
      { index: 1, nqn: ROOT, traddr: '192.0.2.21', trsvcid: '4420', hfis: [1, 2], discovery: 1 },
      { index: 2, traddr: '2001:db8::21', trsvcid: '4421', hfis: [2], unavailable: true },
    ]);
  });

  it('cannot be changed', () => {
    const { hfis, host, problems, subsystems } = parse(DESCRIPTION);
    for (const part of [host, hfis, hfis[0], subsystems, subsystems[0]?.hfis, problems]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  it('of a later minor revision, with longer descriptors, is read', () => {
    const table = parse({ ...DESCRIPTION, minorRevision: 1, appended: 16 });
    expect(table.problems).toEqual([]);
    expect(table.subsystems).toHaveLength(2);
    expect(table.discoveries).toHaveLength(2);
  });

  it('may be followed by bytes that its length does not count', () => {
    const { bytes } = encodeNbft(DESCRIPTION);
    const longer = new Uint8Array(bytes.length + 7).fill(0x55);
    longer.set(bytes);
    expect(parseNbft(longer).subsystems).toHaveLength(2);
  });

  it('says nothing where no boot from a network is set up', () => {
    expect(parse({ valid: false })).toMatchObject({ host: undefined, subsystems: [] });
    expect(parse({})).toMatchObject({ hfis: [], discoveries: [], subsystems: [], problems: [] });
  });

  it('leaves descriptors out that are not in use, without a word', () => {
    const table = parse({
      ...DESCRIPTION,
      discoveries: [{ ...DESCRIPTION.discoveries[0], valid: false }],
      subsystems: [{ ...DESCRIPTION.subsystems[0], valid: false, discovery: 0 }],
    });
    expect(table).toMatchObject({ discoveries: [], subsystems: [], problems: [] });
  });

  it('has no host ID if it is all zero', () => {
    expect(parse({ host: { id: '0'.repeat(32) } }).host?.id).toBe('');
  });

  it('takes a text up to its first NUL, whether its length counts the NUL or not', () => {
    const nqn = new TextEncoder().encode(`${ROOT}\0\0`);
    const [subsystem] = parse({
      ...DESCRIPTION,
      subsystems: [{ nqn, traddr: '192.0.2.1' }],
    }).subsystems;
    expect(subsystem?.nqn).toBe(ROOT);
  });
});

describe('a boot firmware table that is damaged as a whole', () => {
  it.each([
    ['too-short', (bytes: Uint8Array) => bytes.subarray(0, 127)],
    ['signature', (bytes: Uint8Array) => bytes.fill(0x58, 0, 1)],
    ['length', (bytes: Uint8Array) => bytes.subarray(0, bytes.length - 1)],
    ['checksum', (bytes: Uint8Array) => bytes.fill((bytes[200] ?? 0) + 1, 200, 201)],
    ['revision', (bytes: Uint8Array) => seal(bytes.fill(2, 8, 9))],
    ['heap', (bytes: Uint8Array) => seal(bytes.fill(0xff, 36, 40))],
    ['heap', (bytes: Uint8Array) => seal(bytes.fill(0xff, 40, 44))],
    ['heap', (bytes: Uint8Array) => seal(bytes.fill(0, 36, 40))],
    ['control', (bytes: Uint8Array) => seal(bytes.fill(9, 64, 65))],
    // Not valid, and yet it names descriptors.
    ['control', (bytes: Uint8Array) => seal(bytes.fill(0, 70, 71))],
  ])('is refused with the code %s', (code, damage) => {
    expect(codeOf(damage(encodeNbft(DESCRIPTION).bytes))).toBe(code);
  });

  it('is refused when its header says less than every table has', () => {
    const { bytes } = encodeNbft(DESCRIPTION);
    new DataView(bytes.buffer).setUint32(4, 36, true);
    expect(codeOf(seal(bytes))).toBe('length');
  });
});

describe('a descriptor that is damaged', () => {
  it.each([
    ['host', 8, 'host'],
    ['HFI list', 16, 'HFI'],
    ['SSNS list', 24, 'SSNS'],
    ['security profile list', 32, 'security profile'],
    ['discovery list', 40, 'discovery'],
  ])('out of bounds leaves the rest of the table: %s', (_, offset, part) => {
    for (const place of [0, 100, 0x7fff_fff0, 0xffff_ffff]) {
      const table = damaged((view, { places }) => {
        view.setUint32(places.control + offset, place, true);
      });
      expect(table.problems[0]).toMatchObject({
        part,
        place: 0,
        unidentified: part === 'SSNS' || part === 'discovery',
      });
      expect(table.subsystems).toHaveLength(part === 'SSNS' ? 0 : 2);
      expect(table.discoveries).toHaveLength(part === 'discovery' ? 0 : 2);
    }
  });

  it('is not read where a list has fewer bytes a descriptor than it takes', () => {
    const table = damaged((view, { places }) => {
      view.setUint16(places.control + 24 + 4, 64, true);
    });
    expect(table.subsystems).toEqual([]);
    expect(table.problems).toMatchObject([{ part: 'SSNS', place: 0, unidentified: true }]);
  });

  it('with the wrong structure ID is left out, and nothing tells which connection it means', () => {
    const table = damaged((view, { places }) => {
      view.setUint8(places.ssns(0), 6);
    });
    expect(table.subsystems.map(({ index }) => index)).toEqual([2]);
    expect(table.problems).toEqual([
      { part: 'SSNS', place: 1, reason: 'its structure ID is 6', unidentified: true },
    ]);
  });

  it.each([
    ['zero MAC address', { mac: '00:00:00:00:00:00' }, 'its MAC address is zero'],
    ['another transport', { mac: '52:54:00:00:00:01', trtype: 1 }, 'its transport type is 1'],
    ['index 0', { mac: '52:54:00:00:00:01', index: 0 }, 'its index is 0, which stands for none'],
  ])('an HFI with %s is left out; what names it keeps the rest', (_, hfi, reason) => {
    const table = parse({ ...DESCRIPTION, hfis: [hfi] });
    expect(table.hfis).toEqual([]);
    expect(table.problems[0]).toMatchObject({ part: 'HFI', place: 1, reason });
    expect(table.discoveries).toHaveLength(2);
    expect(table.subsystems).toMatchObject([
      { nqn: ROOT, hfis: [] },
      { nqn: ROOT, hfis: [] },
    ]);
    expect(table.problems.map(({ reason }) => reason)).toContain(
      'there is no HFI 1, 2, which it names',
    );
  });

  it.each([
    'http://192.0.2.1:8009/',
    'nvme+tcp://dc.example:8009/',
    'nvme+tcp://192.0.2.1:8009,reconnect_delay=33/',
    'nvme+tcp://192.0.2.1:0/',
    'nvme+tcp://192.0.2.1:65536/',
    'nvme+tcp://user@192.0.2.1:8009/',
    'nvme+tcp://192.0.2.1,x=1:8009/',
    'nvme+tcp://2001:db8::1/',
    'nvme+tcp://[192.0.2.1]/',
    'nvme+tcp://[fe80::1%eth0]/',
    'nvme+tcp://:8009/',
    'nvme+tcp://192.0.2.1:8009/\n<3>forged',
    `nvme+tcp://192.0.2.1/${'x'.repeat(500)}`,
    'nvme+fc://192.0.2.1/',
    '',
  ])('a discovery controller at %j is left out', (uri) => {
    const table = parse({ ...DESCRIPTION, discoveries: [{ uri }, DESCRIPTION.discoveries[1]] });
    expect(table.discoveries.map(({ index }) => index)).toEqual([2]);
    expect(table.problems.at(-1)).toMatchObject({
      part: 'discovery',
      place: 1,
      unidentified: true,
    });
    for (const { reason } of table.problems) expect(reason).not.toMatch(/[^ -~]/);
  });

  it('a discovery controller with an NQN that cannot be used has none', () => {
    const [discovery] = parse({
      ...DESCRIPTION,
      discoveries: [{ uri: 'nvme+tcp://192.0.2.1/', nqn: 'nqn.a,b=c' }],
    }).discoveries;
    expect(discovery).toMatchObject({ nqn: '', traddr: '192.0.2.1' });
  });

  it.each([
    ['a comma', 'nqn.2024-01.org.example:root,ctrl_loss_tmo=0'],
    ['a line end', 'nqn.2024-01.org.example:root\n'],
    ['bytes that are not UTF-8', new Uint8Array([0x6e, 0x71, 0x6e, 0x2e, 0xff, 0xfe])],
    ['224 bytes', `nqn.${'x'.repeat(220)}`],
  ])('a subsystem whose NQN has %s keeps its address', (_, nqn) => {
    const { problems, subsystems } = parse({
      ...DESCRIPTION,
      subsystems: [{ nqn, traddr: '192.0.2.21' }],
    });
    expect(subsystems).toMatchObject([{ nqn: '', traddr: '192.0.2.21', trsvcid: '4420' }]);
    expect(problems).toMatchObject([{ part: 'SSNS', place: 1, unidentified: false }]);
  });

  it.each([
    ['no address', {}],
    ['no address but zeros', { traddr: '0.0.0.0' }],
    ['a port that is none', { traddr: '192.0.2.21', trsvcid: '44200' }],
    ['a transport that is not defined', { traddr: '192.0.2.21', trtype: 9 }],
    ['an HFI that is not there', { traddr: '192.0.2.21', hfi: 9 }],
  ])('a subsystem with %s keeps its NQN', (_, fields) => {
    const { subsystems } = parse({ ...DESCRIPTION, subsystems: [{ nqn: ROOT, ...fields }] });
    expect(subsystems).toMatchObject([{ nqn: ROOT }]);
  });

  it('a subsystem with neither NQN nor address means no connection that could be told', () => {
    const { problems, subsystems } = parse({ ...DESCRIPTION, subsystems: [{}] });
    expect(subsystems).toEqual([]);
    expect(problems).toMatchObject([{ part: 'SSNS', place: 1, unidentified: true }]);
  });

  it('a reference that leaves the heap is not followed', () => {
    for (const [offset, length] of [
      [0, 16],
      [64, 16],
      [0xffff_fff0, 0xffff],
      [0, 0xffff],
    ] as const) {
      const table = damaged((view, { places }) => {
        view.setUint32(places.ssns(0) + 54, offset, true);
        view.setUint16(places.ssns(0) + 58, length, true);
      });
      expect(table.subsystems[0]).toMatchObject({ nqn: '', traddr: '192.0.2.21' });
      expect(table.problems).toMatchObject([{ reason: 'its NQN lies outside of the heap' }]);
    }
  });
});
