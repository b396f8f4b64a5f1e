/** The completions of the commands, as the files that the shells look for. */
import { programCommands } from '../program-commands.ts';
import { bashCompletion } from './bash.ts';
import { completedProgram } from './model.ts';
import { zshCompletion } from './zsh.ts';

/** Where they are looked for, below /. */
export const completionFolders = {
  bash: 'usr/share/bash-completion/completions',
  // Debian's; most others have site-functions.
  zsh: 'usr/share/zsh/vendor-completions',
} as const;

/** Programs that people type. */
const completedNames = ['stafctl', 'stacctl', 'stasadm'] as const;

export interface CompletionFile {
  readonly shell: 'bash' | 'zsh';
  /** As the shell looks for it, in whatever folder. */
  readonly file: string;
  readonly text: string;
}

/** All of them; see {@link completedProgram}. */
export function completionFiles(): readonly CompletionFile[] {
  const programs = programCommands();
  return completedNames.flatMap((name): readonly CompletionFile[] => {
    const command = programs.get(name);
    if (command === undefined) throw new Error(`there is no program ${name}`);
    const program = completedProgram(command);
    return [
      { shell: 'bash', file: name, text: bashCompletion(program) },
      { shell: 'zsh', file: `_${name}`, text: zshCompletion(program) },
    ];
  });
}
