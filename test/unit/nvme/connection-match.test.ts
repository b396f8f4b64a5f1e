import { describe, expect, it } from 'vitest';
import {
  isDiscoveryController,
  isIoController,
  matchConnection,
  matchesConnection,
  type ConnectionMatch,
  type InterfaceAddressLike,
  type KernelControllerLike,
} from '../../../src/nvme/connection-match.ts';
import {
  makeTid,
  WELL_KNOWN_DISCOVERY_NQN,
  type TidFields,
} from '../../../src/nvme/transport-id.ts';

const HOST = 'nqn.2014-08.org.nvmexpress:uuid:host';
const IOC_NQN = 'nqn.2014-08.org.example:one';

const INTERFACES: readonly InterfaceAddressLike[] = [
  { name: 'lo', address: '127.0.0.1' },
  { name: 'eth0', address: '192.0.2.10' },
  { name: 'eth0', address: '192.0.2.11' },
  { name: 'eth0', address: '2001:db8::10' },
  { name: 'eth0', address: 'fe80::1' },
  { name: 'eth1', address: '198.51.100.10' },
  { name: 'eth1', address: 'fe80::1' },
];

function kernel(fields: Partial<KernelControllerLike> = {}): KernelControllerLike {
  return {
    transport: 'tcp',
    traddr: '192.0.2.1',
    trsvcid: '4420',
    hostTraddr: '',
    hostIface: '',
    srcAddr: '192.0.2.10',
    subsysnqn: IOC_NQN,
    hostnqn: HOST,
    cntrltype: 'io',
    hasChildren: true,
    ...fields,
  };
}

function match(
  candidate: Partial<TidFields>,
  device: Partial<KernelControllerLike> = {},
  kind: 'discovery' | 'io' = 'io',
): ConnectionMatch {
  const tid = makeTid({
    transport: 'tcp',
    traddr: '192.0.2.1',
    trsvcid: '4420',
    subsysnqn: IOC_NQN,
    hostNqn: HOST,
    ...candidate,
  });
  const result = matchConnection(tid, kind, kernel(device), INTERFACES);
  expect(matchesConnection(tid, kind, kernel(device), INTERFACES)).toBe(result !== 'no');
  return result;
}

describe('what kind of controller a device is', () => {
  it.each<[string, Partial<KernelControllerLike>, boolean, boolean]>([
    ['type io', { cntrltype: 'io' }, false, true],
    ['type io without namespaces', { cntrltype: 'io', hasChildren: false }, false, true],
    ['type discovery', { cntrltype: 'discovery', hasChildren: false }, true, false],
    ['type discovery with children', { cntrltype: 'discovery' }, true, false],
    ['type admin, childless', { cntrltype: 'admin', hasChildren: false }, false, false],
    ['the well-known NQN', { subsysnqn: WELL_KNOWN_DISCOVERY_NQN, cntrltype: '' }, true, false],
    ['no type, children', { cntrltype: '' }, false, true],
    ['no type, childless', { cntrltype: '', hasChildren: false }, true, false],
    ['type reserved, children', { cntrltype: 'reserved' }, false, true],
    ['type reserved, childless', { cntrltype: 'reserved', hasChildren: false }, true, false],
    ['PCIe', { transport: 'pcie' }, false, false],
    ['PCIe, childless', { transport: 'pcie', cntrltype: '', hasChildren: false }, false, false],
  ])('%s', (_, device, discovery, io) => {
    expect(isDiscoveryController(kernel(device))).toBe(discovery);
    expect(isIoController(kernel(device))).toBe(io);
  });
});

describe('matchConnection', () => {
  it('finds the same connection', () => {
    expect(match({})).toBe('match');
  });

  it.each<[string, Partial<TidFields>, Partial<KernelControllerLike>]>([
    ['another transport', {}, { transport: 'rdma' }],
    ['another port', { trsvcid: '4421' }, {}],
    ['another host NQN', { hostNqn: 'nqn.other' }, {}],
    ['another subsystem', { subsysnqn: 'nqn.other' }, {}],
    ['another subsystem in other case', { subsysnqn: IOC_NQN.toUpperCase() }, {}],
    ['another address', { traddr: '192.0.2.2' }, {}],
    ['a controller of another kind', {}, { cntrltype: 'discovery' }],
    ['a local PCIe controller', {}, { transport: 'pcie' }],
  ])('refuses %s', (_, candidate, device) => {
    expect(match(candidate, device)).toBe('no');
  });

  it('lets a DC that answers with an NQN of its own pass for the well-known one', () => {
    const device = { subsysnqn: 'nqn.unique-dc', cntrltype: 'discovery', trsvcid: '8009' };
    const candidate = { subsysnqn: WELL_KNOWN_DISCOVERY_NQN, trsvcid: '8009' };
    expect(match(candidate, device, 'discovery')).toBe('match');
    expect(match({ ...candidate, subsysnqn: 'nqn.unique-dc' }, device, 'discovery')).toBe('match');
    expect(match({ ...candidate, subsysnqn: 'nqn.other-dc' }, device, 'discovery')).toBe('no');
  });

  it.each([
    ['2001:db8:0::1', '2001:DB8::1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['fe80::5%eth0', 'fe80::5%eth0'],
  ])('compares %s and %s as addresses', (candidate, device) => {
    expect(match({ traddr: candidate }, { traddr: device })).toBe('match');
  });

  it('compares addresses of fc and loop as words in any case', () => {
    const address = 'nn-0x204600A098CBCAC6:pn-0x204700A098CBCAC6';
    const fc = { transport: 'fc', traddr: address.toLowerCase(), trsvcid: '', srcAddr: '' };
    const candidate = { transport: 'fc', traddr: address, trsvcid: '' } as const;
    expect(match(candidate, fc)).toBe('match');
    const short = address.replaceAll('0x', '');
    expect(
      match({ ...candidate, hostTraddr: address }, { ...fc, traddr: short, hostTraddr: short }),
    ).toBe('match');
    const loop = { transport: 'loop', traddr: 'A', trsvcid: '', srcAddr: '' };
    expect(match({ transport: 'loop', traddr: 'a', trsvcid: '' }, loop)).toBe('match');
  });

  describe('over TCP, by the source address of the connection', () => {
    it.each<[string, Partial<TidFields>, Partial<KernelControllerLike>, ConnectionMatch]>([
      ['its address', { hostTraddr: '192.0.2.10' }, {}, 'match'],
      ['its address, mapped', { hostTraddr: '::ffff:192.0.2.10' }, {}, 'match'],
      ['another address', { hostTraddr: '192.0.2.11' }, {}, 'no'],
      ['its interface', { hostIface: 'eth0' }, {}, 'match'],
      ['another interface', { hostIface: 'eth1' }, {}, 'no'],
      ['both', { hostTraddr: '192.0.2.10', hostIface: 'eth0' }, {}, 'match'],
      ['its address, other interface', { hostTraddr: '192.0.2.10', hostIface: 'eth1' }, {}, 'no'],
      [
        'the source, though the request said otherwise',
        { hostTraddr: '192.0.2.10', hostIface: 'eth0' },
        { hostTraddr: '192.0.2.11', hostIface: 'eth1' },
        'match',
      ],
      ['an address that no interface has', { hostIface: 'eth0' }, { srcAddr: '192.0.2.99' }, 'no'],
      [
        'an address that two interfaces have',
        { hostIface: 'eth1' },
        { srcAddr: 'fe80::1' },
        'match',
      ],
      ['such an address with its zone', { hostIface: 'eth1' }, { srcAddr: 'fe80::1%eth0' }, 'no'],
      ['a host-traddr that is none', { hostTraddr: 'x' }, {}, 'no'],
    ])('%s', (_, candidate, device, expected) => {
      expect(match(candidate, device)).toBe(expected);
    });
  });

  describe('over TCP, where the kernel does not tell the source address', () => {
    it.each<[string, Partial<TidFields>, Partial<KernelControllerLike>, ConnectionMatch]>([
      ['nothing asked for', {}, {}, 'match'],
      ['equal host-traddr', { hostTraddr: '192.0.2.10' }, { hostTraddr: '192.0.2.10' }, 'match'],
      ['other host-traddr', { hostTraddr: '192.0.2.11' }, { hostTraddr: '192.0.2.10' }, 'no'],
      ['primary address', { hostTraddr: '192.0.2.10' }, { hostIface: 'eth0' }, 'match'],
      ['primary address of IPv6', { hostTraddr: '2001:db8::10' }, { hostIface: 'eth0' }, 'match'],
      ['secondary address', { hostTraddr: '192.0.2.11' }, { hostIface: 'eth0' }, 'no'],
      ['no address of the family', { hostTraddr: '192.0.2.1' }, { hostIface: 'gone' }, 'presumed'],
      ['host-traddr, nothing known', { hostTraddr: '192.0.2.10' }, {}, 'presumed'],
      ['equal host-iface', { hostIface: 'eth0' }, { hostIface: 'eth0' }, 'match'],
      ['other host-iface', { hostIface: 'eth1' }, { hostIface: 'eth0' }, 'no'],
      ['interface of host-traddr', { hostIface: 'eth0' }, { hostTraddr: '192.0.2.11' }, 'match'],
      ['not its interface', { hostIface: 'eth1' }, { hostTraddr: '192.0.2.11' }, 'no'],
      ['host-iface, nothing known', { hostIface: 'eth1' }, {}, 'presumed'],
      [
        'both, only the interface known',
        { hostTraddr: '192.0.2.10', hostIface: 'eth0' },
        { hostIface: 'eth0' },
        'match',
      ],
      [
        'both, the interface another',
        { hostTraddr: '192.0.2.10', hostIface: 'eth1' },
        { hostIface: 'eth0' },
        'no',
      ],
      ['a host-traddr that is none', { hostTraddr: 'x' }, { hostIface: 'eth0' }, 'no'],
    ])('%s', (_, candidate, device, expected) => {
      expect(match(candidate, { srcAddr: '', ...device })).toBe(expected);
    });
  });

  it.each<[string, string, ConnectionMatch]>([
    ['NN-0x1:pn-0x2', 'nn-0x1:PN-0x2', 'match'],
    ['nn-0x1:pn-0x2', 'nn-0x1:pn-0x3', 'no'],
    ['', 'nn-0x1:pn-0x2', 'no'],
  ])('over Fibre Channel, wants host-traddr %s to equal %s', (wanted, has, expected) => {
    const device = { transport: 'fc', traddr: 'a', trsvcid: '', srcAddr: '', hostTraddr: has };
    const candidate = { transport: 'fc', traddr: 'a', trsvcid: '', hostTraddr: wanted } as const;
    expect(match(candidate, device)).toBe(expected);
  });

  it.each<[string, string, ConnectionMatch]>([
    ['', '192.0.2.10', 'match'],
    ['::ffff:192.0.2.10', '192.0.2.10', 'match'],
    ['192.0.2.11', '192.0.2.10', 'no'],
    ['192.0.2.11', '', 'no'],
  ])('over RDMA, wants host-traddr %j to equal %j', (wanted, has, expected) => {
    const device = { transport: 'rdma', srcAddr: '', hostTraddr: has };
    expect(match({ transport: 'rdma', hostTraddr: wanted }, device)).toBe(expected);
  });
});
