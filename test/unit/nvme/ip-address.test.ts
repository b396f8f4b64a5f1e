import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkInterfaceName,
  formatIpAddress,
  ipFamily,
  isUnspecifiedAddress,
  parseIpAddress,
  sameIpAddress,
} from '../../../src/nvme/ip-address.ts';

/** Texts that are near to addresses: most mutations of them must be refused. */
const nearAddresses = fc
  .array(fc.constantFrom('0', '1', '25', '255', '256', 'a', 'F', 'ffff', '12345', '.', ':', '::'), {
    minLength: 1,
    maxLength: 17,
  })
  .map((parts) => parts.join(''));

const ipv6Groups = fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 });

describe('parseIpAddress', () => {
  it.each([
    ['10.0.0.1', 'ipv4', [10, 0, 0, 1]],
    ['255.255.255.255', 'ipv4', [255, 255, 255, 255]],
    ['::', 'ipv6', new Array<number>(16).fill(0)],
    ['1::', 'ipv6', [0, 1, ...new Array<number>(14).fill(0)]],
    ['1:2:3:4:5:6:7::', 'ipv6', [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 0]],
    ['64:ff9b::192.0.2.33', 'ipv6', [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 33]],
  ])('reads %s', (text, family, bytes) => {
    expect(parseIpAddress(text)).toEqual({ family, bytes, scope: '' });
  });

  it.each(['::ffff:10.0.0.1', '::FFFF:a00:1', '0:0:0:0:0:ffff:10.0.0.1'])(
    'takes the IPv4-mapped %s for IPv4',
    (text) => {
      expect(parseIpAddress(text)).toEqual({ family: 'ipv4', bytes: [10, 0, 0, 1], scope: '' });
    },
  );

  it('keeps the scope of a link-local address', () => {
    expect(parseIpAddress('fe80::1%enp0s8')).toMatchObject({ family: 'ipv6', scope: 'enp0s8' });
  });

  it.each([
    '',
    ' 10.0.0.1',
    '10.0.0.1 ',
    '10.0.0',
    '10.0.0.1.2',
    '10.0.0.01',
    '010.0.0.1',
    '10.0.0.256',
    '10.0.0.-1',
    '0x0a.0.0.1',
    '10.0.0.1%eth0',
    '10.0.0.1/8',
    '10.0.0.1\n',
    '[::1]',
    ':::',
    '1::2::3',
    ':1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4::5:6:7:8',
    '12345::',
    '::1.2.3',
    '::1.2.3.4:5',
    '1.2.3.4::',
    '::ffff:10.0.0.1%eth0',
    'fe80::1%',
    'fe80::1%eth0,reconnect_delay=33',
    'fe80::1%eth0%eth1',
    'fe80::1%a/b',
    'fe80::1%an-interface-too-long',
    '::1\0',
    '１::',
  ])('refuses %j', (text) => {
    expect(parseIpAddress(text)).toBeUndefined();
  });

  it('accepts exactly what the C library accepts, scopes aside', () => {
    fc.assert(
      fc.property(fc.oneof(nearAddresses, fc.ipV4(), fc.ipV6(), fc.string()), (text) => {
        fc.pre(!text.includes('%'));
        expect(parseIpAddress(text) !== undefined).toBe(isIP(text) !== 0);
      }),
      { numRuns: 2000 },
    );
  });

  it('reads what was written from groups, in any case and with any leading zeros', () => {
    fc.assert(
      fc.property(ipv6Groups, fc.boolean(), fc.boolean(), (groups, upper, padded) => {
        const text = groups
          .map((group) => group.toString(16).padStart(padded ? 4 : 1, '0'))
          .join(':');
        const parsed = parseIpAddress(upper ? text.toUpperCase() : text);
        const bytes = groups.flatMap((group) => [group >> 8, group & 0xff]);
        const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
        expect(parsed?.bytes).toEqual(mapped ? bytes.slice(12) : bytes);
      }),
    );
  });
});

describe('sameIpAddress', () => {
  it.each([
    ['2001:db8::1', '2001:0DB8:0:0:0:0:0:1', true],
    ['::ffff:192.0.2.1', '192.0.2.1', true],
    ['192.0.2.1', '192.0.2.2', false],
    ['::192.0.2.1', '192.0.2.1', false],
    ['fe80::1%eth0', 'fe80::1', true],
    ['fe80::1%eth0', 'fe80::1%eth0', true],
    ['fe80::1%eth0', 'fe80::1%eth1', false],
    ['host', 'host', false],
    ['', '', false],
  ])('compares %s and %s', (a, b, same) => {
    expect(sameIpAddress(a, b)).toBe(same);
    expect(sameIpAddress(b, a)).toBe(same);
  });
});

describe('the rest', () => {
  it('tells the family, and that a name has none', () => {
    expect(['10.1.1.1', '::ffff:10.1.1.1', '::1', 'localhost', ''].map(ipFamily)).toEqual([
      'ipv4',
      'ipv4',
      'ipv6',
      undefined,
      undefined,
    ]);
  });

  it.each([
    ['0.0.0.0', true],
    ['::', true],
    ['0:0:0:0:0:0:0:0', true],
    ['::ffff:0.0.0.0', true],
    ['0.0.0.1', false],
    ['', false],
  ])('knows whether %j is the unspecified address', (text, unspecified) => {
    expect(isUnspecifiedAddress(text)).toBe(unspecified);
  });

  it.each([
    ['enp0s8', true],
    ['eth0.100', true],
    ['br-0123456789ab', true],
    ['', false],
    ['0123456789abcdef', false],
    ['a b', false],
    ['a/b', false],
    ['a,b', false],
    ['..', false],
    ['é', false],
  ])('says whether %j can be an interface', (name, can) => {
    expect(checkInterfaceName(name) === undefined).toBe(can);
  });

  it('writes sixteen bytes as RFC 5952 has it', () => {
    const groups = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), {
      minLength: 8,
      maxLength: 8,
    });
    fc.assert(
      fc.property(groups, (all) => {
        const bytes = new Uint8Array(all.flatMap((group) => [group >> 8, group & 0xff]));
        const long = all.map((group) => group.toString(16)).join(':');
        // A mapped address is the one that has a dotted quad here.
        fc.pre(ipFamily(long) === 'ipv6');
        expect(`[${formatIpAddress(bytes)}]`).toBe(new URL(`http://[${long}]/`).hostname);
      }),
    );
    const mapped = new Uint8Array([...new Array<number>(10).fill(0), 255, 255, 192, 0, 2, 1]);
    expect(formatIpAddress(mapped)).toBe('192.0.2.1');
  });
});
