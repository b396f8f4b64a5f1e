import { describe, expect, test } from 'vitest';
import {
  fabricsConfigLayout,
  getLogArgsLayout,
  PROBE_FILL,
  PROBE_SIZE,
  readInt,
  recogniseFabricsConfig,
  writeMembers,
} from '../../../src/libnvme-ffi/layouts.ts';
import type { Abi, StructLayout } from '../../../src/libnvme-ffi/layouts.ts';

const ABI: Abi = { wordSize: 8, littleEndian: true };

/** sizeof and offsetof as a C compiler gives them for the header of each version (x86-64). */
const FIRST_MEMBERS = {
  host_traddr: 0,
  host_iface: 8,
  queue_size: 16,
  nr_io_queues: 20,
  reconnect_delay: 24,
  ctrl_loss_tmo: 28,
  fast_io_fail_tmo: 32,
  keep_alive_tmo: 36,
  nr_write_queues: 40,
  nr_poll_queues: 44,
  tos: 48,
};
const COMPILED: readonly {
  readonly minors: readonly number[];
  readonly size: number;
  readonly flags: number;
}[] = [
  { minors: [0, 1, 2, 3], size: 64, flags: 52 },
  { minors: [4, 5, 6, 7, 8], size: 72, flags: 60 },
  { minors: [9, 10], size: 80, flags: 72 },
  { minors: [11, 12, 13, 14, 15, 16], size: 88, flags: 80 },
];
const VERSIONS = COMPILED.flatMap(({ minors, size, flags }) =>
  minors.map((minor) => ({ minor, size, flags })),
);

function offsets(layout: StructLayout): Record<string, number> {
  return Object.fromEntries([...layout.members.values()].map(({ name, offset }) => [name, offset]));
}

describe('struct nvme_fabrics_config', () => {
  test.each(VERSIONS)('has the offsets that C gives it in libnvme 1.$minor', (version) => {
    const layout = fabricsConfigLayout(version.minor, ABI);
    expect(layout.size).toBe(version.size);
    expect(offsets(layout)).toMatchObject({
      ...FIRST_MEMBERS,
      duplicate_connect: version.flags,
      disable_sqflow: version.flags + 1,
      hdr_digest: version.flags + 2,
      data_digest: version.flags + 3,
      tls: version.flags + 4,
    });
    expect(layout.members.has('concat')).toBe(version.minor >= 8);
  });

  test('has its smaller offsets on a 32-bit machine', () => {
    const layout = fabricsConfigLayout(13, { wordSize: 4, littleEndian: true });
    expect(offsets(layout)).toMatchObject({ queue_size: 8, tos: 40, keyring: 44, data_digest: 59 });
    expect(layout.size).toBe(64);
  });
});

test('struct nvme_get_log_args has the offsets that C gives it', () => {
  const layout = getLogArgsLayout(ABI);
  expect(layout.size).toBe(64);
  expect(offsets(layout)).toEqual({
    lpo: 0,
    result: 8,
    log: 16,
    args_size: 24,
    fd: 28,
    timeout: 32,
    lid: 36,
    len: 40,
    nsid: 44,
    csi: 48,
    lsi: 52,
    lsp: 54,
    uuidx: 55,
    rae: 56,
    ot: 57,
  });
});

describe('writing members', () => {
  test('puts each value at its place in its width and leaves the rest alone', () => {
    const layout = getLogArgsLayout(ABI);
    const bytes = new Uint8Array(layout.size);
    writeMembers(
      bytes,
      layout,
      { lpo: 1024, log: 0x7f00_1122_3344n, nsid: 0xffff_ffff, lsp: 2, rae: true, fd: -1 },
      ABI,
    );
    const view = new DataView(bytes.buffer);
    expect(view.getBigUint64(0, true)).toBe(1024n);
    expect(view.getBigUint64(16, true)).toBe(0x7f00_1122_3344n);
    expect(view.getInt32(28, true)).toBe(-1);
    expect(view.getUint32(44, true)).toBe(0xffff_ffff);
    expect([...bytes.subarray(52)]).toEqual([0, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
  });

  test('takes an address in the upper half of the address space', () => {
    const layout = getLogArgsLayout(ABI);
    const bytes = new Uint8Array(layout.size);
    writeMembers(bytes, layout, { log: 0xffff_8000_0000_0010n }, ABI);
    expect(new DataView(bytes.buffer).getBigUint64(16, true)).toBe(0xffff_8000_0000_0010n);
  });

  test('writes big-endian and 32-bit words where the machine has them', () => {
    const abi: Abi = { wordSize: 4, littleEndian: false };
    const layout = fabricsConfigLayout(13, abi);
    const bytes = new Uint8Array(layout.size);
    writeMembers(bytes, layout, { queue_size: 64, host_iface: 0x1020n }, abi);
    expect([...bytes.subarray(0, 12)]).toEqual([0, 0, 0, 0, 0, 0, 0x10, 0x20, 0, 0, 0, 64]);
    expect(readInt(bytes, layout, 'queue_size', abi)).toBe(64);
  });

  test('refuses a member that the version does not have', () => {
    const layout = fabricsConfigLayout(3, ABI);
    const bytes = new Uint8Array(layout.size);
    expect(() => writeMembers(bytes, layout, { concat: true }, ABI)).toThrow(RangeError);
  });
});

describe('recognising a library by what nvmf_default_config does', () => {
  /** What a library whose structure has `size` bytes does to the probe. */
  function defaults(size: number, patch: (view: DataView) => void = () => undefined): Uint8Array {
    const probe = new Uint8Array(PROBE_SIZE).fill(PROBE_FILL);
    probe.fill(0, 0, size);
    const view = new DataView(probe.buffer);
    view.setInt32(48, -1, true);
    view.setInt32(28, 600, true);
    patch(view);
    return probe;
  }

  test.each(VERSIONS)('takes libnvme 1.$minor for what it is', ({ minor, size, flags }) => {
    const layout = recogniseFabricsConfig(defaults(size), minor, ABI);
    expect(layout?.members.get('duplicate_connect')?.offset).toBe(flags);
    expect(layout?.members.has('concat')).toBe(minor >= 8);
  });

  test('believes the structure rather than the version number', () => {
    const layout = recogniseFabricsConfig(defaults(80), 13, ABI);
    expect(layout?.size).toBe(80);
    expect(layout?.members.get('hdr_digest')?.offset).toBe(74);
  });

  test('takes a version of the future that has the same structure', () => {
    expect(recogniseFabricsConfig(defaults(88), 23, ABI)?.size).toBe(88);
  });

  test('knows no layout for a structure of another size', () => {
    expect(recogniseFabricsConfig(defaults(96), 17, ABI)).toBeUndefined();
  });

  test('knows no layout when the defaults are elsewhere', () => {
    const moved = defaults(88, (view) => {
      view.setInt32(48, 0, true);
      view.setInt32(44, -1, true);
    });
    expect(recogniseFabricsConfig(moved, 13, ABI)).toBeUndefined();
  });

  test('knows no layout when the library wrote nothing', () => {
    const untouched = new Uint8Array(PROBE_SIZE).fill(PROBE_FILL);
    expect(recogniseFabricsConfig(untouched, 13, ABI)).toBeUndefined();
  });
});
