/** What can be completed on a command line, from its definition. */
import type { Argument, Command, Option } from 'commander';
import { PackageError } from '../package/run.ts';

/** How a value is completed. */
export type Values =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'files' }
  /** Network interfaces of this host. */
  | { readonly kind: 'interfaces' }
  /** Values of these keys in what the program's `command -o json` prints. */
  | { readonly kind: 'listed'; readonly command: string; readonly keys: readonly string[] }
  /** Anything. */
  | { readonly kind: 'free' };

/** What is put into a command line of what others have named: no shell takes any of it for more. */
export const SAFE_VALUE = '[A-Za-z0-9._:%/+@-]+';

/** A word of a shell's script that stands for this text and for nothing else. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

export interface CompletedOption {
  /** `-o`, `--output`: one or two. */
  readonly flags: readonly string[];
  readonly description: string;
  /** What its value is called, and how it is completed; undefined if it takes none. */
  readonly value: { readonly name: string; readonly values: Values } | undefined;
  /** With it nothing else is done. */
  readonly alone: boolean;
}

export interface CompletedArgument {
  readonly name: string;
  readonly values: Values;
  readonly variadic: boolean;
  readonly required: boolean;
}

export interface CompletedCommand {
  readonly name: string;
  readonly description: string;
  /** Its own; those of the program can be given with it, too. */
  readonly options: readonly CompletedOption[];
  readonly args: readonly CompletedArgument[];
}

export interface CompletedProgram {
  readonly name: string;
  readonly options: readonly CompletedOption[];
  readonly commands: readonly CompletedCommand[];
}

const listedBy = (command: string, ...keys: readonly string[]): Values => ({
  kind: 'listed',
  command,
  keys,
});

/** By what they are called in the definitions: `--long` of an option, the name of an argument. */
const VALUES: Readonly<Record<string, Values>> = {
  '--conf-file': { kind: 'files' },
  '--file': { kind: 'files' },
  '--traddr': listedBy('ls', 'traddr'),
  '--trsvcid': listedBy('ls', 'trsvcid'),
  '--nqn': listedBy('ls', 'subsysnqn'),
  '--host-traddr': listedBy('ls', 'host-traddr'),
  '--host-nqn': listedBy('ls', 'host-nqn'),
  '--host-iface': { kind: 'interfaces' },
  'device|traddr|nqn': listedBy('explain', 'device', 'traddr', 'subsysnqn'),
  FILE: { kind: 'files' },
  SYMNAME: { kind: 'free' },
};

function valuesOf(name: string, choices: readonly string[] | undefined, where: string): Values {
  if (choices !== undefined) return { kind: 'words', words: choices };
  const values = VALUES[name];
  if (values !== undefined) return values;
  throw new PackageError(
    `tools/completion/model.ts does not say how ${name} of ${where} is completed`,
  );
}

function optionOf(option: Option, where: string): CompletedOption {
  const { argChoices, description, flags, long, optional, required, short } = option;
  const takesValue = required || optional;
  const name = long ?? short ?? '';
  return {
    flags: [short, long].filter((flag) => flag !== undefined),
    description,
    value: takesValue
      ? {
          name: /[<[]([^>\]]+)[>\]]/.exec(flags)?.[1] ?? 'value',
          values: valuesOf(name, argChoices, where),
        }
      : undefined,
    alone: name === '--help' || name === '--version',
  };
}

function argumentOf(argument: Argument, where: string): CompletedArgument {
  const { argChoices, required, variadic } = argument;
  const name = argument.name();
  return { name, values: valuesOf(name, argChoices, where), variadic, required };
}

function commandOf(command: Command): CompletedCommand {
  const help = command.createHelp();
  const where = `${command.parent?.name() ?? ''} ${command.name()}`;
  return {
    name: command.name(),
    description: command.description(),
    options: help.visibleOptions(command).map((option) => optionOf(option, where)),
    args: command.registeredArguments.map((argument) => argumentOf(argument, where)),
  };
}

/**
 * Reads a definition.
 * @throws {PackageError} it has a value of which {@link VALUES} says nothing
 */
export function completedProgram(program: Command): CompletedProgram {
  const help = program.createHelp();
  const visible = help.visibleCommands(program);
  const own = visible.filter((command) => command.name() !== 'help').map(commandOf);
  const names = own.map(({ name }) => name);
  const helping = visible
    .filter((command) => command.name() === 'help')
    .map((command): CompletedCommand => {
      const about: Values = { kind: 'words', words: names };
      const args = [{ name: 'command', values: about, variadic: false, required: false }];
      return { name: 'help', description: command.description(), options: [], args };
    });
  return {
    name: program.name(),
    options: help.visibleOptions(program).map((option) => optionOf(option, program.name())),
    commands: [...own, ...helping],
  };
}
