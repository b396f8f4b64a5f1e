/**
 * The command line of stasadm: what it changes and says, and its exit status. Everything it touches is under
 * `root`, so that it can be run against a tree that is not `/`.
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { getSystemErrorMap } from 'node:util';
import { Command, CommanderError, Option } from 'commander';
import { setIniValue } from '../config/ini-edit.ts';
import { HOST, type ConfigFile } from '../config/option-table.ts';
import { replaceFile } from '../platform/atomic-file.ts';
import {
  checkConfig,
  CONFIG_FILES,
  findingsJson,
  findingsText,
  UnclearFileError,
  type CheckRequest,
  type Findings,
} from './check-config.ts';
import { systemUuid } from './host-uuid.ts';

export const DEFAULT_SYS_CONF = '/etc/stas/sys.conf';

export const EXIT_OK = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

export interface StasadmEnvironment {
  /** Prefix of every path; empty for the system itself. */
  readonly root: string;
  readonly isRoot: boolean;
  readonly randomUuid: () => string;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
}

/** A failure that is said in one line, exit status 1. */
class StasadmError extends Error {
  override readonly name = 'StasadmError';
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

function errnoOf(error: unknown): { readonly code: string; readonly text: string } | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') {
    return undefined;
  }
  const errno = 'errno' in error && typeof error.errno === 'number' ? error.errno : 0;
  const text = getSystemErrorMap().get(errno)?.[1] ?? error.message;
  return { code: error.code, text };
}

function failure(action: string, path: string, error: unknown): StasadmError {
  const errno = errnoOf(error);
  const why = errno === undefined ? String(error) : `${errno.text} (${errno.code})`;
  return new StasadmError(`cannot ${action} ${path}: ${why}`, { cause: error });
}

function readIfPresent(env: StasadmEnvironment, path: string): string | undefined {
  try {
    return readFileSync(join(env.root, path), 'utf8');
  } catch (error) {
    const code = errnoOf(error)?.code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw failure('read', path, error);
  }
}

/** Sources of UUIDs that even root may not read (in a container, say) are passed over. */
function readIdentitySource(env: StasadmEnvironment, path: string): string | undefined {
  try {
    return readIfPresent(env, path);
  } catch (error) {
    if (env.isRoot) return undefined;
    throw error;
  }
}

async function write(env: StasadmEnvironment, path: string, text: string): Promise<void> {
  try {
    await replaceFile(join(env.root, path), text);
  } catch (error) {
    throw failure('write', path, error);
  }
}

async function saveInConf(
  env: StasadmEnvironment,
  confFile: string,
  key: string,
  value: string | undefined,
): Promise<void> {
  const before = readIfPresent(env, confFile);
  if (before === undefined && value === undefined) return;
  const after = setIniValue(before ?? '', HOST, key, value);
  if (after !== before) await write(env, confFile, after);
}

/** Keeps a value in sys.conf, or in a file of its own that sys.conf then names. */
async function save(
  env: StasadmEnvironment,
  confFile: string,
  key: string,
  value: string,
  file: string | undefined,
): Promise<void> {
  if (file === undefined) {
    await saveInConf(env, confFile, key, value);
    return;
  }
  const path = resolve(file);
  // The file first: sys.conf must never name one that is not there.
  await write(env, path, `${value}\n`);
  await saveInConf(env, confFile, key, `file://${path}`);
}

/** A symbolic name or a path, as a value of sys.conf can hold it. */
function oneLine(command: Command, what: string, text: string): string {
  const trimmed = text.trim();
  if (trimmed === '') return command.error(`error: ${what} is empty`, { exitCode: EXIT_USAGE });
  if (/[\p{Cc}\u2028\u2029]/u.test(trimmed)) {
    return command.error(`error: ${what} contains a control character`, { exitCode: EXIT_USAGE });
  }
  return trimmed;
}

const MAX_SYMNAME_BYTES = 256;

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
    .description('Give this host its NVMe identity, and check the configuration.')
    .version(`nvme-stas ${version}`, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .option('-c, --conf-file <FILE>', 'the sys.conf to change, or to check', DEFAULT_SYS_CONF)
    .configureOutput({ writeOut: env.stdout, writeErr: env.stderr })
    .exitOverride();
  const confFile = (): string =>
    resolve(oneLine(program, 'the name of the file', program.opts<GlobalOptions>().confFile));
  const fileOf = (options: FileOption): string | undefined =>
    options.file === undefined ? undefined : oneLine(program, 'the name of the file', options.file);

  program
    .command('hostnqn')
    .description('make a host NQN, the same for this machine each time')
    .option('-f, --file <FILE>', 'keep it in this file, and name the file in the configuration')
    .action(async (options: FileOption) => {
      const uuid = systemUuid((path) => readIdentitySource(env, path)) ?? env.randomUuid();
      const nqn = `nqn.2014-08.org.nvmexpress:uuid:${uuid}`;
      await save(env, confFile(), 'nqn', nqn, fileOf(options));
    });

  program
    .command('hostid')
    .description('make a random host identifier')
    .option('-f, --file <FILE>', 'keep it in this file, and name the file in the configuration')
    .action(async (options: FileOption) => {
      await save(env, confFile(), 'id', env.randomUuid(), fileOf(options));
    });

  program
    .command('set-symname')
    .description("set the host's symbolic name")
    .argument('<SYMNAME>', 'a name for people')
    .option('-f, --file <FILE>', 'keep it in this file, and name the file in the configuration')
    .action(async (name: string, options: FileOption) => {
      const symname = oneLine(program, 'the symbolic name', name);
      if (Buffer.byteLength(symname) > MAX_SYMNAME_BYTES) {
        program.error(`error: the symbolic name is longer than ${MAX_SYMNAME_BYTES} bytes`, {
          exitCode: EXIT_USAGE,
        });
      }
      await save(env, confFile(), 'symname', symname, fileOf(options));
    });

  program
    .command('clear-symname')
    .description('unset the symbolic name')
    .action(async () => {
      await saveInConf(env, confFile(), 'symname', undefined);
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
    .action((files: readonly string[], { as, output }: CheckOptions) => {
      const request: CheckRequest = {
        files: files.map((file) => resolve(oneLine(program, 'the name of the file', file))),
        as,
        sysConf: confFile(),
        root: env.root,
      };
      const findings = check(program, request);
      env.stdout(output === 'json' ? findingsJson(findings) : findingsText(findings));
      if (findings.problems.length > 0) end(EXIT_FAILED);
    });

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
