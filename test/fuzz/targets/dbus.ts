/** What comes over the bus, and what is to go over it. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { marshal } from '../../../src/platform/dbus/marshal.ts';
import { MAX_INCOMING_BODY, MessageGuard } from '../../../src/platform/dbus/message-guard.ts';
import { parseSignature } from '../../../src/platform/dbus/signature.ts';
import { checkBody, plainBody, withoutVariants } from '../../../src/platform/dbus/values.ts';
import { BusError, BusVariant } from '../../../src/ports/bus.ts';
import { parseGuarded } from '../../contract/guarded-parser.ts';
import { field, rawMessage, RawWriter } from '../../contract/raw-message.ts';
import { mutatedBytes, mutatedText } from '../mutate.ts';
import { onlyThrows } from '../promises.ts';
import { defineTarget } from '../target.ts';

const CALL = 1;
const SIGNAL = 4;

interface Sent {
  readonly type: number;
  readonly bigEndian: boolean;
  readonly member: string;
  readonly length: number;
  readonly order: readonly number[];
}

const sent: fc.Arbitrary<Sent> = fc.record({
  type: fc.constantFrom(CALL, 2, 3, SIGNAL),
  bigEndian: fc.boolean(),
  member: fc.stringMatching(/^[a-z]{1,20}$/),
  length: fc.oneof(
    { weight: 9, arbitrary: fc.nat(300) },
    fc.integer({ min: MAX_INCOMING_BODY - 16, max: MAX_INCOMING_BODY + 16 }),
  ),
  order: fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5 }),
});

function messageOf({ bigEndian, length, member, order, type }: Sent): Buffer {
  const fields = [
    field.path('/a'),
    field.sender(':1.5'),
    field.signature('s'),
    field.member(member),
    type === 3 ? field.errorName('a.b') : field.interfaceName('a.b'),
  ];
  const bodyBytes = Buffer.alloc(length + 5, 'x');
  const prefix = new RawWriter(bigEndian).uint32(length).toBuffer();
  prefix.copy(bodyBytes);
  bodyBytes.writeUInt8(0, length + 4);
  return rawMessage({
    type,
    serial: 3,
    fields: [
      ...order.flatMap((index) => {
        const each = fields[index];
        return each === undefined ? [] : [each];
      }),
      ...(type === 2 || type === 3 ? [field.replySerial(7)] : []),
    ],
    body: bodyBytes,
    bigEndian,
  });
}

const stream = defineTarget<readonly Sent[]>({
  name: 'dbus-stream',
  cases: 3_000,
  input: fc.array(sent, { minLength: 1, maxLength: 5 }),
  size: (all) => all.reduce((sum, { length }) => sum + length, 0),
  check: (all) => {
    const parsed = parseGuarded(Buffer.concat(all.map(messageOf)));
    assert.equal(parsed.length, all.length);
    for (const [index, { length, member, type }] of all.entries()) {
      const got = parsed[index];
      const over = length + 5 > MAX_INCOMING_BODY;
      if (over && type === SIGNAL) {
        assert.equal(got?.type, 255);
        continue;
      }
      assert.equal(got?.type, type);
      assert.equal(got.member, member);
      assert.deepEqual(got.body, over && type === CALL ? undefined : ['x'.repeat(length)]);
    }
  },
});

const guard = defineTarget<Uint8Array>({
  name: 'dbus-guard',
  cases: 8_000,
  input: mutatedBytes(
    fc
      .record({ one: sent, big: fc.boolean() })
      .map(({ big, one }) => new Uint8Array(messageOf({ ...one, length: big ? 66_000 : 20 }))),
  ),
  size: (bytes) => bytes.length,
  check: (bytes) => {
    const seen = new MessageGuard();
    seen.begin();
    const header = Buffer.from(bytes.subarray(0, 16));
    const rest = Buffer.from(bytes.subarray(16));
    const length = rest.length;
    onlyThrows(
      () => {
        seen.see(header);
        seen.see(rest);
      },
      // Whatever it is, the connection ends with it.
      (error) => error instanceof Error && !(error instanceof TypeError),
    );
    assert.equal(rest.length, length);
  },
  families: [CALL, SIGNAL].map((type) => ({
    name: `fields of an oversized ${type === CALL ? 'call' : 'signal'}`,
    make: (n) => {
      const fields = Array.from({ length: Math.min(n, 4000) }, () => field.replySerial(1));
      const bytes = rawMessage({ type, serial: 3, fields, body: Buffer.alloc(66_000) });
      return () => {
        const seen = new MessageGuard();
        seen.begin();
        seen.see(Buffer.from(bytes.subarray(0, 16)));
        seen.see(Buffer.from(bytes.subarray(16)));
      };
    },
  })),
});

const isBusError = (error: unknown): boolean => error instanceof BusError;

/** Complete types, by the depth that is left. */
function typeText(depth: number): fc.Arbitrary<string> {
  const basic = fc.constantFrom(...Array.from('ybnqiuxtdsog'));
  if (depth === 0) return basic;
  const inner = typeText(depth - 1);
  return fc.oneof(
    { weight: 3, arbitrary: basic },
    inner.map((type) => `a${type}`),
    inner.map((type) => `a{s${type}}`),
    fc.array(inner, { minLength: 1, maxLength: 3 }).map((types) => `(${types.join('')})`),
    fc.constant('v'),
  );
}

const signature = defineTarget<string>({
  name: 'dbus-signature',
  cases: 15_000,
  input: mutatedText(
    fc.array(typeText(3), { maxLength: 4 }).map((types) => types.join('')),
    [
      'a{',
      'a{s',
      '()',
      'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
      '(((((((((((((((((((((((((((((((((((',
    ],
  ),
  size: (text) => text.length,
  check: (text) => {
    const types = onlyThrows(() => parseSignature(text), isBusError);
    if (types === undefined) return;
    assert.ok(text.length <= 255 && types.length <= text.length);
    // Each complete type alone is what it is among the others.
    assert.deepEqual([...types, ...types].length, 2 * types.length);
    if (text.length < 128) assert.deepEqual(parseSignature(text + text), [...types, ...types]);
  },
  families: ['a', '(', '()', 'a{s', 's', '('].map((piece) => ({
    name: `${piece} again and again`,
    make: (n) => {
      const text = piece.repeat(n);
      return () => onlyThrows(() => parseSignature(text), isBusError);
    },
  })),
});

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.string({ maxLength: 40 }),
  fc.constantFrom('', '__proto__', 'a\0b'),
);

/** A value of a type of this bus. */
function valueOf(type: string): fc.Arbitrary<unknown> {
  const [first] = parseSignature(type);
  switch (first?.kind) {
    case 'array':
      return fc.array(valueOf(type.slice(1)), { maxLength: 3 });
    case 'dictionary':
      return fc.dictionary(text, valueOf(type.slice(3, -1)), { maxKeys: 3 });
    case 'struct':
      return fc.tuple(...splitTypes(type.slice(1, -1)).map(valueOf));
    case 'variant':
      return fc
        .constantFrom('s', 'u', 'as')
        .chain((inner) => valueOf(inner).map((value) => new BusVariant(inner, value)));
    case 'basic':
      return basicValue(first.code);
    case undefined:
      return fc.constant(undefined);
  }
}

function basicValue(code: string): fc.Arbitrary<unknown> {
  switch (code) {
    case 'y':
      return fc.nat(0xff);
    case 'b':
      return fc.boolean();
    case 'n':
      return fc.integer({ min: -0x8000, max: 0x7fff });
    case 'q':
      return fc.nat(0xffff);
    case 'i':
      return fc.integer();
    case 'u':
      return fc.integer({ min: 0, max: 0xffffffff });
    case 'x':
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    case 't':
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    case 'd':
      return fc.double({ noNaN: true, noDefaultInfinity: true });
    case 'o':
      return fc.constantFrom('/', '/org/nvmexpress/staf');
    case 'g':
      return fc.constantFrom('', 'a{sv}', 's');
    default:
      return text;
  }
}

/** The complete types of a signature, as texts. */
function splitTypes(all: string): readonly string[] {
  const types: string[] = [];
  let rest = all;
  while (rest !== '') {
    let length = 1;
    while (onlyThrows(() => parseSignature(rest.slice(0, length)), isBusError)?.length !== 1) {
      length += 1;
    }
    types.push(rest.slice(0, length));
    rest = rest.slice(length);
  }
  return types;
}

/** dbus-next's own reading of a whole message, which knows nothing of how it was written. */
const require = createRequire(import.meta.url);
const { unmarshall } = require('dbus-next/lib/message.js') as {
  unmarshall: (bytes: Buffer, options: object) => { body: unknown[]; signature: string };
};
const { messageToJsFmt } = require('dbus-next/lib/marshall-compat.js') as {
  messageToJsFmt: (message: { body: unknown[] }) => { body: unknown[] };
};

/** As it is compared: without variants of either kind, dictionaries without a prototype. */
function comparable(value: unknown): unknown {
  // What dbus-next reads under the key __proto__ is a dictionary's prototype: of that, nothing counts.
  if (value instanceof Uint8Array && ArrayBuffer.isView(value)) return [...value];
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? 0 : value;
  const ownKeys = Object.keys(value).toSorted().join();
  if ('signature' in value && 'value' in value && ownKeys === 'signature,value') {
    return comparable(value.value);
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== '__proto__')
      .map(([key, member]) => [`key ${key}`, comparable(member)]),
  );
}

interface ValuesCase {
  readonly signature: string;
  readonly values: readonly unknown[];
  /** Something that is likely of no such type. */
  readonly odd: unknown;
}

const values = defineTarget<ValuesCase>({
  name: 'dbus-values',
  cases: 10_000,
  input: fc.array(typeText(3), { maxLength: 3 }).chain((types) =>
    fc.record({
      signature: fc.constant(types.join('')),
      values: fc.tuple(...types.map(valueOf)),
      odd: fc.anything({ withBigInt: true, withNullPrototype: true, withTypedArray: true }),
    }),
  ),
  size: ({ values: all }) => fc.stringify(all).length,
  check: ({ odd, signature: types, values: all }) => {
    const body = checkBody(types, all);
    const message = { kind: 'signal', path: '/a', interfaceName: 'a.b', member: 'c' } as const;
    const bytes = Buffer.concat(marshal({ ...message, signature: types, body }, 7));
    // Without arguments it has no list of them.
    const read = types === '' ? [] : messageToJsFmt(unmarshall(bytes, {})).body;
    assert.deepEqual(comparable(read), comparable(body));
    assert.doesNotThrow(() => plainBody(types, body));

    for (const type of splitTypes(types)) {
      const checked = onlyThrows(() => checkBody(type, [odd]), isBusError);
      if (checked !== undefined) marshal({ ...message, signature: type, body: checked }, 7);
    }
    withoutVariants(odd);
  },
  families: [
    {
      name: 'aa{ss}',
      make: (n) => {
        const list = [Array.from({ length: Math.ceil(n / 4) }, () => ({ traddr: 'x', nqn: 'y' }))];
        return () => {
          const body = checkBody('aa{ss}', list);
          marshal({ kind: 'signal', signature: 'aa{ss}', body }, 7);
          return plainBody('aa{sv}', body);
        };
      },
    },
    {
      name: 'a string',
      make: (n) => {
        const list = ['\0'.repeat(n * 4)];
        return () => marshal({ kind: 'signal', signature: 's', body: checkBody('s', list) }, 7);
      },
    },
  ],
});

export const dbusTargets = [stream, guard, signature, values];
