/** What values an option takes. */
export type OptionKind =
  /** `true` or `false`, or another of these words, in any case. */
  | { readonly kind: 'boolean'; readonly also?: readonly string[] }
  /** `enabled` or `disabled`, in any case. */
  | { readonly kind: 'switch' }
  | {
      readonly kind: 'integer';
      readonly min: number;
      readonly max: number;
      /** Below `min`, and allowed nevertheless. */
      readonly also?: number;
      /** The sign of a per cent may stand after the number. */
      readonly unit?: 'seconds' | '%';
    }
  /** Exactly one of the words. */
  | { readonly kind: 'choice'; readonly words: readonly string[] }
  /** One or more of the words, joined by `+`. `lenient`: unknown words are left out. */
  | { readonly kind: 'words'; readonly words: readonly string[]; readonly lenient?: boolean }
  /** {@link parseTimeSpan}, of `least` seconds or more; without a least also `0`, or `-1` for ever. */
  | { readonly kind: 'time-span'; readonly least?: number }
  /** Fields joined by `;`. Collects: every line is one more. */
  | { readonly kind: 'controller' }
  | { readonly kind: 'exclude' }
  /** A text, or `file:///path`. */
  | { readonly kind: 'text-or-file'; readonly secret?: boolean };
