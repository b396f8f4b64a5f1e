/**
 * Asynchronous events (NVMe base 2.1, 5.2, completion dword 0): bits 2:0 type, 15:8 information,
 * 23:16 log page identifier. The kernel hands them to user space as `NVME_AEN=0x70f002`.
 */

export interface AsyncEvent {
  /** 2 is a notice. */
  readonly type: number;
  readonly information: number;
  readonly logPage: number;
}

/** Notice (2), discovery log page change (f0h), log page 70h. */
export const AEN_DISCOVERY_LOG_CHANGED = 0x70f002;

/** Reads the number of an `NVME_AEN` property; undefined if it is not a 32-bit number. */
export function parseAen(text: string): number | undefined {
  const trimmed = text.trim();
  if (!/^(?:0x[0-9a-f]{1,8}|[0-9]{1,10})$/i.test(trimmed)) return undefined;
  const value = Number(trimmed);
  return value <= 0xffffffff ? value : undefined;
}

/** The fields of an asynchronous event. */
export function splitAen(aen: number): AsyncEvent {
  return { type: aen & 0x7, information: (aen >>> 8) & 0xff, logPage: (aen >>> 16) & 0xff };
}

/** Whether the event says that the discovery log page changed, whatever its reserved bits hold. */
export function isDiscoveryLogChange(aen: number): boolean {
  const { type, information, logPage } = splitAen(aen);
  return type === 0x2 && information === 0xf0 && logPage === 0x70;
}
