/**
 * The command line of stasadm: what it changes and says, and its exit status. Everything it touches is under
 * `root`, so that it can be run against a tree that is not `/`.
 */
import { resolve } from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import type { ConfigFile } from '../config/option-table.ts';
import { checkSymname } from '../config/sys-config.ts';
import {
  checkConfig,
  CONFIG_FILES,
  findingsJson,
  findingsText,
  UnclearFileError,
  type CheckRequest,
  type Findings,
} from './check-config.ts';
import { settleHelp } from '../ctl/command-help.ts';
import { addDiff, type DiffRequest } from './diff/command.ts';
import { addDoctor, type DoctorRequest } from './doctor/command.ts';
import { systemUuid } from './host-uuid.ts';
import {
  isSysConf,
  readIdentitySource,
  saveInConf,
  saveInFile,
  StasadmError,
  type HostValue,
  type IdentityFilesOptions,
} from './identity-files.ts';

export const DEFAULT_SYS_CONF = '/etc/stas/sys.conf';

export const EXIT_OK = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

export interface StasadmEnvironment {
  /** Prefix of every path; empty for the system itself. */
  readonly root: string;
  readonly isRoot: boolean;
  readonly randomUuid: () => string;
  /** Resolves with the exit status. */
  readonly diff: (request: DiffRequest) => Promise<number>;
  /** The same. */
  readonly doctor: (request: DoctorRequest) => Promise<number>;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
}

interface GlobalOptions {
  readonly confFile: string;
}

interface CheckOptions {
  readonly as?: ConfigFile;
  readonly output: 'text' | 'json';
}

interface FileOption {
  readonly file?: string;
}

/** Keeps a value in sys.conf, or in a file of its own that sys.conf then names. */
async function save(
  program: Command,
  files: IdentityFilesOptions,
  value: HostValue,
  file: string | undefined,
): Promise<void> {
  if (file === undefined) {
    await saveInConf(files, value);
    return;
  }
  if (isSysConf(files, file)) {
    program.error('error: the value and the configuration cannot be in one file', {
      exitCode: EXIT_USAGE,
    });
  }
  await saveInFile(files, value, file);
}

/** An absolute path. A relative one is of a working directory, which may be gone. */
function absolute(path: string): string {
  try {
    return resolve(path);
  } catch (error) {
    throw new StasadmError(`cannot find ${path}: the working directory is gone`, { cause: error });
  }
}

/** A symbolic name or a path, as a value of sys.conf can hold it. */
function oneLine(command: Command, what: string, text: string): string {
  const trimmed = text.trim();
  if (trimmed === '') return command.error(`error: ${what} is empty`, { exitCode: EXIT_USAGE });
  if (/[\p{Cc}\u2028\u2029]/u.test(trimmed)) {
    return command.error(`error: ${what} contains a control character`, { exitCode: EXIT_USAGE });
  }
  // What Node makes of an argument that is not UTF-8: it would be another file's name.
  if (trimmed.includes('\uFFFD')) {
    return command.error(`error: ${what} is not UTF-8`, { exitCode: EXIT_USAGE });
  }
  return trimmed;
}

/**
 * The definition of the command line. What is parsed is carried out in `env`; `end` is told the exit
 * status of a command that was carried out, unless it is 0.
 */
export function stasadmCommand(
  env: StasadmEnvironment,
  version: string,
  end: (status: number) => void = () => undefined,
): Command {
  const program = new Command('stasadm')
    .description(
      'Give this host its NVMe identity, check the configuration and the host, and show what changes would do.',
    )
    .version(`nvme-stas ${version}`, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .option('-c, --conf-file <FILE>', 'the sys.conf to change, or to check', DEFAULT_SYS_CONF)
    .configureOutput({ writeOut: env.stdout, writeErr: env.stderr })
    .exitOverride();
  const pathOf = (file: string): string => absolute(oneLine(program, 'the name of the file', file));
  const files = (): IdentityFilesOptions => ({
    root: env.root,
    sysConf: pathOf(program.opts<GlobalOptions>().confFile),
  });
  const keep = (value: HostValue, { file }: FileOption): Promise<void> =>
    save(program, files(), value, file === undefined ? undefined : pathOf(file));

  program
    .command('hostnqn')
    .description('make a host NQN, the same for this machine each time')
    .option('-f, --file <FILE>', 'keep it in this file, and name the file in the configuration')
    .action(async (options: FileOption) => {
      const read = (path: string) => readIdentitySource(env.root, path, env.isRoot);
      const uuid = systemUuid(read) ?? env.randomUuid();
      await keep({ key: 'nqn', value: `nqn.2014-08.org.nvmexpress:uuid:${uuid}` }, options);
    });

  program
    .command('hostid')
    .description('make a random host identifier')
    .option('-f, --file <FILE>', 'keep it in this file, and name the file in the configuration')
    .action(async (options: FileOption) => {
      await keep({ key: 'id', value: env.randomUuid() }, options);
    });

  program
    .command('set-symname')
    .description("set the host's symbolic name")
    .argument('<SYMNAME>', 'a name for people')
    .option('-f, --file <FILE>', 'keep it in this file, and name the file in the configuration')
    .action(async (name: string, options: FileOption) => {
      const symname = oneLine(program, 'the symbolic name', name);
      const reason = checkSymname(symname);
      if (reason !== undefined) {
        program.error(`error: the symbolic name ${reason}`, { exitCode: EXIT_USAGE });
      }
      await keep({ key: 'symname', value: symname }, options);
      const [word = ''] = symname.split(/\s/);
      if (options.file !== undefined && word !== symname) {
        env.stderr(`stasadm: of a file, the daemons take the first word only: "${word}"\n`);
      }
    });

  program
    .command('clear-symname')
    .description('unset the symbolic name')
    .action(async () => {
      await saveInConf(files(), { key: 'symname', value: undefined });
    });

  program
    .command('check-config')
    .description('tell what is wrong in configuration files, and what the daemons do about it')
    .argument('[FILE...]', 'files and drop-in directories; all that the daemons read unless given')
    .addOption(
      new Option('--as <kind>', 'what the files are, where their names do not tell').choices(
        CONFIG_FILES,
      ),
    )
    .addOption(
      new Option('-o, --output <format>', 'output format')
        .choices(['text', 'json'])
        .default('text'),
    )
    .action((names: readonly string[], { as, output }: CheckOptions) => {
      const request: CheckRequest = {
        files: names.map(pathOf),
        as,
        sysConf: files().sysConf,
        root: env.root,
        isRoot: env.isRoot,
      };
      const findings = check(program, request);
      env.stdout(output === 'json' ? findingsJson(findings) : findingsText(findings));
      if (findings.problems.length > 0) end(EXIT_FAILED);
    });

  addDiff(program, async (request) => {
    end(await env.diff(request));
  });

  addDoctor(program, async (output) => {
    end(await env.doctor({ output, sysConf: files().sysConf }));
  });

  settleHelp(program);
  return program;
}

function check(program: Command, request: CheckRequest): Findings {
  try {
    return checkConfig(request);
  } catch (error) {
    if (!(error instanceof UnclearFileError)) throw error;
    const message = `error: ${error.message}: say it with --as ${CONFIG_FILES.join('|')}`;
    return program.error(message, { exitCode: EXIT_USAGE });
  }
}

/** Runs the command line `args` (without node and script); resolves with the exit status. */
export async function runStasadm(
  args: readonly string[],
  env: StasadmEnvironment,
  version: string,
): Promise<number> {
  try {
    let status = EXIT_OK;
    const command = stasadmCommand(env, version, (other) => {
      status = other;
    });
    await command.parseAsync([...args], { from: 'user' });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
    if (!(error instanceof StasadmError)) throw error;
    env.stderr(`stasadm: ${error.message}\n`);
    return EXIT_FAILED;
  }
}
