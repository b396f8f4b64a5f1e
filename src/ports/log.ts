/** Priorities of syslog(3) that the daemons use. */
export type LogLevel = 'error' | 'warning' | 'notice' | 'info' | 'debug';

/** Journal fields of a line; upper-case names as the journal has them. */
export interface LogFields {
  readonly NVME_TRADDR?: string;
  readonly NVME_TRSVCID?: string;
  readonly NVME_SUBSYSNQN?: string;
  readonly NVME_DEVICE?: string;
}

/**
 * Where log lines go. `message` is one line: a sink escapes control characters, so that no text
 * from outside can forge a line. Never throws.
 */
export interface Log {
  error(message: string, fields?: LogFields): void;
  warning(message: string, fields?: LogFields): void;
  notice(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  /** Whether debug lines are wanted (tron). */
  readonly tracing: boolean;
}

export interface TraceableLog extends Log {
  setTracing(on: boolean): void;
}
