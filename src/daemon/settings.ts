/**
 * Reads the configuration and the host's identity from files.
 *
 * Invariants:
 * - what was reported once is not reported again as long as it stays wrong; a read that finds it
 *   mended forgets it;
 * - a look at the files (`peek`) logs nothing and changes nothing about what was reported.
 */
import { withHostIds } from '../config/host-identities.ts';
import { formatProblem, ignoredFileProblem, type Problem } from '../config/problem.ts';
import { parseServiceConfig, type ServiceConfig } from '../config/service-config.ts';
import { parseSysConfig, type ReadFile } from '../config/sys-config.ts';
import { ConfFileError, readConfFile, readConfFiles } from '../platform/conf-files.ts';
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

export class SettingsReader {
  readonly #files: SettingsFiles;
  #reported: ReadonlySet<string> = new Set();
  /** Files that were there when they were read with success. */
  #present: ReadonlySet<string> = new Set();

  constructor(files: SettingsFiles) {
    this.#files = files;
  }

  /**
   * Reads everything anew and logs each new problem once. Throws {@link StartupError} if the host
   * has no identity, since nothing can be connected without it, and if a configuration file is
   * there and cannot be read, or was there before and is gone (it may be about to be replaced): what
   * it asks for is unknown then, and taking that for "nothing" would disconnect everything that it
   * names.
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
    const settings = found.settings();
    this.#present = found.present;
    return settings;
  }

  /** The same without a word about it, and without a trace: for comparing with what is in use. */
  peek(): PresentSettings {
    const { problems, settings } = this.#look();
    return { settings: settings(), problems };
  }

  #look(): Look {
    const { confFile, daemon, sysConfFile } = this.#files;
    const { ignored, present, sources } = readOrRefuse(() => readConfFiles(confFile));
    const sysText = readOrRefuse(() => readConfFile(sysConfFile));
    const there = new Set<string>();
    if (present) there.add(confFile);
    if (sysText !== undefined) there.add(sysConfFile);
    for (const file of this.#present) {
      if (!there.has(file)) {
        throw new StartupError(
          `${file} is gone, which was there before; an empty file is one that asks for nothing`,
        );
      }
    }
    const service = parseServiceConfig(daemon, sources);
    const sys = parseSysConfig(sysConfFile, sysText, readValueFile);
    const host = sys.identity;
    const resolved = withHostIds(service.config, host);
    return {
      present: there,
      problems: [
        ...ignored.map(ignoredFileProblem),
        ...service.problems,
        ...resolved.problems,
        ...sys.problems,
      ],
      settings: () => {
        if (host !== undefined) return { config: resolved.config, host };
        const [first] = sys.missing;
        throw new StartupError(first?.message ?? `${sysConfFile} names no host NQN and host ID`);
      },
    };
  }
}

interface Look {
  readonly present: ReadonlySet<string>;
  readonly problems: readonly Problem[];
  /** Throws StartupError if the host has no identity. */
  readonly settings: () => Settings;
}

function readOrRefuse<T>(read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    throw thrown instanceof ConfFileError ? new StartupError(thrown.message) : thrown;
  }
}

/** A file that holds one value: one that cannot be read is said to be so by what needs it. */
const readValueFile: ReadFile = (path) => {
  try {
    return readConfFile(path);
  } catch (thrown) {
    if (thrown instanceof ConfFileError) return thrown;
    throw thrown;
  }
};
