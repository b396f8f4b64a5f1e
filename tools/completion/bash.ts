/** A program's completion for bash. It needs no other file: bash-completion only loads it. */
import {
  quoted,
  SAFE_VALUE,
  type CompletedCommand,
  type CompletedOption,
  type CompletedProgram,
  type Values,
} from './model.ts';

/** How the script writes down how a value is completed. */
function kindOf(values: Values): string {
  switch (values.kind) {
    case 'words':
      return `words ${values.words.join(' ')}`;
    case 'listed':
      return `listed ${values.command} ${values.keys.join('|')}`;
    case 'files':
    case 'interfaces':
    case 'free':
      return values.kind;
  }
}

function optionCases(command: string, options: readonly CompletedOption[]): readonly string[] {
  return options.flatMap(({ flags, value }) => {
    if (value === undefined) return [];
    const patterns = flags.map((flag) =>
      command === '' ? `*${quoted(` ${flag}`)}` : quoted(`${command} ${flag}`),
    );
    return [`    ${patterns.join(' | ')}) REPLY=${quoted(kindOf(value.values))} ;;`];
  });
}

function argumentCases({ args, name }: CompletedCommand): readonly string[] {
  return args.map(({ values, variadic }, place) => {
    const pattern = variadic ? `${quoted(`${name} `)}*` : quoted(`${name} ${String(place)}`);
    return `    ${pattern}) REPLY=${quoted(kindOf(values))} ;;`;
  });
}

function flagsOf(options: readonly CompletedOption[]): string {
  return [...new Set(options.flatMap(({ flags }) => flags))].join(' ');
}

/** The text of the file that completes `program`. */
export function bashCompletion(program: CompletedProgram): string {
  const { commands, name, options } = program;
  const fn = `_${name}`;
  const general = options.filter(({ alone }) => !alone);
  return `# Completion of ${name} for bash, made from the definition of its command line.

# Sets REPLY to how the value of option $2 of command $1 is completed; fails if it takes none.
${fn}_option() {
  case "$1 $2" in
${[...commands.flatMap((command) => optionCases(command.name, command.options)), ...optionCases('', options)].join('\n')}
    *) return 1 ;;
  esac
}

# Sets REPLY to how argument $2 (from 0) of command $1 is completed; fails if there is none.
${fn}_argument() {
  case "$1 $2" in
${commands.flatMap(argumentCases).join('\n')}
    *) return 1 ;;
  esac
}

# Sets REPLY to the options of command $1.
${fn}_options() {
  case $1 in
    '') REPLY=${quoted(flagsOf(options))} ;;
${commands.map((command) => `    ${command.name}) REPLY=${quoted(flagsOf([...command.options, ...general]))} ;;`).join('\n')}
    *) REPLY='' ;;
  esac
}

# Adds what begins with $2 of the words $3… to COMPREPLY, each after $1.
${fn}_add() {
  local before=$1 begin=$2 word
  shift 2
  for word in "$@"; do
    [[ $word == "$begin"* ]] && COMPREPLY+=("$before$word")
  done
}

# Adds what completes $3 as $1 says, each after $2.
${fn}_complete() {
  local kind=$1 before=$2 begin=$3 found
  case $kind in
    'words '*)
      read -ra found <<<"\${kind#words }"
      ;;
    files)
      compopt -o filenames 2>/dev/null
      mapfile -t found < <(compgen -f -- "$begin")
      ;;
    interfaces)
      mapfile -t found < <(
        cd /sys/class/net 2>/dev/null && printf '%s\\n' * | grep -xE '${SAFE_VALUE}'
      )
      ;;
    'listed '*)
      # What a network could have put into a name is not put into a command line.
      read -ra found <<<"$kind"
      mapfile -t found < <(
        timeout 3 ${name} "\${found[1]}" -o json 2>/dev/null |
          sed -nE 's/^ *"('"\${found[2]}"')": "(${SAFE_VALUE})",?$/\\2/p' | sort -u
      )
      ;;
    *) return ;;
  esac
  ${fn}_add "$before" "$begin" "\${found[@]}"
}

${fn}() {
  # Words as the program gets them: those of COMP_WORDS are split at colons, too.
  local line=\${COMP_LINE:0:COMP_POINT} words current word REPLY IFS=$' \\t\\n'
  local command='' place=0 value='' ended=''
  COMPREPLY=()
  # A backslash keeps a space in its word.
  read -a words <<<"$line"
  [[ $line == *[!\\\\][[:space:]] ]] && words+=('')
  current=\${words[-1]}
  for word in "\${words[@]:1:\${#words[@]}-2}"; do
    if [[ -n $value ]]; then
      value=''
    elif [[ -z $ended && $word == -- ]]; then
      ended=yes
    elif [[ -z $ended && $word == -* ]]; then
      ${fn}_option "$command" "$word" && value=$REPLY
    elif [[ -z $command ]]; then
      command=$word
    else
      place=$((place + 1))
    fi
  done
  if [[ -n $value ]]; then
    ${fn}_complete "$value" '' "$current"
  elif [[ -z $ended && $current == --*=* ]]; then
    ${fn}_option "$command" "\${current%%=*}" &&
      ${fn}_complete "$REPLY" "\${current%%=*}=" "\${current#*=}"
  elif [[ -z $ended && $current == -* ]]; then
    ${fn}_options "$command"
    ${fn}_complete "words $REPLY" '' "$current"
  elif [[ -z $command ]]; then
    ${fn}_complete ${quoted(`words ${commands.map((command) => command.name).join(' ')}`)} '' "$current"
  elif ${fn}_argument "$command" "$place"; then
    ${fn}_complete "$REPLY" '' "$current"
  elif [[ -z $ended ]]; then
    ${fn}_options "$command"
    ${fn}_complete "words $REPLY" '' "$current"
  fi
  # bash replaces $2 only, which begins after the last of COMP_WORDBREAKS.
  local replaced
  IFS= read replaced <<<"$2"
  if [[ $current == *"$replaced" ]]; then
    COMPREPLY=("\${COMPREPLY[@]#"\${current%"$replaced"}"}")
  else
    # A quoted word: what is found for a part of it is not put in the place of the whole.
    COMPREPLY=()
  fi
}

complete -F ${fn} ${name}
`;
}
