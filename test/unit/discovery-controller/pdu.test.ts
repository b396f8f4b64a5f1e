import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32c } from '../../discovery-controller/crc32c.ts';
import { encodePdu, FatalError, PLAIN } from '../../discovery-controller/pdu.ts';
import type { Framing, Pdu, PduName } from '../../discovery-controller/pdu.ts';
import { PduError, PduStream } from '../../discovery-controller/pdu-stream.ts';

const EVERY: readonly PduName[] = [
  'icReq',
  'icResp',
  'h2cTermReq',
  'c2hTermReq',
  'capsuleCmd',
  'capsuleResp',
  'h2cData',
  'c2hData',
  'r2t',
];

const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const bytes = (min: number, max: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: min, maxLength: max }).map((array) => Buffer.from(array));

const pdus: fc.Arbitrary<Pdu> = fc.oneof(
  fc.record({
    type: fc.constant('icReq' as const),
    pfv: u16,
    hpda: u8,
    headerDigest: fc.boolean(),
    dataDigest: fc.boolean(),
    maxR2t: u32,
  }),
  fc.record({
    type: fc.constant('icResp' as const),
    pfv: u16,
    cpda: u8,
    headerDigest: fc.boolean(),
    dataDigest: fc.boolean(),
    maxH2cData: u32,
  }),
  fc.record({
    type: fc.constantFrom('h2cTermReq' as const, 'c2hTermReq' as const),
    fes: u16,
    fei: u32,
    data: bytes(0, 128),
  }),
  fc.record({
    type: fc.constant('capsuleCmd' as const),
    sqe: bytes(64, 64),
    data: bytes(0, 300),
    dataIntact: fc.constant(true),
  }),
  fc.record({ type: fc.constant('capsuleResp' as const), cqe: bytes(16, 16) }),
  fc.record({
    type: fc.constantFrom('h2cData' as const, 'c2hData' as const),
    cccid: u16,
    ttag: u16,
    offset: u32,
    last: fc.boolean(),
    success: fc.boolean(),
    data: bytes(1, 300),
    dataIntact: fc.constant(true),
  }),
  fc.record({ type: fc.constant('r2t' as const), cccid: u16, ttag: u16, offset: u32, length: u32 }),
);

const framings: fc.Arbitrary<Framing> = fc.record({
  headerDigest: fc.boolean(),
  dataDigest: fc.boolean(),
  alignment: fc.constantFrom(4, 8, 64, 128),
});

function streamFor(framing: Framing): PduStream {
  const stream = new PduStream({ accepts: EVERY, maxData: 1024 });
  stream.setDigests(framing.headerDigest, framing.dataDigest);
  return stream;
}

function takeAll(stream: PduStream): Pdu[] {
  const taken: Pdu[] = [];
  for (let pdu = stream.next(); pdu !== null; pdu = stream.next()) taken.push(pdu);
  return taken;
}

const COMMAND: Pdu = {
  type: 'capsuleCmd',
  sqe: Buffer.alloc(64, 0x5a),
  data: Buffer.from('0123456789abcdef'),
  dataIntact: true,
};
const BOTH: Framing = { headerDigest: true, dataDigest: true, alignment: 4 };

function errorOf(run: () => unknown): PduError {
  try {
    run();
  } catch (error) {
    if (error instanceof PduError) return error;
  }
  throw new Error('no PduError');
}

describe('PDUs', () => {
  it('computes the digest that RFC 3720 gives for its test vectors', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
    expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
    expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
  });

  it('lays ICReq out as the specification draws it', () => {
    const pdu = encodePdu(
      { type: 'icReq', pfv: 0, hpda: 3, headerDigest: true, dataDigest: true, maxR2t: 7 },
      PLAIN,
    );
    expect(pdu.length).toBe(128);
    expect(pdu.toString('hex', 0, 16)).toBe('00008000800000000000030307000000');
  });

  it('puts data where the alignment that the other side asked for wants it', () => {
    const pdu = encodePdu(COMMAND, { headerDigest: true, dataDigest: true, alignment: 64 });
    expect(pdu.readUInt8(1)).toBe(3);
    expect(pdu.readUInt8(3)).toBe(128);
    expect(pdu.readUInt32LE(4)).toBe(128 + 16 + 4);
    expect(pdu.toString('latin1', 128, 144)).toBe('0123456789abcdef');
    expect(pdu.readUInt32LE(72)).toBe(crc32c(pdu.subarray(0, 72)));
  });

  it('gives back every PDU however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(pdus, { minLength: 1, maxLength: 5 }),
        framings,
        fc.integer({ min: 1, max: 97 }),
        (sent, framing, chunk) => {
          const wire = Buffer.concat(sent.map((pdu) => encodePdu(pdu, framing)));
          const stream = streamFor(framing);
          const received: Pdu[] = [];
          for (let at = 0; at < wire.length; at += chunk) {
            stream.push(wire.subarray(at, at + chunk));
            received.push(...takeAll(stream));
          }
          expect(received).toEqual(sent);
          expect(stream.buffered).toBe(0);
        },
      ),
    );
  });

  it('answers any garbage with PDUs, patience or a PduError, and nothing else', () => {
    fc.assert(
      fc.property(bytes(0, 400), framings, (garbage, framing) => {
        const stream = streamFor(framing);
        stream.push(garbage);
        try {
          takeAll(stream);
        } catch (error) {
          expect(error).toBeInstanceOf(PduError);
          expect(stream.next()).toBeNull();
        }
      }),
    );
  });

  it('refuses a header that does not match its digest', () => {
    const wire = encodePdu(COMMAND, BOTH);
    wire.writeUInt8(wire.readUInt8(20) ^ 1, 20);
    const stream = streamFor(BOTH);
    stream.push(wire);
    expect(errorOf(() => stream.next()).fes).toBe(FatalError.headerDigestError);
  });

  it('marks data that does not match its digest and goes on', () => {
    const wire = encodePdu(COMMAND, BOTH);
    wire.writeUInt8(wire.readUInt8(80) ^ 1, 80);
    const stream = streamFor(BOTH);
    stream.push(Buffer.concat([wire, encodePdu(COMMAND, BOTH)]));
    expect(takeAll(stream).map((pdu) => 'dataIntact' in pdu && pdu.dataIntact)).toEqual([
      false,
      true,
    ]);
  });

  it.each([
    ['an unknown type', 0, 0x42, 0],
    ['a wrong header length', 2, 71, 2],
    ['a header digest nobody agreed on', 1, 1, 1],
    ['a PDO inside the header', 3, 8, 3],
    ['a PDO past the end', 3, 200, 3],
  ])('refuses %s at its byte', (_what, offset, value, fei) => {
    const wire = encodePdu(COMMAND, PLAIN);
    wire.writeUInt8(value, offset);
    const stream = streamFor(PLAIN);
    stream.push(wire);
    const error = errorOf(() => stream.next());
    expect([error.fes, error.fei]).toEqual([FatalError.invalidHeaderField, fei]);
    expect(error.header.equals(wire.subarray(0, 128))).toBe(true);
  });

  it('refuses a length that no PDU may have as soon as it sees it', () => {
    const wire = encodePdu(COMMAND, PLAIN);
    wire.writeUInt32LE(0x7fffffff, 4);
    const stream = streamFor(PLAIN);
    stream.push(wire.subarray(0, 8));
    expect(errorOf(() => stream.next()).fei).toBe(4);
  });

  it('refuses types that the other side may not send', () => {
    const stream = new PduStream({ accepts: ['icReq'], maxData: 1024 });
    stream.push(encodePdu(COMMAND, PLAIN));
    expect(errorOf(() => stream.next()).fes).toBe(FatalError.invalidHeaderField);
  });
});
