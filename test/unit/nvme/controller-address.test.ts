import { describe, expect, test } from 'vitest';
import { parseAddress, parseAskedAddress } from '../../../src/nvme/controller-address.ts';

describe('the attribute address', () => {
  const none = { traddr: '', trsvcid: '', hostTraddr: '', hostIface: '', srcAddr: '' };

  test.each([
    [
      'traddr=2001:db8::1,trsvcid=4420,host_traddr=fe80::2%eth0,host_iface=eth0,src_addr=fe80::2\n',
      {
        traddr: '2001:db8::1',
        trsvcid: '4420',
        hostTraddr: 'fe80::2%eth0',
        hostIface: 'eth0',
        srcAddr: 'fe80::2',
      },
    ],
    [
      'traddr=nn-0x1:pn-0x2,host_traddr=nn-0x3:pn-0x4',
      { traddr: 'nn-0x1:pn-0x2', hostTraddr: 'nn-0x3:pn-0x4' },
    ],
    ['host_iface=eth0, traddr=192.0.2.1', { traddr: '192.0.2.1', hostIface: 'eth0' }],
    ['traddr=192.0.2.1\n,src_addr=192.0.2.2', { traddr: '192.0.2.1', srcAddr: '192.0.2.2' }],
    ['traddr=a=b,unknown=1,trsvcid=', { traddr: 'a=b' }],
    ['traddr=192.0.2.1,traddr=192.0.2.2', { traddr: '192.0.2.1' }],
    ['', {}],
    [',,', {}],
  ])('%j', (text, expected) => {
    expect(parseAddress(text)).toEqual({ ...none, ...expected });
  });
});

describe('the attribute uevent', () => {
  const device = 'MAJOR=241\nMINOR=3\nDEVNAME=nvme3\n';

  test('tells what a connection was asked to be', () => {
    const text = `${device}NVME_TRTYPE=tcp\nNVME_TRADDR=2001:db8::1\nNVME_TRSVCID=4420\nNVME_HOST_TRADDR=fe80::2%eth0\nNVME_HOST_IFACE=eth0\n`;
    expect(parseAskedAddress(text)).toEqual({
      traddr: '2001:db8::1',
      trsvcid: '4420',
      hostTraddr: 'fe80::2%eth0',
      hostIface: 'eth0',
    });
  });

  test.each([
    ['NVME_TRADDR=a\nNVME_TRSVCID=none\nNVME_HOST_TRADDR=none\nNVME_HOST_IFACE=none', 'a'],
    ['NVME_TRADDR=a', 'a'],
    ['NVME_TRADDR=a\nNVME_TRADDR=b', 'a'],
    ['NVME_TRADDR=nn-0x1:pn-0x2', 'nn-0x1:pn-0x2'],
    ['NVME_TRADDR=a=b', 'a=b'],
    // A local target of the test driver: the option was not given.
    ['NVME_TRADDR=(null)', ''],
  ])('tells nothing of what was not given: %j', (text, traddr) => {
    expect(parseAskedAddress(device + text)).toEqual({
      traddr,
      trsvcid: '',
      hostTraddr: '',
      hostIface: '',
    });
  });

  test.each(['', device, `${device}NVME_TRTYPE=pcie\n`, 'xNVME_TRADDR=a', 'NVME_TRADDR'])(
    'says of %j that it has no such address',
    (text) => {
      expect(parseAskedAddress(text)).toBeUndefined();
    },
  );
});
