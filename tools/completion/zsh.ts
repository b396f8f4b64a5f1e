/** A program's completion for zsh, a function for its completion system. */
import {
  quoted,
  SAFE_VALUE,
  type CompletedArgument,
  type CompletedCommand,
  type CompletedOption,
  type CompletedProgram,
  type Values,
} from './model.ts';

/** A text within a specification of _arguments. */
function plain(text: string): string {
  return text.replaceAll(/[\\:[\]]/g, String.raw`\$&`);
}

function action(program: string, values: Values): string {
  switch (values.kind) {
    case 'words':
      return `(${values.words.join(' ')})`;
    case 'files':
      return '_files';
    case 'interfaces':
      return '_net_interfaces';
    case 'listed':
      // With a space before it, it is called with these words alone.
      return ` _${program}_listed ${values.command} "${values.keys.join('|')}"`;
    case 'free':
      return ' ';
  }
}

function optionSpec(
  program: string,
  { alone, description, flags, value }: CompletedOption,
): string {
  const others = alone ? '- *' : flags.join(' ');
  const about = `[${plain(description)}]`;
  const names =
    value === undefined
      ? flags
      : flags.map((flag) => (flag.startsWith('--') ? `${flag}=` : `${flag}+`));
  const list = names.length === 1 ? quoted(names[0] ?? '') : `{${names.join(',')}}`;
  const rest =
    value === undefined ? about : `${about}:${plain(value.name)}:${action(program, value.values)}`;
  return `${quoted(`(${others})`)}${list}${quoted(rest)}`;
}

function argumentSpec(
  program: string,
  { name, required, values, variadic }: CompletedArgument,
  place: number,
): string {
  const position = variadic ? '*' : String(place + 1);
  const colon = required || variadic ? ':' : '::';
  return quoted(`${position}${colon}${plain(name)}:${action(program, values)}`);
}

/** One call of _arguments, a line for each specification. */
function argumentsCall(indent: string, specs: readonly string[]): string {
  return ['_arguments -s -S', ...specs].join(` \\\n${indent}  `);
}

function commandCase(program: CompletedProgram, command: CompletedCommand): string {
  const own = command.options.flatMap(({ flags }) => flags);
  const general = program.options.filter(
    ({ alone, flags }) => !alone && !flags.some((flag) => own.includes(flag)),
  );
  const specs = [
    ...[...command.options, ...general].map((option) => optionSpec(program.name, option)),
    ...command.args.map((argument, place) => argumentSpec(program.name, argument, place)),
  ];
  return `        ${command.name})
          ${argumentsCall('          ', specs)} && ret=0
          ;;`;
}

/** The text of the file that completes `program`. */
export function zshCompletion(program: CompletedProgram): string {
  const { commands, name, options } = program;
  const described = commands.map(
    (command) => `    ${quoted(`${command.name}:${plain(command.description)}`)}`,
  );
  const specs = [
    ...options.map((option) => optionSpec(name, option)),
    quoted('1: :->command'),
    quoted('*:: :->arguments'),
  ];
  return `#compdef ${name}
# Completion of ${name} for zsh, made from the definition of its command line.

# Values of the keys $2 in what command $1 prints, but for what a network could have put into them.
_${name}_listed() {
  local -a found
  found=(\${(f)"$(
    timeout 3 ${name} $1 -o json 2>/dev/null |
      sed -nE 's/^ *"('$2')": "(${SAFE_VALUE})",?$/\\2/p' | sort -u
  )"})
  (( $#found )) && compadd -a found
}

_${name}() {
  local curcontext=$curcontext context state state_descr ret=1
  local -a line
  local -A opt_args
  local -a commands=(
${described.join('\n')}
  )
  ${argumentsCall('  ', specs).replace('_arguments', '_arguments -C')} && ret=0
  case $state in
    command)
      _describe -t commands command commands && ret=0
      ;;
    arguments)
      case $words[1] in
${commands.map((command) => commandCase(program, command)).join('\n')}
      esac
      ;;
  esac
  return ret
}

_${name} "$@"
`;
}
