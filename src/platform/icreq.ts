/** The first exchange of an NVMe/TCP connection (NVMe/TCP transport 1.1, 3.6.2.2 and 3.6.2.3). */

const TYPE_ICREQ = 0x00;
const TYPE_ICRESP = 0x01;
/** Both PDUs are a header of 128 bytes and nothing else. */
const LENGTH = 128;

export const ICRESP_LENGTH = LENGTH;

/**
 * Initialize Connection Request: PDU format version 0, no alignment, no digests, one outstanding
 * R2T: zeros but for the lengths.
 */
export function icReq(): Buffer {
  const pdu = Buffer.alloc(LENGTH);
  pdu.writeUInt8(TYPE_ICREQ, 0);
  pdu.writeUInt8(LENGTH, 2);
  pdu.writeUInt32LE(LENGTH, 4);
  return pdu;
}

/** Whether what was received is an ICResp, `maybe` while too little of it is there. */
export function isIcResp(received: Uint8Array): 'yes' | 'no' | 'maybe' {
  const [type, , headerLength] = received;
  if (type !== undefined && type !== TYPE_ICRESP) return 'no';
  if (headerLength !== undefined && headerLength !== LENGTH) return 'no';
  if (received.length < 8) return 'maybe';
  const view = new DataView(received.buffer, received.byteOffset, received.byteLength);
  if (view.getUint32(4, true) !== LENGTH) return 'no';
  return received.length >= LENGTH ? 'yes' : 'maybe';
}
