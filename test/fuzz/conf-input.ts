/** Texts of configuration files, of every kind that the parsers may meet. */
import fc from 'fast-check';
import type { Daemon } from '../../src/config/option-table.ts';
import { confCorpus, confWords } from './corpus.ts';
import { mutatedText } from './mutate.ts';
import { FORMLESS_SECRET, SECRET } from './promises.ts';
import type { Family } from './target.ts';

/** `text` with a secret somewhere in it, whole. */
export function withSecret(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(text, fc.option(fc.nat()), fc.constantFrom(SECRET, SECRET, FORMLESS_SECRET))
    .map(([before, place, secret]) => {
      if (place === null) return before;
      const at = place % (before.length + 1);
      return before.slice(0, at) + secret + before.slice(at);
    });
}

/** Lines at every depth, of every kind. */
const indentedLines = fc
  .tuple(
    fc.array(
      fc.tuple(
        fc.constantFrom('', '', ' ', '  ', '\t', '\u00a0', '\ufeff', '\v'),
        fc.constantFrom('[Host]', '[A]', '[A]x', '[', 'nqn=old', 'id=1', 'ID = 2', 'k=', 'word'),
        fc.constantFrom('', '', '', '#', '; ', ' #'),
      ),
      { maxLength: 14 },
    ),
    fc.constantFrom('\n', '\r\n', '\r', '\n\n'),
    fc.constantFrom('', '\n', '\ufeff'),
  )
  .map(([lines, end, last]) => {
    const text = lines.map(([indent, word, mark]) => indent + mark + word).join(end);
    return last === '\ufeff' ? last + text : text + last;
  });

export const noise = fc.oneof(fc.string({ unit: 'binary' }), indentedLines);

export function fileText(file: Daemon | 'sys'): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 8, arbitrary: mutatedText(confCorpus(file), confWords(file)) },
    { weight: 1, arbitrary: mutatedText(indentedLines, confWords(file)) },
    { weight: 1, arbitrary: noise },
  );
}

/** Texts of a size, each of a shape that a careless parser takes long for. */
export function textFamilies(
  parse: (text: string) => unknown,
  start = '',
  entry = 'kato=1',
): Family[] {
  const section = start === '' ? '' : `[${start}]\n`;
  const of = (name: string, text: (n: number) => string): Family => ({
    name,
    make: (n) => {
      const input = section + text(n);
      return () => parse(input);
    },
  });
  const controller = 'controller=transport=tcp;traddr=192.0.2.1;nqn=nqn.x';
  return [
    of('a long line', (n) => 'x'.repeat(n * 4)),
    of('a long value', (n) => `${entry}${'1'.repeat(n * 4)}`),
    of('equals signs', (n) => '='.repeat(n * 4)),
    of('a value of equals signs', (n) => `k${'='.repeat(n * 4)}`),
    of('semicolons', (n) => `controller=${';'.repeat(n * 4)}`),
    of('spaces', (n) => ' '.repeat(n * 4)),
    of('spaces before a word', (n) => `${' '.repeat(n * 4)}x`),
    of('spaces within', (n) => `k${' '.repeat(n * 4)}=${' '.repeat(n * 4)}v`),
    of('brackets', (n) => '['.repeat(n * 2) + ']'.repeat(n * 2)),
    of('empty lines', (n) => '\n'.repeat(n * 4)),
    of('carriage returns', (n) => '\r'.repeat(n * 4)),
    of('comments', (n) => '# comment\n'.repeat(n)),
    of('a key again and again', (n) => `${entry}\n`.repeat(n)),
    of('other keys', (n) => Array.from({ length: n }, (_, i) => `k${i}=v`).join('\n')),
    of('other sections', (n) => Array.from({ length: n }, (_, i) => `[s${i}]`).join('\n')),
    of('a section again and again', (n) => `[${start}]\n${entry}\n`.repeat(n)),
    of('continuation lines', (n) => `${entry}\n${'  more\n'.repeat(n)}`),
    of('deeper and deeper', (n) =>
      Array.from({ length: Math.ceil(Math.sqrt(n * 8)) }, (_, i) => `${' '.repeat(i)}k=v`).join(
        '\n',
      ),
    ),
    of('lines without meaning', (n) => 'word\n'.repeat(n)),
    of('equal controllers', (n) => `${controller}\n`.repeat(n)),
    of('different controllers', (n) =>
      Array.from({ length: n }, (_, i) => `${controller};host-nqn=nqn.${i}`).join('\n'),
    ),
    of('continued controllers', (n) =>
      ['controller=', ...new Array<string>(n).fill('  transport=tcp;traddr=a;nqn=x')].join('\n'),
    ),
    of('excludes', (n) => 'exclude=host-iface=eth0;traddr=\n'.repeat(n)),
    of('words joined by +', (n) => `ip-family=ipv4${'+ipv4'.repeat(n)}`),
  ];
}
