/**
 * Discovery log page entries (NVMe base 2.1, 5.1.12.3.1, "Discovery Log Page Entry"): bytes from a
 * network, so that whatever they hold is either an entry whose every field was checked or a refusal.
 */
import { escapeText } from './escape.ts';
import { isUnspecifiedAddress } from './ip-address.ts';
import { checkSubsystemNqn } from './nqn.ts';
import { checkTraddr, checkTrsvcid } from './transport-address.ts';
import { makeTid, type TransportId, type Transport } from './transport-id.ts';

/** Subtype of a discovery log page entry (NVMe base 2.1, figure 294, SUBTYPE). */
export type EntrySubtype = 'nvme' | 'referral' | 'discovery';

/** One discovery log page entry whose fields were checked; strings are trimmed, numbers decimal. */
export interface DiscoveryEntry {
  readonly trtype: Transport;
  /** `ipv4`, `ipv6`, `infiniband`, `fc`, `pci`, a decimal for any other; empty if not known. */
  readonly adrfam: string;
  readonly subtype: EntrySubtype;
  readonly treq: number;
  readonly portid: number;
  readonly trsvcid: string;
  readonly subnqn: string;
  readonly traddr: string;
  readonly cntlid: number;
  readonly asqsz: number;
  readonly eflags: number;
}

/** An entry that is not used. Both texts are safe to print. */
export interface RefusedEntry {
  /** Its place in the log page, from 0. */
  readonly index: number;
  readonly reason: string;
  /** The entry for people, escaped and bounded; empty after the first {@link MAX_RENDERED} of a page. */
  readonly text: string;
}

export interface DecodedLog {
  readonly entries: readonly DiscoveryEntry[];
  readonly refused: readonly RefusedEntry[];
}

/** Bytes per entry unless extended entries were asked for. */
export const ENTRY_SIZE = 1024;

/** EFLAGS: other discovery controllers of the subsystem return the same (DUPRETINFO). */
export const EFLAGS_DUPRETINFO = 1 << 0;
/** EFLAGS: explicit persistent connections are supported by this discovery controller (EPCSD). */
export const EFLAGS_EPCSD = 1 << 1;
/** EFLAGS: the third bit, no connection between the DDC and a CDC (NCC, TP8010). */
export const EFLAGS_NCC = 1 << 2;

/** Whether the entry says that its subsystem is not connected to a CDC. */
export function hasNcc(entry: Pick<DiscoveryEntry, 'eflags'>): boolean {
  return (entry.eflags & EFLAGS_NCC) !== 0;
}

/**
 * Whether the DC that this log was read from keeps explicit persistent connections (EPCSD). True
 * unless its own entries say otherwise: older DCs have none, and that says nothing.
 */
export function keepsPersistentConnections(
  entries: readonly Pick<DiscoveryEntry, 'eflags' | 'subtype'>[],
): boolean {
  const own = entries.filter(({ subtype }) => subtype === 'discovery');
  return own.length === 0 || own.some(({ eflags }) => (eflags & EFLAGS_EPCSD) !== 0);
}

const TRANSPORT_OF_TRTYPE: ReadonlyMap<number, Transport> = new Map([
  [1, 'rdma'],
  [2, 'fc'],
  [3, 'tcp'],
  [254, 'loop'],
]);

/** The words of D-Bus; there is none for 254 (loop), which appears as its number. */
const WORD_OF_ADRFAM: ReadonlyMap<number, string> = new Map([
  [0, 'pci'],
  [1, 'ipv4'],
  [2, 'ipv6'],
  [3, 'infiniband'],
  [4, 'fc'],
]);

const SUBTYPE_OF_NUMBER: ReadonlyMap<number, EntrySubtype> = new Map([
  [1, 'referral'],
  [2, 'nvme'],
  [3, 'discovery'],
]);

const WORD_OF_TREQ: ReadonlyMap<number, string> = new Map([
  [0, 'not specified'],
  [1, 'required'],
  [2, 'not required'],
  [4, 'disable sqflow'],
]);

function keyOf<K, V>(map: ReadonlyMap<K, V>, value: V): K | undefined {
  for (const [key, candidate] of map) if (candidate === value) return key;
  return undefined;
}

/** Whether the address is written as its address family says; an unknown family says nothing. */
function checkAddressFamily(trtype: Transport, adrfam: string, traddr: string): string | undefined {
  if (adrfam === '' || trtype === 'loop') return undefined;
  // RFC 4291: only IPv6 text has colons; an IPv4-mapped address is still of the IPv6 family here.
  const written = trtype === 'fc' ? 'fc' : traddr.includes(':') ? 'ipv6' : 'ipv4';
  if (adrfam === written) return undefined;
  // A GID of InfiniBand is written as an IPv6 address.
  if (trtype === 'rdma' && adrfam === 'infiniband' && written === 'ipv6') return undefined;
  return `is not an address of the family ${adrfam}`;
}

/** What is wrong with an entry, as a sentence without its end, or undefined. */
function checkEntry(entry: DiscoveryEntry): string | undefined {
  const nqn = checkSubsystemNqn(entry.subnqn);
  if (nqn !== undefined) return `the NQN ${nqn}`;
  const traddr =
    checkTraddr(entry.trtype, entry.traddr) ??
    checkAddressFamily(entry.trtype, entry.adrfam, entry.traddr);
  if (traddr !== undefined) return `the traddr ${traddr}`;
  // The zone is an interface of whoever wrote it: another host's means nothing here.
  if (entry.traddr.includes('%')) return 'the traddr names a zone';
  const trsvcid = checkTrsvcid(entry.trtype, entry.trsvcid);
  return trsvcid === undefined ? undefined : `the trsvcid ${trsvcid}`;
}

/** A fixed-size string field up to its first NUL, without the spaces around it. */
function fieldBytes(entry: Uint8Array, offset: number, length: number): Uint8Array {
  const nul = entry.indexOf(0, offset);
  let end = nul === -1 || nul > offset + length ? offset + length : nul;
  let start = offset;
  while (start < end && entry[start] === 0x20) start += 1;
  while (end > start && entry[end - 1] === 0x20) end -= 1;
  return entry.subarray(start, end);
}

function u16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] ?? 0) | ((bytes[offset + 1] ?? 0) << 8);
}

/** One character a byte: what is not ASCII fails every later check. */
function asciiOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

/** A page of nothing but refused entries must not cost more than one of good ones. */
export const MAX_RENDERED = 64;

/** Room for one string field of a refused entry. */
const REFUSED_FIELD_LENGTH = 80;

function renderRefused(entry: Uint8Array): string {
  const number = (offset: number): string => String(entry[offset] ?? 0);
  const field = (offset: number, length: number): string =>
    `"${escapeText(fieldBytes(entry, offset, length), REFUSED_FIELD_LENGTH)}"`;
  return (
    `trtype=${number(0)} adrfam=${number(1)} subtype=${number(2)} traddr=${field(512, 256)} ` +
    `trsvcid=${field(32, 32)} subnqn=${field(256, 256)}`
  );
}

function decodeEntry(
  bytes: Uint8Array,
  utf8: InstanceType<typeof TextDecoder>,
): DiscoveryEntry | string | undefined {
  const traddr = asciiOf(fieldBytes(bytes, 512, 256));
  // CDCs are known to return such entries for historical reasons; they mean nothing.
  if (traddr === '' || isUnspecifiedAddress(traddr)) return undefined;
  const trtype = TRANSPORT_OF_TRTYPE.get(bytes[0] ?? 0);
  if (trtype === undefined) return `the transport type ${bytes[0] ?? 0} is not known`;
  const subtype = SUBTYPE_OF_NUMBER.get(bytes[2] ?? 0);
  if (subtype === undefined) return `the subtype ${bytes[2] ?? 0} is not known`;
  const adrfam = bytes[1] ?? 0;
  let subnqn: string;
  try {
    subnqn = utf8.decode(fieldBytes(bytes, 256, 256));
  } catch {
    return 'the NQN contains bytes that are not UTF-8';
  }
  const entry: DiscoveryEntry = Object.freeze({
    trtype,
    adrfam: WORD_OF_ADRFAM.get(adrfam) ?? String(adrfam),
    subtype,
    treq: bytes[3] ?? 0,
    portid: u16(bytes, 4),
    trsvcid: asciiOf(fieldBytes(bytes, 32, 32)),
    subnqn,
    traddr,
    cntlid: u16(bytes, 6),
    asqsz: u16(bytes, 8),
    eflags: u16(bytes, 10),
  });
  return checkEntry(entry) ?? entry;
}

/**
 * Decodes `count` entries of {@link ENTRY_SIZE} bytes. Entries without an address (empty, `0.0.0.0`,
 * `::`) are dropped without a word; what is not allowed is refused. Throws RangeError if `bytes` is
 * shorter than `count` entries: an incomplete page must never pass for a shorter one.
 */
export function decodeEntries(bytes: Uint8Array, count: number): DecodedLog {
  if (!Number.isSafeInteger(count) || count < 0 || bytes.length < count * ENTRY_SIZE) {
    throw new RangeError(`${bytes.length} bytes are not ${count} discovery log page entries`);
  }
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const entries: DiscoveryEntry[] = [];
  const refused: RefusedEntry[] = [];
  for (let index = 0; index < count; index += 1) {
    const entry = bytes.subarray(index * ENTRY_SIZE, (index + 1) * ENTRY_SIZE);
    const result = decodeEntry(entry, utf8);
    if (typeof result === 'string') {
      const text = refused.length < MAX_RENDERED ? renderRefused(entry) : '';
      refused.push(Object.freeze({ index, reason: result, text }));
    } else if (result !== undefined) {
      entries.push(result);
    }
  }
  return { entries: Object.freeze(entries), refused: Object.freeze(refused) };
}

/** The entry as a dictionary of strings: the public form of D-Bus and JSON. */
export function entryToDict(entry: DiscoveryEntry): Record<string, string> {
  return {
    trtype: entry.trtype,
    adrfam: entry.adrfam,
    traddr: entry.traddr,
    trsvcid: entry.trsvcid,
    subnqn: entry.subnqn,
    subtype: entry.subtype,
    treq: WORD_OF_TREQ.get(entry.treq) ?? String(entry.treq),
    portid: String(entry.portid),
    cntlid: String(entry.cntlid),
    asqsz: String(entry.asqsz),
    eflags: String(entry.eflags),
  };
}

/** The outcome of {@link dictToEntry}; `reason` is safe to print. */
export type EntryOrReason =
  | { readonly entry: DiscoveryEntry; readonly reason?: undefined }
  | { readonly entry?: undefined; readonly reason: string };

/** A whole number from 0 to `max`, missing is 0; undefined if it is anything else. */
function parseNumber(text: string, max: number): number | undefined {
  if (text === '') return 0;
  if (!/^(?:[0-9]{1,10}|0x[0-9a-f]{1,8})$/i.test(text)) return undefined;
  const value = Number(text);
  return value <= max ? value : undefined;
}

/**
 * The inverse of {@link entryToDict}, for what another process says that a log page holds. Liberal
 * in form (missing numbers are 0, numbers may stand for words, spaces around are dropped), strict
 * in content: every check of {@link decodeEntries} is made again.
 */
export function dictToEntry(dict: Readonly<Record<string, unknown>>): EntryOrReason {
  const text = (key: string): string => {
    const value = Object.hasOwn(dict, key) ? dict[key] : '';
    return typeof value === 'string' || typeof value === 'number' ? String(value).trim() : '';
  };
  const shown = (key: string): string => `${key} "${escapeText(text(key), REFUSED_FIELD_LENGTH)}"`;

  const trtypeText = text('trtype').toLowerCase();
  const trtype = [...TRANSPORT_OF_TRTYPE].find(
    ([number, word]) => trtypeText === word || trtypeText === String(number),
  )?.[1];
  if (trtype === undefined) return { reason: `the ${shown('trtype')} is not a known transport` };

  const subtypeText = text('subtype').toLowerCase();
  const subtype = [...SUBTYPE_OF_NUMBER].find(
    ([number, word]) => subtypeText === word || subtypeText === String(number),
  )?.[1];
  if (subtype === undefined) return { reason: `the ${shown('subtype')} is not known` };

  const numbers = {
    treq: keyOf(WORD_OF_TREQ, text('treq').toLowerCase()) ?? parseNumber(text('treq'), 0xff),
    portid: parseNumber(text('portid'), 0xffff),
    cntlid: parseNumber(text('cntlid'), 0xffff),
    asqsz: parseNumber(text('asqsz'), 0xffff),
    eflags: parseNumber(text('eflags'), 0xffff),
  };
  const { treq, portid, cntlid, asqsz, eflags } = numbers;
  if (
    treq === undefined ||
    portid === undefined ||
    cntlid === undefined ||
    asqsz === undefined ||
    eflags === undefined
  ) {
    const wrong = Object.entries(numbers).find(([, value]) => value === undefined)?.[0] ?? '';
    return { reason: `the ${shown(wrong)} is not a number of its field` };
  }

  const adrfamText = text('adrfam').toLowerCase();
  const adrfamNumber = /^[0-9]{1,3}$/.test(adrfamText) ? Number(adrfamText) : undefined;
  const adrfam =
    adrfamNumber === undefined
      ? adrfamText
      : (WORD_OF_ADRFAM.get(adrfamNumber) ?? String(adrfamNumber));
  if (adrfam !== '' && adrfamNumber === undefined && keyOf(WORD_OF_ADRFAM, adrfam) === undefined) {
    return { reason: `the ${shown('adrfam')} is not known` };
  }

  const entry: DiscoveryEntry = Object.freeze({
    trtype,
    adrfam,
    subtype,
    treq,
    portid,
    trsvcid: text('trsvcid'),
    subnqn: text('subnqn'),
    traddr: text('traddr'),
    cntlid,
    asqsz,
    eflags,
  });
  if (isUnspecifiedAddress(entry.traddr)) return { reason: 'the traddr is no address' };
  const reason = checkEntry(entry);
  if (reason === undefined) return { entry };
  return { reason: `${reason}: ${shown('traddr')} ${shown('trsvcid')} ${shown('subnqn')}` };
}

/** What an entry's connection takes over from the DC that reported it. */
export type EntrySource = Pick<TransportId, 'hostTraddr' | 'hostIface' | 'hostNqn'>;

/**
 * The controller that an entry names, an I/O controller for the subtype `nvme`, a DC for the others,
 * reached from where its DC is reached. Total: a {@link DiscoveryEntry} was checked when it was made.
 */
export function entryToTid(entry: DiscoveryEntry, from: EntrySource): TransportId {
  return makeTid({
    transport: entry.trtype,
    traddr: entry.traddr,
    trsvcid: entry.trsvcid,
    subsysnqn: entry.subnqn,
    hostTraddr: from.hostTraddr,
    hostIface: from.hostIface,
    hostNqn: from.hostNqn,
  });
}
