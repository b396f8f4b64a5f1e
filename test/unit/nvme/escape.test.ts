import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escapeText } from '../../../src/nvme/escape.ts';

describe('escapeText', () => {
  it.each([
    ['plain text', 'plain text'],
    ['größer ☃', 'größer ☃'],
    ['a\nb\r\0', 'a\\x0ab\\x0d\\x00'],
    ['\u001b[31mred', '\\x1b[31mred'],
    ['back\\slash', 'back\\\\slash'],
    ['\u202Eevil', '\\xe2\\x80\\xaeevil'],
    ['\u2028', '\\xe2\\x80\\xa8'],
    ['\u0085', '\\xc2\\x85'],
    ['\uD800', '\\xef\\xbf\\xbd'],
  ])('shows %j as %s', (text, expected) => {
    expect(escapeText(text)).toBe(expected);
  });

  it('shows bytes that are not UTF-8 one by one, and the characters between them', () => {
    const bytes = Uint8Array.of(0x61, 0xff, 0xc3, 0xa9, 0xc3, 0x62, 0xe2, 0x98, 0xf8);
    expect(escapeText(bytes)).toBe('a\\xffé\\xc3b\\xe2\\x98\\xf8');
  });

  it('shows an overlong encoding and an encoded surrogate as bytes', () => {
    expect(escapeText(Uint8Array.of(0xc0, 0xaf))).toBe('\\xc0\\xaf');
    expect(escapeText(Uint8Array.of(0xed, 0xa0, 0x80))).toBe('\\xed\\xa0\\x80');
  });

  it('marks what it cuts off', () => {
    expect(escapeText('x'.repeat(100), 10)).toBe(`${'x'.repeat(9)}…`);
    expect(escapeText('\n'.repeat(100), 10)).toBe('\\x0a\\x0a…');
  });

  it('never lets a control or invisible character through, nor more than asked for', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'binary', maxLength: 400 }), fc.uint8Array({ maxLength: 400 })),
        fc.integer({ min: 1, max: 300 }),
        (input, length) => {
          const escaped = escapeText(input, length);
          expect(/[\p{C}\p{Zl}\p{Zp}]/u.test(escaped)).toBe(false);
          expect(escaped.length).toBeLessThanOrEqual(length);
        },
      ),
    );
  });

  it('gives the same for a text and its UTF-8', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 100 }), (text) => {
        expect(escapeText(new TextEncoder().encode(text), 5000)).toBe(escapeText(text, 5000));
      }),
    );
  });
});
