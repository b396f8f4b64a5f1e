import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { controllersByPlace, tidsByPlace } from '../../../src/core/connection-places.ts';
import { matchConnection } from '../../../src/nvme/connection-match.ts';
import type { KernelController } from '../../../src/nvme/kernel-controller.ts';
import { makeTid, WELL_KNOWN_DISCOVERY_NQN } from '../../../src/nvme/transport-id.ts';
import { FakeDevices } from '../../fakes/devices.ts';

const devices = new FakeDevices();
const HOST = 'nqn.host';

function kernel(fields: Partial<KernelController>): KernelController {
  return devices.add({ trsvcid: '4420', hostnqn: HOST, ...fields });
}

function subsystems(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `nqn.sub${String(index)}`);
}

describe('thousands of subsystems behind one address', () => {
  const traddr = '10.0.0.1';
  const all = subsystems(2_000);

  it('leave one candidate for a connection', () => {
    const find = controllersByPlace(all.map((subsysnqn) => kernel({ subsysnqn, traddr })));
    const tid = makeTid({ transport: 'tcp', traddr, subsysnqn: 'nqn.sub7' });
    expect(find(tid).map(({ subsysnqn }) => subsysnqn)).toEqual(['nqn.sub7']);
  });

  it('leave one transport ID that may ask for a connection', () => {
    const find = tidsByPlace(
      all.map((subsysnqn) => makeTid({ transport: 'tcp', traddr, subsysnqn })),
    );
    expect(find(kernel({ subsysnqn: 'nqn.sub7', traddr }))).toHaveLength(1);
  });
});

it('finds everything that matches', () => {
  const traddr = fc.constantFrom('10.0.0.1', '::ffff:10.0.0.1', 'fe80::1', 'FE80:0::1', '10.0.0.2');
  const subsysnqn = fc.constantFrom('nqn.a', 'nqn.b', WELL_KNOWN_DISCOVERY_NQN);
  const controllers = fc.array(
    fc.record({ traddr, subsysnqn, cntrltype: fc.constantFrom('io', 'discovery', '') }),
    { maxLength: 8 },
  );
  const tids = fc.array(fc.record({ traddr, subsysnqn }), { maxLength: 8 });
  fc.assert(
    fc.property(controllers, tids, fc.constantFrom('io', 'discovery'), (there, asked, kind) => {
      const kernels = there.map(kernel);
      const wanted = asked.map((fields) =>
        makeTid({ transport: 'tcp', trsvcid: '4420', hostNqn: HOST, ...fields }),
      );
      const [ofTid, ofKernel] = [controllersByPlace(kernels), tidsByPlace(wanted)];
      for (const tid of wanted) {
        for (const controller of kernels) {
          if (matchConnection(tid, kind, controller, []) === 'no') continue;
          expect(ofTid(tid)).toContain(controller);
          expect(ofKernel(controller)).toContain(tid);
        }
      }
    }),
  );
});
