import fc from 'fast-check';
import { parse } from 'ini';
import { describe, expect, it } from 'vitest';
import { parseIni } from '../../../src/config/ini-text.ts';

/** Entries as `section/key=value|continuation…`. */
function shown(text: string): string[] {
  return parseIni(text).entries.map(
    ({ section, key, value, continuations }) =>
      `${section}/${key}=${[value, ...continuations.map((each) => each.text)].join('|')}`,
  );
}

function faults(text: string): string[] {
  return parseIni(text).faults.map(({ kind, line, column }) => `${line}:${column} ${kind}`);
}

describe('parseIni', () => {
  it('keeps repeated keys in file order, over sections that repeat', () => {
    const text = '[A]\nx=1\n[B]\nx=2\n[A]\nX = 3\nx=4\n';
    expect(shown(text)).toEqual(['A/x=1', 'B/x=2', 'A/x=3', 'A/x=4']);
    expect(parseIni(text).sections).toEqual([
      { name: 'A', line: 1, column: 1 },
      { name: 'B', line: 3, column: 1 },
      { name: 'A', line: 5, column: 1 },
    ]);
  });

  it('tells the line of an entry and the columns of its key and value', () => {
    const [entry] = parseIni('[A]\n\n  key  =   some value  \n').entries;
    expect(entry).toEqual({
      section: 'A',
      key: 'key',
      value: 'some value',
      line: 3,
      keyColumn: 3,
      column: 12,
      continuations: [],
    });
  });

  it('takes keys in any case, and sections as they are', () => {
    expect(shown('[a B]\nKeY=V\n')).toEqual(['a B/key=V']);
  });

  it('ignores lines of comment, and knows no comment within a line', () => {
    expect(shown('# c\n; c\n[A]\n  # k=1\n;k=2\nk=3 # not ; a comment\n')).toEqual([
      'A/k=3 # not ; a comment',
    ]);
  });

  it('splits at the first equals sign', () => {
    expect(shown('[A]\nk=a=b==\n')).toEqual(['A/k=a=b==']);
  });

  it('continues a value by lines that are indented deeper, over comments and empty lines', () => {
    const text = '[A]\ncontroller=\n  a=1\n\n # c\n  b=2\nc=3\n';
    expect(shown(text)).toEqual(['A/controller=|a=1|b=2', 'A/c=3']);
  });

  it('takes an indented entry for one where nothing can be continued', () => {
    expect(shown('[A]\n  a=1\n  b=2\n    more\n  [B]\n c=3\n')).toEqual([
      'A/a=1',
      'A/b=2|more',
      'B/c=3',
    ]);
  });

  it('reports what is no entry, and goes on', () => {
    const text = 'x=1\n[A]\nword\n=v\n[]\n[open\n [B] more\nk=1\n';
    expect(faults(text)).toEqual([
      '1:1 before-section',
      '3:1 no-equals',
      '4:1 no-key',
      '5:1 bad-header',
      '6:1 bad-header',
      '7:5 after-header',
    ]);
    expect(shown(text)).toEqual(['B/k=1']);
  });

  it.each(['\n', '\r\n', '\r'])('takes %j for the end of a line', (end) => {
    expect(shown(['[A]', 'a=1', 'b=2'].join(end))).toEqual(['A/a=1', 'A/b=2']);
  });

  it('ignores a byte order mark', () => {
    expect(shown('\uFEFF[A]\na=1')).toEqual(['A/a=1']);
  });

  it('holds keys that are names of Object.prototype', () => {
    expect(shown('[__proto__]\nconstructor=1\n__proto__=2\n')).toEqual([
      '__proto__/constructor=1',
      '__proto__/__proto__=2',
    ]);
  });

  it('never fails, and loses no line that says something', () => {
    const line = fc.constantFrom('[A]', '[B', 'k=v', ' k = v', '   more', '# c', '', '=', 'word');
    fc.assert(
      fc.property(fc.array(fc.oneof(line, fc.string()), { maxLength: 30 }), (lines) => {
        const ini = parseIni(lines.join('\n'));
        const spoken = lines
          .join('\n')
          .replace(/^\uFEFF/, '')
          .split(/\r\n|\r|\n/)
          .filter((each) => !/^\s*(?:[#;]|$)/u.test(each)).length;
        const continued = ini.entries.reduce((sum, each) => sum + each.continuations.length, 0);
        const doubled = ini.faults.filter(({ kind }) => kind === 'after-header').length;
        expect(
          ini.sections.length + ini.entries.length + continued + ini.faults.length - doubled,
        ).toBe(spoken);
      }),
    );
  });

  it('agrees with the npm package `ini` where that one can read such files', () => {
    const word = fc.stringMatching(/^[a-z][a-z0-9]{0,7}$/).filter((each) => each !== 'true');
    const sections = fc.dictionary(word, fc.dictionary(word, word, { maxKeys: 5 }), { maxKeys: 5 });
    fc.assert(
      fc.property(sections, (data) => {
        const text = Object.entries(data)
          .map(([name, entries]) => {
            const lines = Object.entries(entries).map(([key, value]) => `${key} = ${value}`);
            return [`[${name}]`, ...lines, ''].join('\n');
          })
          .join('\n');
        const ours: Record<string, Record<string, unknown>> = {};
        const ini = parseIni(text);
        for (const { name } of ini.sections) ours[name] = {};
        for (const { section, key, value } of ini.entries) {
          const constant = ['false', 'null'].includes(value);
          ours[section] = {
            ...ours[section],
            [key]: constant ? (JSON.parse(value) as unknown) : value,
          };
        }
        expect(ours).toEqual(JSON.parse(JSON.stringify(parse(text))));
      }),
    );
  });

  it('reads what that package cannot: semicolons, repeated keys', () => {
    const text = '[Controllers]\ncontroller=transport=tcp;traddr=a\ncontroller=transport=tcp\n';
    expect(parse(text)['Controllers']).toEqual({ controller: 'transport=tcp' });
    expect(shown(text)).toEqual([
      'Controllers/controller=transport=tcp;traddr=a',
      'Controllers/controller=transport=tcp',
    ]);
  });
});
