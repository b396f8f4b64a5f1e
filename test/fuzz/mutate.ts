/** Damage to texts and bytes: what a parser meets beside what is right and what is mere noise. */
import fc from 'fast-check';

/** Larger inputs are left to the families of `linear.ts`: a case has to be quick. */
const MAX_LENGTH = 64 * 1024;

interface Sequence<T> {
  readonly length: number;
  slice(from: number, to?: number): T;
}

/** Places are numbers of any size, taken modulo the length: they shrink to the beginning. */
type Damage<T> =
  | { readonly kind: 'delete' | 'truncate'; readonly at: number; readonly length: number }
  | { readonly kind: 'move'; readonly at: number; readonly length: number; readonly to: number }
  | {
      readonly kind: 'duplicate';
      readonly at: number;
      readonly length: number;
      readonly times: number;
    }
  | { readonly kind: 'insert' | 'overwrite'; readonly at: number; readonly what: T }
  | {
      readonly kind: 'splice';
      readonly at: number;
      readonly from: T;
      readonly start: number;
      readonly length: number;
    };

function damaged<T extends Sequence<T>>(
  input: T,
  damage: Damage<T>,
  join: (parts: readonly T[]) => T,
): T {
  const at = damage.at % (input.length + 1);
  const before = input.slice(0, at);
  const after = input.slice(at);
  switch (damage.kind) {
    case 'truncate':
      return before;
    case 'delete':
      return join([before, after.slice(damage.length)]);
    case 'move': {
      const rest = join([before, after.slice(damage.length)]);
      const to = damage.to % (rest.length + 1);
      return join([rest.slice(0, to), after.slice(0, damage.length), rest.slice(to)]);
    }
    case 'duplicate': {
      const piece = after.slice(0, damage.length);
      const room = Math.floor((MAX_LENGTH - input.length) / Math.max(1, piece.length));
      const times = Math.max(0, Math.min(damage.times, room));
      return join([before, ...new Array<T>(times).fill(piece), after]);
    }
    case 'insert':
      return join([before, damage.what, after]);
    case 'overwrite':
      return join([before, damage.what, after.slice(damage.what.length)]);
    case 'splice': {
      const start = damage.start % (damage.from.length + 1);
      return join([before, damage.from.slice(start, start + damage.length), after]);
    }
  }
}

function damageOf<T>(corpus: fc.Arbitrary<T>, piece: fc.Arbitrary<T>): fc.Arbitrary<Damage<T>> {
  const place = fc.nat();
  const length = fc.oneof(fc.nat(8), fc.nat(200));
  const times = fc.oneof({ weight: 9, arbitrary: fc.nat(3) }, fc.nat(500));
  return fc.oneof(
    fc.record({ kind: fc.constantFrom('delete', 'truncate'), at: place, length }),
    fc.record({ kind: fc.constant('move'), at: place, length, to: place }),
    fc.record({ kind: fc.constant('duplicate'), at: place, length, times }),
    fc.record({ kind: fc.constantFrom('insert', 'overwrite'), at: place, what: piece }),
    fc.record({ kind: fc.constant('splice'), at: place, from: corpus, start: place, length }),
  );
}

function mutated<T extends Sequence<T>>(
  corpus: fc.Arbitrary<T>,
  piece: fc.Arbitrary<T>,
  join: (parts: readonly T[]) => T,
): fc.Arbitrary<T> {
  const damages = fc.array(damageOf(corpus, piece), { maxLength: 6 });
  return fc
    .tuple(corpus, damages)
    .map(([start, all]) => all.reduce((input, damage) => damaged(input, damage, join), start));
}

/** Characters that mean something to some parser, or are more, or less, than they look. */
const SHARP_CHARACTERS = [
  ...Array.from('=;,:[]#%+-\\/"\'{}()<>&*.0 \t\n\r'),
  '\0\u0001\u001b\u007f\u0085\u00a0\u00ad\u2028\u202e\ufeff\ufffd',
  '\ud800',
  '\udc00',
  '\u{1f4be}',
  'İ',
];

/** Texts of a corpus with parts of them deleted, doubled, moved, cut off, and others put in. */
export function mutatedText(
  corpus: fc.Arbitrary<string>,
  words: readonly string[],
): fc.Arbitrary<string> {
  const piece = fc.oneof(
    fc.constantFrom(...SHARP_CHARACTERS),
    fc.constantFrom(...SHARP_CHARACTERS, ...words),
    fc.string({ unit: 'binary', maxLength: 8 }),
    fc.tuple(fc.constantFrom(...SHARP_CHARACTERS), fc.nat(300)).map(([c, n]) => c.repeat(n)),
  );
  return mutated(corpus, piece, (parts) => parts.join(''));
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** The same for bytes. */
export function mutatedBytes(corpus: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const sharp = fc.constantFrom(0, 1, 0x0a, 0x20, 0x2c, 0x7f, 0x80, 0xc0, 0xef, 0xfe, 0xff);
  const piece = fc.oneof(
    sharp.map((byte) => Uint8Array.of(byte)),
    fc.uint8Array({ maxLength: 8 }),
    fc.tuple(sharp, fc.nat(300)).map(([byte, n]) => new Uint8Array(n).fill(byte)),
  );
  return mutated(corpus, piece, concat);
}

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

type JsonDamage =
  | { readonly kind: 'replace'; readonly at: number; readonly by: Json }
  | { readonly kind: 'delete'; readonly at: number }
  | { readonly kind: 'double'; readonly at: number };

/** Counts nodes from 0, in the order of the text, down to the one that is damaged. */
function damagedJson(input: Json, damage: JsonDamage): Json {
  let left = damage.at % (nodesOf(input) + 1);
  /** What takes the place of a member or element: none, one or two. */
  const visit = (value: Json): readonly Json[] => {
    if (left === 0) {
      left -= 1;
      if (damage.kind === 'delete') return [];
      return damage.kind === 'double' ? [value, value] : [damage.by];
    }
    left -= 1;
    if (Array.isArray(value)) return [(value as readonly Json[]).flatMap(visit)];
    if (typeof value !== 'object' || value === null) return [value];
    const members = Object.entries(value).flatMap(([key, member]) =>
      visit(member).map((each, index): [string, Json] => [`${key}${'_'.repeat(index)}`, each]),
    );
    return [Object.fromEntries(members)];
  };
  return visit(input)[0] ?? null;
}

function nodesOf(value: Json): number {
  if (typeof value !== 'object' || value === null) return 1;
  return Object.values(value).reduce((sum: number, each: Json) => sum + nodesOf(each), 1);
}

/** JSON texts of a corpus of values, damaged in what they say or in how they are written. */
export function mutatedJson(corpus: fc.Arbitrary<unknown>): fc.Arbitrary<string> {
  const place = fc.nat();
  const by = fc.oneof(
    fc.jsonValue() as fc.Arbitrary<Json>,
    fc.constantFrom(...SHARP_CHARACTERS, '', 'tcp', '4420', -1, 1e300, 2 ** 53),
    fc.string({ unit: 'binary' }),
  );
  const damage: fc.Arbitrary<JsonDamage> = fc.oneof(
    fc.record({ kind: fc.constant('replace'), at: place, by }),
    fc.record({ kind: fc.constant('delete'), at: place }),
    fc.record({ kind: fc.constant('double'), at: place }),
  );
  const said = fc
    .tuple(corpus, fc.array(damage, { maxLength: 3 }))
    .map(([value, damages]) => JSON.stringify(damages.reduce(damagedJson, value as Json)));
  return fc.oneof(
    { weight: 8, arbitrary: said },
    { weight: 2, arbitrary: mutatedText(said, ['null', '[]', '{}', '"__proto__":', '1e999']) },
  );
}
