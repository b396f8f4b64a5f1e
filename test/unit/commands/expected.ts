/** Which aspects of which command need a golden: made from the definitions, so that a new command needs some. */
import type { Command } from 'commander';
import { commandsOf } from '../../../tools/man/command-text.ts';
import { programCommands } from '../../../tools/program-commands.ts';
import type { Aspect, ProgramName } from './case.ts';

const PROGRAMS: readonly ProgramName[] = ['stafctl', 'stacctl', 'stasadm'];

/** What every command of these two can meet. */
const OF_CTL: readonly Aspect[] = ['ok', 'json', 'empty', 'many', 'down', 'denied', 'bad', 'help'];
const OF_STASADM: readonly Aspect[] = ['ok', 'denied', 'bad', 'help'];

/** They change one thing, however many controllers there are. All others only read. */
export const SWITCHES: readonly string[] = ['tron', 'troff'];

/** What these have besides, or to do with. */
const MORE: Readonly<Record<string, readonly Aspect[]>> = {
  'stafctl dlp': ['absent'],
  'stafctl explain': ['absent'],
  'stacctl explain': ['absent'],
  'stasadm check-config': ['json', 'empty', 'many', 'absent'],
  'stasadm diff': ['json', 'empty', 'many', 'down'],
  'stasadm doctor': ['json', 'empty', 'many', 'down'],
};

function aspectsOf(program: ProgramName, command: Command): readonly Aspect[] {
  const more = MORE[`${program} ${command.name()}`] ?? [];
  if (program === 'stasadm') return [...OF_STASADM, ...more];
  const general = SWITCHES.includes(command.name())
    ? OF_CTL.filter((aspect) => aspect !== 'empty' && aspect !== 'many')
    : OF_CTL;
  return [...general, ...more];
}

export interface Expected {
  readonly program: ProgramName;
  readonly command: string;
  readonly aspects: readonly Aspect[];
}

/** By program and command, the program itself first. */
export function expectedAspects(): readonly Expected[] {
  const programs = programCommands();
  return PROGRAMS.flatMap((program) => {
    const definition = programs.get(program);
    if (definition === undefined) throw new Error(`there is no program ${program}`);
    return [
      { program, command: '', aspects: ['ok', 'bad', 'help'] },
      ...commandsOf(definition).map((command) => ({
        program,
        command: command.name(),
        aspects: aspectsOf(program, command),
      })),
    ];
  });
}
