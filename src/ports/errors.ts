/**
 * Errors that cross a port. An adapter classes each failure where it is raised; nothing tells them
 * apart by text.
 *
 * - `retry`: the same call may succeed later (network, device busy, time-out).
 * - `final`: it will fail again until something is changed (refused, not permitted, bad argument).
 */
export type ErrorClass = 'retry' | 'final';

export interface PortErrorDetails {
  /** A stable word: an errno name (`ECONNREFUSED`), `NVME_STATUS`, or one the port documents. */
  readonly code: string;
  readonly errorClass: ErrorClass;
  /** The positive errno, where there is one. */
  readonly errno?: number;
  /** The NVMe status field (SCT and SC, without DNR and M), where the controller answered. */
  readonly nvmeStatus?: number;
  readonly cause?: unknown;
}

export class PortError extends Error {
  override readonly name: string = 'PortError';
  readonly code: string;
  readonly errorClass: ErrorClass;
  readonly errno: number | undefined;
  readonly nvmeStatus: number | undefined;

  constructor(message: string, details: PortErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = details.code;
    this.errorClass = details.errorClass;
    this.errno = details.errno;
    this.nvmeStatus = details.nvmeStatus;
  }
}

/** Classes anything thrown: what is not a PortError is unexpected, and worth another try. */
export function toPortError(thrown: unknown): PortError {
  if (thrown instanceof PortError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new PortError(message, { code: 'UNEXPECTED', errorClass: 'retry', cause: thrown });
}

/** A failure to start that the user can mend: printed as one line, exit status 1. */
export class StartupError extends Error {
  override readonly name = 'StartupError';
}
