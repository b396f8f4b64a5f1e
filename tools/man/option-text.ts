/** The options of a configuration file as its manual page shows them, from the option table. */
import { fieldsOf, type EntryOption, type FieldDescription } from '../../src/config/field-table.ts';
import {
  optionsOf,
  sectionsOf,
  type ConfigFile,
  type Daemon,
  type OptionDescription,
} from '../../src/config/option-table.ts';
import { allowedText } from '../../src/config/option-value.ts';
import { bold, entry, plain, sentence } from './scdoc-text.ts';

function optionParagraphs(file: ConfigFile, option: OptionDescription): readonly string[] {
  const { defaults, description, legacyOf, otherwise = '', perController, value } = option;
  if (legacyOf !== undefined) {
    return [`${sentence(plain(description))} It is still read; write ${bold(legacyOf)} instead.`];
  }
  const given = defaults[file];
  const fallback = given === undefined ? plain(otherwise) : bold(given);
  const facts = [`Values: ${plain(allowedText(value))}. Default: ${fallback}.`];
  if (perController === true) facts.push('Also a field of *controller=*.');
  return [sentence(plain(description)), facts.join(' ')];
}

/** `daemon`: what is absent has a default; for `exclude=`, undefined, it does not matter. */
function fieldEntry(field: FieldDescription, daemon: Daemon | undefined): string {
  const { alias, description, mandatoryFor, name, otherwise, value } = field;
  const term = [name, alias].filter((word) => word !== undefined).map((word) => bold(`${word}=`));
  const facts = [sentence(plain(description)), `Values: ${plain(allowedText(value))}.`];
  if (daemon !== undefined) {
    facts.push(mandatoryFor.includes(daemon) ? 'Mandatory.' : `Default: ${plain(otherwise)}.`);
  }
  return entry(term.join(', '), [facts.join(' ')], 1);
}

/** The fields that an option is made of; nothing for an option that is not. */
function fieldEntries(file: ConfigFile, option: OptionDescription): readonly string[] {
  const { kind } = option.value;
  if (option.legacyOf !== undefined || file === 'sys' || !isEntryOption(kind)) return [];
  const fields = fieldsOf(kind);
  const overrides = fields.filter((field) => field.overrides === true);
  const daemon = kind === 'controller' ? file : undefined;
  const entries = fields
    .filter((field) => field.overrides !== true)
    .map((field) => fieldEntry(field, daemon));
  if (overrides.length === 0) return entries;
  const term = overrides.map(({ name }) => bold(`${name}=`)).join(', ');
  return [...entries, entry(term, ['As in [Global], for this controller.'], 1)];
}

function isEntryOption(kind: string): kind is EntryOption {
  return kind === 'controller' || kind === 'exclude';
}

/** Every option of a file, by section. */
export function settings(file: ConfigFile): string {
  return sectionsOf(file)
    .map((section) => {
      const entries = optionsOf(file)
        .filter((option) => option.section === section)
        .flatMap((option) => [
          entry(bold(`${option.key}=`), optionParagraphs(file, option)),
          ...fieldEntries(file, option),
        ]);
      return `## [${section}]\n\n${entries.join('\n')}`;
    })
    .join('\n');
}
