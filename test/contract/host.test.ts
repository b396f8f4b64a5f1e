import { describe, test } from 'vitest';
import { makeTid, WELL_KNOWN_DISCOVERY_NQN } from '../../src/nvme/transport-id.ts';
import type { TransportId } from '../../src/nvme/transport-id.ts';
import { FakeDevices } from '../fakes/devices.ts';
import { FakeFabrics } from '../fakes/fabrics.ts';
import { devicesContract } from './devices.contract.ts';
import type { DevicesWorld } from './devices.contract.ts';
import { fakeHostContracts, realHostContracts } from './host-worlds.ts';
import { fakeNetworkWorld } from './network-worlds.ts';
import { networkContract } from './network.contract.ts';

const NQN = 'nqn.2014-08.org.example:io';

/** The fake kernel. The real one's world is in nvmet-world.ts, and runs in the virtual machine. */
function fakeKernel(): Promise<DevicesWorld> {
  const devices = new FakeDevices();
  const fabrics = new FakeFabrics(devices);
  const host = { hostnqn: 'nqn.2014-08.org.nvmexpress:uuid:1', hostid: '1' };
  const traddr = '127.0.0.1';
  fabrics.addTarget({ kind: 'io', traddr, trsvcid: '4420', subsysnqn: NQN });
  const dc = WELL_KNOWN_DISCOVERY_NQN;
  fabrics.addTarget({ kind: 'discovery', traddr, trsvcid: '4420', subsysnqn: dc });
  const tid = (subsysnqn: string): TransportId =>
    makeTid({ transport: 'tcp', traddr, trsvcid: '4420', subsysnqn });
  const connect = (subsysnqn: string, discovery: boolean): Promise<string> =>
    fabrics.connect({ tid: tid(subsysnqn), host, options: {}, discovery });
  return Promise.resolve({
    devices,
    expected: {
      transport: 'tcp',
      traddr,
      trsvcid: '4420',
      subsysnqn: NQN,
      hostnqn: host.hostnqn,
    },
    connect: () => connect(NQN, false),
    connectDiscovery: () => connect(WELL_KNOWN_DISCOVERY_NQN, true),
    changeLog: (device) => {
      devices.emit({ kind: 'aen', device, aen: 0x70f002 });
      return Promise.resolve();
    },
    disconnect: async (device) => {
      const controller = devices.get(device);
      if (controller !== undefined) await fabrics.disconnect(controller);
    },
    close: () => Promise.resolve(),
  });
}

const contracts = [
  ...realHostContracts(),
  ...fakeHostContracts(),
  devicesContract('the fake', fakeKernel),
  networkContract('the fake', fakeNetworkWorld),
];

describe.each(contracts)('$name', ({ tests }) => {
  for (const { title, run } of tests) test(title, run);
});
