/**
 * rtnetlink messages (Linux: include/uapi/linux/netlink.h, rtnetlink.h, if_link.h, if_addr.h), read
 * for what came up.
 *
 * Invariants:
 * - nothing is read beyond what was received, and a message that makes no sense ends the reading;
 * - what is remembered is bounded: beyond MAX_KNOWN everything is forgotten, and told once more.
 */
import { endianness } from 'node:os';
import type { NetworkEvent } from '../ports/network.ts';

const NLMSG_HEADER = 16;
const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_NEWROUTE = 24;

const IFINFOMSG = 16;
const IFF_UP = 0x1;
const IFF_RUNNING = 0x40;

const IFADDRMSG = 8;
const IFA_F_DADFAILED = 0x08;
const IFA_F_TENTATIVE = 0x40;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;

const RTMSG = 12;
const RTN_UNICAST = 1;
const RTM_F_CLONED = 0x200;
const RTA_OIF = 4;

const MAX_KNOWN = 4096;
const LITTLE = endianness() === 'LE';

/** Tells what came up from what is up: keeps which links run, and which addresses there are. */
export class RtnetlinkReader {
  readonly #running = new Set<number>();
  readonly #addresses = new Set<string>();

  /** What the messages of one datagram say came up. */
  read(datagram: Buffer): readonly NetworkEvent[] {
    const events: NetworkEvent[] = [];
    let at = 0;
    while (datagram.length - at >= NLMSG_HEADER) {
      const length = u32(datagram, at);
      if (length < NLMSG_HEADER || length > datagram.length - at) break;
      const event = this.#message(
        u16(datagram, at + 4),
        datagram.subarray(at + NLMSG_HEADER, at + length),
      );
      if (event !== undefined) events.push(event);
      at += aligned(length);
    }
    if (this.#running.size > MAX_KNOWN) this.#running.clear();
    if (this.#addresses.size > MAX_KNOWN) this.#addresses.clear();
    return events;
  }

  /** Messages were lost: what is remembered may be wrong. */
  forget(): void {
    this.#running.clear();
    this.#addresses.clear();
  }

  #message(type: number, body: Buffer): NetworkEvent | undefined {
    switch (type) {
      case RTM_NEWLINK:
      case RTM_DELLINK:
        return body.length < IFINFOMSG ? undefined : this.#link(type === RTM_NEWLINK, body);
      case RTM_NEWADDR:
      case RTM_DELADDR:
        return body.length < IFADDRMSG ? undefined : this.#address(type === RTM_NEWADDR, body);
      case RTM_NEWROUTE:
        return body.length < RTMSG ? undefined : route(body);
      default:
        return undefined;
    }
  }

  /** A link is told of for many reasons; it came up if it runs and did not. */
  #link(isThere: boolean, body: Buffer): NetworkEvent | undefined {
    const ifindex = u32(body, 4);
    const flags = u32(body, 8);
    if (!isThere || (flags & IFF_UP) === 0 || (flags & IFF_RUNNING) === 0) {
      this.#running.delete(ifindex);
      return undefined;
    }
    if (this.#running.has(ifindex)) return undefined;
    this.#running.add(ifindex);
    return { kind: 'link', ifindex };
  }

  /**
   * An address is told of again whenever a router prolongs its life, and before it may be used: a
   * tentative one is looked for on the link first.
   */
  #address(isThere: boolean, body: Buffer): NetworkEvent | undefined {
    const flags = body.readUInt8(2);
    const ifindex = u32(body, 4);
    const attributes = body.subarray(IFADDRMSG);
    const value = attribute(attributes, IFA_LOCAL) ?? attribute(attributes, IFA_ADDRESS);
    const key = `${String(ifindex)} ${value?.toString('hex') ?? ''}`;
    const usable = (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) === 0;
    if (!isThere || !usable) {
      this.#addresses.delete(key);
      return undefined;
    }
    if (this.#addresses.has(key)) return undefined;
    this.#addresses.add(key);
    return { kind: 'address', ifindex };
  }
}

function route(body: Buffer): NetworkEvent | undefined {
  if (body.readUInt8(7) !== RTN_UNICAST || (u32(body, 8) & RTM_F_CLONED) !== 0) return undefined;
  const oif = attribute(body.subarray(RTMSG), RTA_OIF);
  return { kind: 'route', ifindex: oif !== undefined && oif.length >= 4 ? u32(oif, 0) : 0 };
}

/** The value of the first attribute of this type. */
function attribute(attributes: Buffer, wanted: number): Buffer | undefined {
  let at = 0;
  while (attributes.length - at >= 4) {
    const length = u16(attributes, at);
    if (length < 4 || length > attributes.length - at) return undefined;
    if (u16(attributes, at + 2) === wanted) return attributes.subarray(at + 4, at + length);
    at += aligned(length);
  }
  return undefined;
}

/** NLMSG_ALIGN, RTA_ALIGN. */
function aligned(length: number): number {
  return (length + 3) & ~3;
}

function u16(data: Buffer, at: number): number {
  return LITTLE ? data.readUInt16LE(at) : data.readUInt16BE(at);
}

function u32(data: Buffer, at: number): number {
  return LITTLE ? data.readUInt32LE(at) : data.readUInt32BE(at);
}
