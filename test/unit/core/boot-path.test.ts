import { describe, expect, it } from 'vitest';
import {
  bootClaim,
  bootPathOf,
  type BootPath,
  type BootTable,
} from '../../../src/core/boot-path.ts';
import type { KernelController } from '../../../src/nvme/kernel-controller.ts';
import { parseNbft } from '../../../src/nvme/nbft.ts';
import { WELL_KNOWN_DISCOVERY_NQN } from '../../../src/nvme/transport-id.ts';
import { encodeNbft, type NbftDescription } from '../../nbft/encode.ts';

const ROOT = 'nqn.2024-01.org.example:root';
const HFI = { mac: '52:54:00:00:00:01', address: '192.0.2.10' };

function table(description: NbftDescription, name = 'NBFT'): BootTable {
  const bytes = encodeNbft({ hfis: [HFI], ...description }).bytes;
  return { name, content: { kind: 'read', table: parseNbft(bytes) } };
}

function path(description: NbftDescription): BootPath {
  return bootPathOf([table(description)]);
}

function ioc(fields: Partial<KernelController> = {}): KernelController {
  return {
    ...{ device: 'nvme0', instance: '1', transport: 'tcp', traddr: '192.0.2.20', trsvcid: '4420' },
    ...{
      hostTraddr: '',
      hostIface: '',
      srcAddr: '',
      subsysnqn: ROOT,
      hostnqn: 'nqn.h',
      hostid: '',
    },
    ...{ cntrltype: 'io', dctype: '', model: '', serial: '', cntlid: '1', state: 'live' },
    hasChildren: true,
    ...fields,
  };
}

function dc(fields: Partial<KernelController> = {}): KernelController {
  const kind = { cntrltype: 'discovery', hasChildren: false, subsysnqn: WELL_KNOWN_DISCOVERY_NQN };
  return ioc({ ...kind, trsvcid: '8009', ...fields });
}

describe('a subsystem that a boot table names', () => {
  const boot = path({ subsystems: [{ nqn: ROOT, traddr: '192.0.2.20' }] });

  it.each([
    ['as the table has it', {}],
    ['at another address, as after DHCP or a redirection', { traddr: '198.51.100.1' }],
    ['by another path and transport', { transport: 'rdma', traddr: '2001:db8::1' }],
    ['while it reconnects', { state: 'connecting', hasChildren: false }],
    ['with another host NQN and interface', { hostnqn: 'nqn.other', hostIface: 'eth9' }],
    ['on a kernel that does not tell its type', { cntrltype: '', hasChildren: false }],
  ])('is the boot path %s', (_, fields) => {
    expect(bootClaim(boot, ioc(fields))).toEqual({ kind: 'named', why: 'SSNS 1 of NBFT' });
  });

  it.each([
    ['another subsystem at the same address', ioc({ subsysnqn: 'nqn.other' })],
    ['a local controller', ioc({ transport: 'pcie' })],
    ['the discovery controller at its address', dc({ trsvcid: '4420' })],
  ])('does not make the boot path of %s', (_, kernel) => {
    expect(bootClaim(boot, kernel)).toBeUndefined();
  });

  it('is told by its address where the kernel has no NQN of it', () => {
    for (const subsysnqn of ['', 'nqn.2014.08.org.nvmexpress:00000000serial model']) {
      expect(bootClaim(boot, ioc({ subsysnqn }))?.kind).toBe('named');
      expect(bootClaim(boot, ioc({ subsysnqn, traddr: '::ffff:192.0.2.20' }))?.kind).toBe('named');
      expect(bootClaim(boot, ioc({ subsysnqn, trsvcid: '4421' }))).toBeUndefined();
    }
  });

  it('is the boot path also if the firmware could not reach it', () => {
    const unavailable = path({ subsystems: [{ nqn: ROOT, unavailable: true }] });
    expect(bootClaim(unavailable, ioc())?.kind).toBe('named');
  });

  it('is told by its address alone if the table has no NQN that could be used', () => {
    const nameless = path({ subsystems: [{ nqn: 'nqn.a,b', traddr: '192.0.2.20' }] });
    expect(bootClaim(nameless, ioc({ subsysnqn: 'nqn.any' }))?.kind).toBe('named');
    expect(bootClaim(nameless, ioc({ traddr: '192.0.2.21' }))).toBeUndefined();
  });
});

describe('a discovery controller that a boot table names', () => {
  const boot = path({ discoveries: [{ uri: 'nvme+tcp://[2001:DB8::20]/' }] });

  it('is told by its address, in any spelling, and the default port', () => {
    const claim = bootClaim(boot, dc({ traddr: '2001:db8:0::20' }));
    expect(claim).toEqual({ kind: 'named', why: 'discovery controller 1 of NBFT' });
    expect(bootClaim(boot, dc({ traddr: '2001:db8::20', subsysnqn: 'nqn.unique' }))).toBeDefined();
    expect(bootClaim(boot, dc({ traddr: '2001:db8::21' }))).toBeUndefined();
    expect(bootClaim(boot, dc({ traddr: '2001:db8::20', trsvcid: '4420' }))).toBeUndefined();
  });

  it('makes no I/O controller at its address the boot path', () => {
    expect(bootClaim(boot, ioc({ traddr: '2001:db8::20', trsvcid: '8009' }))).toBeUndefined();
  });

  it('is told by its own NQN wherever it is', () => {
    const unique = path({ discoveries: [{ uri: 'nvme+tcp://192.0.2.9/', nqn: 'nqn.unique' }] });
    expect(bootClaim(unique, dc({ subsysnqn: 'nqn.unique' }))?.kind).toBe('named');
  });

  it('does not make all of them the boot path when an SSNS names it', () => {
    const left = path({
      subsystems: [{ nqn: WELL_KNOWN_DISCOVERY_NQN, traddr: '192.0.2.20', unavailable: true }],
    });
    expect(bootClaim(left, dc({ trsvcid: '4420' }))?.kind).toBe('named');
    expect(bootClaim(left, dc())).toBeUndefined();
  });
});

describe('what could not be read', () => {
  const broken: BootTable = { name: 'NBFT2', content: { kind: 'unreadable', why: 'checksum' } };

  it('of a whole table may be any fabrics connection, but what another table names is certain', () => {
    const boot = bootPathOf([table({ subsystems: [{ nqn: ROOT }] }, 'NBFT1'), broken]);
    expect(bootClaim(boot, ioc())).toEqual({ kind: 'named', why: 'SSNS 1 of NBFT1' });
    for (const kernel of [ioc({ subsysnqn: 'nqn.other' }), dc()]) {
      expect(bootClaim(boot, kernel)).toEqual({ kind: 'possible', why: 'NBFT2 cannot be read' });
    }
    expect(bootClaim(boot, ioc({ transport: 'pcie' }))).toBeUndefined();
  });

  it('of a subsystem may be any I/O controller, and no discovery controller', () => {
    const boot = path({ subsystems: [{}] });
    const why = 'SSNS 1 of NBFT cannot be read';
    expect(bootClaim(boot, ioc())).toEqual({ kind: 'possible', why });
    expect(bootClaim(boot, dc())).toBeUndefined();
  });

  it('of a discovery controller may be any discovery controller, and no I/O controller', () => {
    const boot = path({ discoveries: [{ uri: 'nvme+tcp://dc.example/' }] });
    expect(bootClaim(boot, dc())?.kind).toBe('possible');
    expect(bootClaim(boot, ioc())).toBeUndefined();
  });

  it('of an interface or the host makes nothing the boot path', () => {
    const boot = path({ hfis: [{ mac: '00:00:00:00:00:00' }], host: { nqn: 'x' } });
    expect(bootClaim(boot, ioc())).toBeUndefined();
    expect(bootClaim(boot, dc())).toBeUndefined();
  });
});
