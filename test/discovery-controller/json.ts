/** Reads what a configuration file or a control request holds, and says exactly what is wrong with it. */

/** Input that is refused; `path` names the value, as in `controllers[0].entries[2].traddr`. */
export class InputError extends Error {
  readonly code: string;
  readonly path: string;

  constructor(path: string, problem: string, code = 'bad-input') {
    super(path === '' ? problem : `${path}: ${problem}`);
    this.name = 'InputError';
    this.code = code;
    this.path = path;
  }
}

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The members of `object` except the named ones. */
export function without(object: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)));
}

export function asArray(value: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new InputError(path, 'is not an array');
  return value as readonly unknown[];
}

export function asInteger(value: unknown, path: string, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw new InputError(path, `is not an integer from ${String(min)} to ${String(max)}`);
  }
  return value;
}

export function asHex(value: unknown, path: string): Buffer {
  if (typeof value !== 'string' || !/^(?:[0-9a-f]{2})*$/i.test(value)) {
    throw new InputError(path, 'is not a string of hexadecimal digit pairs');
  }
  return Buffer.from(value, 'hex');
}

/** An unsigned 64-bit number: a JSON number, or a string for those past 2^53. */
export function asU64(value: unknown, path: string): bigint {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return BigInt(value);
  if (typeof value === 'string' && /^(?:0x[0-9a-f]{1,16}|[0-9]{1,20})$/i.test(value)) {
    const number = BigInt(value);
    if (number < 1n << 64n) return number;
  }
  throw new InputError(path, 'is not an unsigned 64-bit number');
}

/**
 * The members of one JSON object. Members are taken by name; `done()` then refuses those that
 * nobody asked for, so that a misspelt one is an error instead of a test that proves nothing.
 */
export class Fields {
  readonly path: string;
  readonly object: JsonObject;
  readonly #taken = new Set<string>();

  constructor(value: unknown, path: string) {
    if (!isObject(value)) throw new InputError(path, 'is not an object');
    this.object = value;
    this.path = path;
  }

  where(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`;
  }

  has(name: string): boolean {
    return this.object[name] !== undefined;
  }

  raw(name: string): unknown {
    this.#taken.add(name);
    return this.object[name];
  }

  string(name: string): string {
    const value = this.raw(name);
    if (typeof value !== 'string') throw new InputError(this.where(name), 'is not a string');
    return value;
  }

  optional<T>(name: string, read: (value: unknown, path: string) => T): T | undefined {
    const value = this.raw(name);
    return value === undefined ? undefined : read(value, this.where(name));
  }

  optionalString(name: string): string | undefined {
    return this.raw(name) === undefined ? undefined : this.string(name);
  }

  boolean(name: string, fallback: boolean): boolean {
    const value = this.raw(name);
    if (value === undefined) return fallback;
    if (typeof value !== 'boolean') throw new InputError(this.where(name), 'is not true or false');
    return value;
  }

  integer(name: string, fallback: number, min: number, max: number): number {
    const value = this.raw(name);
    return value === undefined ? fallback : asInteger(value, this.where(name), min, max);
  }

  optionalInteger(name: string, min: number, max: number): number | undefined {
    return this.optional(name, (value, path) => asInteger(value, path, min, max));
  }

  /** One of `names` by name, or (if `max` is given) any number from 0 to `max`. */
  choice(
    name: string,
    names: Readonly<Record<string, number>>,
    fallback: number,
    max = -1,
  ): number {
    const value = this.raw(name);
    if (value === undefined) return fallback;
    if (typeof value === 'string') {
      const number = Object.hasOwn(names, value) ? names[value] : undefined;
      if (number !== undefined) return number;
    } else if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max) {
      return value;
    }
    const known = Object.keys(names).join(', ');
    throw new InputError(
      this.where(name),
      `is not one of ${known}${max < 0 ? '' : ' or a number'}`,
    );
  }

  done(): void {
    for (const name of Object.keys(this.object)) {
      if (!this.#taken.has(name)) throw new InputError(this.where(name), 'is not a known member');
    }
  }
}
