/** What anyone on the network announces by multicast DNS, as avahi-daemon passes it on. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  addressesOnManyInterfaces,
  parseTxt,
  serviceToTid,
  type ServiceRules,
} from '../../../src/nvme/mdns-service.ts';
import { readFound, readItem } from '../../../src/platform/avahi/messages.ts';
import { addressText, nqnText } from '../corpus.ts';
import { mutatedBytes } from '../mutate.ts';
import { assertPrintable, assertTid } from '../promises.ts';
import { defineTarget } from '../target.ts';

interface MdnsCase {
  readonly item: readonly unknown[];
  readonly found: readonly unknown[];
  readonly interfaceName: string;
  readonly rules: ServiceRules;
}

const pair = fc.oneof(
  fc.constantFrom('p=tcp', 'P=TCP', 'p=roce', 'p=', 'p', 'nqn=', '=x', 'NQN= nqn.x '),
  nqnText.map((nqn) => `nqn=${nqn}`),
);

const txt = fc.array(mutatedBytes(pair.map((text) => new Uint8Array(Buffer.from(text)))), {
  maxLength: 5,
});

const word = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom<unknown>(1, 0, 2, '_nvme-disc._tcp', 'local', 'DC') },
  fc.anything(),
);

const mdns = defineTarget<MdnsCase>({
  name: 'mdns',
  cases: 15_000,
  input: fc.record({
    item: fc.array(word, { maxLength: 6 }),
    found: fc
      .tuple(
        fc.array(word, { minLength: 7, maxLength: 7 }),
        fc.oneof({ weight: 9, arbitrary: addressText }, fc.anything()),
        fc.oneof({ weight: 9, arbitrary: fc.nat(0xffff) }, fc.anything()),
        fc.oneof({ weight: 9, arbitrary: txt }, fc.anything()),
      )
      .map(([before, ...rest]) => [...before, ...rest]),
    interfaceName: fc.constantFrom(
      'eth0',
      'enp0s31f6',
      'a,b',
      '',
      'x/y',
      'x'.repeat(16),
      'e\u0007',
    ),
    rules: fc.record({
      uniqueNqn: fc.boolean(),
      ignoreIface: fc.boolean(),
      hostNqn: fc.constant('nqn.2014-08.org.example:h'),
    }),
  }),
  size: ({ found }) => Buffer.byteLength(fc.stringify(found.at(-1))),
  check: ({ found, interfaceName, item, rules }) => {
    const announced = readItem(item);
    if (announced !== undefined) assert.deepEqual(readItem([...item]), announced);
    const record = readFound(found, undefined);
    if (record === undefined) return;
    assert.equal(readFound(found, record), record, 'it is told from what it was');
    const { refused, tid } = serviceToTid(record, interfaceName, rules);
    if (tid === undefined) {
      assertPrintable(refused, 500);
      return;
    }
    assertTid(tid);
    assert.equal(tid.hostIface, tid.transport === 'tcp' && !rules.ignoreIface ? interfaceName : '');
    const list = addressesOnManyInterfaces([
      { address: record.address, interfaceName },
      { address: tid.traddr, interfaceName: 'eth9' },
    ]);
    assert.ok(list.length <= 1);
  },
  families: [
    {
      name: 'strings of a TXT record',
      make: (n) => {
        const strings = Array.from({ length: n }, (_, index) => Buffer.from(`key${index}=value`));
        return () => parseTxt(strings);
      },
    },
    {
      name: 'a long string',
      make: (n) => {
        const strings = [Buffer.from(`${'k'.repeat(Math.min(n, 60_000))}=x`)];
        return () => parseTxt(strings);
      },
    },
    {
      name: 'addresses',
      make: (n) => {
        const found = Array.from({ length: n }, (_, index) => ({
          address: `192.0.${(index >> 8) & 0xff}.${index & 0xff}`,
          interfaceName: `eth${index % 7}`,
        }));
        return () => addressesOnManyInterfaces(found);
      },
    },
  ],
});

export const mdnsTargets = [mdns];
