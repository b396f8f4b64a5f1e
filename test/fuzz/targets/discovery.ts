/** What discovery controllers say. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  readDiscoveryLog,
  readDiscoveryLogSupport,
  type LogReader,
} from '../../../src/libnvme-ffi/log-page.ts';
import {
  decodeEntries,
  dictToEntry,
  ENTRY_SIZE,
  entryToDict,
  entryToTid,
  type DiscoveryEntry,
} from '../../../src/nvme/discovery-log.ts';
import { parseIpAddress, sameIpAddress } from '../../../src/nvme/ip-address.ts';
import { isIcResp } from '../../../src/platform/icreq.ts';
import { PortError } from '../../../src/ports/errors.ts';
import { entryBytes, logOf, type EntryBytes } from '../../unit/nvme/entry-bytes.ts';
import { FC_ADDRESS, addressText, nqnText, portText } from '../corpus.ts';
import { mutatedBytes, mutatedText } from '../mutate.ts';
import { assertFrozen, assertPrintable, assertTid, onlyThrows } from '../promises.ts';
import { defineTarget } from '../target.ts';

const ENTRY = decodeEntries(entryBytes(), 1).entries[0] ?? assert.fail('the sample was refused');

const HERE = { hostTraddr: '', hostIface: 'eth0', hostNqn: 'nqn.2014-08.org.example:h' };

/** An entry that came out of a parser is fit to connect to, and survives being passed on. */
export function assertEntry(entry: DiscoveryEntry): void {
  assertFrozen(entry, 'the entry');
  assertTid(entryToTid(entry, HERE));
  for (const number of [entry.portid, entry.cntlid, entry.asqsz, entry.eflags]) {
    assert.ok(Number.isInteger(number) && number >= 0 && number <= 0xffff);
  }
  assert.deepEqual(dictToEntry(entryToDict(entry)), { entry });
}

const byte = fc.nat(255);
const word = fc.oneof(fc.constant(0xffff), fc.nat(0xffff));

/** Entries of which most fields are right; strings shorter than their field have what `fill` says. */
const entryFields: fc.Arbitrary<EntryBytes> = fc.record(
  {
    trtype: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(1, 2, 3, 254) }, byte),
    adrfam: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(1, 2, 3, 4) }, byte),
    subtype: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(1, 2, 3) }, byte),
    treq: byte,
    portid: word,
    cntlid: word,
    asqsz: word,
    eflags: word,
    trsvcid: portText,
    subnqn: nqnText,
    traddr: addressText,
    fill: fc.constantFrom(0, 0x20, 0xff),
  },
  { requiredKeys: [] },
);

export const goodEntry: fc.Arbitrary<EntryBytes> = fc.oneof(
  fc.record({ traddr: fc.ipV4(), subnqn: nqnText, trsvcid: portText }),
  fc.record({ adrfam: fc.constant(2), traddr: fc.ipV6(), eflags: word }),
  fc.constant({ trtype: 2, adrfam: 4, traddr: FC_ADDRESS, trsvcid: 'none' }),
);

const logBytes = mutatedBytes(
  fc
    .array(fc.oneof(entryFields, goodEntry), { minLength: 1, maxLength: 5 })
    .map((all) => logOf(...all.map(entryBytes))),
);

interface LogCase {
  readonly bytes: Uint8Array;
  /** More than there are, sometimes. */
  readonly extra: number;
}

const discoveryLog = defineTarget<LogCase>({
  name: 'discovery-log',
  cases: 20_000,
  input: fc.record({
    bytes: fc.oneof(
      { weight: 9, arbitrary: logBytes },
      fc.uint8Array({ minLength: ENTRY_SIZE, maxLength: 3 * ENTRY_SIZE }),
    ),
    extra: fc.oneof(
      { weight: 9, arbitrary: fc.constant(0) },
      fc.constantFrom(1, -1, 0.5, NaN, 1e15),
    ),
  }),
  size: ({ bytes }) => bytes.length,
  check: ({ bytes, extra }) => {
    const there = Math.floor(bytes.length / ENTRY_SIZE);
    const count = there + extra;
    const log = onlyThrows(
      () => decodeEntries(bytes, count),
      (error) => error instanceof RangeError && !(count >= 0 && count <= there),
    );
    if (log === undefined) return;
    assertFrozen(log.entries);
    log.entries.forEach(assertEntry);
    assert.ok(log.entries.length + log.refused.length <= count);
    let last = -1;
    for (const { index, reason, text } of log.refused) {
      assert.ok(index > last && index < count);
      last = index;
      assertPrintable(reason, 200);
      assertPrintable(text, 600);
    }
  },
  families: [
    { name: 'entries', fields: {} },
    {
      name: 'refused entries',
      fields: { subnqn: '\u0001'.repeat(256), traddr: '\u0002'.repeat(256) },
    },
    { name: 'entries of spaces', fields: { subnqn: ' '.repeat(256), trsvcid: ' '.repeat(32) } },
    { name: 'entries without an address', fields: { traddr: '' } },
  ].map(({ fields, name }) => ({
    name,
    make: (n: number) => {
      const count = Math.ceil(n / 8);
      const one = entryBytes(fields);
      const bytes = new Uint8Array(count * ENTRY_SIZE);
      for (let index = 0; index < count; index += 1) bytes.set(one, index * ENTRY_SIZE);
      return () => decodeEntries(bytes, count);
    },
  })),
});

const dictText = fc.oneof(
  { weight: 3, arbitrary: addressText },
  nqnText,
  portText,
  fc.constantFrom(
    'tcp',
    'rdma',
    'fc',
    'loop',
    'nvme',
    'referral',
    'ipv4',
    '0x4',
    ' 4 ',
    'required',
  ),
  fc.string({ unit: 'binary', maxLength: 300 }),
);

const entryDict = defineTarget<Readonly<Record<string, unknown>>>({
  name: 'entry-dictionary',
  cases: 15_000,
  input: fc
    .tuple(
      goodEntry.map((fields) => {
        const [entry] = decodeEntries(entryBytes(fields), 1).entries;
        return entry === undefined ? {} : entryToDict(entry);
      }),
      fc.dictionary(
        fc.constantFrom(
          ...['trtype', 'adrfam', 'traddr', 'trsvcid', 'subnqn', 'subtype', 'treq', 'portid'],
          ...['cntlid', 'asqsz', 'eflags', '__proto__', 'toString'],
        ),
        fc.oneof({ weight: 3, arbitrary: dictText }, fc.anything()),
        { maxKeys: 3 },
      ),
    )
    .map(([good, bad]) => ({ ...good, ...bad })),
  size: (dict) => fc.stringify(dict).length,
  check: (dict) => {
    const { entry, reason } = dictToEntry(dict);
    if (entry === undefined) assertPrintable(reason, 600);
    else assertEntry(entry);
  },
  families: ['traddr', 'subnqn', 'treq', 'eflags'].map((key) => ({
    name: `a long ${key}`,
    make: (n) => {
      const dict = { ...entryToDict(ENTRY), [key]: `1${'\u0001'.repeat(n)}` };
      return () => dictToEntry(dict);
    },
  })),
});

/** What a controller answers to one command: header numbers, or bytes, or an error. */
interface Answer {
  readonly generation: bigint;
  readonly count: bigint;
  readonly format: number;
  readonly fails: boolean;
  /** Bytes of the transfer that do come. */
  readonly sends: number;
}

const counter = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom(0n, 1n, 2n, 40n) },
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);

const logPage = defineTarget<readonly Answer[]>({
  name: 'log-page',
  cases: 5_000,
  input: fc.array(
    fc.record({
      generation: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(7n, 7n, 8n) }, counter),
      count: counter,
      format: fc.oneof({ weight: 19, arbitrary: fc.constant(0) }, fc.nat(0xffff)),
      fails: fc.oneof({ weight: 29, arbitrary: fc.constant(false) }, fc.boolean()),
      sends: fc.oneof({ weight: 19, arbitrary: fc.constant(1e6) }, fc.nat(4096)),
    }),
    { minLength: 1, maxLength: 12 },
  ),
  size: (answers) => answers.length * ENTRY_SIZE,
  check: async (answers) => {
    let commands = 0;
    const read: LogReader = ({ into, offset }) => {
      const answer = answers[commands % answers.length] ?? assert.fail();
      commands += 1;
      // 16,384 entries, four a command, five times over.
      assert.ok(commands <= 5 * (16_384 / 4 + 2), 'it reads for ever');
      assert.ok(into.length <= 4096 && offset % 4 === 0 && into.length % 4 === 0);
      if (answer.fails) {
        return Promise.reject(new PortError('no', { code: 'EIO', errorClass: 'retry' }));
      }
      const bytes = Buffer.alloc(into.length, 1);
      if (offset === 0) {
        const header = Buffer.alloc(1024);
        header.writeBigUInt64LE(answer.generation, 0);
        header.writeBigUInt64LE(answer.count, 8);
        header.writeUInt16LE(answer.format, 16);
        header.copy(bytes);
      }
      into.set(bytes.subarray(0, answer.sends));
      return Promise.resolve();
    };
    const options = { doing: 'reading', pleo: false, checkTime: () => undefined };
    try {
      const { count, entries } = await readDiscoveryLog(read, options);
      assert.equal(entries.length, count * ENTRY_SIZE);
      assert.ok(count <= 16_384);
    } catch (error) {
      if (!(error instanceof PortError)) throw error;
    }
    commands = 0;
    await readDiscoveryLogSupport(read, 'asking').catch((error: unknown) => {
      if (!(error instanceof PortError)) throw error;
    });
  },
});

const icResp = defineTarget<Uint8Array>({
  name: 'icresp',
  cases: 10_000,
  input: mutatedBytes(
    fc.uint8Array({ minLength: 128, maxLength: 128 }).map((noise) => {
      const pdu = Buffer.from(noise);
      pdu.writeUInt8(1, 0);
      pdu.writeUInt8(128, 2);
      pdu.writeUInt32LE(128, 4);
      return new Uint8Array(pdu);
    }),
  ),
  size: (bytes) => bytes.length,
  check: (bytes) => {
    const verdict = isIcResp(bytes);
    const buffer = Buffer.from(bytes);
    const right =
      buffer.length >= 8 &&
      buffer.readUInt8(0) === 1 &&
      buffer.readUInt8(2) === 128 &&
      buffer.readUInt32LE(4) === 128;
    if (buffer.length >= 128) assert.equal(verdict, right ? 'yes' : 'no');
    else if (buffer.length >= 8) assert.equal(verdict, right ? 'maybe' : 'no');
    // Once it is "no", nothing that follows makes it an ICResp.
    for (let length = 0; length <= Math.min(bytes.length, 128); length += 1) {
      if (isIcResp(bytes.subarray(0, length)) === 'no') assert.equal(verdict, 'no');
    }
  },
});

const ipAddress = defineTarget<readonly [string, string]>({
  name: 'ip-address',
  cases: 15_000,
  input: fc.tuple(
    mutatedText(fc.oneof(addressText, fc.ipV6(), fc.ipV4()), ['::', 'ffff', '%', '.0', ':0']),
    addressText,
  ),
  size: ([text]) => text.length,
  check: ([text, other]) => {
    const address = parseIpAddress(text);
    assert.equal(sameIpAddress(text, text), address !== undefined);
    assert.equal(sameIpAddress(text, other), sameIpAddress(other, text));
    if (address === undefined) return;
    assert.equal(address.bytes.length, address.family === 'ipv4' ? 4 : 16);
    assert.ok(address.bytes.every((each) => Number.isInteger(each) && each >= 0 && each <= 255));
    assert.match(text, /^[0-9a-fA-F:.]+(?:%[!-~]{1,15})?$/);
  },
  families: ['1', ':', '::', '1.', '0:', '%', 'f'].map((piece) => ({
    name: `${JSON.stringify(piece)} again and again`,
    make: (n) => {
      const text = `::${piece.repeat(n)}x`;
      return () => parseIpAddress(text);
    },
  })),
});

export const discoveryTargets = [discoveryLog, entryDict, logPage, icResp, ipAddress];
