import { describe, expect, it } from 'vitest';
import { describeEntry, readEntry } from '../../discovery-controller/entry.ts';
import { InputError } from '../../discovery-controller/json.ts';

const bytesOf = (value: unknown): Buffer => readEntry(value, 'entry', 'e1').bytes;

describe('a scripted log page entry', () => {
  it('has every field at its place', () => {
    const bytes = bytesOf({
      trtype: 'rdma',
      adrfam: 'ipv6',
      subtype: 'referral',
      treq: 'required',
      portid: 0x1234,
      cntlid: 'static',
      asqsz: 0x40,
      eflags: ['dupretinfo', 'epcsd', 'ncc'],
      trsvcid: '4420',
      subnqn: 'nqn.2024-01.org.example:s',
      traddr: 'fe80::1',
      tsas: { qptype: 1, prtype: 3, cms: 1, pkey: 0xabcd },
    });
    expect(bytes.length).toBe(1024);
    expect(bytes.toString('hex', 0, 12)).toBe('010201013412feff40000700');
    expect(bytes.toString('latin1', 32, 64)).toBe('4420'.padEnd(32));
    expect(bytes.toString('latin1', 256, 282)).toBe('nqn.2024-01.org.example:s\0');
    expect(bytes.toString('latin1', 512, 768)).toBe('fe80::1'.padEnd(256));
    expect(bytes.toString('hex', 768, 778)).toBe('0103010000000000cdab');
  });

  it('pads as asked and takes raw bytes', () => {
    const bytes = bytesOf({
      traddr: { text: '10.0.0.1', pad: 'nul' },
      trsvcid: { hex: 'ff000a' },
      subnqn: { text: 'nqn.x', pad: 'space' },
    });
    expect(bytes.toString('latin1', 512, 522)).toBe('10.0.0.1\0\0');
    expect(bytes.toString('hex', 32, 36)).toBe('ff000a00');
    expect(bytes.toString('latin1', 256, 264)).toBe('nqn.x   ');
  });

  it('can be any 1024 bytes', () => {
    const raw = Buffer.alloc(1024, 0xee);
    expect(bytesOf({ raw: raw.toString('hex') }).equals(raw)).toBe(true);
  });

  it('describes itself without padding', () => {
    const entry = readEntry({ traddr: '10.0.0.1', trsvcid: '8009', subtype: 1 }, 'entry', 'e1');
    expect(describeEntry(entry)).toMatchObject({
      id: 'e1',
      trtype: 'tcp',
      subtype: 'referral',
      traddr: '10.0.0.1',
      trsvcid: '8009',
    });
  });

  it.each([
    ['an unknown member', { tradr: 'x' }],
    ['a text that does not fit', { trsvcid: 'x'.repeat(33) }],
    ['an unknown name', { trtype: 'infiniband' }],
    ['a number out of range', { portid: 65536 }],
    ['odd hexadecimal', { traddr: { hex: 'abc' } }],
    ['an unknown flag', { eflags: ['nope'] }],
    ['a name that every object has', { trtype: 'constructor' }],
  ])('refuses %s', (_what, value) => {
    expect(() => bytesOf(value)).toThrow(InputError);
  });
});
