/** Boot firmware tables. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { parseIpAddress } from '../../../src/nvme/ip-address.ts';
import { NbftError } from '../../../src/nvme/nbft-table.ts';
import { parseNbft } from '../../../src/nvme/nbft.ts';
import { makeTid } from '../../../src/nvme/transport-id.ts';
import { encodeNbft, seal, type NbftDescription } from '../../nbft/encode.ts';
import { addressText, nqnText, portText } from '../corpus.ts';
import { mutatedBytes } from '../mutate.ts';
import { assertFrozen, assertPrintable, assertTid, onlyThrows } from '../promises.ts';
import { defineTarget } from '../target.ts';

const byte = fc.nat(255);

const heapText = fc.oneof(
  fc.constantFrom('nvme+tcp://192.0.2.20:8009/', 'nvme+tcp://[2001:db8::1]', 'nvme+rdma://a/', 'x'),
  nqnText,
  addressText,
);

const nbftDescription: fc.Arbitrary<NbftDescription> = fc.record({
  hfis: fc.array(
    fc.record({
      mac: fc.constantFrom('52:54:00:00:00:01', '00:00:00:00:00:00'),
      vlan: fc.nat(0xffff),
      address: fc.oneof(fc.ipV4(), fc.ipV6()),
      prefixLength: byte,
      hostName: heapText,
      trtype: fc.constantFrom(3, 3, 3, 1),
    }),
    { maxLength: 4 },
  ),
  securities: fc.array(fc.record({ authentication: fc.nat(3), secureChannel: fc.nat(3) }), {
    maxLength: 2,
  }),
  discoveries: fc.array(fc.record({ uri: heapText, nqn: nqnText, hfi: fc.nat(5) }), {
    maxLength: 4,
  }),
  subsystems: fc.array(
    fc.record({
      nqn: nqnText,
      traddr: fc.oneof(fc.ipV4(), fc.ipV6()),
      trsvcid: portText,
      hfi: fc.nat(5),
      secondaryHfis: fc.array(fc.nat(5), { maxLength: 4 }),
      discovery: fc.nat(5),
      dhcpRootPath: heapText,
      unavailable: fc.boolean(),
    }),
    { maxLength: 6 },
  ),
  appended: fc.constantFrom(0, 0, 4),
});

/** Real tables, where somebody has some. */
function sampleTables(): readonly Uint8Array[] {
  const folder = process.env['NVME_STAS_NBFT_SAMPLES'];
  if (folder === undefined) return [];
  return readdirSync(folder)
    .filter((name) => name.startsWith('NBFT'))
    .map((name) => new Uint8Array(readFileSync(join(folder, name))));
}

const builtTable = nbftDescription.map((description) => encodeNbft(description).bytes);

interface NbftCase {
  readonly bytes: Uint8Array;
  /** Length and checksum are made right again: else nearly all damage would be found by those. */
  readonly sealed: boolean;
}

const nbft = defineTarget<NbftCase>({
  name: 'nbft',
  cases: 15_000,
  input: fc.record({
    bytes: mutatedBytes(
      sampleTables().length === 0
        ? builtTable
        : fc.oneof(builtTable, fc.constantFrom(...sampleTables())),
    ),
    sealed: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, fc.constant(false)),
  }),
  size: ({ bytes }) => bytes.length,
  check: ({ bytes, sealed }) => {
    const copy = Uint8Array.from(bytes);
    if (sealed && copy.length >= 128) {
      new DataView(copy.buffer).setUint32(4, copy.length, true);
      seal(copy);
    }
    const table = onlyThrows(
      () => parseNbft(copy),
      (error) => error instanceof NbftError && error.message.length < 200,
    );
    if (table === undefined) return;
    assertFrozen(table, 'the table');
    const { discoveries, hfis, host, problems, subsystems } = table;
    // One names HFIs, of which there are 255 at most.
    for (const { reason } of problems) assertPrintable(reason, 1500);
    if (host !== undefined && host.nqn !== '') assert.match(host.nqn, /^nqn\.[^,\p{C}\p{Z}]+$/u);
    for (const { address, hostName } of hfis) {
      assert.ok(address === '' || parseIpAddress(address) !== undefined);
      assertPrintable(hostName, 255);
    }
    const known = new Set(hfis.map(({ index }) => index));
    for (const { nqn, traddr, transport, trsvcid } of discoveries) {
      assertTid(makeTid({ transport, traddr, trsvcid, subsysnqn: nqn === '' ? 'none' : nqn }));
    }
    for (const { hfis: of, nqn, traddr, transport, trsvcid } of subsystems) {
      assert.ok(of.every((index) => known.has(index)));
      assert.ok(nqn !== '' || traddr !== '');
      if (transport === '' || traddr === '') continue;
      assertTid(makeTid({ transport, traddr, trsvcid, subsysnqn: nqn === '' ? 'none' : nqn }));
    }
  },
  families: [
    {
      name: 'an ever longer heap',
      make: (n) => {
        const { bytes } = encodeNbft({
          subsystems: [{ dhcpRootPath: 'x'.repeat(Math.min(n, 65_000)) }],
        });
        return () => parseNbft(bytes);
      },
    },
    {
      name: 'bytes after the table',
      make: (n) => {
        const { bytes } = encodeNbft({ subsystems: [{ traddr: '192.0.2.1' }] });
        const longer = new Uint8Array(bytes.length + n * 8);
        longer.set(bytes);
        new DataView(longer.buffer).setUint32(4, longer.length, true);
        const sealed = seal(longer);
        return () => parseNbft(sealed);
      },
    },
  ],
});

export const nbftTargets = [nbft];
