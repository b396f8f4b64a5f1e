/**
 * IP addresses as text: strict parsing (RFC 4291 section 2.2, RFC 4007 section 11 for scopes,
 * dotted quads without leading zeros) and comparison of whatever spelling a file, a log page or
 * sysfs uses. An IPv4-mapped IPv6 address (::ffff:0:0/96) is the IPv4 address that it stands for.
 */
export type IpFamily = 'ipv4' | 'ipv6';

export interface IpAddress {
  /** `ipv4` also for an IPv4-mapped IPv6 address. */
  readonly family: IpFamily;
  /** Four or sixteen bytes, network order. */
  readonly bytes: readonly number[];
  /** The zone after `%`, an interface name or index; empty if none was given. */
  readonly scope: string;
}

/** Longest text that can be an address: 45 characters of IPv6, `%` and an interface name. */
const MAX_TEXT_LENGTH = 45 + 1 + 15;
/** IFNAMSIZ without its NUL. */
const MAX_INTERFACE_NAME_BYTES = 15;

/** Printable ASCII without what separates options, paths or scopes. */
const INTERFACE_NAME = /^[!-~]+$/;
const NOT_IN_INTERFACE_NAMES = /[\s/,;=%"'\\]/;

/**
 * Why `name` cannot be the name of a Linux network interface, or undefined if it can. Stricter than
 * the kernel in what would change meaning in an option string, a configuration line or a shell.
 */
export function checkInterfaceName(name: string): string | undefined {
  if (name === '') return 'is empty';
  if (name.length > MAX_INTERFACE_NAME_BYTES) return 'is longer than 15 characters';
  if (!INTERFACE_NAME.test(name) || NOT_IN_INTERFACE_NAMES.test(name)) {
    return 'contains a character that an interface name cannot have';
  }
  if (name === '.' || name === '..') return 'is not an interface name';
  return undefined;
}

const OCTET = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
/** A leading zero is octal to some resolvers and decimal to others: neither is guessed. */
const DOTTED_QUAD = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);

/** Whether `text` is an IPv4 address in its own notation, of which each has one. */
export function isDottedQuad(text: string): boolean {
  return DOTTED_QUAD.test(text);
}

function parseDottedQuad(text: string): number[] | undefined {
  return isDottedQuad(text) ? text.split('.').map(Number) : undefined;
}

/** The bytes of `a:b:c`, with a dotted quad at the end where `quadAllowed`. */
function parseGroups(text: string, quadAllowed: boolean): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [index, group] of groups.entries()) {
    if (quadAllowed && index === groups.length - 1 && group.includes('.')) {
      const quad = parseDottedQuad(group);
      if (quad === undefined) return undefined;
      bytes.push(...quad);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
      const value = parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    } else {
      return undefined;
    }
  }
  return bytes;
}

function parseIpv6Bytes(text: string): number[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head = '', tail] = halves;
  if (tail === undefined) {
    const bytes = parseGroups(head, true);
    return bytes?.length === 16 ? bytes : undefined;
  }
  const before = parseGroups(head, false);
  const after = parseGroups(tail, true);
  if (before === undefined || after === undefined) return undefined;
  const missing = 16 - before.length - after.length;
  // `::` stands for at least one group.
  if (missing < 2) return undefined;
  return [...before, ...new Array<number>(missing).fill(0), ...after];
}

function isMapped(bytes: readonly number[]): boolean {
  return bytes[10] === 0xff && bytes[11] === 0xff && bytes.slice(0, 10).every((byte) => byte === 0);
}

/** Parses an address; undefined if `text` is not exactly one. No brackets, no spaces, no port. */
export function parseIpAddress(text: string): IpAddress | undefined {
  if (text.length > MAX_TEXT_LENGTH) return undefined;
  if (!text.includes(':')) {
    const bytes = parseDottedQuad(text);
    return bytes === undefined ? undefined : { family: 'ipv4', bytes, scope: '' };
  }
  const percent = text.indexOf('%');
  const address = percent === -1 ? text : text.slice(0, percent);
  const scope = percent === -1 ? '' : text.slice(percent + 1);
  if (percent !== -1 && checkInterfaceName(scope) !== undefined) return undefined;
  const bytes = parseIpv6Bytes(address);
  if (bytes === undefined) return undefined;
  if (isMapped(bytes)) {
    // A zone belongs to IPv6 links only.
    return percent === -1 ? { family: 'ipv4', bytes: bytes.slice(12), scope: '' } : undefined;
  }
  return { family: 'ipv6', bytes, scope };
}

/**
 * Writes an address of 16 bytes, network order: an IPv4-mapped one as a dotted quad, any other as
 * RFC 5952 has it (lower case, the longest run of two zero groups or more shortened).
 */
export function formatIpAddress(bytes: Uint8Array): string {
  const all = [...bytes];
  if (isMapped(all)) return all.slice(12).join('.');
  const groups: string[] = [];
  for (let at = 0; at < 16; at += 2) {
    groups.push((((all[at] ?? 0) << 8) | (all[at + 1] ?? 0)).toString(16));
  }
  let start = -1;
  let length = 1;
  for (let at = 0; at < 8; at += 1) {
    const end = groups.findIndex((group, index) => index >= at && group !== '0');
    const run = (end === -1 ? 8 : end) - at;
    if (run > length) [start, length] = [at, run];
  }
  if (start === -1) return groups.join(':');
  return `${groups.slice(0, start).join(':')}::${groups.slice(start + length).join(':')}`;
}

/** The family of an address, undefined if `text` is not an address. */
export function ipFamily(text: string): IpFamily | undefined {
  return isDottedQuad(text) ? 'ipv4' : parseIpAddress(text)?.family;
}

/** Whether two parsed addresses are one; see {@link sameIpAddress}. */
export function equalIpAddresses(a: IpAddress, b: IpAddress): boolean {
  if (a.family !== b.family) return false;
  if (!a.bytes.every((byte, index) => byte === b.bytes[index])) return false;
  return a.scope === '' || b.scope === '' || a.scope === b.scope;
}

/**
 * Whether two texts are the same IP address in any spelling. Scopes differ only if both are given:
 * sysfs, getifaddrs and log pages leave out what a configuration may name. False if either text is
 * not an address.
 */
export function sameIpAddress(a: string, b: string): boolean {
  const left = parseIpAddress(a);
  const right = parseIpAddress(b);
  return left !== undefined && right !== undefined && equalIpAddresses(left, right);
}

/** fe80::/10 (RFC 4291, 2.5.6): means something on one link only. */
export function isLinkLocal({ bytes, family }: IpAddress): boolean {
  return family === 'ipv6' && bytes[0] === 0xfe && ((bytes[1] ?? 0) & 0xc0) === 0x80;
}

/** Whether the address is `0.0.0.0` or `::` in any spelling: a DC's way to say "no address". */
export function isUnspecifiedAddress(text: string): boolean {
  // Whatever else it is: not worth parsing.
  if (!text.startsWith('0') && !text.startsWith(':')) return false;
  return parseIpAddress(text)?.bytes.every((byte) => byte === 0) ?? false;
}
