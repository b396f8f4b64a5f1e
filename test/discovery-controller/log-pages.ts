/** The log pages of a discovery controller (NVMe Base 2.1, clause 5.1.12). */
import type { Entry } from './entry.ts';
import { ENTRY_SIZE } from './entry.ts';
import { applyPatches } from './identify.ts';
import type { Settings } from './settings.ts';

export const Lid = {
  supportedLogPages: 0x00,
  errorInformation: 0x01,
  featureEffects: 0x12,
  miEffects: 0x13,
  discovery: 0x70,
} as const;

/** Log specific parameter of LID 70h. */
export const DiscoveryLsp = { extendedEntries: 1, portLocalOnly: 2, allSubsystems: 4 } as const;

export const DISCOVERY_HEADER = 1024;

const SUPPORTED = 1;
const FEATURE_ASYNC_EVENTS = 0x0b;
const FEATURE_KEEP_ALIVE = 0x0f;

/** LID 00h: one dword a log page; the upper half is LID specific, for 70h the LSP bits known. */
export function supportedLogPages(settings: Settings): Buffer {
  const page = Buffer.alloc(1024);
  for (const lid of Object.values(Lid)) page.writeUInt32LE(SUPPORTED, lid * 4);
  const lsp = settings.pleo ? DiscoveryLsp.portLocalOnly : 0;
  page.writeUInt32LE((SUPPORTED | (lsp << 16)) >>> 0, Lid.discovery * 4);
  return page;
}

/** LID 12h: one dword a feature; bit 0 says that it is supported. */
export function featureEffects(): Buffer {
  const page = Buffer.alloc(1024);
  for (const fid of [FEATURE_ASYNC_EVENTS, FEATURE_KEEP_ALIVE]) {
    page.writeUInt32LE(SUPPORTED, fid * 4);
  }
  return page;
}

/** LID 70h: a 1024-byte header (GENCTR, NUMREC, RECFMT), then the entries. */
export function discoveryLog(
  entries: readonly Entry[],
  generation: bigint,
  settings: Settings,
): Buffer {
  const log = Buffer.alloc(DISCOVERY_HEADER + entries.length * ENTRY_SIZE);
  log.writeBigUInt64LE(settings.genctr ?? generation, 0);
  log.writeBigUInt64LE(settings.numrec ?? BigInt(entries.length), 8);
  log.writeUInt16LE(settings.recfmt, 16);
  entries.forEach((entry, index) => entry.bytes.copy(log, DISCOVERY_HEADER + index * ENTRY_SIZE));
  applyPatches(log, settings.logPatch);
  return log;
}
