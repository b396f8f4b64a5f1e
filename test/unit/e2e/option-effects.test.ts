/** No option without a test that sees what it does: holds the scenarios to the option table. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fieldsOf, findField } from '../../../src/config/field-table.ts';
import { parseIni } from '../../../src/config/ini-text.ts';
import { OPTIONS, type ConfigFile } from '../../../src/config/option-table.ts';
import {
  field,
  inFile,
  option,
  type Files,
  type OptionName,
} from '../../e2e/option-effects/effect.ts';
import { ELSEWHERE, SCENARIOS } from '../../e2e/option-effects/registry.ts';

const DAEMONS = ['stafd', 'stacd'] as const;
const ENTRIES = ['controller', 'exclude'] as const;

function everyOption(): readonly OptionName[] {
  const options = OPTIONS.flatMap(({ files, key, section, value }) =>
    files.flatMap((file) =>
      value.kind === 'text-or-file'
        ? [option(file, section, key), inFile(file, section, key)]
        : [option(file, section, key)],
    ),
  );
  const fields = DAEMONS.flatMap((daemon) =>
    ENTRIES.flatMap((entry) => fieldsOf(entry).map(({ name }) => field(daemon, entry, name))),
  );
  return [...options, ...fields];
}

/** The options that files set, fields and the two ways of giving a text included. */
function setBy(files: readonly Files[]): ReadonlySet<OptionName> {
  const names = new Set<OptionName>();
  for (const [file, text] of files.flatMap((moment) => Object.entries(moment))) {
    for (const { key, section, value } of parseIni(text).entries) {
      names.add(option(file as ConfigFile, section, key));
      if (value.startsWith('file://')) names.add(inFile(file as ConfigFile, section, key));
      const entry = ENTRIES.find((one) => one === key);
      const daemon = DAEMONS.find((one) => one === file);
      if (entry === undefined || daemon === undefined) continue;
      for (const part of value.split(';')) {
        const name = findField(entry, part.split('=')[0]?.trim() ?? '')?.name;
        if (name !== undefined) names.add(field(daemon, entry, name));
      }
    }
  }
  return names;
}

const shown = SCENARIOS.flatMap(({ effects }) => effects.flatMap(({ of }) => of));

describe('every option', () => {
  it('has a scenario that shows what it does', () => {
    const all = [...shown, ...ELSEWHERE.flatMap(({ of }) => of)];
    expect([...new Set(all)].sort()).toEqual([...everyOption()].sort());
  });

  it.each(SCENARIOS)('that "$title" claims to show is set in its files', ({ effects, files }) => {
    const set = setBy(files);
    expect(effects.flatMap(({ of }) => of).filter((name) => !set.has(name))).toEqual([]);
  });

  it.each(ELSEWHERE)('that is shown elsewhere is shown there: $title', ({ file, of, title }) => {
    const text = readFileSync(new URL(`../../e2e/${file}`, import.meta.url), 'utf8');
    expect(text).toContain(`it('${title}'`);
    for (const name of of) expect(text).toContain(`${name.split(' ').at(-1) ?? name} =`);
  });

  it('has a title of its own', () => {
    for (const { effects } of SCENARIOS) {
      const titles = effects.map(({ title }) => title);
      expect(new Set(titles).size).toBe(titles.length);
    }
  });
});
