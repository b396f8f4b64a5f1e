/**
 * The Identify Controller data structure of a discovery controller (NVMe Base 2.1,
 * clause 5.1.13; DCTYPE: TP8010; unique discovery NQN: TP8013).
 */
import type { Patch, Settings } from './settings.ts';
import { textField } from './text.ts';

export const IDENTIFY_SIZE = 4096;
export const OAES_DISCOVERY_LOG_CHANGE = 0x80000000;

/** Controller type 2: discovery controller. */
const CNTRLTYPE_DISCOVERY = 2;
/** LPA bit 2: NUMDU and LPO work. LPA bit 5: log pages 00h, 12h and 13h exist. */
const LPA_EXTENDED_DATA = 0x04;
const LPA_SUPPORTED_LOG_PAGES = 0x20;
/** SGLs of any alignment, offsets for in-capsule data, transport SGL data blocks. */
const SGLS = 0x00300001;

/** Puts `patches` over `bytes`; what passes the end is cut off. */
export function applyPatches(bytes: Buffer, patches: readonly Patch[]): void {
  for (const patch of patches) {
    if (patch.offset < bytes.length) patch.bytes.copy(bytes, patch.offset);
  }
}

/** The 4096 bytes that Identify (CNS 01h) returns. `ioccsz` is in 16-byte units. */
export function identifyController(settings: Settings, cntlid: number): Buffer {
  const id = Buffer.alloc(IDENTIFY_SIZE);
  settings.serial.copy(id, 4);
  settings.model.copy(id, 24);
  settings.firmware.copy(id, 64);
  id.writeUIntLE(settings.ieee, 73, 3);
  id.writeUInt8(settings.mdts, 77);
  id.writeUInt16LE(cntlid, 78);
  id.writeUInt32LE(settings.version, 80);
  id.writeUInt32LE(settings.aen ? OAES_DISCOVERY_LOG_CHANGE : 0, 92);
  id.writeUInt32LE(settings.ctratt, 96);
  id.writeUInt8(CNTRLTYPE_DISCOVERY, 111);
  id.writeUInt8(settings.aerl, 259);
  id.writeUInt8(
    LPA_EXTENDED_DATA | (settings.supportedLogPages ? LPA_SUPPORTED_LOG_PAGES : 0),
    261,
  );
  id.writeUInt16LE(settings.kas, 320);
  // SQES and CQES: the sizes that exist, 64 and 16 bytes, required and largest.
  id.writeUInt8(0x66, 512);
  id.writeUInt8(0x44, 513);
  id.writeUInt16LE(settings.maxcmd, 514);
  id.writeUInt32LE(SGLS, 536);
  textField(settings.subnqn, 256, 'nul').copy(id, 768);
  // IOCCSZ and IORCSZ, 16-byte units, are reserved for a controller without I/O queues; hosts
  // check them all the same, so they say what a bare capsule needs.
  id.writeUInt32LE(4, 1792);
  id.writeUInt32LE(1, 1796);
  id.writeUInt8(1, 1803);
  id.writeUInt8(settings.dctype, 1806);
  applyPatches(id, settings.identifyPatch);
  return id;
}
