/**
 * The C structures that are shared with libnvme, as data: their members in order, and from them
 * sizes and offsets by the rules of the C ABI. `struct nvme_fabrics_config` has changed within
 * libnvme 1.x without a new soname, so its layout is chosen by version.
 */

export type CType = 'pointer' | 'long' | 'int' | 'u64' | 'u32' | 'u16' | 'u8' | 'bool';

export interface Member {
  readonly name: string;
  readonly type: CType;
}

/** What differs between the machines that libnvme runs on. */
export interface Abi {
  /** Size of a pointer and of a long in bytes: 8, or 4 on 32-bit machines. */
  readonly wordSize: 4 | 8;
  readonly littleEndian: boolean;
}

export interface PlacedMember extends Member {
  readonly offset: number;
}

export interface StructLayout {
  readonly size: number;
  readonly members: ReadonlyMap<string, PlacedMember>;
}

function sizeOf(type: CType, abi: Abi): number {
  switch (type) {
    case 'pointer':
    case 'long':
      return abi.wordSize;
    case 'u64':
      return 8;
    case 'int':
    case 'u32':
      return 4;
    case 'u16':
      return 2;
    case 'u8':
    case 'bool':
      return 1;
  }
}

/** Places members one after the other, each aligned to its own size, as C does. */
export function placeMembers(members: readonly Member[], abi: Abi): StructLayout {
  const placed = new Map<string, PlacedMember>();
  let end = 0;
  let alignment = 1;
  for (const member of members) {
    const size = sizeOf(member.type, abi);
    const offset = Math.ceil(end / size) * size;
    placed.set(member.name, { ...member, offset });
    end = offset + size;
    alignment = Math.max(alignment, size);
  }
  return { size: Math.ceil(end / alignment) * alignment, members: placed };
}

/** Values to write, by member; a member that is not named is left as it is. */
export type StructValues = Readonly<Record<string, number | bigint | boolean>>;

/** Writes values into the bytes of a structure. Throws on a member that the layout does not have. */
export function writeMembers(
  bytes: Uint8Array,
  layout: StructLayout,
  values: StructValues,
  abi: Abi,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const [name, value] of Object.entries(values)) {
    const member = layout.members.get(name);
    if (member === undefined) throw new RangeError(`no member ${name} in this structure`);
    const { offset } = member;
    switch (member.type) {
      case 'pointer':
      case 'long':
        if (abi.wordSize === 8) {
          view.setBigInt64(offset, BigInt.asIntN(64, BigInt(value)), abi.littleEndian);
        } else {
          view.setInt32(offset, Number(BigInt.asIntN(32, BigInt(value))), abi.littleEndian);
        }
        break;
      case 'u64':
        view.setBigUint64(offset, BigInt(value), abi.littleEndian);
        break;
      case 'int':
        view.setInt32(offset, Number(value), abi.littleEndian);
        break;
      case 'u32':
        view.setUint32(offset, Number(value), abi.littleEndian);
        break;
      case 'u16':
        view.setUint16(offset, Number(value), abi.littleEndian);
        break;
      case 'u8':
      case 'bool':
        view.setUint8(offset, Number(value));
        break;
    }
  }
}

/** Reads an `int` member. */
export function readInt(bytes: Uint8Array, layout: StructLayout, name: string, abi: Abi): number {
  const member = layout.members.get(name);
  if (member?.type !== 'int') throw new RangeError(`no int member ${name} in this structure`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.getInt32(member.offset, abi.littleEndian);
}

/** libnvme 1.x: only the minor number matters. */
export type LibnvmeMinor = number;

interface VersionedMember extends Member {
  /** First and last minor version that has it; absent: all. */
  readonly from?: LibnvmeMinor;
  readonly to?: LibnvmeMinor;
}

/** `struct nvme_fabrics_config` of `nvme/fabrics.h`, libnvme 1.0 to 1.16. */
const FABRICS_CONFIG: readonly VersionedMember[] = [
  { name: 'host_traddr', type: 'pointer' },
  { name: 'host_iface', type: 'pointer' },
  { name: 'queue_size', type: 'int' },
  { name: 'nr_io_queues', type: 'int' },
  { name: 'reconnect_delay', type: 'int' },
  { name: 'ctrl_loss_tmo', type: 'int' },
  { name: 'fast_io_fail_tmo', type: 'int' },
  { name: 'keep_alive_tmo', type: 'int' },
  { name: 'nr_write_queues', type: 'int' },
  { name: 'nr_poll_queues', type: 'int' },
  { name: 'tos', type: 'int' },
  { name: 'keyring', type: 'int', from: 4, to: 8 },
  { name: 'tls_key', type: 'int', from: 4, to: 8 },
  { name: 'keyring', type: 'long', from: 9 },
  { name: 'tls_key', type: 'long', from: 9 },
  { name: 'tls_configured_key', type: 'long', from: 11 },
  { name: 'duplicate_connect', type: 'bool' },
  { name: 'disable_sqflow', type: 'bool' },
  { name: 'hdr_digest', type: 'bool' },
  { name: 'data_digest', type: 'bool' },
  { name: 'tls', type: 'bool' },
  { name: 'concat', type: 'bool', from: 8 },
];

/** Minor versions after which the layout is another one. */
const FABRICS_CONFIG_CHANGES: readonly LibnvmeMinor[] = [0, 4, 8, 9, 11];

export function fabricsConfigLayout(minor: LibnvmeMinor, abi: Abi): StructLayout {
  const members = FABRICS_CONFIG.filter(
    ({ from = 0, to = Infinity }) => from <= minor && minor <= to,
  );
  return placeMembers(members, abi);
}

/**
 * `struct nvme_get_log_args` of `nvme/api-types.h`, the same in libnvme 1.0 to 1.16. libnvme
 * refuses a call whose `args_size` is smaller than its own structure.
 */
const GET_LOG_ARGS: readonly Member[] = [
  { name: 'lpo', type: 'u64' },
  { name: 'result', type: 'pointer' },
  { name: 'log', type: 'pointer' },
  { name: 'args_size', type: 'int' },
  { name: 'fd', type: 'int' },
  { name: 'timeout', type: 'u32' },
  { name: 'lid', type: 'u32' },
  { name: 'len', type: 'u32' },
  { name: 'nsid', type: 'u32' },
  { name: 'csi', type: 'u32' },
  { name: 'lsi', type: 'u16' },
  { name: 'lsp', type: 'u8' },
  { name: 'uuidx', type: 'u8' },
  { name: 'rae', type: 'bool' },
  { name: 'ot', type: 'bool' },
];

export function getLogArgsLayout(abi: Abi): StructLayout {
  return placeMembers(GET_LOG_ARGS, abi);
}

/** What `nvmf_default_config` does to a structure: sets all of it to 0, and these two. */
const DEFAULT_TOS = -1;
const DEFAULT_CTRL_LOSS_TMO = 600;

/** A byte that no default has. */
export const PROBE_FILL = 0xa5;
/** Larger than the structure will become. */
export const PROBE_SIZE = 512;

/**
 * The layout that a loaded library really uses. `probe` is a buffer of {@link PROBE_SIZE} bytes
 * {@link PROBE_FILL}, given to `nvmf_default_config`: the bytes that it changed are the
 * structure's size, which with the two defaults tells the layouts apart, whatever the library
 * calls itself. The version decides between layouts that differ in no offset.
 *
 * @returns undefined if no known layout fits: nothing may be passed to such a library.
 */
export function recogniseFabricsConfig(
  probe: Uint8Array,
  minor: LibnvmeMinor,
  abi: Abi,
): StructLayout | undefined {
  let size = probe.length;
  while (size > 0 && probe[size - 1] === PROBE_FILL) size -= 1;
  const fits = (layout: StructLayout): boolean =>
    layout.size === size &&
    readInt(probe, layout, 'tos', abi) === DEFAULT_TOS &&
    readInt(probe, layout, 'ctrl_loss_tmo', abi) === DEFAULT_CTRL_LOSS_TMO;
  return [minor, ...FABRICS_CONFIG_CHANGES]
    .map((candidate) => fabricsConfigLayout(candidate, abi))
    .find(fits);
}
