import { expect, test } from 'vitest';
import fc from 'fast-check';
import { oneLine } from '../../../src/platform/log-text.ts';

test.each([
  ['plain text, ünïcödé, 漢字, 🙂', 'plain text, ünïcödé, 漢字, 🙂'],
  ['two\nlines\r\n', 'two\\nlines\\r\\n'],
  ['a\ttab', 'a\\ttab'],
  ['\u0000\u001b[31mred\u007f', '\\x00\\x1b[31mred\\x7f'],
  ['next\u0085line\u009b', 'next\\u{0085}line\\u{009b}'],
  ['\u2028\u2029', '\\u{2028}\\u{2029}'],
  ['\u202eevil\u2066', '\\u{202e}evil\\u{2066}'],
  ['half \ud800 and \udc00', 'half \\u{d800} and \\u{dc00}'],
  ['\ufeffbom\u200b', '\\u{feff}bom\\u{200b}'],
  ['nvmf-connect@--device\\x3dnvme0.service', 'nvmf-connect@--device\\x3dnvme0.service'],
  ['', ''],
])('%j becomes %j', (text, expected) => {
  expect(oneLine(text, 200)).toBe(expected);
});

test('a text that is too long is cut and says how long it was', () => {
  expect(oneLine('x'.repeat(100), 40)).toBe(`${'x'.repeat(22)}… [100 characters]`);
  expect(oneLine('\n'.repeat(30), 40)).toBe(`${'\\n'.repeat(11)}… [30 characters]`);
  expect(oneLine('🙂'.repeat(30), 40)).toBe(`${'🙂'.repeat(11)}… [60 characters]`);
  expect(oneLine('x'.repeat(40), 40)).toBe('x'.repeat(40));
});

test('any text becomes one line of bounded length that UTF-8 can hold', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.integer({ min: 40, max: 200 }),
      (text, limit) => {
        const line = oneLine(text, limit);
        expect(line.length).toBeLessThanOrEqual(limit);
        expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
        expect(Buffer.from(line).toString()).toBe(line);
      },
    ),
  );
});
