/** Plain values (see the port) checked against D-Bus types, before they go to the wire. */
import { BusError, BusVariant } from '../../ports/bus.ts';
import { errorNames, isObjectPath } from './names.ts';
import { parseSignature } from './signature.ts';
import type { BasicCode, BusType } from './signature.ts';

const INTEGER_RANGES: Readonly<Record<string, readonly [number, number]>> = {
  y: [0, 0xff],
  n: [-0x8000, 0x7fff],
  q: [0, 0xffff],
  i: [-0x80000000, 0x7fffffff],
  u: [0, 0xffffffff],
};

function wrongValue(where: string, expected: string): never {
  throw new BusError(errorNames.invalidArgs, `${where} is not ${expected}`);
}

/**
 * dbus-daemon closes the connection of a sender of more than `max_message_size`, by default 32 MiB
 * on the system bus, header included.
 */
const MAX_BODY_BYTES = 32 * 1024 * 1024 - 64 * 1024;

/** Counts the bytes that a body can take at most: padding is assumed wherever it can be. */
export class SizeBound {
  bytes = 0;
}

const STRING_CODES = 'sog';

/** What a value can take beside its own bytes: padding, a length, a NUL. */
const OVERHEAD = 16;

function checkBasic(code: BasicCode, value: unknown, where: string, size: SizeBound): unknown {
  size.bytes += OVERHEAD;
  switch (code) {
    case 's': {
      if (typeof value !== 'string') return wrongValue(where, 'a string');
      size.bytes += Buffer.byteLength(value);
      // D-Bus cannot carry NUL. One in a text from outside must not make the whole answer fail.
      return value.includes('\0') ? value.replaceAll('\0', '\ufffd') : value;
    }
    case 'o': {
      if (typeof value !== 'string' || !isObjectPath(value)) {
        return wrongValue(where, 'an object path');
      }
      size.bytes += value.length;
      return value;
    }
    case 'g': {
      if (typeof value !== 'string') return wrongValue(where, 'a signature');
      parseSignature(value);
      size.bytes += value.length;
      return value;
    }
    case 'b':
      return typeof value === 'boolean' ? value : wrongValue(where, 'a boolean');
    case 'd':
      return typeof value === 'number' && Number.isFinite(value)
        ? value
        : wrongValue(where, 'a finite number');
    case 'x':
    case 't': {
      const integer =
        typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value;
      if (typeof integer !== 'bigint') return wrongValue(where, 'an integer');
      const wrapped = code === 't' ? BigInt.asUintN(64, integer) : BigInt.asIntN(64, integer);
      return wrapped === integer ? integer : wrongValue(where, 'within 64 bits');
    }
    case 'y':
    case 'n':
    case 'q':
    case 'i':
    case 'u': {
      const [least, most] = INTEGER_RANGES[code] ?? [0, 0];
      return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
        ? value
        : wrongValue(where, `an integer from ${least} to ${most}`);
    }
  }
}

/**
 * Checks a plain value against a type and returns a copy of it that has nothing else in it: own
 * keys only, NUL replaced in strings, 64-bit integers as bigint. Adds to `size` what it takes on
 * the wire. Throws BusError (InvalidArgs) that names the place.
 */
export function checkValue(type: BusType, value: unknown, where: string, size: SizeBound): unknown {
  switch (type.kind) {
    case 'basic':
      return checkBasic(type.code, value, where, size);
    case 'variant': {
      if (!(value instanceof BusVariant)) return wrongValue(where, 'a variant');
      const [inner, ...rest] = parseSignature(value.signature);
      if (inner === undefined || rest.length > 0) return wrongValue(where, 'a single value');
      size.bytes += OVERHEAD + value.signature.length;
      return new BusVariant(value.signature, checkValue(inner, value.value, where, size));
    }
    case 'array': {
      size.bytes += OVERHEAD;
      if (value instanceof Uint8Array && type.element.kind === 'basic') {
        if (type.element.code !== 'y') return wrongValue(where, 'a list');
        size.bytes += value.length;
        return Buffer.from(value);
      }
      if (!Array.isArray(value)) return wrongValue(where, 'a list');
      return value.map((item, index) => checkValue(type.element, item, `${where}[${index}]`, size));
    }
    case 'dictionary': {
      size.bytes += OVERHEAD;
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        return wrongValue(where, 'a dictionary');
      }
      if (!STRING_CODES.includes(type.key)) return wrongValue(where, 'a dictionary of names');
      return Object.fromEntries(
        Object.entries(value).map(([key, item]) => [
          checkBasic(type.key, key, where, size),
          checkValue(type.value, item, `${where}.${key}`, size),
        ]),
      );
    }
    case 'struct': {
      size.bytes += OVERHEAD;
      if (!Array.isArray(value) || value.length !== type.fields.length) {
        return wrongValue(where, `a struct of ${type.fields.length}`);
      }
      return type.fields.map((field, index) =>
        checkValue(field, value[index], `${where}(${index})`, size),
      );
    }
  }
}

/**
 * Checks the arguments of a message against its signature: see {@link checkValue}. Throws BusError
 * (InvalidArgs, or LimitsExceeded for what the bus would close the connection for).
 */
export function checkBody(signature: string, values: readonly unknown[]): unknown[] {
  const types = parseSignature(signature);
  if (types.length !== values.length) {
    throw new BusError(
      errorNames.invalidArgs,
      `${values.length} values for the signature "${signature}"`,
    );
  }
  const size = new SizeBound();
  const body = types.map((type, index) =>
    checkValue(type, values[index], `argument ${index + 1}`, size),
  );
  if (size.bytes > MAX_BODY_BYTES) {
    throw new BusError(
      errorNames.limitsExceeded,
      `the message would have ${size.bytes} bytes; the bus carries ${MAX_BODY_BYTES}`,
    );
  }
  return body;
}

/** A received value without its variants: what is in them takes their place, at any depth. */
export function withoutVariants(value: unknown): unknown {
  if (value instanceof BusVariant) return withoutVariants(value.value);
  if (value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(withoutVariants);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, withoutVariants(item)]),
    );
  }
  return value;
}

/** The arguments of a received message as plain values. */
export function plainBody(signature: string, body: readonly unknown[]): readonly unknown[] {
  // Most have no variant: an answer of 10,000 entries is not copied for nothing.
  return signature.includes('v') ? body.map(withoutVariants) : body;
}
