import { getSystemErrorName } from 'node:util';
import { PortError } from '../ports/errors.ts';
import type { ErrorClass } from '../ports/errors.ts';

/** Errors of the system that the same call meets again until a person changes something. */
const FINAL = new Set([
  'EACCES',
  'EPERM',
  'EROFS',
  'ENOTDIR',
  'EISDIR',
  'ELOOP',
  'ENAMETOOLONG',
  'EINVAL',
]);

function classOf(code: string): ErrorClass {
  return FINAL.has(code) ? 'final' : 'retry';
}

/** The name of an errno: `ECONNREFUSED` for 111. */
export function errnoName(errno: number): string {
  try {
    return getSystemErrorName(-errno);
  } catch {
    return `E${errno}`;
  }
}

function isSystemError(thrown: unknown): thrown is Error & { code: string; errno?: unknown } {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string';
}

/** What Node's file and DNS functions throw, as a PortError with the same code. */
export function fromSystemError(what: string, thrown: unknown): PortError {
  if (thrown instanceof PortError) return thrown;
  if (!isSystemError(thrown)) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new PortError(`${what}: ${message}`, {
      code: 'UNEXPECTED',
      errorClass: 'retry',
      cause: thrown,
    });
  }
  const { code, errno } = thrown;
  return new PortError(`${what}: ${code}`, {
    code,
    errorClass: classOf(code),
    ...(typeof errno === 'number' && errno < 0 && errno > -4096 ? { errno: -errno } : {}),
    cause: thrown,
  });
}

/** Whether `thrown` is the system's error of this name. */
export function hasCode(thrown: unknown, ...codes: readonly string[]): boolean {
  return isSystemError(thrown) && codes.includes(thrown.code);
}
