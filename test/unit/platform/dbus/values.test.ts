import { BusVariant } from '../../../../src/ports/bus.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSignature } from '../../../../src/platform/dbus/signature.ts';
import { checkBody, withoutVariants } from '../../../../src/platform/dbus/values.ts';

describe('signatures', () => {
  it('are read as their complete types', () => {
    expect(parseSignature('')).toEqual([]);
    expect(parseSignature('sa{ss}')).toEqual([
      { kind: 'basic', code: 's' },
      { kind: 'dictionary', key: 's', value: { kind: 'basic', code: 's' } },
    ]);
    expect(parseSignature('a(sv)')).toEqual([
      {
        kind: 'array',
        element: { kind: 'struct', fields: [{ kind: 'basic', code: 's' }, { kind: 'variant' }] },
      },
    ]);
  });

  it.each([
    'a',
    '(',
    '()',
    '(s',
    's)',
    'z',
    'h',
    'a{s}',
    'a{sss}',
    'a{vs}',
    'a{ss',
    '{ss}',
    'r',
    'e',
    `${'a'.repeat(40)}s`,
    's'.repeat(256),
  ])('refuses %s', (text) => {
    expect(() => parseSignature(text)).toThrow(
      expect.objectContaining({ errorName: 'org.freedesktop.DBus.Error.InvalidSignature' }),
    );
  });

  it('are never read wrongly or for ever, whatever they are', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('s', 'a', '{', '}', '(', ')', 'v', 'y', 'h') }),
        (text) => {
          try {
            expect(parseSignature(text).length).toBeLessThanOrEqual(text.length);
          } catch (error) {
            expect(error).toMatchObject({ name: 'BusError' });
          }
        },
      ),
    );
  });
});

describe('values to send', () => {
  it.each([
    ['y', [0, 255], [-1, 256, 1.5, '1']],
    ['n', [-32768, 32767], [-32769, 32768]],
    ['q', [0, 65535], [-1, 65536]],
    ['i', [-2147483648, 2147483647], [-2147483649, 2147483648]],
    ['u', [0, 4294967295], [-1, 4294967296, NaN]],
    ['b', [true, false], [0, 1, 'true', null]],
    ['d', [0, -1.5], [NaN, Infinity, '1']],
    ['s', ['', 'ä'], [1, null, undefined, ['a']]],
    ['o', ['/', '/a/b_1'], ['', 'a', '/a/', '//', '/a-b', 1]],
    ['g', ['', 'sa{ss}'], ['a', 1]],
    ['as', [[], ['a']], ['a', [1], {}, null]],
    ['ay', [Buffer.from('a'), [1, 2]], [[256], 'a']],
    ['ai', [[1]], [Buffer.from('a')]],
    ['a{ss}', [{}, { a: 'b' }], [[], null, { a: 1 }, 'a']],
    ['a{us}', [], [{ 1: 'a' }]],
    ['(si)', [['a', 1]], [['a'], ['a', 1, 2], ['a', 'b'], 'a']],
    ['v', [new BusVariant('s', 'a')], ['a', new BusVariant('s', 1), new BusVariant('ss', 'a')]],
  ])('of type %s', (signature, good, bad) => {
    for (const value of good) expect(checkBody(signature, [value])).toHaveLength(1);
    for (const value of bad) {
      expect(() => checkBody(signature, [value])).toThrow(
        expect.objectContaining({ name: 'BusError' }),
      );
    }
  });

  it('of 64 bits may be numbers or bigints, and become bigints', () => {
    expect(checkBody('tx', [1, -2n])).toEqual([1n, -2n]);
    for (const [signature, value] of [
      ['t', -1],
      ['t', 1n << 64n],
      ['x', 1n << 63n],
      ['t', 2 ** 60],
      ['t', 1.5],
    ] as const) {
      expect(() => checkBody(signature, [value])).toThrow(/argument 1/);
    }
  });

  it('name the place of what does not fit', () => {
    expect(() => checkBody('saa{ss}', ['', [{ a: 'b' }, { key: 7 }]])).toThrow(
      'argument 2[1].key is not a string',
    );
    expect(() => checkBody('ss', ['a'])).toThrow('1 values');
  });

  it('lose NUL, which D-Bus cannot carry, in values and keys', () => {
    expect(checkBody('a{ss}', [{ 'a\0': '\0b' }])).toEqual([{ 'a\ufffd': '\ufffdb' }]);
  });

  it('keep a key that means something to JavaScript', () => {
    const value: unknown = JSON.parse('{"__proto__":"a","constructor":"b"}');
    const [copy] = checkBody('a{ss}', [value]);
    expect(Object.entries(copy as object)).toEqual([
      ['__proto__', 'a'],
      ['constructor', 'b'],
    ]);
  });

  it('may not be more than the bus carries', () => {
    const half = 'x'.repeat(16_000_000);
    expect(checkBody('ss', [half, half])).toHaveLength(2);
    expect(() => checkBody('sss', [half, half, half])).toThrow(
      expect.objectContaining({ errorName: 'org.freedesktop.DBus.Error.LimitsExceeded' }),
    );
  });
});

describe('withoutVariants', () => {
  it('puts what is in variants in their place, at any depth', () => {
    const bytes = Buffer.from('a');
    const value = {
      a: new BusVariant('av', [new BusVariant('s', 'b'), new BusVariant('ay', bytes)]),
    };
    expect(withoutVariants(value)).toEqual({ a: ['b', bytes] });
    expect(withoutVariants([1n, true, 'x'])).toEqual([1n, true, 'x']);
  });
});
