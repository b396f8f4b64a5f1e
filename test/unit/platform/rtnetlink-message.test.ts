import { endianness } from 'node:os';
import { describe, expect, it } from 'vitest';
import { RtnetlinkReader } from '../../../src/platform/rtnetlink-message.ts';

const [NEWLINK, DELLINK, NEWADDR, DELADDR, NEWROUTE] = [16, 17, 20, 21, 24];
const [IFF_UP, IFF_RUNNING] = [0x1, 0x40];
const [TENTATIVE, PERMANENT] = [0x40, 0x80];

function bytes(...fields: readonly (readonly [size: 1 | 2 | 4, value: number])[]): Buffer {
  return Buffer.concat(
    fields.map(([size, value]) => {
      const field = Buffer.alloc(size);
      if (endianness() === 'LE') field.writeUIntLE(value, 0, size);
      else field.writeUIntBE(value, 0, size);
      return field;
    }),
  );
}

function padded(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc((4 - (data.length % 4)) % 4)]);
}

function message(type: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return padded(
    Buffer.concat([bytes([4, 16 + body.length], [2, type], [2, 0], [4, 0], [4, 0]), body]),
  );
}

function attribute(type: number, value: Buffer): Buffer {
  return padded(Buffer.concat([bytes([2, 4 + value.length], [2, type]), value]));
}

function link(type: number, ifindex: number, flags: number): Buffer {
  return message(type, bytes([1, 0], [1, 0], [2, 1], [4, ifindex], [4, flags], [4, 0]));
}

function address(type: number, ifindex: number, last: number, flags = PERMANENT): Buffer {
  return message(
    type,
    bytes([1, 2], [1, 24], [1, flags], [1, 0], [4, ifindex]),
    attribute(3, Buffer.from('eth0\0')),
    attribute(1, Buffer.from([192, 0, 2, last])),
  );
}

function route(type: number, oif: number, { kind = 1, flags = 0 } = {}): Buffer {
  return message(
    type,
    bytes([1, 2], [1, 24], [1, 0], [1, 0], [1, 254], [1, 3], [1, 0], [1, kind], [4, flags]),
    attribute(1, Buffer.from([203, 0, 113, 0])),
    attribute(4, bytes([4, oif])),
  );
}

const UP = IFF_UP | IFF_RUNNING;

describe('rtnetlink messages', () => {
  it('tell that a link came up when it begins to run, once', () => {
    const reader = new RtnetlinkReader();
    expect(reader.read(link(NEWLINK, 3, IFF_UP))).toEqual([]);
    expect(reader.read(link(NEWLINK, 3, UP))).toEqual([{ kind: 'link', ifindex: 3 }]);
    expect(reader.read(link(NEWLINK, 3, UP))).toEqual([]);
    expect(reader.read(link(NEWLINK, 3, IFF_UP))).toEqual([]);
    expect(reader.read(link(NEWLINK, 3, UP))).toHaveLength(1);
    expect(reader.read(link(DELLINK, 3, UP))).toEqual([]);
    expect(reader.read(link(NEWLINK, 3, UP))).toHaveLength(1);
  });

  it('tell of an address when it may be used, and not when its life is prolonged', () => {
    const reader = new RtnetlinkReader();
    expect(reader.read(address(NEWADDR, 3, 1, TENTATIVE))).toEqual([]);
    expect(reader.read(address(NEWADDR, 3, 1))).toEqual([{ kind: 'address', ifindex: 3 }]);
    expect(reader.read(address(NEWADDR, 3, 1))).toEqual([]);
    expect(reader.read(address(NEWADDR, 3, 2))).toHaveLength(1);
    expect(reader.read(address(NEWADDR, 4, 1))).toHaveLength(1);
    expect(reader.read(address(DELADDR, 3, 1))).toEqual([]);
    expect(reader.read(address(NEWADDR, 3, 1))).toHaveLength(1);
  });

  it('tell of routes to other hosts, and neither of broadcasts nor of copies', () => {
    const reader = new RtnetlinkReader();
    expect(reader.read(route(NEWROUTE, 5))).toEqual([{ kind: 'route', ifindex: 5 }]);
    expect(reader.read(route(NEWROUTE, 5, { kind: 3 }))).toEqual([]);
    expect(reader.read(route(NEWROUTE, 5, { flags: 0x200 }))).toEqual([]);
    expect(reader.read(route(25, 5))).toEqual([]);
  });

  it('come several in a datagram', () => {
    const datagram = Buffer.concat([link(NEWLINK, 3, UP), address(NEWADDR, 3, 1), route(24, 3)]);
    expect(new RtnetlinkReader().read(datagram).map(({ kind }) => kind)).toEqual([
      'link',
      'address',
      'route',
    ]);
  });

  it('are told anew after some were lost', () => {
    const reader = new RtnetlinkReader();
    reader.read(link(NEWLINK, 3, UP));
    reader.forget();
    expect(reader.read(link(NEWLINK, 3, UP))).toHaveLength(1);
  });

  it('that are cut or lie about their lengths are read as far as they make sense', () => {
    const whole = Buffer.concat([link(NEWLINK, 3, UP), address(NEWADDR, 3, 1), route(24, 3)]);
    for (let length = 0; length <= whole.length; length += 1) {
      const events = new RtnetlinkReader().read(whole.subarray(0, length));
      expect(events.length).toBeLessThanOrEqual(3);
    }
    for (let at = 0; at < whole.length; at += 1) {
      for (const value of [0, 1, 3, 15, 127, 255]) {
        const damaged = Buffer.from(whole);
        damaged[at] = value;
        expect(new RtnetlinkReader().read(damaged).length).toBeLessThanOrEqual(3);
      }
    }
  });

  it('of ever new addresses do not fill the memory', () => {
    const reader = new RtnetlinkReader();
    for (let index = 1; index <= 5_000; index += 1) reader.read(address(NEWADDR, index, 1));
    // Those of the first ones were forgotten, and are told once more.
    expect(reader.read(address(NEWADDR, 1, 1))).toHaveLength(1);
  });
});
