import { expect, test } from 'vitest';
import { fieldsOf, findField } from '../../../src/config/field-table.ts';
import { OPTIONS } from '../../../src/config/option-table.ts';
import { allowedText } from '../../../src/config/option-value.ts';

test('lists what an entry may name, in the order of its description', () => {
  expect(fieldsOf('exclude').map(({ name }) => name)).toEqual([
    'transport',
    'traddr',
    'trsvcid',
    'nqn',
    'host-iface',
    'host-nqn',
  ]);
});

test('has every option that a controller may have otherwise', () => {
  const overrides = fieldsOf('controller').filter((field) => field.overrides === true);
  const options = OPTIONS.filter(({ perController }) => perController === true);
  expect(overrides.map(({ name, value }) => ({ name, value }))).toEqual(
    options.map(({ key, value }) => ({ name: key, value })),
  );
});

test('says of every field what it takes, and what applies without it unless it is mandatory', () => {
  for (const field of fieldsOf('controller')) {
    expect(allowedText(field.value), field.name).not.toBe('');
    expect(field.description, field.name).toMatch(/^[A-Z].*\.$/);
    expect(field.otherwise === '', field.name).toBe(field.mandatoryFor.length === 2);
  }
});

test('finds a field by either of its names', () => {
  expect(findField('controller', 'subsysnqn')?.name).toBe('nqn');
  expect(findField('controller', 'nqn')?.name).toBe('nqn');
  expect(findField('exclude', 'kato')).toBeUndefined();
});

test('says of every option what applies without it, for each file that may hold it', () => {
  for (const { defaults, files, key, legacyOf, otherwise } of OPTIONS) {
    if (legacyOf !== undefined) continue;
    for (const file of files) expect(defaults[file] ?? otherwise, `${file} ${key}`).toBeDefined();
  }
});
