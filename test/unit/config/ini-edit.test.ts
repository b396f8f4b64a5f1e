import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { setIniValue, setIniValueInBytes } from '../../../src/config/ini-edit.ts';
import { parseIni } from '../../../src/config/ini-text.ts';

const set = (text: string, value: string | undefined): string =>
  setIniValue(text, 'Host', 'nqn', value);

describe('setIniValue', () => {
  it('makes section and entry in an empty file', () => {
    expect(set('', 'x')).toBe('[Host]\nnqn=x\n');
  });

  it('adds the section at the end, whether or not the last line is ended', () => {
    expect(set('[A]\na=1\n', 'x')).toBe('[A]\na=1\n\n[Host]\nnqn=x\n');
    expect(set('[A]\na=1', 'x')).toBe('[A]\na=1\n\n[Host]\nnqn=x\n');
  });

  it('replaces the value and keeps what stands around it', () => {
    expect(set('# top\n[Host]\n  nqn =  old\n# end\n', 'new')).toBe(
      '# top\n[Host]\n  nqn =  new\n# end\n',
    );
  });

  it('replaces the one that counts, and drops earlier ones and continuations', () => {
    expect(set('[Host]\nnqn=a\nid=1\nnqn=b\n  c\n# end\n', 'new')).toBe(
      '[Host]\nid=1\nnqn=new\n# end\n',
    );
  });

  it('adds the entry below the comment that shows it', () => {
    expect(set('[Host]\n# nqn: about\n#nqn=file:///x\n\n# id: about\n#id=y\n', 'new')).toBe(
      '[Host]\n# nqn: about\n#nqn=file:///x\nnqn=new\n\n# id: about\n#id=y\n',
    );
  });

  it('adds the entry after the others of its section, not into the next one', () => {
    expect(set('[Host]\nid=1\n\n[Other]\nnqn=2\n', 'new')).toBe(
      '[Host]\nid=1\nnqn=new\n\n[Other]\nnqn=2\n',
    );
  });

  it('keeps the line ends of the file', () => {
    expect(set('[Host]\r\nid=1\r\n', 'new')).toBe('[Host]\r\nid=1\r\nnqn=new\r\n');
  });

  it('removes every line of a key, and is content if there is none', () => {
    expect(set('[Host]\nnqn=a\n  b\nid=1\nnqn=c\n', undefined)).toBe('[Host]\nid=1\n');
    expect(set('# only\n', undefined)).toBe('# only\n');
  });

  it.each(['a\nb', ' a', 'a\r'])('refuses %j for a value', (value) => {
    expect(() => set('', value)).toThrow(TypeError);
  });

  it('leaves the bytes of other lines as they are, whatever encoding they are of', () => {
    const before = Buffer.from(
      '# Caf\xe9 \x85\xa0\r\n[Host]\r\n\xa0id=1\r\nnqn = \xff\n# \xc3',
      'latin1',
    );
    const after = setIniValueInBytes(before, 'Host', 'nqn', 'nqn.größe à');
    expect(after.toString('latin1')).toBe(
      before.toString('latin1').replace('\xff', Buffer.from('nqn.größe à').toString('latin1')),
    );
    expect(setIniValueInBytes(before, 'Host', 'key', undefined)).toEqual(before);
  });

  it('finds the place of an entry after more entries than a call takes arguments', () => {
    const text = `[Host]\n${'id=1\n'.repeat(200_000)}`;
    expect(set(text, 'x')).toBe(`${text}nqn=x\n`);
  });

  it('changes what it is asked to change and nothing else, in any file', () => {
    const lines = fc.array(
      fc.constantFrom(
        '[Host]',
        '  [Host]',
        '\uFEFF[Host]',
        '[Other]',
        'nqn=old',
        '  nqn = old',
        ' id=1',
        '\uFEFFid=3',
        'id=2',
        '    more',
        '  word',
        'word',
        '#nqn=shown',
        '   # nqn = shown',
        '# text',
        '',
        '=',
        '[',
      ),
      { maxLength: 14 },
    );
    const end = fc.constantFrom('\n', '\r\n');
    const value = fc.constantFrom('new', 'a = b ; c # d', '[x]', '#', undefined);
    fc.assert(
      fc.property(lines, end, fc.boolean(), value, (content, eol, ended, wanted) => {
        const before = content.join(eol) + (ended ? eol : '');
        const after = set(before, wanted);
        const others = (text: string): unknown =>
          parseIni(text)
            .entries.filter(({ section, key }) => section !== 'Host' || key !== 'nqn')
            .map((entry) => [
              entry.section,
              entry.key,
              entry.value,
              entry.continuations.map(({ text: more }) => more),
            ]);
        const own = parseIni(after).entries.filter(
          ({ section, key }) => section === 'Host' && key === 'nqn',
        );
        expect(others(after)).toEqual(others(before));
        expect(own.map((entry) => [entry.value, entry.continuations])).toEqual(
          wanted === undefined ? [] : [[wanted, []]],
        );
        const comments = (text: string): string[] =>
          text.split(/\r?\n/).filter((line) => /^\s*#/.test(line));
        expect(comments(after)).toEqual(comments(before));
        expect(parseIni(after).faults.map(({ text }) => text)).toEqual(
          parseIni(before).faults.map(({ text }) => text),
        );
        expect(set(after, wanted)).toBe(after);
      }),
      { numRuns: 3000 },
    );
  });
});
