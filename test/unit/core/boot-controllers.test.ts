import { describe, expect, it } from 'vitest';
import { known } from '../../../src/core/answer.ts';
import {
  bootAnswer,
  bootControllers,
  isBootSource,
  type InterfaceLike,
} from '../../../src/core/boot-controllers.ts';
import { parseNbft } from '../../../src/nvme/nbft.ts';
import { printTid, WELL_KNOWN_DISCOVERY_NQN } from '../../../src/nvme/transport-id.ts';
import { encodeNbft, HOST_NQN, type NbftDescription } from '../../nbft/encode.ts';

const MAC = '52:54:00:00:00:01';
const OWN = 'nqn.2014-08.org.nvmexpress:uuid:own';
const RULES = { ignoreIface: false, hostNqn: OWN };
const ONE: NbftDescription = {
  hfis: [{ mac: MAC, address: '192.0.2.10' }],
  discoveries: [{ uri: 'nvme+tcp://192.0.2.20:8009/' }],
};

function controllersOf(description: NbftDescription) {
  return bootControllers('NBFT', parseNbft(encodeNbft(description).bytes));
}

/** What becomes of the first one among these interfaces, each `name address [mac]`. */
function answer(
  description: NbftDescription,
  interfaces: readonly string[],
  options: { vlans?: Readonly<Record<string, number>>; ignoreIface?: boolean } = {},
) {
  const [controller] = controllersOf(description).controllers;
  if (controller === undefined) throw new Error('there is none');
  const list = interfaces.map((text): InterfaceLike => {
    const [name = '', address = '', mac = MAC] = text.split(' ');
    return { name, address, mac };
  });
  const vlanOf = (name: string): number => options.vlans?.[name] ?? 0;
  return bootAnswer(
    controller,
    { list: () => list, vlanOf },
    { ...RULES, ignoreIface: options.ignoreIface ?? false },
  );
}

function iface(...args: Parameters<typeof answer>): string | undefined {
  const result = answer(...args);
  return result.kind === 'known' ? result.value.hostIface : undefined;
}

describe('a discovery controller of a boot table', () => {
  it('is reached as the table says, by the interface that has the MAC address', () => {
    const result = answer(ONE, [
      'lo 127.0.0.1 00:00:00:00:00:00',
      'eth0 10.0.0.1 52:54:00:00:00:02',
      `eth1 10.0.0.2`,
    ]);
    expect(result).toEqual(
      known({
        transport: 'tcp',
        traddr: '192.0.2.20',
        trsvcid: '8009',
        subsysnqn: WELL_KNOWN_DISCOVERY_NQN,
        hostTraddr: '',
        hostIface: 'eth1',
        hostNqn: HOST_NQN,
      }),
    );
  });

  it('is not known as long as no such interface has an address', () => {
    expect(answer(ONE, ['eth0 192.0.2.10 52:54:00:00:00:02'])).toEqual({
      kind: 'unknown',
      why: `no interface with the MAC address ${MAC} has an address`,
    });
    expect(answer(ONE, []).kind).toBe('unknown');
  });

  it('has the NQN of this host where that of the table is a default of the firmware', () => {
    const result = answer({ ...ONE, host: { nqnConfigured: false } }, ['eth0 192.0.2.10']);
    expect(result).toMatchObject({ value: { hostNqn: OWN } });
  });

  it('needs no interface where the table names none, or none is to be used', () => {
    expect(iface({ ...ONE, discoveries: [{ uri: 'nvme+tcp://192.0.2.20/', hfi: 0 }] }, [])).toBe(
      '',
    );
    expect(iface(ONE, [], { ignoreIface: true })).toBe('');
  });

  it('is reached by the VLAN of the table, not by what is below it', () => {
    const tagged = { ...ONE, hfis: [{ mac: MAC, vlan: 5, address: '192.0.2.10' }] };
    const interfaces = ['eth0 192.0.2.10', 'eth0.5 10.0.0.1', 'eth0.6 10.0.0.2'];
    const vlans = { 'eth0.5': 5, 'eth0.6': 6 };
    expect(iface(tagged, interfaces, { vlans })).toBe('eth0.5');
    expect(iface(ONE, interfaces, { vlans })).toBe('eth0');
    expect(answer(tagged, ['eth0 192.0.2.10'])).toMatchObject({
      kind: 'unknown',
      why: `no interface with the MAC address ${MAC} and VLAN 5 has an address`,
    });
  });

  it('of several interfaces with the MAC address takes the one with the address of the table', () => {
    expect(iface(ONE, ['eth0 192.0.2.11', 'br0 192.0.2.10'])).toBe('br0');
  });

  it('then one that has an address of its family, a link-local one at last', () => {
    expect(iface(ONE, ['eth0 fe80::1', 'br0 2001:db8::1', 'br1 10.0.0.1'])).toBe('br1');
    expect(iface(ONE, ['eth0 169.254.0.1', 'br0 10.0.0.1'])).toBe('br0');
    const six = { ...ONE, discoveries: [{ uri: 'nvme+tcp://[2001:db8::20]/' }] };
    expect(iface(six, ['eth0 fe80::1', 'br0 2001:db8::1'])).toBe('br0');
    expect(iface(six, ['eth0 fe80::1'])).toBe('eth0');
  });

  it('compares MAC addresses without regard to case, and passes over names that are none', () => {
    const mac = 'AA:BB:CC:00:00:01';
    const hfis = [{ mac: mac.toLowerCase(), address: '192.0.2.10' }];
    expect(iface({ ...ONE, hfis }, [`a,b 192.0.2.10 ${mac}`, `eth0 10.0.0.1 ${mac}`])).toBe('eth0');
  });

  it('each has a source of its own', () => {
    const uri = 'nvme+tcp://192.0.2.20/';
    const sources = controllersOf({ ...ONE, discoveries: [{ uri }, { uri }] }).controllers.map(
      ({ source }) => source,
    );
    expect(new Set(sources).size).toBe(2);
    expect(sources.every(isBootSource)).toBe(true);
  });

  it.each([
    ['whose interface is damaged', { hfi: 9 }, 'HFI 9 cannot be used'],
    ['whose NQN is damaged', { nqn: 'nqn.a,b' }, 'its NQN cannot be used'],
    ['that is to be secured', { security: 1 }, 'security profile 1 requires a secure channel'],
  ])('%s is not used', (_, fields, why) => {
    const description: NbftDescription = {
      ...ONE,
      securities: [{ secureChannel: 2 }],
      discoveries: [
        { uri: 'nvme+tcp://192.0.2.20/', ...fields },
        { uri: 'nvme+tcp://192.0.2.21/' },
      ],
    };
    const { controllers, skipped } = controllersOf(description);
    expect(controllers.map(({ tid }) => printTid(tid))).toEqual([
      `(tcp, 192.0.2.21, 8009, ${WELL_KNOWN_DISCOVERY_NQN})`,
    ]);
    expect(skipped).toEqual([`discovery controller 1: ${why}`]);
  });
});
