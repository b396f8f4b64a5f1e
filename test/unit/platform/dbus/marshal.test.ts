import { BusVariant } from '../../../../src/ports/bus.ts';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { marshal } from '../../../../src/platform/dbus/marshal.ts';
import { checkBody } from '../../../../src/platform/dbus/values.ts';
import { RawWriter, field, rawMessage } from '../../../contract/raw-message.ts';

/** dbus-next's own reading of a whole message, which knows nothing of how it was written. */
const { unmarshall } = createRequire(import.meta.url)('dbus-next/lib/message.js') as {
  unmarshall: (bytes: Buffer, options: object) => { body: unknown[]; signature: string };
};
const { messageToJsFmt } = createRequire(import.meta.url)('dbus-next/lib/marshall-compat.js') as {
  messageToJsFmt: (message: { body: unknown[] }) => { body: unknown[] };
};

function roundTrip(signature: string, values: readonly unknown[]): unknown[] {
  const body = checkBody(signature, values);
  const message = { kind: 'signal', path: '/a', interfaceName: 'a.b', member: 'c' } as const;
  const bytes = Buffer.concat(marshal({ ...message, signature, body }, 7));
  return messageToJsFmt(unmarshall(bytes, {})).body;
}

describe('marshal', () => {
  it('writes a call as the specification says', () => {
    const bytes = marshal(
      {
        kind: 'call',
        path: '/org/example',
        interfaceName: 'org.example.A',
        member: 'Do',
        destination: ':1.2',
        noAutoStart: true,
        signature: 'su',
        body: ['text', 5],
      },
      9,
    );
    const expected = rawMessage({
      type: 1,
      serial: 9,
      fields: [
        field.path('/org/example'),
        field.interfaceName('org.example.A'),
        field.member('Do'),
        field.destination(':1.2'),
        field.signature('su'),
      ],
      body: new RawWriter().string('text').uint32(5).toBuffer(),
    });
    expected.writeUInt8(2, 2);
    expect(Buffer.concat(bytes)).toEqual(expected);
  });

  it('writes a reply without arguments without a signature', () => {
    const reply = { kind: 'return', destination: ':1.2', replySerial: 3 } as const;
    expect(Buffer.concat(marshal({ ...reply, signature: '', body: [] }, 4))).toEqual(
      rawMessage({ type: 2, serial: 4, fields: [field.replySerial(3), field.destination(':1.2')] }),
    );
  });

  it.each([
    ['ybnqiuxtd', [1, true, -2, 3, -4, 5, -6n, 7n, 1.5]],
    ['sog', ['ä💾', '/a/b', 'a{sv}']],
    [
      'aya(yt)',
      [
        Buffer.from('abc'),
        [
          [1, 2n],
          [3, 4n],
        ],
      ],
    ],
    ['yax', [1, []]],
    ['ya(y)y', [1, [], 2]],
    [
      'aaayaa{ss}',
      [
        [[Buffer.from('a')], []],
        [{ a: 'b', '': '' }, {}],
      ],
    ],
    ['ya{sa{ss}}', [1, { x: { y: 'z' } }]],
    [
      '(sa(is))',
      [
        [
          'a',
          [
            [1, 'b'],
            [-1, ''],
          ],
        ],
      ],
    ],
  ])('writes %s so that another implementation reads it', (signature, values) => {
    expect(roundTrip(signature, values)).toEqual(values);
  });

  it('writes variants within variants', () => {
    const value = new BusVariant('(sv)', ['a', new BusVariant('at', [1n])]);
    expect(roundTrip('yv', [1, value])).toMatchObject([
      1,
      { signature: '(sv)', value: ['a', { signature: 'at', value: [1n] }] },
    ]);
  });

  it('writes any dictionaries of strings so that another implementation reads them', () => {
    const text = fc
      .array(fc.constantFrom('a', 'ß', '\ufeff', '存', '💾', '"', '\u0001', '\uffff'), {
        maxLength: 9,
      })
      .map((characters) => characters.join(''));
    const list = fc.array(fc.dictionary(text, text, { maxKeys: 3 }), { maxLength: 4 });
    fc.assert(
      fc.property(list, text, (dictionaries, last) => {
        expect(roundTrip('aa{ss}s', [dictionaries, last])).toEqual([
          dictionaries.map((each) => ({ ...each })),
          last,
        ]);
      }),
    );
  });
});
