/** Host identifiers: the UUID that a controller knows a host by, beside its NQN. */
import { createHash } from 'node:crypto';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Why `text` is not a host identifier, as words that continue "the host ID …", or undefined. */
export function checkHostId(text: string): string | undefined {
  if (!UUID.test(text)) return 'is not a UUID';
  // NVMe base 2.1: a host identifier of zero is none.
  return /[^0-]/.test(text) ? undefined : 'is a UUID of zeros';
}

/** The UUID of an NQN of the form `nqn.…:uuid:UUID` (NVMe base 2.1, 4.7.1); undefined for others. */
export function uuidOfNqn(nqn: string): string | undefined {
  const uuid = nqn.split(':uuid:').at(-1) ?? '';
  return nqn.includes(':uuid:') && checkHostId(uuid) === undefined ? uuid.toLowerCase() : undefined;
}

/** The namespace for URLs of RFC 9562, as bytes: 6ba7b811-9dad-11d1-80b4-00c04fd430c8. */
const URL_NAMESPACE = Buffer.from('6ba7b8119dad11d180b400c04fd430c8', 'hex');

/**
 * A UUID that belongs to an NQN and to no other (RFC 9562, version 5): what
 * `uuidgen --sha1 --namespace @url --name NQN` prints.
 */
export function namedUuid(nqn: string): string {
  const bytes = createHash('sha1').update(URL_NAMESPACE).update(nqn).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  const cuts = [0, 8, 12, 16, 20, 32];
  return cuts
    .slice(1)
    .map((end, index) => hex.slice(cuts[index], end))
    .join('-');
}

/**
 * The host ID of a host NQN for which none is named. The kernel takes one ID for an NQN and one NQN
 * for an ID, so it cannot be that of the host's own NQN.
 */
export function hostIdOfNqn(nqn: string): string {
  return uuidOfNqn(nqn) ?? namedUuid(nqn);
}

/**
 * The identity to connect with as `hostNqn`: the host's own where that is empty or its own, else
 * with `hostId`, or if that is empty with the ID that belongs to the NQN.
 */
export function identityFor<H extends { readonly hostnqn: string; readonly hostid: string }>(
  host: H,
  hostNqn: string,
  hostId: string,
): H {
  if (hostNqn === '' || hostNqn === host.hostnqn) return host;
  return { ...host, hostnqn: hostNqn, hostid: hostId === '' ? hostIdOfNqn(hostNqn) : hostId };
}
