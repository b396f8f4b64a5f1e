import type { LogFields, LogLevel, TraceableLog } from '../../src/ports/log.ts';

export interface LogLine {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

/** Keeps the lines. Debug lines count only while tracing, as in a real log. */
export class MemoryLog implements TraceableLog {
  readonly lines: LogLine[] = [];
  #tracing: boolean;

  constructor(tracing = false) {
    this.#tracing = tracing;
  }

  get tracing(): boolean {
    return this.#tracing;
  }

  setTracing(on: boolean): void {
    this.#tracing = on;
  }

  error(message: string, fields?: LogFields): void {
    this.#add('error', message, fields);
  }

  warning(message: string, fields?: LogFields): void {
    this.#add('warning', message, fields);
  }

  notice(message: string, fields?: LogFields): void {
    this.#add('notice', message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#add('info', message, fields);
  }

  debug(message: string, fields?: LogFields): void {
    if (this.#tracing) this.#add('debug', message, fields);
  }

  /** The messages, of one level or all. */
  messages(level?: LogLevel): readonly string[] {
    return this.lines
      .filter((line) => level === undefined || line.level === level)
      .map((line) => line.message);
  }

  #add(level: LogLevel, message: string, fields: LogFields = {}): void {
    this.lines.push({ level, message, fields });
  }
}
