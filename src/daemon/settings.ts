/**
 * Reads the configuration and the host's identity from files.
 *
 * Invariants:
 * - what was reported once is not reported again as long as it stays wrong; a read that finds it
 *   mended forgets it;
 * - a look at the files (`peek`) logs nothing and changes nothing about what was reported.
 */
import { readFileSync } from 'node:fs';
import { formatProblem, type Problem } from '../config/problem.ts';
import { parseServiceConfig, type ServiceConfig } from '../config/service-config.ts';
import { parseSysConfig } from '../config/sys-config.ts';
import { StartupError } from '../ports/errors.ts';
import type { HostIdentity } from '../ports/fabrics.ts';
import type { Log } from '../ports/log.ts';

export interface Settings {
  readonly config: ServiceConfig;
  readonly host: HostIdentity;
}

/** What the files say at this moment. */
export interface PresentSettings {
  readonly settings: Settings;
  /** What is wrong in the files, whether or not it was reported before. */
  readonly problems: readonly Problem[];
}

export interface SettingsFiles {
  readonly daemon: 'stafd' | 'stacd';
  readonly confFile: string;
  readonly sysConfFile: string;
}

/** More than any sane configuration has. */
const MAX_FILE_BYTES = 1024 * 1024;

export class SettingsReader {
  readonly #files: SettingsFiles;
  #reported: ReadonlySet<string> = new Set();

  constructor(files: SettingsFiles) {
    this.#files = files;
  }

  /**
   * Reads everything anew and logs each new problem once. Throws {@link StartupError} if the host
   * has no identity, since nothing can be connected without it, and if a configuration file is
   * there and cannot be read: what it asks for is unknown then, and taking that for "nothing" would
   * disconnect everything that it names.
   */
  read(log: Log): Settings {
    const found = this.#look();
    const reported = new Set<string>();
    for (const problem of found.problems) {
      const line = formatProblem(problem);
      if (reported.has(line)) continue;
      reported.add(line);
      if (this.#reported.has(line)) continue;
      if (problem.severity === 'error') log.error(line);
      else log.warning(line);
    }
    this.#reported = reported;
    return found.settings();
  }

  /** The same without a word about it, and without a trace: for comparing with what is in use. */
  peek(): PresentSettings {
    const { problems, settings } = this.#look();
    return { settings: settings(), problems };
  }

  #look(): { readonly problems: readonly Problem[]; readonly settings: () => Settings } {
    const { confFile, daemon, sysConfFile } = this.#files;
    const unread: Problem[] = [];
    const service = parseServiceConfig(daemon, confFile, readIfPresent(confFile) ?? '');
    const sys = parseSysConfig(sysConfFile, readIfPresent(sysConfFile), (path) =>
      readOptional(path, unread),
    );
    return {
      problems: [...unread, ...service.problems, ...sys.problems],
      settings: () => {
        if (sys.identity !== undefined) return { config: service.config, host: sys.identity };
        const [first] = sys.missing;
        throw new StartupError(first?.message ?? `${sysConfFile} names no host NQN and host ID`);
      },
    };
  }
}

/** A file's text; undefined if there is none. Throws StartupError if it cannot be read. */
function readIfPresent(path: string): string | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
    if (code === 'ENOENT') return undefined;
    throw new StartupError(`cannot read ${path}: ${String(thrown)}`);
  }
  if (bytes.length <= MAX_FILE_BYTES) return bytes.toString('utf8');
  throw new StartupError(`${path} is larger than ${String(MAX_FILE_BYTES)} bytes and is not read`);
}

/** The same for a file that holds one value; one that cannot be read is a problem. */
function readOptional(path: string, problems: Problem[]): string | undefined {
  try {
    return readIfPresent(path);
  } catch (thrown) {
    if (!(thrown instanceof StartupError)) throw thrown;
    const effect = 'it is taken for missing';
    problems.push({ file: path, severity: 'error', message: thrown.message, effect });
    return undefined;
  }
}
