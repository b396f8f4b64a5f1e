/** Texts of options to values, by the kinds of the option table. */
import { DHCHAP_SECRET_FORM } from './dhchap-secret.ts';
import type { FieldKind } from './field-table.ts';
import type { OptionKind } from './option-kind.ts';
import { parseTimeSpan } from './time-span.ts';

/** A value was read, perhaps with something to say about it, or was not: then the default applies. */
export type ReadValue<T> =
  | { readonly ok: true; readonly value: T; readonly warning?: ValueFault }
  | { readonly ok: false; readonly fault: ValueFault };

export interface ValueFault {
  readonly message: string;
  readonly allowed: string;
}

type KindOf<K extends OptionKind['kind']> = Extract<OptionKind, { readonly kind: K }>;

function refuse<T>(message: string, allowed: string): ReadValue<T> {
  return { ok: false, fault: { message, allowed } };
}

export function readBoolean(text: string): ReadValue<boolean> {
  const word = text.toLowerCase();
  if (word === 'true' || word === 'false') return { ok: true, value: word === 'true' };
  return refuse('is neither true nor false', allowedText({ kind: 'boolean' }));
}

/** True, false, or one of the other words of the option, in lower case. */
export function readBooleanOr<const Word extends string>(
  also: readonly Word[],
  text: string,
): ReadValue<boolean | Word> {
  const other = also.find((word) => word === text.toLowerCase());
  if (other !== undefined) return { ok: true, value: other };
  const read = readBoolean(text);
  return read.ok ? read : refuse('is none of the words', allowedText({ kind: 'boolean', also }));
}

export function readSwitch(text: string): ReadValue<boolean> {
  const word = text.toLowerCase();
  if (word === 'enabled' || word === 'disabled') return { ok: true, value: word === 'enabled' };
  return refuse('is neither enabled nor disabled', allowedText({ kind: 'switch' }));
}

/** The range of an integer option for people: `-1 or 0 and more, in seconds`. */
export function rangeText(kind: KindOf<'integer'>): string {
  const range = kind.max >= 2 ** 31 - 1 ? `${kind.min} and more` : `${kind.min} to ${kind.max}`;
  const also = kind.also === undefined ? '' : `${kind.also}, or `;
  return `${also}${range}${kind.unit === undefined ? '' : `, in ${kind.unit}`}`;
}

export function readInteger(kind: KindOf<'integer'>, text: string): ReadValue<number> {
  const allowed = rangeText(kind);
  const number = kind.unit === '%' ? text.replace(/[ \t]*%$/, '') : text;
  if (!/^[+-]?[0-9]{1,15}$/.test(number)) return refuse('is not a whole number', allowed);
  const value = Number(number);
  if (value === kind.also) return { ok: true, value };
  if (value < kind.min || value > kind.max) return refuse('is out of range', allowed);
  return { ok: true, value: value === 0 ? 0 : value };
}

export function readChoice(kind: KindOf<'choice'>, text: string): ReadValue<string> {
  if (kind.words.includes(text)) return { ok: true, value: text };
  return refuse('is not one of the words', allowedText(kind));
}

/** The words that were given, in the order of the table. */
export function readWords(kind: KindOf<'words'>, text: string): ReadValue<readonly string[]> {
  const allowed = allowedText(kind);
  const given = text.split('+').map((word) => word.trim());
  const value = kind.words.filter((word) => given.includes(word));
  const allKnown = given.every((word) => kind.words.includes(word));
  if (allKnown) return { ok: true, value };
  if (value.length === 0 || kind.lenient !== true) {
    return refuse('has a word that is not known', allowed);
  }
  return {
    ok: true,
    value,
    warning: { message: 'has a word that is not known, which is left out', allowed },
  };
}

/** Seconds; every negative span is -1, for ever, where the option has no least. */
export function readTimeSpan(text: string, least?: number): ReadValue<number> {
  const kind = { kind: 'time-span', ...(least === undefined ? {} : { least }) } as const;
  const seconds = parseTimeSpan(text);
  if (seconds === undefined) return refuse('is not a time span', allowedText(kind));
  if (least !== undefined && seconds < least) return refuse('is too short', allowedText(kind));
  return { ok: true, value: seconds < 0 ? -1 : seconds };
}

/** What an option or a field takes, for people. */
export function allowedText(kind: OptionKind | FieldKind): string {
  switch (kind.kind) {
    case 'boolean':
      return ['true', 'false', ...(kind.also ?? [])].join(', ');
    case 'switch':
      return 'enabled, disabled';
    case 'integer':
      return rangeText(kind);
    case 'choice':
      return kind.words.join(', ');
    case 'words':
      return `${kind.words.join(', ')}, joined by +`;
    case 'time-span': {
      const spans = 'seconds, a span such as 72hours or "3 days 5 hours"';
      if (kind.least === undefined) return `${spans}, 0, or -1 for ever`;
      return `${spans}, at least ${kind.least} s`;
    }
    case 'controller':
    case 'exclude':
      return 'fields of the form name=value, joined by ;';
    case 'text-or-file':
      return 'a text, or file:///path for the first word of that file';
    case 'traddr':
      return 'an IP address or host name (tcp, rdma), nn-0x...:pn-0x... (fc)';
    case 'host-traddr':
      return 'an IP address (tcp, rdma), nn-0x...:pn-0x... (fc)';
    case 'port':
      return '1 to 65535';
    case 'interface':
      return 'the name of a network interface';
    case 'nqn':
      return 'nqn. and more, at most 223 bytes';
    case 'subsystem-nqn':
      return 'a name of at most 223 bytes';
    case 'uuid':
      return 'a UUID, not of zeros only';
    case 'dhchap-secret':
      return DHCHAP_SECRET_FORM;
  }
}
