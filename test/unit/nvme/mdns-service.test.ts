import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addressesOnManyInterfaces,
  parseTxt,
  serviceToTid,
  type ServiceRecord,
  type ServiceRules,
} from '../../../src/nvme/mdns-service.ts';
import { makeTid, WELL_KNOWN_DISCOVERY_NQN } from '../../../src/nvme/transport-id.ts';

const RULES: ServiceRules = { uniqueNqn: true, ignoreIface: false, hostNqn: 'nqn.host' };

function bytes(text: string): Uint8Array {
  return Buffer.from(text);
}

function record(fields: Partial<ServiceRecord> = {}, ...txt: readonly string[]): ServiceRecord {
  return { address: '192.0.2.7', port: 8009, txt: txt.map(bytes), ...fields };
}

function tidOf(given: ServiceRecord, rules: Partial<ServiceRules> = {}) {
  return serviceToTid(given, 'eth0', { ...RULES, ...rules });
}

describe('a TXT record', () => {
  test('has keys without case, the first of each, and values that may hold anything', () => {
    const pairs = parseTxt(['P=tcp', 'p=rdma', 'nqn=a=b', 'flag', '=x', '', 'e='].map(bytes));
    const texts = [...pairs].map(([key, value]) => [key, Buffer.from(value).toString()]);
    expect(texts).toEqual([
      ['p', 'tcp'],
      ['nqn', 'a=b'],
      ['e', ''],
    ]);
  });

  test('has no key that is not printable ASCII', () => {
    expect(parseTxt(['p\u0000=tcp', 'ü=1', 'p\n=tcp'].map(bytes)).size).toBe(0);
  });
});

describe('a service', () => {
  test('is the DC with the well-known NQN, reached from where it was heard', () => {
    const expected = makeTid({
      ...{ transport: 'tcp', traddr: '192.0.2.7', trsvcid: '8009', hostIface: 'eth0' },
      ...{ subsysnqn: WELL_KNOWN_DISCOVERY_NQN, hostNqn: 'nqn.host' },
    });
    expect(tidOf(record({}, 'p=tcp')).tid).toEqual(expected);
  });

  test.each([
    ['tcp', 'tcp', 'eth0'],
    [' TCP ', 'tcp', 'eth0'],
    ['roce', 'rdma', ''],
    ['iWARP', 'rdma', ''],
    ['rdma', 'rdma', ''],
  ])('of the protocol "%s" is reached by %s from "%s"', (protocol, transport, hostIface) => {
    expect(tidOf(record({}, `p=${protocol}`)).tid).toMatchObject({ transport, hostIface });
  });

  test('has its own NQN where the kernel can use it', () => {
    const own = record({}, 'p=tcp', 'NQN= nqn.2014-08.org.example:dc ');
    expect(tidOf(own).tid?.subsysnqn).toBe('nqn.2014-08.org.example:dc');
    expect(tidOf(own, { uniqueNqn: false }).tid?.subsysnqn).toBe(WELL_KNOWN_DISCOVERY_NQN);
    expect(tidOf(record({}, 'p=tcp', 'nqn=')).tid?.subsysnqn).toBe(WELL_KNOWN_DISCOVERY_NQN);
  });

  test.each([
    [{ address: 'fe80::7' }, {}, 'p=tcp', 'fe80::7', 'eth0'],
    [{ address: 'fe80::7' }, { ignoreIface: true }, 'p=tcp', 'fe80::7%eth0', ''],
    [{ address: 'fe80::7' }, {}, 'p=rdma', 'fe80::7%eth0', ''],
    [{ address: '2001:db8::7' }, { ignoreIface: true }, 'p=tcp', '2001:db8::7', ''],
    [{}, { ignoreIface: true }, 'p=tcp', '192.0.2.7', ''],
  ])('at %j with %j and %s is %s from "%s"', (fields, rules, txt, traddr, hostIface) => {
    expect(tidOf(record(fields, txt), rules).tid).toMatchObject({ traddr, hostIface });
  });

  test.each([
    ['no protocol', record()],
    ['a protocol that is not known', record({}, 'p=fc')],
    ['an empty protocol', record({}, 'p=')],
    ['an NQN with a comma', record({}, 'p=tcp', 'nqn=nqn.x,reconnect_delay=1')],
    ['an NQN with a line end', record({}, 'p=tcp', 'nqn=nqn.x\nforged')],
    ['an NQN that is too long', record({}, 'p=tcp', `nqn=nqn.${'x'.repeat(220)}`)],
    [
      'an NQN that is not UTF-8',
      record({ txt: [bytes('p=tcp'), Buffer.from('nqn=nqn.\xff', 'latin1')] }),
    ],
    ['no address', record({ address: '' }, 'p=tcp')],
    ['no particular address', record({ address: '::' }, 'p=tcp')],
    ['an address with a zone', record({ address: 'fe80::1%eth9' }, 'p=tcp')],
    ['an address with an option', record({ address: '192.0.2.7,x=1' }, 'p=tcp')],
    ['port 0', record({ port: 0 }, 'p=tcp')],
    ['a port beyond', record({ port: 65_536 }, 'p=tcp')],
  ])('is refused for %s, with a reason that fits in a line', (_, given) => {
    const { refused, tid } = tidOf(given);
    expect(tid).toBeUndefined();
    expect(refused).toMatch(/^[ -~…]+$/);
  });

  test('is refused for an interface that no option can hold', () => {
    expect(serviceToTid(record({}, 'p=tcp'), 'eth0,x', RULES).refused).toMatch(/interface/);
  });

  test('is an ID or refused, whatever bytes it holds', () => {
    const value = fc.uint8Array({ maxLength: 300 });
    const string = fc.oneof(
      value,
      value.map((it) => Buffer.concat([bytes('p='), it])),
      value.map((it) => Buffer.concat([bytes('nqn='), it])),
      fc.constantFrom(bytes('p=tcp'), bytes('p=rdma')),
    );
    const given = fc.record({
      address: fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()),
      port: fc.nat(70_000),
      txt: fc.array(string, { maxLength: 6 }),
    });
    fc.assert(
      fc.property(given, (any) => {
        const { refused = '', tid } = tidOf(any);
        const fields: readonly string[] = tid === undefined ? [] : Object.values(tid);
        for (const text of [refused, ...fields]) {
          if (/[\p{C}]/u.test(text)) throw new Error(JSON.stringify(text));
        }
        if (fields.some((text) => text.includes(','))) throw new Error(fields.join(' '));
      }),
    );
  });
});

describe('an address on several interfaces', () => {
  test('is found in every spelling, but not if it is link-local', () => {
    const found = [
      { address: '192.0.2.7', interfaceName: 'eth1' },
      { address: '::ffff:192.0.2.7', interfaceName: 'eth0' },
      { address: '192.0.2.7', interfaceName: 'eth1' },
      { address: '192.0.2.8', interfaceName: 'eth0' },
      { address: 'fe80::1', interfaceName: 'eth0' },
      { address: 'fe80::1', interfaceName: 'eth1' },
      { address: '2001:db8::1', interfaceName: 'eth0' },
      { address: '2001:DB8:0::1', interfaceName: 'eth2' },
    ];
    expect(addressesOnManyInterfaces(found)).toEqual([
      ['192.0.2.7', ['eth0', 'eth1']],
      ['2001:db8::1', ['eth0', 'eth2']],
    ]);
  });
});
