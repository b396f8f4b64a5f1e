/**
 * Reads an NVMe boot firmware table (NVM Express Boot Specification 1.0 and 1.1, ACPI signature
 * "NBFT"). Firmware is not trusted: every offset, length, count and index is checked, and the work
 * is bounded by the size of the table (its counts are bytes).
 *
 * A table that is damaged as a whole is an NbftError. A descriptor that is damaged is left out, with
 * a reason, so that what the others say of the boot path still counts.
 */
import { checkNqn, checkSubsystemNqn, MAX_NQN_BYTES } from './nqn.ts';
import {
  Descriptor,
  FieldError,
  isSet,
  toHex,
  type Heap,
  type HeapReference,
} from './nbft-bytes.ts';
import { checkFrame, FIXED_LENGTH } from './nbft-frame.ts';
import { DISCOVERIES, HFIS, ID, SECURITIES, SUBSYSTEMS, type ListForm } from './nbft-lists.ts';
import {
  NbftError,
  type NbftDiscovery,
  type NbftHfi,
  type NbftHost,
  type NbftPart,
  type NbftProblem,
  type NbftSecurity,
  type NbftSubsystem,
  type NbftTable,
  type SecurityNeed,
} from './nbft-table.ts';
import { parseUri } from './nbft-uri.ts';
import { checkTrsvcid } from './transport-address.ts';
import { WELL_KNOWN_DISCOVERY_NQN } from './transport-id.ts';

/** Lengths of 1.0: a later minor revision may append to a descriptor, never shorten one. */
const HOST_LENGTH = 32;
const TCP_INFO_LENGTH = 128;
const EXTENDED_INFO_LENGTH = 18;

/** The one transport that the specification defines (figure 7). */
const TRTYPE_TCP = 3;

const MAX_URI_BYTES = 512;
const MAX_HOST_NAME_BYTES = 255;
const MAX_ROOT_PATH_BYTES = 1023;
/** An HFI's index is a byte. */
const MAX_HFIS = 255;

/** That of the loopback interface, among others. */
const NO_MAC = '00:00:00:00:00:00';

const VISIBLE_ASCII = /^[!-~]*$/;

/** A place in a list whose descriptor is being read. */
interface Place {
  readonly part: NbftPart;
  readonly place: number;
}

/** Throws NbftError, and nothing else, if the table as a whole is of no use. */
export function parseNbft(bytes: Uint8Array): NbftTable {
  const { control, heap, table } = checkFrame(bytes);
  return new Reader(table, control, heap).read();
}

class Reader {
  readonly #table: Uint8Array;
  readonly #control: Descriptor;
  readonly #heap: Heap;
  readonly #problems: NbftProblem[] = [];

  constructor(table: Uint8Array, control: Descriptor, heap: Heap) {
    this.#table = table;
    this.#control = control;
    this.#heap = heap;
  }

  read(): NbftTable {
    // Not valid: the firmware has nothing to say, as where no boot from a network is set up.
    const empty = !isSet(this.#control.u8(6), 0);
    const listed = [HFIS, SUBSYSTEMS, SECURITIES, DISCOVERIES].some(
      ({ control }) => this.#control.u8(control + 7) > 0,
    );
    if (empty ? listed : this.#control.u8(0) !== ID.control) {
      throw new NbftError('control', 'its control descriptor is not valid');
    }
    const hfis = this.#list(HFIS, (at, place) => this.#hfi(at, place));
    const known = new Set(hfis.map(({ index }) => index));
    return Object.freeze({
      host: empty ? undefined : this.#host(),
      hfis,
      securities: this.#list(SECURITIES, readSecurity),
      discoveries: this.#list(DISCOVERIES, (at, place) => this.#discovery(at, known, place)),
      subsystems: this.#list(SUBSYSTEMS, (at, place) => this.#subsystem(at, known, place)),
      problems: Object.freeze(this.#problems),
    });
  }

  #report(place: Place, reason: string, unidentified = false): void {
    this.#problems.push(Object.freeze({ ...place, reason, unidentified }));
  }

  /** A field's value, or undefined, with its reason reported, if it cannot be used. */
  #field<T>(place: Place, name: string, read: () => T | undefined): T | undefined {
    try {
      return read();
    } catch (thrown) {
      if (!(thrown instanceof FieldError)) throw thrown;
      this.#report(place, `its ${name} ${thrown.message}`);
      return undefined;
    }
  }

  /** Bytes of the table beyond what every table begins with, or undefined. */
  #part(offset: number, length: number): Uint8Array | undefined {
    if (offset < FIXED_LENGTH || offset + length > this.#table.length) return undefined;
    return this.#table.subarray(offset, offset + length);
  }

  #list<T>(
    form: ListForm,
    read: (descriptor: Descriptor, place: Place) => T | undefined,
  ): readonly T[] {
    const { identifies, part } = form;
    const count = this.#control.u8(form.control + 7);
    if (count === 0) return Object.freeze([]);
    const length = this.#control.u16(form.control + 4);
    const bytes = this.#part(this.#control.u32(form.control), count * length);
    if (bytes === undefined || length < form.minLength) {
      this.#report(
        { part, place: 0 },
        `its ${count} descriptors of ${length} bytes are not inside of the table`,
        identifies,
      );
      return Object.freeze([]);
    }
    const values: T[] = [];
    for (let index = 0; index < count; index += 1) {
      const descriptor = new Descriptor(bytes.subarray(index * length, (index + 1) * length));
      if (!form.valid(descriptor)) continue;
      const place = { part, place: index + 1 };
      if (descriptor.u8(0) !== form.id) {
        this.#report(place, `its structure ID is ${descriptor.u8(0)}`, identifies);
        continue;
      }
      const value = read(descriptor, place);
      if (value !== undefined) values.push(Object.freeze(value));
    }
    return Object.freeze(values);
  }

  #host(): NbftHost | undefined {
    const place: Place = { part: 'host', place: 0 };
    const bytes = this.#part(this.#control.u32(8), HOST_LENGTH);
    if (bytes === undefined) {
      this.#report(place, 'it is not inside of the table');
      return undefined;
    }
    const descriptor = new Descriptor(bytes);
    const flags = descriptor.u8(1);
    if (descriptor.u8(0) !== ID.host || !isSet(flags, 0)) {
      this.#report(place, 'it is not valid');
      return undefined;
    }
    const nqn = this.#field(place, 'NQN', () =>
      this.#heap.text(descriptor.reference(18), MAX_NQN_BYTES, checkNqn),
    );
    return Object.freeze({
      id: uuid(descriptor.bytes(2, 16)),
      idConfigured: isSet(flags, 1),
      nqn: nqn ?? '',
      nqnConfigured: isSet(flags, 2),
      primary: PRIMARIES[(flags >> 3) & 3] ?? 'reserved',
    });
  }

  #hfi(descriptor: Descriptor, place: Place): NbftHfi | undefined {
    const trtype = descriptor.u8(3);
    if (trtype !== TRTYPE_TCP) {
      this.#report(place, `its transport type is ${trtype}`);
      return undefined;
    }
    const object = this.#field(place, 'transport information', () =>
      this.#heap.object(descriptor.reference(16)),
    );
    const index = descriptor.u8(1);
    if (object === undefined || object.length < TCP_INFO_LENGTH) {
      this.#report(place, 'it has no transport information');
      return undefined;
    }
    const info = new Descriptor(object);
    const flags = info.u8(6);
    if (info.u8(0) !== ID.tcp || info.u8(1) !== 1 || !isSet(flags, 0)) {
      this.#report(place, 'its transport information is not valid');
      return undefined;
    }
    if (index === 0) {
      this.#report(place, 'its index is 0, which stands for none');
      return undefined;
    }
    const mac = toHex(info.bytes(11, 6)).join(':');
    if (mac === NO_MAC) {
      this.#report(place, 'its MAC address is zero');
      return undefined;
    }
    const hostName = this.#field(place, 'host name', () =>
      this.#heap.text(info.reference(104), MAX_HOST_NAME_BYTES, checkVisible),
    );
    const dhcp = isSet(flags, 2);
    return {
      index,
      pciSbdf: info.u32(7),
      mac,
      vlan: info.u16(17),
      ipOrigin: info.u8(19),
      address: info.ipAddress(20),
      prefixLength: info.u8(36),
      gateway: info.ipAddress(37),
      routeMetric: info.u16(54),
      primaryDns: info.ipAddress(56),
      secondaryDns: info.ipAddress(72),
      dhcpServer: dhcp ? info.ipAddress(88) : '',
      hostName: hostName ?? '',
      defaultRoute: isSet(flags, 1),
      dhcp,
    };
  }

  #discovery(
    descriptor: Descriptor,
    hfis: ReadonlySet<number>,
    place: Place,
  ): NbftDiscovery | undefined {
    const uri = this.#field(place, 'URI', () => {
      const text = this.#heap.text(descriptor.reference(6), MAX_URI_BYTES, checkVisible);
      return text === undefined ? undefined : { text, ...parseUri(text) };
    });
    if (uri === undefined) {
      this.#report(place, 'it has no address', true);
      return undefined;
    }
    const nqn = this.#field(
      place,
      'NQN',
      () => this.#nqn(descriptor.reference(12)) ?? WELL_KNOWN_DISCOVERY_NQN,
    );
    const hfi = descriptor.u8(3);
    if (hfi !== 0 && !hfis.has(hfi)) this.#report(place, `there is no HFI ${hfi}, which it names`);
    return {
      index: descriptor.u8(2),
      hfi,
      security: descriptor.u8(4),
      uri: uri.text,
      transport: uri.transport,
      traddr: uri.traddr,
      trsvcid: uri.trsvcid,
      nqn: nqn ?? '',
    };
  }

  #nqn(reference: HeapReference): string | undefined {
    return this.#heap.text(reference, MAX_NQN_BYTES, checkSubsystemNqn);
  }

  #subsystem(
    descriptor: Descriptor,
    hfis: ReadonlySet<number>,
    place: Place,
  ): NbftSubsystem | undefined {
    const trtype = descriptor.u8(5);
    if (trtype !== TRTYPE_TCP) this.#report(place, `its transport type is ${trtype}`);
    const traddr = this.#field(place, 'address', () => this.#traddr(descriptor.reference(10)));
    const trsvcid = this.#field(place, 'service', () =>
      this.#heap.text(descriptor.reference(16), 5, (text) => checkTrsvcid('tcp', text)),
    );
    const nqn = this.#field(place, 'NQN', () => this.#nqn(descriptor.reference(54)));
    const addressed = trtype === TRTYPE_TCP && traddr !== undefined && trsvcid !== undefined;
    if (nqn === undefined && !addressed) {
      this.#report(place, 'it has neither an NQN nor an address', true);
      return undefined;
    }
    const flags = descriptor.u16(3);
    const transportFlags = descriptor.u16(6);
    return {
      index: descriptor.u16(1),
      transport: trtype === TRTYPE_TCP ? 'tcp' : '',
      traddr: traddr ?? '',
      trsvcid: trsvcid ?? '',
      nqn: nqn ?? '',
      discovery: descriptor.u8(8),
      security: isSet(flags, 2) ? descriptor.u8(45) : 0,
      hfis: this.#hfisOf(descriptor, hfis, place),
      portId: descriptor.u16(22),
      nsid: descriptor.u32(24),
      nidType: descriptor.u8(28),
      nid: descriptor.hex(29, 16),
      headerDigest: isSet(transportFlags, 1),
      dataDigest: isSet(transportFlags, 2),
      ...this.#extendedInfo(descriptor, place),
      discovered: isSet(flags, 6),
      // A field of two bits: 2 is "unavailable", 3 is reserved.
      unavailable: isSet(flags, 8),
    };
  }

  #traddr(reference: HeapReference): string | undefined {
    const object = this.#heap.object(reference);
    if (object === undefined) return undefined;
    if (object.length < 16) throw new FieldError(`has ${object.length} bytes`);
    const text = new Descriptor(object).ipAddress(0);
    if (text === '::' || text === '0.0.0.0') throw new FieldError('is no address');
    return text;
  }

  /** The primary one, then the secondary ones, each once; those that do not exist are reported. */
  #hfisOf(descriptor: Descriptor, hfis: ReadonlySet<number>, place: Place): readonly number[] {
    const secondary = this.#field(place, 'list of secondary HFIs', () => {
      const object = this.#heap.object(descriptor.reference(48));
      if (object !== undefined && object.length > MAX_HFIS) {
        throw new FieldError(`names ${object.length}`);
      }
      return object;
    });
    // A 0 in the list is padding.
    const named = new Set([descriptor.u8(46), ...(secondary ?? []).filter((index) => index !== 0)]);
    const missing = [...named].filter((index) => !hfis.has(index));
    if (missing.length > 0) {
      this.#report(place, `there is no HFI ${missing.join(', ')}, which it names`);
    }
    return Object.freeze([...named].filter((index) => hfis.has(index)));
  }

  #extendedInfo(
    descriptor: Descriptor,
    place: Place,
  ): Pick<NbftSubsystem, 'asqsz' | 'controllerId' | 'dhcpRootPath'> {
    const none = { controllerId: 0, asqsz: 0, dhcpRootPath: '' };
    if (!isSet(descriptor.u16(3), 4)) return none;
    const object = this.#field(place, 'extended information', () =>
      this.#heap.object(descriptor.reference(60)),
    );
    if (object === undefined || object.length < EXTENDED_INFO_LENGTH) return none;
    const info = new Descriptor(object);
    const flags = info.u32(4);
    const ours = info.u8(0) === ID.extended && info.u16(2) === descriptor.u16(1);
    if (!ours || info.u8(1) !== 1 || !isSet(flags, 0)) return none;
    const rootPath = this.#field(place, 'DHCP root path', () =>
      this.#heap.text(info.reference(12), MAX_ROOT_PATH_BYTES, checkVisible),
    );
    return {
      controllerId: info.u16(8),
      asqsz: isSet(flags, 1) ? info.u16(10) : 0,
      dhcpRootPath: rootPath ?? '',
    };
  }
}

const PRIMARIES: readonly NbftHost['primary'][] = ['not-indicated', 'unselected', 'selected'];

const NEEDS: readonly SecurityNeed[] = ['not-supported', 'not-required', 'required'];

function readSecurity(descriptor: Descriptor): NbftSecurity {
  const flags = descriptor.u16(2);
  const need = (shift: number): SecurityNeed => NEEDS[(flags >> shift) & 3] ?? 'reserved';
  return { index: descriptor.u8(1), authentication: need(1), secureChannel: need(5) };
}

function checkVisible(text: string): string | undefined {
  return VISIBLE_ASCII.test(text) ? undefined : 'contains a character that is not visible ASCII';
}

/** In the order of the bytes; empty if all are zero. */
function uuid(bytes: Uint8Array): string {
  if (bytes.every((byte) => byte === 0)) return '';
  const digits = toHex(bytes).join('');
  const cuts = [0, 8, 12, 16, 20, 32];
  return cuts
    .slice(1)
    .map((end, index) => digits.slice(cuts[index], end))
    .join('-');
}
