/** The options of a configuration file as its manual page shows them, from the option table. */
import {
  optionsOf,
  sectionsOf,
  type ConfigFile,
  type OptionDescription,
} from '../../src/config/option-table.ts';
import { allowedText } from '../../src/config/option-value.ts';
import { bold, entry, plain, sentence } from './scdoc-text.ts';

function optionParagraphs(file: ConfigFile, option: OptionDescription): readonly string[] {
  const { defaults, description, legacyOf, otherwise = '', perController, value } = option;
  if (legacyOf !== undefined) {
    return [`${plain(description)} It is still read; write ${bold(legacyOf)} instead.`];
  }
  const given = defaults[file];
  const fallback = given === undefined ? plain(otherwise) : bold(given);
  const facts = [`Values: ${plain(allowedText(value))}. Default: ${fallback}.`];
  if (perController === true) facts.push('Also a field of *controller=*.');
  return [sentence(plain(description)), facts.join(' ')];
}

/** Every option of a file, by section. */
export function settings(file: ConfigFile): string {
  return sectionsOf(file)
    .map((section) => {
      const entries = optionsOf(file)
        .filter((option) => option.section === section)
        .map((option) => entry(bold(`${option.key}=`), optionParagraphs(file, option)));
      return `## [${section}]\n\n${entries.join('\n')}`;
    })
    .join('\n');
}
