import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeEntries,
  dictToEntry,
  entryToDict,
  entryToTid,
  hasNcc,
  type DiscoveryEntry,
} from '../../../src/nvme/discovery-log.ts';
import { entryBytes, logOf, type EntryBytes } from './entry-bytes.ts';

function decodeOne(fields: EntryBytes): DiscoveryEntry {
  const { entries, refused } = decodeEntries(entryBytes(fields), 1);
  expect(refused).toEqual([]);
  const [entry] = entries;
  if (entry === undefined) throw new Error('the entry was dropped');
  return entry;
}

function refusalOf(fields: EntryBytes): string {
  const { entries, refused } = decodeEntries(entryBytes(fields), 1);
  expect(entries).toEqual([]);
  return refused.map(({ reason }) => reason).join('|');
}

const FC_ADDRESS = 'nn-0x204600a098cbcac6:pn-0x204700a098cbcac6';

describe('decodeEntries', () => {
  it('decodes every field', () => {
    const entry = decodeOne({
      adrfam: 2,
      subtype: 1,
      treq: 5,
      portid: 0x1234,
      cntlid: 0xfffe,
      asqsz: 128,
      eflags: 0x0105,
      trsvcid: '8009',
      subnqn: 'nqn.2014-08.org.nvmexpress.discovery',
      traddr: '2001:db8::370:7334',
    });
    expect(entry).toEqual({
      trtype: 'tcp',
      adrfam: 'ipv6',
      subtype: 'referral',
      treq: 5,
      portid: 0x1234,
      cntlid: 0xfffe,
      asqsz: 128,
      eflags: 0x0105,
      trsvcid: '8009',
      subnqn: 'nqn.2014-08.org.nvmexpress.discovery',
      traddr: '2001:db8::370:7334',
    });
  });

  it.each<[string, EntryBytes]>([
    ['tcp', {}],
    ['rdma', { trtype: 1 }],
    ['rdma', { trtype: 1, adrfam: 3, traddr: 'fe80::1' }],
    ['fc', { trtype: 2, adrfam: 4, traddr: FC_ADDRESS, trsvcid: 'none' }],
    ['fc', { trtype: 2, adrfam: 4, traddr: FC_ADDRESS, trsvcid: '' }],
    ['loop', { trtype: 254, adrfam: 254, traddr: 'anything', trsvcid: '' }],
  ])('accepts an entry of %s: %o', (trtype, fields) => {
    expect(decodeOne(fields).trtype).toBe(trtype);
  });

  it('trims spaces around, and drops what stands after the first NUL', () => {
    const garbage = new TextEncoder().encode('192.0.2.7\0,reconnect_delay=1');
    const entry = decodeOne({
      traddr: garbage,
      trsvcid: ' 4420 ',
      subnqn: 'nqn.2014-08.org.example:one  ',
    });
    expect(entry).toMatchObject({
      traddr: '192.0.2.7',
      trsvcid: '4420',
      subnqn: 'nqn.2014-08.org.example:one',
    });
    expect(decodeOne({ fill: 0x20 }).traddr).toBe('192.0.2.1');
  });

  it('accepts an NQN of 223 bytes, and refuses one that fills its field', () => {
    expect(decodeOne({ subnqn: `nqn.${'x'.repeat(219)}` }).subnqn).toHaveLength(223);
    expect(refusalOf({ subnqn: 'n'.repeat(256) })).toBe('the NQN is longer than 223 bytes');
  });

  it.each(['', '   ', '0.0.0.0', '::', '0:0:0:0:0:0:0:0', '\u0000\u0000192.0.2.1'])(
    'drops an entry whose address is %j without a word',
    (traddr) => {
      const hostile = entryBytes({ traddr, trtype: 99, subnqn: 'a\nb' });
      expect(decodeEntries(hostile, 1)).toEqual({ entries: [], refused: [] });
    },
  );

  it.each<[EntryBytes, string]>([
    [{ trtype: 0 }, 'the transport type 0 is not known'],
    [{ trtype: 4 }, 'the transport type 4 is not known'],
    [{ subtype: 0 }, 'the subtype 0 is not known'],
    [{ subtype: 4 }, 'the subtype 4 is not known'],
    [{ trsvcid: '4420,reconnect_delay=33' }, 'the trsvcid is not a port'],
    [{ trsvcid: '' }, 'the trsvcid is empty'],
    [{ trsvcid: '0' }, 'the trsvcid is not a port'],
    [{ trsvcid: '65536' }, 'the trsvcid is not a port'],
    [{ trsvcid: '04420' }, 'the trsvcid is not a port'],
    [{ trsvcid: '4420\n' }, 'the trsvcid is not a port'],
    [{ trsvcid: '4420', trtype: 1, traddr: 'host' }, 'the traddr is not an IP address'],
    [{ traddr: '192.0.2.1,nqn=x' }, 'the traddr contains a comma'],
    [{ traddr: 'example.org' }, 'the traddr is not an IP address'],
    [{ traddr: '2001:db8::1' }, 'the traddr is not an address of the family ipv4'],
    [{ adrfam: 2 }, 'the traddr is not an address of the family ipv6'],
    [{ adrfam: 0 }, 'the traddr is not an address of the family pci'],
    [{ adrfam: 77 }, 'the traddr is not an address of the family 77'],
    [{ adrfam: 2, traddr: 'fe80::1%eth0' }, 'the traddr names a zone'],
    [{ trtype: 2, adrfam: 4 }, 'the traddr is not a Fibre Channel address'],
    [{ trtype: 2, adrfam: 4, traddr: FC_ADDRESS, trsvcid: 'a,b' }, 'the trsvcid contains a comma'],
    [{ trtype: 254, traddr: 'a,b' }, 'the traddr contains a comma'],
    [
      { trtype: 254, traddr: Uint8Array.of(0xe9) },
      'the traddr contains a character that is not visible ASCII',
    ],
    [{ subnqn: '' }, 'the NQN is empty'],
    [{ subnqn: 'nqn.a,b' }, 'the NQN contains a comma'],
    [{ subnqn: 'nqn.a\nJan 1 forged' }, 'the NQN contains a space, control or invisible character'],
    [{ subnqn: Uint8Array.of(0x6e, 0xff, 0xfe) }, 'the NQN contains bytes that are not UTF-8'],
  ])('refuses %o', (fields, reason) => {
    expect(refusalOf(fields)).toBe(reason);
  });

  it('names the place of a refused entry and shows it escaped, and keeps its neighbours', () => {
    const hostile = entryBytes({ subnqn: 'nqn.a\nb\u001b[2J', trsvcid: Uint8Array.of(0xff) });
    const { entries, refused } = decodeEntries(logOf(entryBytes(), hostile, entryBytes()), 3);
    expect(entries).toHaveLength(2);
    expect(refused).toHaveLength(1);
    expect(refused[0]?.index).toBe(1);
    expect(refused[0]?.text).toBe(
      'trtype=3 adrfam=1 subtype=2 traddr="192.0.2.1" trsvcid="\\xff" subnqn="nqn.a\\x0ab\\x1b[2J"',
    );
  });

  it('throws rather than take a short page for a complete one', () => {
    expect(() => decodeEntries(new Uint8Array(1023), 1)).toThrow(RangeError);
    expect(() => decodeEntries(new Uint8Array(0), -1)).toThrow(RangeError);
    expect(decodeEntries(new Uint8Array(0), 0)).toEqual({ entries: [], refused: [] });
  });

  it('makes of any bytes only entries that can go into an option string or a log line', () => {
    const noise = fc.uint8Array({ minLength: 1024, maxLength: 1024 });
    const almost = fc
      .record({
        trtype: fc.constantFrom(1, 2, 3, 254, 9),
        adrfam: fc.constantFrom(1, 2, 4),
        subtype: fc.constantFrom(1, 2, 3),
        traddr: fc.oneof(fc.ipV4(), fc.ipV6(), fc.string({ maxLength: 20 })),
        trsvcid: fc.oneof(fc.nat(70000).map(String), fc.string({ maxLength: 8 })),
        subnqn: fc.oneof(fc.string({ maxLength: 300 }), fc.uint8Array({ maxLength: 256 })),
      })
      .map(entryBytes);
    fc.assert(
      fc.property(fc.oneof(noise, almost), (bytes) => {
        const { entries, refused } = decodeEntries(bytes, 1);
        expect(entries.length + refused.length).toBeLessThanOrEqual(1);
        for (const entry of entries) {
          for (const text of [entry.traddr, entry.trsvcid, entry.subnqn]) {
            expect(text).not.toMatch(/[,\s\p{C}]/u);
          }
          expect(new TextEncoder().encode(entry.subnqn).length).toBeLessThanOrEqual(223);
        }
        for (const { reason, text } of refused) expect(`${reason}${text}`).not.toMatch(/\p{C}/u);
      }),
      { numRuns: 500 },
    );
  });

  it('decodes ten thousand entries, and refuses ten thousand', () => {
    const count = 10_000;
    const good = new Uint8Array(count * 1024);
    const bad = new Uint8Array(count * 1024);
    const hostile = entryBytes({ subnqn: '\u0001'.repeat(256), traddr: '\u0002'.repeat(256) });
    for (let index = 0; index < count; index += 1) {
      good.set(entryBytes({ subnqn: `nqn.2014-08.org.example:${index}` }), index * 1024);
      bad.set(hostile, index * 1024);
    }
    expect(decodeEntries(good, count).entries).toHaveLength(count);
    expect(decodeEntries(bad, count).refused).toHaveLength(count);
  });
});

describe('entryToDict and dictToEntry', () => {
  it('gives the words and decimals of the public interface', () => {
    expect(entryToDict(decodeOne({ treq: 1, eflags: 4 }))).toEqual({
      trtype: 'tcp',
      adrfam: 'ipv4',
      traddr: '192.0.2.1',
      trsvcid: '4420',
      subnqn: 'nqn.2014-08.org.example:one',
      subtype: 'nvme',
      treq: 'required',
      portid: '1',
      cntlid: '65535',
      asqsz: '32',
      eflags: '4',
    });
  });

  it.each([
    [0, 'not specified'],
    [1, 'required'],
    [2, 'not required'],
    [3, '3'],
    [4, 'disable sqflow'],
    [5, '5'],
  ])('writes treq %i as %s', (treq, word) => {
    expect(entryToDict(decodeOne({ treq }))['treq']).toBe(word);
  });

  it('is undone by its inverse for every entry', () => {
    const u16 = fc.nat(0xffff);
    const entries = fc
      .record({
        subtype: fc.constantFrom(1, 2, 3),
        treq: fc.nat(255),
        portid: u16,
        cntlid: u16,
        asqsz: u16,
        eflags: u16,
        trsvcid: fc.integer({ min: 1, max: 65535 }).map(String),
        traddr: fc.ipV4(),
      })
      .map((fields) => decodeEntries(entryBytes(fields), 1).entries);
    fc.assert(
      fc.property(entries, (decoded) => {
        for (const entry of decoded) expect(dictToEntry(entryToDict(entry))).toEqual({ entry });
      }),
    );
    for (const fields of [
      { trtype: 2, adrfam: 4, traddr: FC_ADDRESS, trsvcid: '' },
      { trtype: 254, adrfam: 254, traddr: 'loop', trsvcid: '' },
      { trtype: 1, adrfam: 3, traddr: 'fe80::1' },
    ]) {
      const entry = decodeOne(fields);
      expect(dictToEntry(entryToDict(entry))).toEqual({ entry });
    }
  });

  it('is liberal in form: spaces, missing numbers, numbers for words, more keys', () => {
    const { entry } = dictToEntry({
      trtype: ' TCP ',
      adrfam: 1,
      traddr: '192.0.2.1 ',
      trsvcid: 4420,
      subnqn: 'nqn.2014-08.org.example:one',
      subtype: '2',
      treq: '1',
      eflags: '0x4',
      novel: { any: 'thing' },
    });
    expect(entry).toEqual({
      trtype: 'tcp',
      adrfam: 'ipv4',
      traddr: '192.0.2.1',
      trsvcid: '4420',
      subnqn: 'nqn.2014-08.org.example:one',
      subtype: 'nvme',
      treq: 1,
      portid: 0,
      cntlid: 0,
      asqsz: 0,
      eflags: 4,
    });
  });

  it.each([
    [{ trtype: 'unspecified' }, 'the trtype "unspecified" is not a known transport'],
    [{ trtype: undefined }, 'the trtype "" is not a known transport'],
    [{ trtype: '__proto__' }, 'the trtype "__proto__" is not a known transport'],
    [{ subtype: '7' }, 'the subtype "7" is not known'],
    [{ eflags: '65536' }, 'the eflags "65536" is not a number of its field'],
    [{ eflags: '-1' }, 'the eflags "-1" is not a number of its field'],
    [{ treq: 'perhaps' }, 'the treq "perhaps" is not a number of its field'],
    [{ adrfam: 'ipv5' }, 'the adrfam "ipv5" is not known'],
    [{ traddr: '0.0.0.0' }, 'the traddr is no address'],
  ])('refuses %o', (change, reason) => {
    const dict = { ...entryToDict(decodeOne({})), ...change };
    expect(dictToEntry(dict)).toEqual({ reason });
  });

  it('refuses what the decoder refuses, and shows it escaped', () => {
    const dict = { ...entryToDict(decodeOne({})), trsvcid: '1,\nx' };
    expect(dictToEntry(dict).reason).toBe(
      'the trsvcid is not a port: traddr "192.0.2.1" trsvcid "1,\\x0ax" ' +
        'subnqn "nqn.2014-08.org.example:one"',
    );
  });

  it('never throws, whatever a dictionary holds', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.anything()), (dict) => {
        expect(typeof dictToEntry(dict).reason).toBe('string');
      }),
    );
  });
});

describe('what an entry means', () => {
  it('has NCC by the third bit of EFLAGS alone', () => {
    expect([0, 1, 2, 3, 4, 7, 8, 0xfffb].map((eflags) => hasNcc({ eflags }))).toEqual([
      false,
      false,
      false,
      false,
      true,
      true,
      false,
      false,
    ]);
  });

  it('names the controller, reached from where its DC is reached', () => {
    const from = { hostTraddr: '192.0.2.200', hostIface: 'eth0', hostNqn: 'nqn.host' };
    expect(entryToTid(decodeOne({}), from)).toEqual({
      transport: 'tcp',
      traddr: '192.0.2.1',
      trsvcid: '4420',
      subsysnqn: 'nqn.2014-08.org.example:one',
      ...from,
    });
  });

  it('gives a Fibre Channel controller no service, whatever the entry says', () => {
    const entry = decodeOne({ trtype: 2, adrfam: 4, traddr: FC_ADDRESS, trsvcid: 'none' });
    const from = { hostTraddr: FC_ADDRESS, hostIface: '', hostNqn: '' };
    expect(entryToTid(entry, from).trsvcid).toBe('');
  });
});
