/** Command lines as a manual page shows them, from their definitions. */
import type { Argument, Command, Option } from 'commander';
import { bold, entry, placeholder, plain, sentence } from './scdoc-text.ts';

/** The options of a command as its help lists them, `--help` of a command of a program left out. */
function optionsOf(command: Command): readonly Option[] {
  const all = command.createHelp().visibleOptions(command);
  if (command.parent === null) return all;
  // The program says once what is the same in all of its commands.
  const said = ({ argChoices = [], flags }: Option): string => [flags, ...argChoices].join(' ');
  const ofProgram = command.parent.options.map(said);
  return all.filter((option) => option.long !== '--help' && !ofProgram.includes(said(option)));
}

/** The commands of a program. */
export function commandsOf(program: Command): readonly Command[] {
  return program
    .createHelp()
    .visibleCommands(program)
    .filter((command) => command.name() !== 'help');
}

/** The word that stands for an option's value; undefined if it takes none. */
function valueOf(option: Option): string | undefined {
  return /[<[]([^>\]]+)[>\]]/.exec(option.flags)?.[1];
}

function withValue(name: string, option: Option): string {
  const value = valueOf(option);
  return value === undefined ? bold(name) : `${bold(name)} ${placeholder(value)}`;
}

function argumentText(argument: Argument): string {
  const name = `${placeholder(argument.name())}${argument.variadic ? '...' : ''}`;
  return argument.required ? name : `[${name}]`;
}

function inSynopsis(option: Option): string {
  const text = withValue(option.short ?? option.long ?? '', option);
  return option.mandatory ? text : `[${text}]`;
}

/** Whether an option stands alone: with it nothing else is done. */
function standsAlone(option: Option): boolean {
  return option.long === '--help' || option.long === '--version';
}

/** The lines of SYNOPSIS: one for each command, one for what stands alone. */
export function synopsis(program: Command): string {
  const name = bold(program.name());
  const own = optionsOf(program);
  const general = own.filter((option) => !standsAlone(option)).map(inSynopsis);
  const commands = commandsOf(program);
  const lines = (commands.length === 0 ? [program] : commands).map((command) => {
    const isProgram = command === program;
    const words = isProgram ? [] : [bold(command.name()), ...optionsOf(command).map(inSynopsis)];
    return [name, ...general, ...words, ...command.registeredArguments.map(argumentText)].join(' ');
  });
  const alone = own.filter(standsAlone).map((option) => bold(option.long ?? ''));
  return `${[...lines, `${name} ${alone.join(' | ')}`].join('++\n')}\n`;
}

function optionEntry(option: Option, depth: number): string {
  const names = [option.short, option.long].filter((name) => name !== undefined);
  const [last = ''] = names.slice(-1);
  const term = [...names.slice(0, -1).map(bold), withValue(last, option)].join(', ');
  const facts = [sentence(plain(option.description))];
  if (option.argChoices !== undefined) {
    facts.push(`One of ${option.argChoices.map(bold).join(', ')}.`);
  }
  if (typeof option.defaultValue === 'string') facts.push(`Default: ${bold(option.defaultValue)}.`);
  return entry(term, [facts.join(' ')], depth);
}

/** The options of a program, or, indented, those that one of its commands has besides. */
export function optionList(command: Command): string {
  const depth = command.parent === null ? 0 : 1;
  return optionsOf(command)
    .map((option) => optionEntry(option, depth))
    .join('\n');
}

/** A command: how it is written and what it does. */
export function commandEntry(command: Command): string {
  const words = [bold(command.name()), ...command.registeredArguments.map(argumentText)];
  return entry(words.join(' '), [sentence(plain(command.description()))]);
}
