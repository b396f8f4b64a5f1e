/** What the kernel and udev say, and what all texts go through on their way to a log. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { DEFAULT_ESCAPED_LENGTH, escapeText } from '../../../src/nvme/escape.ts';
import { oneLine } from '../../../src/platform/log-text.ts';
import { parseAddress, parseAskedAddress } from '../../../src/nvme/controller-address.ts';
import { SysfsControllers } from '../../../src/platform/sysfs-controllers.ts';
import { toDeviceEvents, type UeventProperties } from '../../../src/platform/uevents.ts';
import { addressText, nqnText, portText } from '../corpus.ts';
import { mutatedBytes, mutatedText } from '../mutate.ts';
import { assertFrozen, assertPrintable } from '../promises.ts';
import { defineTarget } from '../target.ts';

const addressAttribute = fc
  .record(
    {
      traddr: addressText,
      trsvcid: portText,
      host_traddr: addressText,
      host_iface: fc.constantFrom('eth0', ''),
      src_addr: addressText,
    },
    { requiredKeys: [] },
  )
  .map((fields) =>
    Object.entries(fields)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
  );

const sysfsAddress = defineTarget<string>({
  name: 'sysfs-address',
  cases: 15_000,
  input: mutatedText(addressAttribute, ['traddr=', 'src_addr=', ',', '=', '0000:01:00.0']),
  size: (text) => text.length,
  check: (text) => {
    const fields = parseAddress(text);
    assert.equal(Object.keys(fields).length, 5);
    for (const value of Object.values(fields)) {
      assert.ok(!value.includes(',') && value === value.trim());
      assert.ok(text.includes(value));
    }
  },
  families: [',', '=', ' ', 'traddr=,', 'a=b,'].map((piece) => ({
    name: `${JSON.stringify(piece)} again and again`,
    make: (n) => {
      const text = `${piece.repeat(n)}x`;
      return () => parseAddress(text);
    },
  })),
});

const ueventAttribute = fc
  .array(
    fc.tuple(
      fc.constantFrom(
        'NVME_TRADDR',
        'NVME_TRSVCID',
        'NVME_HOST_TRADDR',
        'NVME_HOST_IFACE',
        'MAJOR',
      ),
      fc.oneof(addressText, portText, fc.constantFrom('none', '(null)', '')),
    ),
    { maxLength: 8 },
  )
  .map((lines) => lines.map(([key, value]) => `${key}=${value}\n`).join(''));

const sysfsUevent = defineTarget<string>({
  name: 'sysfs-uevent',
  cases: 15_000,
  input: mutatedText(ueventAttribute, ['NVME_TRADDR=', '\n', '=', 'none', '(null)']),
  size: (text) => text.length,
  check: (text) => {
    const fields = parseAskedAddress(text);
    assert.equal(
      fields !== undefined,
      /^NVME_TRADDR=/m.test(text.replaceAll(/[\r\u2028\u2029]/g, '_')),
    );
    for (const value of Object.values(fields ?? {})) {
      assert.ok(!value.includes('\n') && value === value.trim() && text.includes(value));
    }
  },
  families: ['\n', '=', 'NVME_TRADDR=a\n', 'NVME_TRADDR='].map((piece) => ({
    name: `${JSON.stringify(piece)} again and again`,
    make: (n) => {
      const text = `${piece.repeat(n)}x`;
      return () => parseAskedAddress(text);
    },
  })),
});

const attributes = ['transport', 'hostnqn', 'hostid', 'cntrltype', 'dctype', 'cntlid'] as const;
const ofSubsystem = ['subsysnqn', 'model', 'serial'] as const;

type Attributes = Readonly<Record<string, Uint8Array>>;

const attributeBytes = mutatedBytes(
  fc
    .oneof(
      nqnText,
      addressAttribute,
      ueventAttribute,
      fc.constantFrom('live\n', '(efault)\n', 'Linux', 'x\u0085y'),
    )
    .map((text) => new Uint8Array(Buffer.from(text))),
);

const sysfsController = defineTarget<Attributes>({
  name: 'sysfs-controller',
  cases: 2_000,
  input: fc.dictionary(
    fc.constantFrom('state', 'address', 'uevent', ...attributes, ...ofSubsystem),
    attributeBytes,
  ),
  size: (all) => Object.values(all).reduce((sum, bytes) => sum + bytes.length, 0),
  check: async (all) => {
    const root = mkdtempSync(join(tmpdir(), 'fuzz-sysfs-'));
    try {
      const device = join(root, 'class/nvme/nvme0');
      mkdirSync(device, { recursive: true });
      for (const [name, bytes] of Object.entries(all)) writeFileSync(join(device, name), bytes);
      const list = await new SysfsControllers(root).list();
      assert.equal(list.length, 1);
      const controller = list[0] ?? assert.fail();
      assertFrozen(controller);
      assert.equal(controller.device, 'nvme0');
      for (const text of [controller.model, controller.serial]) {
        assert.ok(!/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(text) && text.length <= 512);
      }
      for (const text of [controller.traddr, controller.trsvcid, controller.hostIface]) {
        assert.ok(!text.includes('\n') && text.length <= 4096);
      }
    } finally {
      rmSync(root, { recursive: true });
    }
  },
});

interface UeventCase {
  readonly subsystem: 'nvme' | 'fc';
  readonly action: 'add' | 'remove' | 'change';
  readonly properties: UeventProperties;
}

const property = fc.oneof(
  fc.constantFrom('/devices/virtual/nvme-fabrics/ctl/nvme3', 'nvme7', '0x70f002', '0', 'connected'),
  fc.constantFrom('nvmediscovery', 'nn-0x1:pn-0x2', '', null, undefined, '/nvme1\n', '0x1ffffffff'),
  mutatedText(fc.constantFrom('/devices/x/nvme3', '0x70f002', 'rediscover'), ['/', 'nvme', '0x']),
);

const uevents = defineTarget<UeventCase>({
  name: 'uevents',
  cases: 15_000,
  input: fc.record({
    subsystem: fc.constantFrom('nvme', 'fc'),
    action: fc.constantFrom('add', 'remove', 'change'),
    properties: fc.dictionary(
      fc.constantFrom(
        ...['syspath', 'DEVPATH', 'NVME_EVENT', 'NVME_AEN', 'FC_EVENT', 'NVMEFC_TRADDR'],
        ...['NVMEFC_HOST_TRADDR', '__proto__', 'DEVNAME'],
      ),
      property,
    ),
  }),
  size: ({ properties }) => Object.values(properties).join('').length,
  check: ({ action, properties, subsystem }) => {
    const events = toDeviceEvents(subsystem, action, properties);
    assert.ok(events.length <= 2);
    for (const event of events) {
      switch (event.kind) {
        case 'fc-discovery':
          assert.ok(subsystem === 'fc' && event.traddr !== '' && event.hostTraddr !== '');
          break;
        case 'resync':
          assert.fail('no event says that events were lost');
          break;
        case 'aen':
          assert.ok(Number.isInteger(event.aen) && event.aen >= 0 && event.aen <= 0xffffffff);
          assert.match(event.device, /^nvme[0-9]+$/);
          break;
        case 'add':
        case 'remove':
        case 'nvme-event':
          assert.match(event.device, /^nvme[0-9]+$/);
          assert.ok(!event.device.includes('\n'));
      }
    }
  },
  families: ['/', '/nvme1', '0'].map((piece) => ({
    name: `${piece} again and again`,
    make: (n) => {
      const text = piece.repeat(n);
      const properties = { syspath: text, NVME_AEN: `0x${text}`, NVME_EVENT: text };
      return () => toDeviceEvents('nvme', 'change', properties);
    },
  })),
});

function unescaped(text: string): Buffer {
  const pieces = text.match(/\\\\|\\x[0-9a-f]{2}|[^\\]+/g) ?? [];
  return Buffer.concat(
    pieces.map((piece) => {
      if (piece === '\\\\') return Buffer.from('\\');
      return piece.startsWith('\\x') ? Buffer.from(piece.slice(2), 'hex') : Buffer.from(piece);
    }),
  );
}

interface LineCase {
  readonly input: string | Uint8Array;
  readonly limit: number;
}

const hostileText = mutatedText(fc.oneof(fc.string({ unit: 'binary' }), nqnText), ['\\', '…']);

const printed = defineTarget<LineCase>({
  name: 'printed-text',
  cases: 15_000,
  input: fc.record({
    input: fc.oneof(
      hostileText,
      mutatedBytes(hostileText.map((text) => new Uint8Array(Buffer.from(text)))),
    ),
    limit: fc.integer({ min: 40, max: 600 }),
  }),
  size: ({ input }) => input.length,
  check: ({ input, limit }) => {
    assertPrintable(escapeText(input), DEFAULT_ESCAPED_LENGTH);
    const escaped = escapeText(input, limit);
    assertPrintable(escaped, limit);
    // Unambiguous: the bytes can be had back.
    const whole = escapeText(input, Infinity);
    assert.deepEqual(unescaped(whole), Buffer.from(input as string));
    if (typeof input !== 'string') {
      // A text and its bytes are shown alike, and what is not cut off can be told from all else.
      const text = Buffer.from(input).toString('utf8');
      if (Buffer.from(text).equals(Buffer.from(input)))
        assert.equal(escapeText(text, limit), escaped);
      return;
    }
    const line = oneLine(input, limit);
    assert.ok(!/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(line) && line.length <= limit);
  },
  families: ['x', '\n', '\\', '\u{1f4be}', '\u202e', '\ud800'].flatMap((piece) => [
    {
      name: `${JSON.stringify(piece)} again and again`,
      make: (n: number) => {
        const text = piece.repeat(n);
        return () => [escapeText(text, n), oneLine(text, n)];
      },
    },
    {
      name: `bytes of ${JSON.stringify(piece)}`,
      make: (n: number) => {
        const bytes = Buffer.from(piece.repeat(n));
        return () => escapeText(bytes, n);
      },
    },
  ]),
});

export const hostTargets = [sysfsAddress, sysfsUevent, sysfsController, uevents, printed];
