/**
 * Stands between the socket and dbus-next's message parser and keeps from it what would hurt.
 *
 * dbus-next 0.10.2 decodes the whole body of every message before anyone can look at it. Measured:
 * one 16 MB call with the signature `av`, which any local user may send, blocks the event loop for
 * 13 s and takes 2.4 GB of memory; a body of type `h` without descriptors throws out of the event
 * loop. So the guard follows the framing (D-Bus specification, "Message Format") and
 * - hides the body of an oversized call: it arrives without a signature, and is answered with an
 *   error by whoever finds that its arguments are missing;
 * - turns an oversized signal into a message of no known type, which dbus-next drops;
 * - gives every body a list of file descriptors that has a (useless) entry for every index.
 *
 * Replies pass whatever their size: the bus delivers only those that were asked for.
 *
 * Invariant: it sees exactly the reads that the parser does, in turn 16 bytes of header and one
 * read of fields and body, so that its idea of where a message begins cannot differ.
 */

/** Arguments of calls and signals are names and addresses; one TXT record is the largest. */
export const MAX_INCOMING_BODY = 64 * 1024;
/** The specification's limit for one message. */
const MAX_MESSAGE = 128 * 1024 * 1024;
/** Well over the specification's limits of the strings that a header can have. */
const MAX_FIELDS = 64 * 1024;

export const HEADER_LENGTH = 16;
const LITTLE_ENDIAN = 0x6c;
const BIG_ENDIAN = 0x42;

const METHOD_CALL = 1;
const SIGNAL = 4;
/** No message has it, and whatever has is dropped, as the specification demands. */
const UNKNOWN_TYPE = 0xff;

const SIGNATURE_FIELD = 8;
/** dbus-next knows no field 0 and leaves it out. */
const NO_FIELD = 0;

/** What dbus-next asks for the descriptors that came with a body of type `h`. */
const USELESS_DESCRIPTORS = { length: Number.POSITIVE_INFINITY };

interface Frame {
  readonly header: Buffer;
  readonly fieldsLength: number;
  readonly bodyLength: number;
  readonly littleEndian: boolean;
}

function readUint32(littleEndian: boolean, bytes: Buffer, at: number): number {
  return littleEndian ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
}

function frameOf(header: Buffer): Frame {
  const [endian] = header;
  if (header.length !== HEADER_LENGTH || (endian !== LITTLE_ENDIAN && endian !== BIG_ENDIAN)) {
    throw new Error('the bus sent something that is not a message');
  }
  const littleEndian = endian === LITTLE_ENDIAN;
  const bodyLength = readUint32(littleEndian, header, 4);
  const fieldsLength = readUint32(littleEndian, header, 12);
  if (fieldsLength > MAX_FIELDS || bodyLength > MAX_MESSAGE) {
    throw new Error('the bus sent a message beyond the limits of D-Bus');
  }
  return { header, fieldsLength, bodyLength, littleEndian };
}

/** The index after a header field's value of one of the types that known fields have. */
function afterValue(frame: Frame, bytes: Buffer, type: string, at: number): number | undefined {
  const aligned = (at + 3) & ~3;
  switch (type) {
    case 'g':
      return at + 1 + bytes.readUInt8(at) + 1;
    case 'u':
      return aligned + 4;
    case 's':
    case 'o':
      return aligned + 4 + readUint32(frame.littleEndian, bytes, aligned) + 1;
    default:
      return undefined;
  }
}

/** Makes the parser overlook the signature. False if there is a field that cannot be read over. */
function hideSignature(frame: Frame, bytes: Buffer): boolean {
  let at = 0;
  while (at < frame.fieldsLength) {
    const field = (at + 7) & ~7;
    if (bytes.readUInt8(field) === SIGNATURE_FIELD) {
      bytes.writeUInt8(NO_FIELD, field);
      return true;
    }
    const typeLength = bytes.readUInt8(field + 1);
    const type = bytes.toString('latin1', field + 2, field + 2 + typeLength);
    const next = afterValue(frame, bytes, type, field + 2 + typeLength + 1);
    if (next === undefined) return false;
    at = next;
  }
  return true;
}

/** A field of type `s` before its text: code, length and text of the signature, length, and a NUL. */
const STRING_FIELD_OVERHEAD = 9;

/** Drops the message: one string that nobody looks at takes the place of all its fields. */
function drop(frame: Frame, bytes: Buffer): void {
  const length = frame.fieldsLength - STRING_FIELD_OVERHEAD;
  if (length < 0) throw new Error('the bus sent a signal or call without fields');
  bytes.fill(0, 0, frame.fieldsLength);
  bytes.writeUInt8(NO_FIELD, 0);
  bytes.write('\u0001s\0', 1, 'latin1');
  if (frame.littleEndian) bytes.writeUInt32LE(length, 4);
  else bytes.writeUInt32BE(length, 4);
  frame.header.writeUInt8(UNKNOWN_TYPE, 1);
}

export class MessageGuard {
  #frame: Frame | undefined;
  #following = false;

  /** The handshake is over: from here on the stream consists of messages. */
  begin(): void {
    this.#following = true;
  }

  /**
   * Looks at what a read of the parser returned and changes it in place where it must. Throws if
   * the stream cannot be what a bus sends: nothing that follows can be understood then.
   */
  see(chunk: Buffer): void {
    if (!this.#following) return;
    if (this.#frame === undefined) {
      this.#frame = frameOf(chunk);
      return;
    }
    const frame = this.#frame;
    this.#frame = undefined;
    if (chunk.length !== ((frame.fieldsLength + 7) & ~7) + frame.bodyLength) {
      throw new Error('the bus closed the connection within a message');
    }
    Object.assign(chunk, { fds: USELESS_DESCRIPTORS });
    if (frame.bodyLength <= MAX_INCOMING_BODY) return;
    const type = frame.header.readUInt8(1);
    if (type === METHOD_CALL) {
      if (!hideSignature(frame, chunk)) drop(frame, chunk);
    } else if (type === SIGNAL) {
      drop(frame, chunk);
    }
  }
}
