/** What is wrong with a configuration file: data for a log line, a table or JSON. */
import { escapeText } from '../nvme/escape.ts';

/** A line of a file, from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

/** A place as seen from a file: `line 3`, or `FILE, line 3`. */
export function placeText(place: Place, from?: string): string {
  const line = `line ${String(place.line)}`;
  return place.file === from ? line : `${printablePath(place.file)}, ${line}`;
}

export interface Problem {
  readonly file: string;
  /** From 1. */
  readonly line?: number;
  /** From 1. */
  readonly column?: number;
  /** As `value` for a name that is not one of the option table. */
  readonly section?: string;
  /** The same. */
  readonly key?: string;
  /** Escaped, bounded, and redacted where it is or may be a secret: fit to be printed. */
  readonly value?: string;
  /** `error`: something that was written does not apply. `warning`: it applies, but look at it. */
  readonly severity: 'error' | 'warning';
  /** Without its end: `is not a whole number`. */
  readonly message: string;
  /** What would be right. */
  readonly allowed?: string;
  /** What happens instead. */
  readonly effect: string;
}

/** A name among configuration files that holds no settings; `why` continues "FILE …". */
export function ignoredFileProblem({ file, why }: { file: string; why: string }): Problem {
  return { file, severity: 'warning', message: why, effect: 'it is ignored' };
}

const MAX_VALUE_LENGTH = 120;
const MAX_NAME_LENGTH = 40;
const MAX_PATH_LENGTH = 256;
const REDACTED = '[redacted]';

/** Whether a key's value is a secret, also where the key is misspelt. */
export function isSecretKey(key: string): boolean {
  return /secret|dhchap|^key$/i.test(key);
}

/**
 * A value fit to be printed. Redacted wholly if its key is one of a secret, and from the first sign
 * of one where a secret may have slipped into another value (a missing `=` or `;`).
 */
export function printableValue(value: string, key = ''): string {
  if (isSecretKey(key)) return REDACTED;
  return withoutSecret(value, /DHHC|dhchap|secret|NVMeTLSkey/i, MAX_VALUE_LENGTH);
}

/** The same for what stands where a name should: a secret may, but there are names that speak of one. */
export function printableName(name: string): string {
  return withoutSecret(name, /DHHC|NVMeTLSkey/i, MAX_NAME_LENGTH);
}

/** The same for a path of any origin. */
export function printablePath(path: string): string {
  return withoutSecret(path, /DHHC|NVMeTLSkey/i, MAX_PATH_LENGTH);
}

function withoutSecret(text: string, sign: RegExp, maxLength: number): string {
  const slipped = text.search(sign);
  if (slipped === -1) return escapeText(text, maxLength);
  return `${escapeText(text.slice(0, slipped), maxLength)}${REDACTED}`;
}

/** Where it is: `FILE:LINE:COLUMN`, as far as that is known. */
export function problemPlace({ column, file, line }: Problem): string {
  return [printablePath(file), line, column].filter((part) => part !== undefined).join(':');
}

/** What it is: `[section] key: "value" is not … (allowed: …); the default applies`. */
export function problemText(problem: Problem): string {
  const { allowed, effect, key, message, section, value } = problem;
  const words = [
    section === undefined ? '' : `[${section}]`,
    key === undefined ? '' : `${key}:`,
    value === undefined ? '' : `"${value}"`,
    message,
    allowed === undefined ? '' : `(allowed: ${allowed})`,
  ];
  return `${words.filter((word) => word !== '').join(' ')}; ${effect}`;
}

/** One line: `FILE:LINE:COLUMN: [section] key: "value" is not … (allowed: …); the default applies`. */
export function formatProblem(problem: Problem): string {
  return `${problemPlace(problem)}: ${problemText(problem)}`;
}
