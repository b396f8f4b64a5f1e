import { describe, expect, it } from 'vitest';
import { MAX_INCOMING_BODY, MessageGuard } from '../../../../src/platform/dbus/message-guard.ts';
import { parseGuarded as parse } from '../../../contract/guarded-parser.ts';
import { RawWriter, field, rawMessage } from '../../../contract/raw-message.ts';

const words = (length: number, bigEndian = false): Buffer =>
  new RawWriter(bigEndian).string('x'.repeat(length)).toBuffer();

function message(
  type: number,
  body: Buffer,
  extra: { bigEndian?: boolean; member?: string } = {},
): Buffer {
  const { bigEndian = false, member = 'member' } = extra;
  const fields = [
    field.path('/a'),
    field.sender(':1.5'),
    field.signature('s'),
    field.member(member),
    field.interfaceName('a.b'),
    ...(type === 2 ? [field.replySerial(7)] : []),
  ];
  return rawMessage({ type, serial: 3, fields, body, bigEndian });
}

describe.each([
  { order: 'little-endian', bigEndian: false },
  { order: 'big-endian', bigEndian: true },
])('the message guard on $order messages', ({ bigEndian }) => {
  const large = words(MAX_INCOMING_BODY, bigEndian);

  it('lets calls and signals of ordinary size pass unchanged', () => {
    for (const type of [1, 4]) {
      const [only] = parse(message(type, words(100, bigEndian), { bigEndian }));
      expect(only).toMatchObject({ type, signature: 's', body: ['x'.repeat(100)] });
    }
  });

  it('lets replies of any size pass unchanged', () => {
    const [only] = parse(message(2, large, { bigEndian }));
    expect(only).toMatchObject({ type: 2, body: ['x'.repeat(MAX_INCOMING_BODY)] });
  });

  it('hides the arguments of an oversized call, and nothing else of it', () => {
    const [only] = parse(message(1, large, { bigEndian }));
    expect(only).toMatchObject({ type: 1, member: 'member', sender: ':1.5' });
    expect(only?.signature).toBeUndefined();
    expect(only?.body).toBeUndefined();
  });

  it('turns an oversized signal into a message of no known type, whatever its length', () => {
    for (let length = 1; length <= 16; length += 1) {
      const member = 'm'.repeat(length);
      const [dropped, next] = parse(
        Buffer.concat([
          message(4, large, { bigEndian, member }),
          message(4, words(1, bigEndian), { bigEndian }),
        ]),
      );
      expect(dropped?.type).toBe(255);
      expect(dropped?.body).toBeUndefined();
      expect(next).toMatchObject({ type: 4, body: ['x'] });
    }
  });

  it('follows messages that arrive in pieces', () => {
    const bytes = Buffer.concat([
      message(1, words(3, bigEndian), { bigEndian }),
      message(4, words(70, bigEndian), { bigEndian }),
      message(2, words(0, bigEndian), { bigEndian }),
    ]);
    for (const size of [1, 7, 16, 64]) {
      expect(parse(bytes, size).map(({ type }) => type)).toEqual([1, 4, 2]);
    }
  });
});

describe('the message guard', () => {
  it('leaves the handshake alone', () => {
    const guard = new MessageGuard();
    expect(() => guard.see(Buffer.from('O'))).not.toThrow();
  });

  it('gives a body of file descriptors something to look in', () => {
    const fields = [field.path('/a'), field.member('m'), field.signature('ah')];
    const body = new RawWriter().uint32(8).uint32(0).uint32(4_000_000).toBuffer();
    const [only] = parse(rawMessage({ type: 1, serial: 3, fields, body }));
    expect(only?.body).toEqual([[undefined, undefined]]);
  });

  it('refuses a header that no bus sends', () => {
    const sees = (header: Buffer) => () => {
      const guard = new MessageGuard();
      guard.begin();
      guard.see(header);
    };
    const good = message(1, words(1)).subarray(0, 16);
    expect(sees(good)).not.toThrow();
    expect(sees(good.subarray(0, 15))).toThrow(/not a message/);
    expect(sees(Buffer.from('HTTP/1.1 400 Bad'))).toThrow(/not a message/);
    const long = Buffer.from(good);
    long.writeUInt32LE(0x0800_0001, 4);
    expect(sees(long)).toThrow(/limits/);
    const wide = Buffer.from(good);
    wide.writeUInt32LE(0xffff_ffff, 12);
    expect(sees(wide)).toThrow(/limits/);
  });

  it('refuses a message that ends too early', () => {
    const bytes = message(1, words(10));
    const guard = new MessageGuard();
    guard.begin();
    guard.see(bytes.subarray(0, 16));
    expect(() => guard.see(bytes.subarray(16, bytes.length - 1))).toThrow(/within a message/);
  });
});
