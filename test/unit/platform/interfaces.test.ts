import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, type NetworkInterfaceInfo } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SystemInterfaces } from '../../../src/platform/interfaces.ts';

const rest = { netmask: '', internal: false, cidr: null } as const;

function ipv4(address: string): NetworkInterfaceInfo {
  return { ...rest, family: 'IPv4', address, mac: '02:00:00:00:00:01' };
}

function ipv6(address: string): NetworkInterfaceInfo {
  return { ...rest, family: 'IPv6', address, mac: '02:00:00:00:00:01', scopeid: 2 };
}

test('lists addresses in the order of the system, under the name of their interface', () => {
  const interfaces = new SystemInterfaces(() => ({
    eth0: [ipv4('192.0.2.1'), ipv6('fe80::1%eth0'), ipv6('2001:db8::1')],
    // An address with a label of its own is one of the same interface.
    'eth0:1': [ipv4('192.0.2.2')],
  }));
  const mac = '02:00:00:00:00:01';
  expect(interfaces.list()).toEqual([
    { name: 'eth0', address: '192.0.2.1', family: 'ipv4', mac },
    { name: 'eth0', address: 'fe80::1', family: 'ipv6', mac },
    { name: 'eth0', address: '2001:db8::1', family: 'ipv6', mac },
    { name: 'eth0', address: '192.0.2.2', family: 'ipv4', mac },
  ]);
});

test('has the loopback interface of this host', () => {
  const loopback = new SystemInterfaces().list().filter(({ name }) => name === 'lo');
  expect(loopback).toContainEqual({
    name: 'lo',
    address: '127.0.0.1',
    family: 'ipv4',
    mac: '00:00:00:00:00:00',
  });
});

test('tells the VLAN that an interface stands for, as the kernel lists them', () => {
  const directory = mkdtempSync(join(tmpdir(), 'vlans-'));
  const path = join(directory, 'config');
  writeFileSync(
    path,
    [
      'VLAN Dev name\t | VLAN ID',
      'Name-Type: VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD',
      'eth0.5         | 5  | eth0',
      'storage        | 4094  | eth1',
      '',
    ].join('\n'),
  );
  try {
    const interfaces = new SystemInterfaces(() => ({}), path);
    expect(
      ['eth0.5', 'storage', 'eth0', 'eth1', ''].map((name) => interfaces.vlanOf(name)),
    ).toEqual([5, 4094, 0, 0, 0]);
  } finally {
    rmSync(directory, { recursive: true });
  }
  // Without a VLAN there is no such file.
  expect(new SystemInterfaces(() => ({}), path).vlanOf('eth0.5')).toBe(0);
});
