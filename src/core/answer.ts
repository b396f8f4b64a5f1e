/**
 * What a source says. "Unknown" is not "empty": a plan may add on what is known, and may remove
 * only on what is known.
 */
export type Answer<T> =
  | { readonly kind: 'known'; readonly value: T }
  | { readonly kind: 'unknown'; readonly why: string };

export function known<T>(value: T): Answer<T> {
  return { kind: 'known', value };
}

export function unknown(why: string): Answer<never> {
  return { kind: 'unknown', why };
}
