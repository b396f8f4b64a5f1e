import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeCommand,
  decodeCompletion,
  decodeConnectData,
  encodeCommand,
  encodeCompletion,
  encodeConnectData,
  Opcode,
  sendsData,
} from '../../discovery-controller/command.ts';
import type { Command, CommandBody } from '../../discovery-controller/command.ts';

const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const u64 = fc.bigInt({ min: 0n, max: 0xffffffffffffffffn });
const size = fc.constantFrom(4 as const, 8 as const);

const bodies: fc.Arbitrary<[number, CommandBody]> = fc.oneof(
  fc.tuple(
    fc.constant<number>(Opcode.fabrics),
    fc.oneof(
      fc.record({
        op: fc.constant('connect' as const),
        recfmt: u16,
        qid: u16,
        sqsize: u16,
        cattr: u8,
        kato: u32,
      }),
      fc.record({ op: fc.constant('property-get' as const), size, offset: u32 }),
      fc.record({ op: fc.constant('property-set' as const), size, offset: u32, value: u64 }),
      fc.record({
        op: fc.constant('fabrics' as const),
        fctype: u8.filter((value) => ![0, 1, 4].includes(value)),
      }),
    ),
  ),
  fc.tuple(
    fc.constant<number>(Opcode.identify),
    fc.record({ op: fc.constant('identify' as const), cns: u8, cntid: u16, csi: u8 }),
  ),
  fc.tuple(
    fc.constant<number>(Opcode.getLogPage),
    fc.record({
      op: fc.constant('get-log-page' as const),
      lid: u8,
      lpo: u64,
      length: u32.map((numd) => (numd + 1) * 4),
      lsp: fc.integer({ min: 0, max: 0x7f }),
      lsi: u16,
      rae: fc.boolean(),
      ot: fc.boolean(),
    }),
  ),
  fc.tuple(
    fc.constant<number>(Opcode.getFeatures),
    fc.record({
      op: fc.constant('get-features' as const),
      fid: u8,
      sel: fc.integer({ min: 0, max: 7 }),
    }),
  ),
  fc.tuple(
    fc.constant<number>(Opcode.setFeatures),
    fc.record({
      op: fc.constant('set-features' as const),
      fid: u8,
      save: fc.boolean(),
      cdw11: u32,
    }),
  ),
  fc.tuple(
    fc.constant<number>(Opcode.abort),
    fc.record({ op: fc.constant('abort' as const), sqid: u16, abortCid: u16 }),
  ),
  fc.tuple(
    fc.constant<number>(Opcode.discoveryInformationManagement),
    fc.record({ op: fc.constant('dim' as const), task: fc.integer({ min: 0, max: 15 }) }),
  ),
);

describe('commands', () => {
  it('gives back every command that it can write', () => {
    fc.assert(
      fc.property(bodies, u16, u16, u32, ([opcode, body], cid, nsid, length) => {
        const command: Command = {
          cid,
          opcode,
          nsid: opcode === Opcode.fabrics ? 0 : nsid,
          sgl: { address: 0n, length, type: 0x5a },
          body,
        };
        expect(decodeCommand(encodeCommand(command))).toEqual(command);
      }),
    );
  });

  it('takes any 64 bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 64, maxLength: 64 }), (bytes) => {
        expect(decodeCommand(Buffer.from(bytes)).cid).toBe(Buffer.from(bytes).readUInt16LE(2));
      }),
    );
  });

  it('reads a Get Log Page as the kernel sends it', () => {
    const sqe = Buffer.alloc(64);
    sqe.writeUInt8(0x02, 0);
    sqe.writeUInt32LE(0x03ff8270, 40);
    sqe.writeUInt32LE(1, 44);
    sqe.writeUInt32LE(1024, 48);
    expect(decodeCommand(sqe).body).toEqual({
      op: 'get-log-page',
      lid: 0x70,
      lsp: 2,
      rae: true,
      length: (0x10000 + 0x3ff + 1) * 4,
      lsi: 0,
      lpo: 1024n,
      ot: false,
    });
  });

  it('knows from the opcode, or the Fabrics type, which way the data goes', () => {
    const sqe = (opcode: number, fctype = 0): Buffer => {
      const bytes = Buffer.alloc(64);
      bytes.writeUInt8(opcode, 0);
      bytes.writeUInt8(fctype, 4);
      return bytes;
    };
    expect(sendsData(sqe(0x7f, 0x01))).toBe(true);
    expect(sendsData(sqe(0x7f, 0x04))).toBe(false);
    expect(sendsData(sqe(0x21))).toBe(true);
    expect(sendsData(sqe(0x06))).toBe(false);
  });

  it('keeps status and result in a completion', () => {
    fc.assert(
      fc.property(
        u16,
        u64,
        u16,
        fc.integer({ min: 0, max: 0x7fff }),
        (cid, result, sqhd, status) => {
          const completion = { cid, result, sqhd, status };
          expect(decodeCompletion(encodeCompletion(completion))).toEqual(completion);
        },
      ),
    );
  });

  it('keeps the names in the data of Connect', () => {
    const connect = {
      hostid: '01234567-89ab-cdef-0123-456789abcdef',
      cntlid: 0xffff,
      subnqn: 'nqn.2014-08.org.nvmexpress.discovery',
      hostnqn: 'nqn.2024-01.org.example:host',
    };
    const data = encodeConnectData(connect);
    expect(decodeConnectData(data)).toEqual(connect);
    expect(data.toString('latin1', 256, 263)).toBe('nqn.201');
    expect(data.toString('hex', 0, 4)).toBe('01234567');
    expect(decodeConnectData(data.subarray(1))).toBeNull();
  });
});
