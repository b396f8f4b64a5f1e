import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  makeTid,
  printTid,
  sameTid,
  tidKey,
  tidToDict,
  type TransportId,
} from '../../../src/nvme/transport-id.ts';

const subsysnqn = 'nqn.2014-08.org.example:one';

describe('makeTid', () => {
  it.each([
    ['tcp', '', '8009'],
    ['tcp', '4420', '4420'],
    ['rdma', '', '4420'],
    ['rdma', '4421', '4421'],
    ['fc', '', ''],
    ['fc', 'none', ''],
    ['loop', '4420', ''],
  ] as const)('gives %s with the service %j the service %j', (transport, given, expected) => {
    expect(makeTid({ transport, traddr: 'a', subsysnqn, trsvcid: given }).trsvcid).toBe(expected);
  });

  it('is frozen, with empty strings for what is not given', () => {
    const tid = makeTid({ transport: 'tcp', traddr: '192.0.2.1', subsysnqn });
    expect(tid).toEqual({
      transport: 'tcp',
      traddr: '192.0.2.1',
      trsvcid: '8009',
      subsysnqn,
      hostTraddr: '',
      hostIface: '',
      hostNqn: '',
    });
    expect(Object.isFrozen(tid)).toBe(true);
  });
});

describe('equality', () => {
  it('has one key for equal TIDs and another for every other', () => {
    const text = fc.constantFrom('', 'a', 'b', '",', '","');
    const tids = fc.record({
      transport: fc.constantFrom('tcp', 'rdma', 'fc', 'loop'),
      traddr: text,
      trsvcid: text,
      subsysnqn: text,
      hostTraddr: text,
      hostIface: text,
      hostNqn: text,
    });
    const fields = (tid: TransportId): string => JSON.stringify(Object.entries(tid).sort());
    fc.assert(
      fc.property(tids, tids, (a, b) => {
        expect(sameTid(a, b)).toBe(fields(a) === fields(b));
        expect(tidKey(a) === tidKey(b)).toBe(sameTid(a, b));
      }),
    );
  });
});

describe('forms', () => {
  const tid = makeTid({
    transport: 'tcp',
    traddr: '192.0.2.1',
    trsvcid: '4420',
    subsysnqn,
    hostTraddr: '192.0.2.10',
    hostIface: 'eth0',
    hostNqn: 'nqn.host',
  });

  it('prints what is there, in the order of the public form', () => {
    expect(printTid(tid)).toBe(`(tcp, 192.0.2.1, 4420, ${subsysnqn}, eth0, 192.0.2.10)`);
    expect(printTid(makeTid({ transport: 'fc', traddr: 'a', subsysnqn: '' }))).toBe('(fc, a, )');
  });

  it('has the keys of the public interface', () => {
    expect(tidToDict(tid)).toEqual({
      transport: 'tcp',
      traddr: '192.0.2.1',
      trsvcid: '4420',
      subsysnqn,
      'host-traddr': '192.0.2.10',
      'host-iface': 'eth0',
      'host-nqn': 'nqn.host',
    });
  });
});
