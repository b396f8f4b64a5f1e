/**
 * The transport ID (TID): the seven strings that name one NVMe over Fabrics controller as seen
 * from this host. Two TIDs are the same controller exactly when all seven fields are equal.
 */

/** Fabrics transports that a controller can be reached by (NVMe base 2.1, figure 294, TRTYPE). */
export type Transport = 'tcp' | 'rdma' | 'fc' | 'loop';

export const TRANSPORTS: readonly Transport[] = ['tcp', 'rdma', 'fc', 'loop'];

/** NQN by which every discovery controller can be reached (NVMe base 2.1, 4.5.1). */
export const WELL_KNOWN_DISCOVERY_NQN = 'nqn.2014-08.org.nvmexpress.discovery';

/** IANA's port for NVMe/TCP discovery. */
export const DISCOVERY_PORT = '8009';
/** IANA's port for NVMe over RDMA and for NVMe/TCP I/O controllers. */
export const NVME_OF_PORT = '4420';

/** Absent optional fields are empty strings, so that a TID compares and prints without cases. */
export interface TransportId {
  readonly transport: Transport;
  readonly traddr: string;
  readonly trsvcid: string;
  readonly subsysnqn: string;
  readonly hostTraddr: string;
  readonly hostIface: string;
  /** The host NQN of the connection; empty until the host's own is filled in. */
  readonly hostNqn: string;
}

/** What {@link makeTid} takes: the two mandatory fields and any of the others. */
export interface TidFields {
  readonly transport: Transport;
  readonly traddr: string;
  readonly trsvcid?: string;
  readonly subsysnqn: string;
  readonly hostTraddr?: string;
  readonly hostIface?: string;
  readonly hostNqn?: string;
}

/** The service that a transport listens on when none is named: 8009, 4420 or none. */
export function defaultTrsvcid(transport: Transport): string {
  switch (transport) {
    case 'tcp':
      return DISCOVERY_PORT;
    case 'rdma':
      return NVME_OF_PORT;
    case 'fc':
    case 'loop':
      return '';
  }
}

/** The service of a TID: fc and loop have none, whatever a file or a log page (`none`) says. */
function trsvcidOf(transport: Transport, trsvcid: string | undefined): string {
  const fallback = defaultTrsvcid(transport);
  return fallback === '' || trsvcid === undefined || trsvcid === '' ? fallback : trsvcid;
}

/** Makes a frozen TID; a missing trsvcid is filled with the transport's default. */
export function makeTid(fields: TidFields): TransportId {
  return Object.freeze({
    transport: fields.transport,
    traddr: fields.traddr,
    trsvcid: trsvcidOf(fields.transport, fields.trsvcid),
    subsysnqn: fields.subsysnqn,
    hostTraddr: fields.hostTraddr ?? '',
    hostIface: fields.hostIface ?? '',
    hostNqn: fields.hostNqn ?? '',
  });
}

/** A map key: equal exactly for equal TIDs, whatever the fields hold. */
export type TidKey = string & { readonly __tidKey: never };

export function tidKey(tid: TransportId): TidKey {
  return JSON.stringify([
    tid.transport,
    tid.traddr,
    tid.trsvcid,
    tid.subsysnqn,
    tid.hostTraddr,
    tid.hostIface,
    tid.hostNqn,
  ]) as TidKey;
}

export function sameTid(a: TransportId, b: TransportId): boolean {
  return tidKey(a) === tidKey(b);
}

/** `(transport, traddr, trsvcid[, subsysnqn][, host-iface][, host-traddr])`, for logs and people. */
export function printTid(tid: TransportId): string {
  const fields: string[] = [tid.transport, tid.traddr, tid.trsvcid];
  for (const optional of [tid.subsysnqn, tid.hostIface, tid.hostTraddr]) {
    if (optional !== '') fields.push(optional);
  }
  return `(${fields.join(', ')})`;
}

/** The dictionary form of D-Bus and JSON: keys with hyphens, in the order of the public interface. */
export function tidToDict(tid: TransportId): Record<string, string> {
  return {
    transport: tid.transport,
    traddr: tid.traddr,
    trsvcid: tid.trsvcid,
    subsysnqn: tid.subsysnqn,
    'host-traddr': tid.hostTraddr,
    'host-iface': tid.hostIface,
    'host-nqn': tid.hostNqn,
  };
}
