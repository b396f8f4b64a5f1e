import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseNbft } from '../../../src/nvme/nbft.ts';
import { NbftError, type NbftTable } from '../../../src/nvme/nbft-table.ts';
import { encodeNbft, HOST_NQN, seal } from '../../nbft/encode.ts';
import { codeOf, damaged, DESCRIPTION } from './nbft-damage.ts';

describe('whatever firmware writes', () => {
  const sane = ({ discoveries, hfis, host, problems, subsystems }: NbftTable): void => {
    // A line of a log, an option string, an argument: none of them may hold these.
    const texts = [
      host?.nqn ?? '',
      ...hfis.flatMap((hfi) => [hfi.address, hfi.mac, hfi.hostName.replaceAll(',', '')]),
      ...discoveries.flatMap(({ nqn, traddr, trsvcid }) => [nqn, traddr, trsvcid]),
      ...subsystems.flatMap(({ nqn, traddr, trsvcid }) => [nqn, traddr, trsvcid]),
      ...problems.map(({ reason }) => reason.replaceAll(/[ ,]/g, '')),
    ];
    for (const text of texts) {
      expect(text).not.toMatch(/[\p{C}\p{Z},]/u);
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(255);
    }
    const known = new Set(hfis.map(({ index }) => index));
    for (const subsystem of subsystems) {
      expect(subsystem.hfis.every((index) => known.has(index))).toBe(true);
      expect(subsystem.nqn !== '' || subsystem.traddr !== '').toBe(true);
    }
  };

  it('a table with bytes changed is read or refused, with texts that are fit to use', () => {
    const good = encodeNbft(DESCRIPTION).bytes;
    const changes = fc.array(
      fc.tuple(
        fc.nat(good.length - 1),
        fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 0x0a, 0x2c, 0xff)),
      ),
      { minLength: 1, maxLength: 12 },
    );
    fc.assert(
      fc.property(changes, fc.boolean(), (all, sealed) => {
        const bytes = Uint8Array.from(good);
        for (const [at, byte] of all) bytes[at] = byte;
        try {
          sane(parseNbft(sealed ? seal(bytes) : bytes));
        } catch (error) {
          if (!(error instanceof NbftError)) throw error;
        }
      }),
      { numRuns: 500 },
    );
  });

  it('any bytes are read or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.boolean(), (bytes, headed) => {
        const data = Uint8Array.from(bytes);
        if (headed && data.length >= 128) {
          data.set([0x4e, 0x42, 0x46, 0x54]);
          new DataView(data.buffer).setUint32(4, data.length, true);
          data[8] = 1;
          new DataView(data.buffer).setUint32(36, 128, true);
          new DataView(data.buffer).setUint32(40, data.length - 128, true);
          data[64] = 1;
          seal(data);
        }
        try {
          sane(parseNbft(data));
        } catch (error) {
          if (!(error instanceof NbftError)) throw error;
        }
      }),
      { numRuns: 500 },
    );
  });

  it('a beginning of a table, of any length, is refused', () => {
    const { bytes } = encodeNbft(DESCRIPTION);
    for (let length = 0; length < bytes.length; length += 1) {
      expect(codeOf(bytes.slice(0, length))).toMatch(/^(too-short|length)$/);
    }
  });

  it('references of the greatest length cost no more than the table has descriptors', () => {
    const subsystems = Array.from({ length: 255 }, () => ({ traddr: '192.0.2.1' }));
    const filler = Array.from({ length: 300 }, (_, index) => ({
      ...DESCRIPTION.hfis[0],
      index: (index % 254) + 1,
      hostName: 'x'.repeat(250),
    })).slice(0, 255);
    const table = damaged(
      (view, { places }) => {
        for (let place = 0; place < 255; place += 1) {
          // Every reference covers most of the heap.
          for (const field of [16, 48, 54, 60]) {
            view.setUint32(places.ssns(place) + field, places.heap, true);
            view.setUint16(places.ssns(place) + field + 4, 0xffff, true);
          }
        }
      },
      { subsystems, hfis: filler },
    );
    // The heap begins with the host's NQN: theirs, too, up to its NUL.
    expect(table.subsystems.map(({ nqn }) => nqn)).toEqual(Array(255).fill(HOST_NQN));
    expect(table.problems.length).toBeLessThanOrEqual(4 * 255);
  });
});
