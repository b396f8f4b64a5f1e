/** What is wrong with a configuration file: data for a log line, a table or JSON. */
import { escapeText } from '../nvme/escape.ts';

export interface Problem {
  readonly file: string;
  /** From 1. */
  readonly line?: number;
  /** From 1. */
  readonly column?: number;
  readonly section?: string;
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

const MAX_VALUE_LENGTH = 120;
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
  const slipped = value.search(/DHHC|dhchap|secret|NVMeTLSkey/i);
  if (slipped === -1) return escapeText(value, MAX_VALUE_LENGTH);
  return `${escapeText(value.slice(0, slipped), MAX_VALUE_LENGTH)}${REDACTED}`;
}

/** One line: `FILE:LINE: [section] key: "value" is not … (allowed: …); the default applies`. */
export function formatProblem(problem: Problem): string {
  const place = [problem.file, problem.line, problem.column]
    .filter((part) => part !== undefined)
    .join(':');
  let subject = '';
  if (problem.section !== undefined) subject += ` [${escapeText(problem.section)}]`;
  if (problem.key !== undefined) subject += ` ${escapeText(problem.key)}:`;
  if (problem.value !== undefined) subject += ` "${problem.value}"`;
  const allowed = problem.allowed === undefined ? '' : ` (allowed: ${problem.allowed})`;
  return `${place}:${subject} ${problem.message}${allowed}; ${problem.effect}`;
}
