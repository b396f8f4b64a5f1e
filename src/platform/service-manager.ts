/** The service manager's notification protocol, sd_notify(3). */
import type { ServiceManager } from '../ports/host.ts';
import type { Log } from '../ports/log.ts';
import { loadKoffi } from './koffi.ts';
import { oneLine } from './log-text.ts';

type Environment = Readonly<Record<string, string | undefined>>;
/** Sends a state; returns a negative errno if it cannot. */
type Notify = (state: string) => number;

export interface ServiceManagerOptions {
  readonly log: Log;
  /** The rest is for tests: by default, this process's own and libsystemd's. */
  readonly env?: Environment;
  readonly pid?: number;
  readonly loadNotify?: () => Notify;
}

const MAX_STATUS = 512;

/**
 * Tells systemd how the daemon is. Without NOTIFY_SOCKET nothing is loaded or sent; a failure is
 * logged once and changes nothing else.
 */
export class SystemdServiceManager implements ServiceManager {
  readonly watchdogInterval: number | undefined;
  readonly #log: Log;
  readonly #notify: Notify | undefined;
  #failed = false;

  constructor(options: ServiceManagerOptions) {
    const env = options.env ?? process.env;
    this.#log = options.log;
    this.watchdogInterval = watchdogInterval(env, options.pid ?? process.pid);
    if (env['NOTIFY_SOCKET'] !== undefined && env['NOTIFY_SOCKET'] !== '') {
      this.#notify = this.#load(options.loadNotify ?? loadNotify);
    }
  }

  ready(status: string): void {
    this.#send('READY=1', statusLine(status));
  }

  reloading(): void {
    // Type=notify-reload tells by the time which reload is answered; hrtime is CLOCK_MONOTONIC.
    this.#send('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  stopping(): void {
    this.#send('STOPPING=1');
  }

  status(text: string): void {
    this.#send(statusLine(text));
  }

  watchdog(): void {
    this.#send('WATCHDOG=1');
  }

  #load(load: () => Notify): Notify | undefined {
    try {
      return load();
    } catch (error) {
      this.#report(error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }

  #send(...lines: readonly string[]): void {
    if (this.#notify === undefined) return;
    try {
      const result = this.#notify(lines.join('\n'));
      if (result < 0) this.#report(`errno ${-result}`);
    } catch (error) {
      this.#report(error instanceof Error ? error.message : String(error));
    }
  }

  #report(why: string): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#log.warning(`cannot notify the service manager: ${why}`);
  }
}

/** One assignment: a newline in the text would begin another one. */
function statusLine(text: string): string {
  return `STATUS=${oneLine(text, MAX_STATUS)}`;
}

/** Half of WATCHDOG_USEC (sd_watchdog_enabled(3)), in milliseconds, if it is meant for `pid`. */
function watchdogInterval(env: Environment, pid: number): number | undefined {
  const usec = env['WATCHDOG_USEC'] ?? '';
  const meantFor = env['WATCHDOG_PID'];
  if (!/^[1-9][0-9]*$/.test(usec)) return undefined;
  if (meantFor !== undefined && meantFor !== String(pid)) return undefined;
  return Number(usec) / 2000;
}

function loadNotify(): Notify {
  const notify = loadKoffi().load('libsystemd.so.0').func('sd_notify', 'int', ['int', 'str']);
  return (state) => notify(0, state) as number;
}
