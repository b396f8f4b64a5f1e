/**
 * Reads the configuration and the host's identity from files.
 *
 * Invariant: what was reported once is not reported again as long as it stays wrong; a reload that
 * mends it forgets it.
 */
import { readFileSync } from 'node:fs';
import { formatProblem } from '../config/problem.ts';
import { parseServiceConfig, type ServiceConfig } from '../config/service-config.ts';
import { parseSysConfig } from '../config/sys-config.ts';
import { StartupError } from '../ports/errors.ts';
import type { HostIdentity } from '../ports/fabrics.ts';
import type { Log } from '../ports/log.ts';

export interface Settings {
  readonly config: ServiceConfig;
  readonly host: HostIdentity;
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
    const { confFile, daemon, sysConfFile } = this.#files;
    const service = parseServiceConfig(daemon, confFile, readIfPresent(confFile) ?? '');
    const sys = parseSysConfig(sysConfFile, readIfPresent(sysConfFile), (path) =>
      readOptional(path, log),
    );
    const reported = new Set<string>();
    for (const problem of [...service.problems, ...sys.problems]) {
      const line = formatProblem(problem);
      reported.add(line);
      if (this.#reported.has(line)) continue;
      if (problem.severity === 'error') log.error(line);
      else log.warning(line);
    }
    this.#reported = reported;
    if (sys.identity === undefined) {
      const [first] = sys.missing;
      throw new StartupError(first?.message ?? `${sysConfFile} names no host NQN and host ID`);
    }
    return { config: service.config, host: sys.identity };
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

/** The same for a file that holds one value; one that cannot be read is reported. */
function readOptional(path: string, log: Log): string | undefined {
  try {
    return readIfPresent(path);
  } catch (thrown) {
    log.error(thrown instanceof Error ? thrown.message : String(thrown));
    return undefined;
  }
}
