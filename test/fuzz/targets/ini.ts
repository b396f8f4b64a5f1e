/** INI text: what it is read as, and how one value of it is changed. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { setIniValue, setIniValueInBytes } from '../../../src/config/ini-edit.ts';
import { parseIni, splitLines, type IniEntry } from '../../../src/config/ini-text.ts';
import { mutatedBytes } from '../mutate.ts';
import { fileText, noise, textFamilies } from '../conf-input.ts';
import { defineTarget } from '../target.ts';

const iniText = defineTarget<string>({
  name: 'ini-text',
  cases: 15_000,
  input: fc.oneof(fileText('stafd'), fileText('sys'), noise),
  size: (text) => text.length,
  check: (text) => {
    const ini = parseIni(text);
    const lines = splitLines(text.replace(/^\ufeff/, ''));
    const lineAt = (line: number): string => {
      assert.ok(Number.isInteger(line) && line >= 1 && line <= lines.length, `line ${line}`);
      return lines[line - 1] ?? '';
    };
    const taken = new Set<number>();
    const take = (line: number): void => {
      assert.ok(!taken.has(line), `line ${line} is taken twice`);
      taken.add(line);
    };
    for (const { column, line, name } of ini.sections) {
      assert.ok(lineAt(line).startsWith(`[${name}]`, column - 1));
      take(line);
    }
    for (const entry of ini.entries) {
      take(entry.line);
      assert.equal(entry.key, entry.key.trim().toLowerCase());
      assert.ok(entry.key !== '' && !entry.key.includes('='));
      const fromKey = lineAt(entry.line).slice(entry.keyColumn - 1);
      assert.equal(fromKey.trimStart().split('=', 1)[0]?.trim().toLowerCase(), entry.key);
      assert.equal(fromKey, fromKey.trimStart());
      assert.equal(
        lineAt(entry.line)
          .slice(entry.column - 1)
          .trimEnd(),
        entry.value,
      );
      for (const { line, text: more } of entry.continuations) {
        take(line);
        assert.equal(lineAt(line).trim(), more);
      }
    }
    for (const { column, kind, line } of ini.faults) {
      const { length } = lineAt(line);
      assert.ok(column >= 1 && column <= length, `column ${column} of ${length}`);
      if (kind !== 'after-header') take(line);
    }
    for (const [index, line] of lines.entries()) {
      const says = !/^\s*(?:[#;]|$)/u.test(line);
      assert.equal(taken.has(index + 1), says, `line ${index + 1}: ${JSON.stringify(line)}`);
    }
  },
  families: textFamilies(parseIni, 'A', 'k=v'),
});

interface Edit {
  readonly text: string;
  readonly key: string;
  readonly value: string | undefined;
}

function linesOf(entry: IniEntry): number[] {
  return [entry.line, ...entry.continuations.map(({ line }) => line)];
}

/** A text without the lines of one option, and what is read from the rest. */
function others(text: string, key: string) {
  const ini = parseIni(text);
  const own = ini.entries.filter((entry) => entry.section === 'Host' && entry.key === key);
  const ownLines = new Set(own.flatMap(linesOf));
  const rest = ini.entries.filter((entry) => !own.includes(entry));
  return {
    own,
    lines: splitLines(text).filter((_, index) => !ownLines.has(index + 1)),
    meaning: {
      entries: rest.map(({ continuations, key: name, section, value }) => [
        section,
        name,
        value,
        ...continuations.map(({ text: more }) => more),
      ]),
      faults: ini.faults.map(({ kind, text: what }) => [kind, what]),
    },
  };
}

const lineValue = fc
  .oneof(
    fc.constantFrom('new', 'a = b ; c # d', '[x]', '#', '=', '', 'file:///etc/nvme/hostnqn'),
    fc.string({ unit: 'binary', maxLength: 20 }),
  )
  .map((text) => text.replaceAll(/[\r\n]/g, '').trim());

const iniEdit = defineTarget<Edit>({
  name: 'ini-edit',
  cases: 15_000,
  input: fc.record({
    text: fc.oneof(fileText('sys'), noise),
    key: fc.constantFrom('nqn', 'id', 'key', 'symname'),
    value: fc.option(lineValue, { nil: undefined }),
  }),
  size: ({ text }) => text.length,
  check: ({ key, text, value }) => {
    const after = setIniValue(text, 'Host', key, value);
    const [was, is] = [others(text, key), others(after, key)];
    assert.deepEqual(
      is.own.map((entry) => [entry.value, entry.continuations.length]),
      value === undefined ? [] : [[value, 0]],
    );
    assert.deepEqual(is.meaning, was.meaning);
    // Every other line is there, in its order; a header may have come, and an empty line before it.
    const rest = is.lines.slice();
    const added = parseIni(after).sections.length - parseIni(text).sections.length;
    if (added === 0) {
      assert.deepEqual(
        rest.filter((line) => line !== ''),
        was.lines.filter((line) => line !== ''),
      );
    } else {
      assert.deepEqual(rest.slice(0, was.lines.length - 1), was.lines.slice(0, -1));
      assert.equal(rest.filter((line) => line === '[Host]').length, added);
    }
    assert.equal(setIniValue(after, 'Host', key, value), after, 'a second time changes it');
    if (value === undefined && was.own.length === 0) assert.equal(after, text);
  },
  families: [
    ...textFamilies((text) => setIniValue(text, 'Host', 'nqn', 'new'), 'Host', 'nqn=old'),
    ...textFamilies((text) => setIniValue(text, 'Host', 'nqn', 'new'), 'Host', 'id=old').map(
      (family) => ({ ...family, name: `${family.name}, a new key` }),
    ),
  ],
});

interface ByteEdit {
  readonly bytes: Uint8Array;
  readonly value: string | undefined;
}

/** The lines of bytes, one character a byte. */
function byteLines(bytes: Buffer): readonly string[] {
  return splitLines(bytes.toString('latin1'));
}

const iniEditBytes = defineTarget<ByteEdit>({
  name: 'ini-edit-bytes',
  cases: 10_000,
  input: fc.record({
    bytes: mutatedBytes(
      fc.oneof(
        fc.oneof(fileText('sys'), noise).map((text) => new Uint8Array(Buffer.from(text))),
        noise.map((text) => new Uint8Array(Buffer.from(text, 'utf16le'))),
        noise.map((text) => new Uint8Array(Buffer.from(text, 'latin1'))),
      ),
    ),
    value: fc.option(lineValue, { nil: undefined }),
  }),
  size: ({ bytes }) => bytes.length,
  check: ({ bytes, value }) => {
    const before = Buffer.from(bytes);
    // UTF-8 has no halves of surrogate pairs.
    const wanted = value === undefined ? undefined : Buffer.from(value).toString();
    const after = setIniValueInBytes(before, 'Host', 'nqn', wanted);
    assert.equal(after.toString(), setIniValue(before.toString(), 'Host', 'nqn', wanted));
    // Every other line is there in its order, byte by byte; after a line that CR ends, an empty one
    // that LF ends is one no more.
    const own = new Set(others(before.toString(), 'nqn').own.flatMap(linesOf));
    const rest = byteLines(before).filter((line, index) => line !== '' && !own.has(index + 1));
    const lines = byteLines(after);
    let found = 0;
    for (const line of lines) if (line === rest[found]) found += 1;
    assert.equal(found, rest.length, `line ${found + 1} of the rest is gone`);
    const added = lines.filter((line) => line !== '').length - rest.length;
    assert.ok(added <= 2, `${added} lines beside a header and an entry are new`);
  },
});

export const iniTargets = [iniText, iniEdit, iniEditBytes];
