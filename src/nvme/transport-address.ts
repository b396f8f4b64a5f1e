/**
 * Which texts may name the two ends of a connection. Every one of them ends up in the option string
 * of a connect request, where a comma or line end would begin another option: what is refused here
 * never gets there. Each `check…` returns why, as words that continue "the traddr …", or undefined.
 */
import { parseIpAddress, sameIpAddress } from './ip-address.ts';
import type { Transport } from './transport-id.ts';

/** The `traddr` field of a log page entry holds 256 bytes. */
const MAX_TRADDR_LENGTH = 255;
/** The `trsvcid` field of a log page entry holds 32 bytes. */
const MAX_TRSVCID_LENGTH = 31;

/**
 * FC-NVMe: world wide node and port name, as the kernel's `nvme_fc_parse_traddr` reads them: with
 * both `0x` or none, and only the digits in any case.
 */
const FC_ADDRESS =
  /^(?:nn-0x[0-9a-fA-F]{16}:pn-0x[0-9a-fA-F]{16}|nn-[0-9a-fA-F]{16}:pn-[0-9a-fA-F]{16})$/;

const VISIBLE_ASCII = /^[!-~]*$/;

function checkPlain(text: string, maxLength: number): string | undefined {
  if (text.length > maxLength) return `is longer than ${maxLength} characters`;
  if (!VISIBLE_ASCII.test(text)) return 'contains a character that is not visible ASCII';
  if (text.includes(',')) return 'contains a comma';
  return undefined;
}

/** A controller's address: IP address (tcp, rdma), world wide names (fc), any word (loop). */
export function checkTraddr(transport: Transport, traddr: string): string | undefined {
  if (traddr === '') return 'is empty';
  const plain = checkPlain(traddr, MAX_TRADDR_LENGTH);
  if (plain !== undefined) return plain;
  switch (transport) {
    case 'tcp':
    case 'rdma':
      return parseIpAddress(traddr) === undefined ? 'is not an IP address' : undefined;
    case 'fc':
      return FC_ADDRESS.test(traddr) ? undefined : 'is not a Fibre Channel address';
    case 'loop':
      return undefined;
  }
}

/**
 * The same text for every spelling of an address that is no IP address: Fibre Channel's with and
 * without `0x`, and any in upper or lower case. The kernel keeps them as they were written.
 */
export function foldTraddr(traddr: string): string {
  const folded = traddr.toLowerCase();
  return FC_ADDRESS.test(folded) ? folded.replaceAll('-0x', '-') : folded;
}

/** Whether two texts are one address, in any spelling: IP addresses as such, else as words. */
export function sameTraddr(a: string, b: string): boolean {
  return sameIpAddress(a, b) || foldTraddr(a) === foldTraddr(b);
}

/** A service: a port (tcp, rdma), decimal without leading zeros; fc and loop have none of use. */
export function checkTrsvcid(transport: Transport, trsvcid: string): string | undefined {
  switch (transport) {
    case 'tcp':
    case 'rdma':
      if (trsvcid === '') return 'is empty';
      return /^[1-9][0-9]{0,4}$/.test(trsvcid) && Number(trsvcid) <= 65535
        ? undefined
        : 'is not a port';
    case 'fc':
    case 'loop':
      return checkPlain(trsvcid, MAX_TRSVCID_LENGTH);
  }
}

/** The host's end of a connection; not empty. */
export function checkHostTraddr(transport: Transport, hostTraddr: string): string | undefined {
  return checkTraddr(transport, hostTraddr);
}

/**
 * A host name to be resolved (RFC 952, RFC 1123, and `_`, which resolvers and hosts files accept).
 * A name whose last label is a number is refused: resolvers read `010.1` as an address.
 */
export function checkHostName(name: string): string | undefined {
  if (name === '') return 'is empty';
  if (name.length > 253) return 'is longer than 253 characters';
  const labels = name.replace(/\.$/, '').split('.');
  for (const label of labels) {
    if (label.length > 63 || !/^[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?$/.test(label)) {
      return 'is neither an IP address nor a host name';
    }
  }
  const last = labels[labels.length - 1] ?? '';
  return /^(?:[0-9]+|0[xX][0-9a-fA-F]*)$/.test(last) ? 'is not an IP address' : undefined;
}
