/** The process that a watch runs in: its terminal and how it is told to end. */
import { SystemClock } from '../../platform/clock.ts';
import type { Clock } from '../../ports/host.ts';

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

export interface Stage {
  readonly clock: Clock;
  /** Of the terminal; undefined if the output is none, or one that cannot move its cursor. */
  readonly size: () => Size | undefined;
  /** The terminal has another size, or was used by others meanwhile. */
  readonly onResize: (listener: () => void) => void;
  /** To be called before others use the terminal for a while (Ctrl-Z). */
  readonly onSuspend: (listener: () => void) => void;
  /** Somebody ends the watch, or nobody reads it any more. */
  readonly onEnd: (listener: () => void) => void;
  /** The process ends, maybe by a mistake in it; a terminal gets what is printed then. */
  readonly onExit: (listener: () => void) => void;
}

const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** The stage of this process. Each listener is set once, and for good: the process ends after it. */
export function processStage(): Stage {
  const { stdout } = process;
  return {
    clock: new SystemClock(),
    size: () => {
      if (!stdout.isTTY || process.env['TERM'] === 'dumb') return undefined;
      const { columns, rows } = stdout;
      return { columns: columns > 0 ? columns : 80, rows: rows > 0 ? rows : 24 };
    },
    onResize: (listener) => {
      stdout.on('resize', listener);
      process.on('SIGCONT', listener);
    },
    onSuspend: (listener) => {
      process.on('SIGTSTP', () => {
        listener();
        process.kill(process.pid, 'SIGSTOP');
      });
    },
    onEnd: (listener) => {
      for (const signal of ENDING) process.on(signal, listener);
      stdout.on('error', listener);
    },
    onExit: (listener) => {
      process.on('exit', listener);
    },
  };
}
