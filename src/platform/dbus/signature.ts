/** D-Bus type signatures (D-Bus specification, "Type System"), parsed strictly. */
import { BusError } from '../../ports/bus.ts';
import { errorNames } from './names.ts';

/** Codes of the basic types that this bus carries; file descriptors (`h`) are not among them. */
const BASIC = 'ybnqiuxtdsog';
export type BasicCode = 'y' | 'b' | 'n' | 'q' | 'i' | 'u' | 'x' | 't' | 'd' | 's' | 'o' | 'g';

export type BusType =
  | { readonly kind: 'basic'; readonly code: BasicCode }
  | { readonly kind: 'variant' }
  | { readonly kind: 'array'; readonly element: BusType }
  /** Keys are strings here whatever their type on the wire. */
  | { readonly kind: 'dictionary'; readonly key: BasicCode; readonly value: BusType }
  | { readonly kind: 'struct'; readonly fields: readonly BusType[] };

/** D-Bus specification: at most 255 bytes, and 32 levels each of arrays and structs. */
const MAX_SIGNATURE_LENGTH = 255;
const MAX_DEPTH = 32;

function isBasic(code: string): code is BasicCode {
  return code.length === 1 && BASIC.includes(code);
}

/** Parses one complete type at `at`; returns it with the index after it. */
function parseOne(text: string, at: number, depth: number): readonly [BusType, number] {
  const refuse = (why: string): never => {
    throw new BusError(errorNames.invalidSignature, `"${text}": ${why}`);
  };
  if (depth > MAX_DEPTH) return refuse('nested too deeply');
  const code = text[at];
  if (code === undefined) return refuse('ends too early');
  if (isBasic(code)) return [{ kind: 'basic', code }, at + 1];
  if (code === 'v') return [{ kind: 'variant' }, at + 1];
  if (code === 'a' && text[at + 1] === '{') {
    const [key, afterKey] = parseOne(text, at + 2, depth + 1);
    if (key.kind !== 'basic') return refuse('a dictionary key is not a basic type');
    const [value, afterValue] = parseOne(text, afterKey, depth + 1);
    if (text[afterValue] !== '}') return refuse('a dictionary entry is not closed');
    return [{ kind: 'dictionary', key: key.code, value }, afterValue + 1];
  }
  if (code === 'a') {
    const [element, after] = parseOne(text, at + 1, depth + 1);
    return [{ kind: 'array', element }, after];
  }
  if (code === '(') {
    const fields: BusType[] = [];
    let next = at + 1;
    while (text[next] !== ')') {
      const [field, after] = parseOne(text, next, depth + 1);
      fields.push(field);
      next = after;
    }
    if (fields.length === 0) return refuse('a struct is empty');
    return [{ kind: 'struct', fields }, next + 1];
  }
  return refuse(`"${code}" is not a type`);
}

/** The complete types of a signature, in order. Throws BusError (InvalidSignature). */
export function parseSignature(text: string): readonly BusType[] {
  if (text.length > MAX_SIGNATURE_LENGTH) {
    throw new BusError(errorNames.invalidSignature, 'longer than 255 bytes');
  }
  const types: BusType[] = [];
  let at = 0;
  while (at < text.length) {
    const [type, after] = parseOne(text, at, 0);
    types.push(type);
    at = after;
  }
  return types;
}

/** Whether `text` is one complete type, as a variant and a property need it. */
export function isSingleType(text: string): boolean {
  try {
    return parseSignature(text).length === 1;
  } catch {
    return false;
  }
}
