/** What `stasadm doctor` finds: one finding a check. Pure. */

/**
 * `failure`: something does not work, or will not. `warning`: it works, with less than there could
 * be, or may not. `unknown`: it could not be looked at, which says nothing.
 */
export type Severity = 'ok' | 'warning' | 'failure' | 'unknown';

export const SEVERITIES: readonly Severity[] = ['ok', 'warning', 'failure', 'unknown'];

/** Texts may hold what files, the kernel or other processes said: escape them to print them. */
export type Verdict =
  | { readonly severity: 'ok'; readonly seen: string }
  | {
      readonly severity: Exclude<Severity, 'ok'>;
      readonly seen: string;
      /** What to do, as one sentence or a command. */
      readonly remedy: string;
    };

export type Finding = Verdict & {
  /** Stable: for scripts. */
  readonly id: string;
  readonly title: string;
};

export function ok(seen: string): Verdict {
  return { severity: 'ok', seen };
}

export function warning(seen: string, remedy: string): Verdict {
  return { severity: 'warning', seen, remedy };
}

export function failure(seen: string, remedy: string): Verdict {
  return { severity: 'failure', seen, remedy };
}

export function notKnown(why: string, remedy: string): Verdict {
  return { severity: 'unknown', seen: why, remedy };
}

/**
 * A path as a word of a command that a person may copy; undefined for one that the shell would read
 * in another way, or that could be mistaken for an option.
 */
export function shellWord(path: string): string | undefined {
  return /^\/[A-Za-z0-9_.,:@%+=/-]*$/.test(path) ? path : undefined;
}

/** `a`, `a and b`, `a, b and 3 more`. */
export function listed(names: readonly string[], most = 4): string {
  const all = names.length > most ? names.slice(0, most - 1) : names;
  const rest = names.length - all.length;
  const last = rest > 0 ? `${String(rest)} more` : all.at(-1);
  const first = rest > 0 ? all : all.slice(0, -1);
  return [first.join(', '), last ?? ''].filter((text) => text !== '').join(' and ');
}
