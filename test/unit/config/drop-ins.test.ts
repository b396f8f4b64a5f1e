import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatProblem } from '../../../src/config/problem.ts';
import { parseServiceConfig } from '../../../src/config/service-config.ts';

function parse(...texts: readonly string[]): ReturnType<typeof parseServiceConfig> {
  const sources = texts.map((text, index) => ({ file: `F${String(index)}`, text }));
  return parseServiceConfig('stafd', sources);
}

function lines(...texts: readonly string[]): string[] {
  return parse(...texts).problems.map(formatProblem);
}

const MANAGEMENT = '[Discovery controller connection management]';

describe('several files', () => {
  it('add controllers and excludes, each with its place', () => {
    const { config, problems } = parse(
      '[Controllers]\ncontroller=transport=tcp;traddr=192.0.2.1\nexclude=host-iface=eth1\n',
      '[Controllers]\nexclude=host-iface=eth2\ncontroller=transport=tcp;traddr=192.0.2.2\n',
    );
    expect(problems).toEqual([]);
    expect(config.controllers.map(({ file, line, tid }) => [file, line, tid.traddr])).toEqual([
      ['F0', 2, '192.0.2.1'],
      ['F1', 3, '192.0.2.2'],
    ]);
    expect(config.excludes.map(({ file, line }) => [file, line])).toEqual([
      ['F0', 3],
      ['F1', 2],
    ]);
  });

  it('override what is one value, the later ones the earlier ones, without a word', () => {
    const { config, problems } = parse(
      '[Global]\nkato=1\nqueue-size=32\n[Service Discovery]\nzeroconf=disabled\n',
      '[Global]\nkato=2\n',
      '[Global]\nkato=3\nhdr-digest=true\n',
    );
    expect(problems).toEqual([]);
    expect(config.options).toMatchObject({ kato: 3, queueSize: 32, hdrDigest: true });
    expect(config.zeroconf).toBe(false);
  });

  it('keep a value that the later one spoils, and name it', () => {
    const texts = ['[Global]\nkato=1\n', '[Global]\nkato=x\n', '[Global]\nqueue-size=1\n'];
    expect(parse(...texts).config.options.kato).toBe(1);
    expect(lines(...texts)).toEqual([
      'F1:2:6: [Global] kato: "x" is not a whole number (allowed: 0 and more, in seconds); ' +
        'F0, line 2 applies',
      'F2:2:12: [Global] queue-size: "1" is out of range (allowed: 16 to 1024); ' +
        'the default applies',
    ]);
  });

  it('report what is given twice in one of them only', () => {
    expect(lines('[Global]\nkato=1\nkato=2\n', '[Global]\nkato=3\n')).toEqual([
      'F0:2:6: [Global] kato: "1" is given again further down; line 3 counts',
    ]);
  });

  it('name the other file where both have the same controller', () => {
    const entry = '[Controllers]\ncontroller=transport=tcp;traddr=192.0.2.1\n';
    expect(lines(entry, entry)).toEqual([
      'F1:2: [Controllers] controller: is the same controller as in F0, line 2; ' +
        'the first one counts',
    ]);
  });

  it('begin without a section, whatever the file before ended in', () => {
    expect(lines('[Global]\n', 'kato=1\n')).toEqual([
      'F1:1:1: "kato=1" is a line before the first section; the line is ignored',
    ]);
  });

  it.each<[string, string, boolean]>([
    ['[Global]\npersistent-connections=true', `${MANAGEMENT}\npersistent-connections=false`, false],
    [`${MANAGEMENT}\npersistent-connections=false`, '[Global]\npersistent-connections=true', true],
    [`${MANAGEMENT}\npersistent-connections=false`, '[Global]\npersistent-connections=x', false],
    [`${MANAGEMENT}\npersistent-connections=false`, '[Global]\ntron=true', false],
  ])('read persistent-connections at its places: %j, then %j', (first, second, expected) => {
    expect(parse(first, second).config.persistentConnections).toBe(expected);
  });

  it('say what they say one after the other, however they are cut', () => {
    const option = fc.oneof(
      fc.integer({ min: 0, max: 99 }).map((value) => `[Global]\nkato=${String(value)}\n`),
      fc.integer({ min: 16, max: 99 }).map((value) => `[Global]\nqueue-size=${String(value)}\n`),
      fc
        .integer({ min: 1, max: 20 })
        .map((host) => `[Controllers]\ncontroller=transport=tcp;traddr=192.0.2.${String(host)}\n`),
      fc
        .integer({ min: 1, max: 9 })
        .map((n) => `[Controllers]\nexclude=host-iface=e${String(n)}\n`),
    );
    fc.assert(
      fc.property(fc.array(fc.array(option, { maxLength: 4 }), { maxLength: 5 }), (files) => {
        const apart = parse(...files.map((texts) => texts.join(''))).config;
        const together = parse(files.flat().join('')).config;
        const plain = ({ controllers, excludes, options }: typeof apart): unknown => ({
          options,
          controllers: controllers.map(({ tid }) => tid.traddr),
          excludes: excludes.map(({ hostIface }) => hostIface),
        });
        expect(plain(apart)).toEqual(plain(together));
      }),
    );
  });
});

it('asks for the present place of an option that moved', () => {
  expect(lines('[Global]\npersistent-connections=false\n')).toEqual([
    'F0:2:1: [Global] persistent-connections: is an earlier name of an option ' +
      '(allowed: [Discovery controller connection management] persistent-connections); ' +
      'it applies all the same',
  ]);
});
