/**
 * Where log lines go: the journal with its fields, or standard output.
 *
 * Invariants: nothing here throws or waits for a reader; whatever the text, one call makes one line
 * of bounded length; a debug line is made only while tracing.
 */
import { fstatSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { LogFields, LogLevel, TraceableLog } from '../ports/log.ts';
import { MAX_FIELD, MAX_MESSAGE, oneLine } from './log-text.ts';

/** Takes a line that is fit to be written. Must not throw. */
export type LogSink = (level: LogLevel, message: string, fields: LogFields) => void;

/** Priorities of syslog(3). */
const PRIORITY: Readonly<Record<LogLevel, number>> = {
  error: 3,
  warning: 4,
  notice: 5,
  info: 6,
  debug: 7,
};

const FIELD_NAMES = ['NVME_TRADDR', 'NVME_TRSVCID', 'NVME_SUBSYSNQN', 'NVME_DEVICE'] as const;

/** A log before any sink: what every sink needs done to its lines. */
export class SinkLog implements TraceableLog {
  readonly #sink: LogSink;
  #tracing: boolean;

  constructor(sink: LogSink, tracing = false) {
    this.#sink = sink;
    this.#tracing = tracing;
  }

  get tracing(): boolean {
    return this.#tracing;
  }

  setTracing(on: boolean): void {
    this.#tracing = on;
  }

  error(message: string, fields?: LogFields): void {
    this.#write('error', message, fields);
  }

  warning(message: string, fields?: LogFields): void {
    this.#write('warning', message, fields);
  }

  notice(message: string, fields?: LogFields): void {
    this.#write('notice', message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#write('info', message, fields);
  }

  debug(message: string, fields?: LogFields): void {
    if (this.#tracing) this.#write('debug', message, fields);
  }

  #write(level: LogLevel, message: string, fields: LogFields = {}): void {
    const clean: Record<string, string> = {};
    for (const name of FIELD_NAMES) {
      const value = fields[name];
      if (value !== undefined && value !== '') clean[name] = oneLine(value, MAX_FIELD);
    }
    this.#sink(level, oneLine(message, MAX_MESSAGE), clean);
  }
}

/** Standard output, as far as a log needs it. */
export interface LineStream {
  readonly writableLength: number;
  write(text: string): unknown;
  on(event: 'error', listener: () => void): unknown;
}

/** What may wait in memory for a reader that does not read. */
const MAX_WAITING = 1024 * 1024;

/**
 * Lines on a stream. `prefixed`: each begins with `<N>`, the priority as the journal reads it from
 * a service's standard output (sd-daemon(3)). A reader that stalls or goes away costs lines, never
 * memory or the process.
 */
export function streamSink(stream: LineStream, prefixed: boolean): LogSink {
  let lost = 0;
  // Without a listener, a closed pipe would end the process.
  stream.on('error', () => undefined);
  return (level, message) => {
    if (stream.writableLength > MAX_WAITING) {
      lost += 1;
      return;
    }
    if (lost > 0) {
      const prefix = prefixed ? `<${PRIORITY.warning}>` : '';
      stream.write(`${prefix}${lost} log lines were lost: their reader was too slow\n`);
      lost = 0;
    }
    stream.write(`${prefixed ? `<${PRIORITY[level]}>` : ''}${message}\n`);
  };
}

/** The part of the package `systemd-journald` that is used. */
export type JournaldModule = new (
  defaults: Readonly<Record<string, string>>,
) => Readonly<
  Record<
    'err' | 'warning' | 'notice' | 'info' | 'debug',
    (message: string, fields: Readonly<Record<string, string>>) => void
  >
>;

/** Lines in the journal, with their fields, under the name `identifier`. */
export function journalSink(Journald: JournaldModule, identifier: string): LogSink {
  const journal = new Journald({ SYSLOG_IDENTIFIER: identifier });
  return (level, message, fields) => {
    try {
      journal[level === 'error' ? 'err' : level](message, { ...fields });
    } catch {
      // There is no place left to say it.
    }
  };
}

export interface LogOptions {
  /** SYSLOG_IDENTIFIER: `stafd` or `stacd`. */
  readonly identifier: string;
  /** `--syslog`: to the journal rather than to standard output. */
  readonly syslog: boolean;
  /** Debug lines from the beginning. */
  readonly tracing?: boolean;
  /** The rest is for tests: by default, this process's own. */
  readonly stream?: LineStream;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly loadJournald?: () => JournaldModule;
}

/**
 * The log of a daemon. Falls back to standard output, with one warning, where the journal's add-on
 * cannot be loaded.
 */
export function createLog(options: LogOptions): TraceableLog {
  const { identifier, tracing = false } = options;
  let failure: string | undefined;
  if (options.syslog) {
    try {
      const Journald = (options.loadJournald ?? loadJournald)();
      return new SinkLog(journalSink(Journald, identifier), tracing);
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
    }
  }
  const prefixed = isJournal(options.env ?? process.env);
  const log = new SinkLog(streamSink(options.stream ?? process.stdout, prefixed), tracing);
  if (failure !== undefined) {
    log.warning(`cannot log to the journal, standard output it is: ${failure}`);
  }
  return log;
}

function loadJournald(): JournaldModule {
  const require = createRequire(import.meta.url);
  return require('systemd-journald') as JournaldModule;
}

/** Whether standard output is connected to the journal (systemd.exec(5), JOURNAL_STREAM). */
function isJournal(env: Readonly<Record<string, string | undefined>>): boolean {
  const stream = env['JOURNAL_STREAM'];
  if (stream === undefined) return false;
  try {
    const { dev, ino } = fstatSync(1, { bigint: true });
    return stream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}
