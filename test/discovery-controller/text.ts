/**
 * Fixed-size text of NVMe data structures. The specification pads NQNs with NULs and other ASCII
 * strings with spaces (NVMe Base 2.1, clause 1.4.2 and NVMe Qualified Names); real controllers mix both, and a
 * hostile one sends anything, so a value can be given either way or as raw bytes.
 */
import { asHex, Fields, InputError, isObject } from './json.ts';

export type Padding = 'nul' | 'space';

function pad(text: Buffer, size: number, padding: Padding, path: string): Buffer {
  if (text.length > size) {
    throw new InputError(path, `is ${String(text.length)} bytes long, at most ${String(size)} fit`);
  }
  const field = Buffer.alloc(size, padding === 'space' ? 0x20 : 0);
  text.copy(field);
  return field;
}

/**
 * A text field of `size` bytes from JSON: `"text"`, `{"text": "…", "pad": "nul" | "space"}`, or
 * `{"hex": "…"}` for any bytes (the rest of the field is NULs).
 */
export function readTextField(
  value: unknown,
  path: string,
  size: number,
  padding: Padding,
): Buffer {
  if (typeof value === 'string') return pad(Buffer.from(value, 'utf8'), size, padding, path);
  if (!isObject(value)) throw new InputError(path, 'is neither a string nor an object');
  const fields = new Fields(value, path);
  if (fields.has('hex')) {
    const bytes = asHex(fields.raw('hex'), fields.where('hex'));
    fields.done();
    return pad(bytes, size, 'nul', path);
  }
  const text = Buffer.from(fields.string('text'), 'utf8');
  const chosen = fields.optionalString('pad') ?? padding;
  if (chosen !== 'nul' && chosen !== 'space') {
    throw new InputError(fields.where('pad'), 'is neither nul nor space');
  }
  fields.done();
  return pad(text, size, chosen, path);
}

/** A field that holds `text` (cut off where it is too long), for values that need no checking. */
export function textField(text: string, size: number, padding: Padding): Buffer {
  const field = Buffer.alloc(size, padding === 'space' ? 0x20 : 0);
  Buffer.from(text, 'utf8').copy(field);
  return field;
}

/** What a padded field says: up to the first NUL, without trailing spaces. */
export function fieldText(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end < 0 ? field.length : end).replace(/ +$/, '');
}
