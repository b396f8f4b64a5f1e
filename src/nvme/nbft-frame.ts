/** What every boot firmware table begins with, and whether the table as a whole can be trusted. */
import { Descriptor, Heap } from './nbft-bytes.ts';
import { NbftError } from './nbft-table.ts';

const HEADER_LENGTH = 64;
const CONTROL_LENGTH = 64;
/** Header and control descriptor: everything else comes after them. */
export const FIXED_LENGTH = HEADER_LENGTH + CONTROL_LENGTH;
const MAJOR_REVISION = 1;

export interface Frame {
  /** The bytes that the header's length covers. */
  readonly table: Uint8Array;
  readonly control: Descriptor;
  readonly heap: Heap;
}

/** Checks header (figure 8), checksum and heap. Throws NbftError. */
export function checkFrame(bytes: Uint8Array): Frame {
  if (bytes.length < FIXED_LENGTH) {
    throw new NbftError('too-short', `${bytes.length} bytes are no boot firmware table`);
  }
  const header = new Descriptor(bytes.subarray(0, HEADER_LENGTH));
  if (String.fromCharCode(...header.bytes(0, 4)) !== 'NBFT') {
    throw new NbftError('signature', 'its signature is not NBFT');
  }
  const length = header.u32(4);
  if (length < FIXED_LENGTH || length > bytes.length) {
    throw new NbftError('length', `it says that it has ${length} bytes, of ${bytes.length}`);
  }
  const table = bytes.subarray(0, length);
  if (table.reduce((sum, byte) => (sum + byte) & 0xff, 0) !== 0) {
    throw new NbftError('checksum', 'its checksum is wrong');
  }
  // Of one major revision, every minor revision can be read.
  const [major, minor] = [header.u8(8), header.u8(50)];
  if (major !== MAJOR_REVISION) {
    throw new NbftError('revision', `its revision is ${major}.${minor}`);
  }
  const [start, size] = [header.u32(36), header.u32(40)];
  const inside = start >= FIXED_LENGTH && start + size <= length;
  // Without a heap, its place may be left out.
  if (!inside && (start > 0 || size > 0)) {
    throw new NbftError('heap', `its heap of ${size} bytes at ${start} is not inside of it`);
  }
  const control = new Descriptor(table.subarray(HEADER_LENGTH, FIXED_LENGTH));
  return { table, control, heap: new Heap(table, start, start + size) };
}
