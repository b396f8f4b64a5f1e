import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeDim } from '../../discovery-controller/dim.ts';
import { hostRegistration } from './registration.ts';

describe('DIM data', () => {
  it('shows who registers, from where and under which symbolic name', () => {
    const result = decodeDim(hostRegistration({ symbolicName: 'rack 7' }));
    expect(result).toMatchObject({
      kind: 'ok',
      dim: {
        nument: 1,
        entryFormat: 2,
        entityType: 1,
        entryKeyType: 0x5f,
        entityId: 'nqn.2024-01.org.example:host',
        entityName: 'host.example.org',
        entityVersion: 'Linux 6.12',
        entries: [
          {
            trtype: 3,
            adrfam: 1,
            nqn: 'nqn.2024-01.org.example:host',
            hostid: '0123456789abcdef0123456789abcdef',
            symbolicName: 'rack 7',
          },
        ],
      },
    });
  });

  it('does without a symbolic name', () => {
    const result = decodeDim(hostRegistration({}));
    expect(result.kind === 'ok' && result.dim.entries[0]).not.toHaveProperty('symbolicName');
  });

  it.each([
    ['a total length that is not the length', 0, 4, 99],
    ['a reserved entry format', 16, 2, 7],
    ['more entries than there is room for', 8, 4, 0xffffffff],
    ['one entry too many', 8, 4, 2],
    ['an entry longer than the data', 1024 + 1024, 4, 0x7fffffff],
    ['an entry shorter than its head', 1024 + 1024, 4, 12],
    ['an attribute longer than its entry', 1024 + 1032 + 2, 2, 4096],
    ['an attribute of odd length', 1024 + 1032 + 2, 2, 13],
    ['more attributes than the entry holds', 1024 + 1028, 2, 50],
  ])('finds %s', (_what, offset, size, value) => {
    const data = hostRegistration({ symbolicName: 'x' });
    data.writeUIntLE(value, offset, size);
    expect(decodeDim(data).kind).toBe('bad');
  });

  it('survives any bytes', () => {
    const good = hostRegistration({ symbolicName: 'x' });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 40 }),
        fc.nat(good.length),
        (changes, length) => {
          const data = Buffer.from(good.subarray(0, length));
          for (const [offset, value] of changes) if (offset < length) data[offset] = value;
          expect(['ok', 'bad']).toContain(decodeDim(data).kind);
        },
      ),
    );
  });
});
