/** The command lines of all programs, for what is made of them: manual pages, completions. */
import type { Command } from 'commander';
import { commandLineOf } from '../src/ctl/command-line.ts';
import { stacctl, stafctl } from '../src/ctl/tools.ts';
import { daemonCommand } from '../src/daemon/command-line.ts';
import { stasadmCommand } from '../src/stasadm/cli.ts';

/** By name. What is parsed with them goes nowhere. */
export function programCommands(): ReadonlyMap<string, Command> {
  const nothing = (): void => undefined;
  const nowhere = {
    root: '/nonexistent',
    isRoot: false,
    randomUuid: () => '',
    diff: () => Promise.resolve(0),
    doctor: () => Promise.resolve(0),
    stdout: nothing,
    stderr: nothing,
  };
  const commands = [
    daemonCommand('stafd'),
    daemonCommand('stacd'),
    commandLineOf(stafctl, '', nothing),
    commandLineOf(stacctl, '', nothing),
    stasadmCommand(nowhere, ''),
  ];
  return new Map(commands.map((command) => [command.name(), command]));
}
