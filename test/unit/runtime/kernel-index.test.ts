import { expect, test } from 'vitest';
import { makeTid } from '../../../src/nvme/transport-id.ts';
import { KernelIndex } from '../../../src/runtime/kernel-index.ts';
import { FakeClock } from '../../fakes/clock.ts';
import { FakeDevices } from '../../fakes/devices.ts';

function bench() {
  const clock = new FakeClock();
  const devices = new FakeDevices();
  return { clock, devices, index: new KernelIndex(devices, clock) };
}

test('scans once for all who ask within the age that they accept', async () => {
  const { clock, devices, index } = bench();
  devices.lists.hold();
  const both = Promise.all([index.get(1_000), index.get(1_000)]);
  devices.lists.release();
  await both;
  await clock.advance(1_000);
  await index.get(1_000);
  expect(devices.lists.calls).toHaveLength(1);
  await clock.advance(1);
  await index.get(1_000);
  expect(devices.lists.calls).toHaveLength(2);
});

test('answers with a scan that began after the call where no age is accepted', async () => {
  const { devices, index } = bench();
  await index.get(1_000);
  devices.add({ traddr: '10.0.0.1' });
  expect((await index.get(0)).size).toBe(1);
});

test('does not give out what was read before a device went', async () => {
  const { devices, index } = bench();
  devices.add({ traddr: '10.0.0.1' });
  devices.lists.hold();
  const before = index.get(1_000);
  const [old] = devices.lists.pending;
  old?.complete();
  devices.remove('nvme0');
  index.invalidate();
  devices.lists.release();
  expect((await before).size).toBe(1);
  expect((await index.get(1_000)).size).toBe(0);
});

test('tries again after a scan that failed', async () => {
  const { devices, index } = bench();
  devices.lists.failNext(new Error('sysfs'));
  await expect(index.get(1_000)).rejects.toThrow('sysfs');
  await expect(index.get(1_000)).resolves.toBeInstanceOf(Map);
});

test('finds the candidates for a connection by address in any spelling', async () => {
  const { devices, index } = bench();
  devices.add({ traddr: '::ffff:10.0.0.1' });
  devices.add({ traddr: 'FE80:0::1' });
  devices.add({ traddr: 'NN-0X10:PN-0X20', transport: 'fc' });
  devices.add({ traddr: '10.0.0.1', transport: 'rdma' });
  devices.add({ traddr: 'nn-10000000000000AB:pn-20000000000000ab', transport: 'fc' });
  const at = async (transport: 'tcp' | 'fc', traddr: string) =>
    (await index.candidates(makeTid({ transport, traddr, subsysnqn: '' }), 1_000)).map(
      ({ device }) => device,
    );
  expect(await at('tcp', '10.0.0.1')).toEqual(['nvme0']);
  expect(await at('tcp', 'fe80::1%eth0')).toEqual(['nvme1']);
  expect(await at('fc', 'nn-0x10:pn-0x20')).toEqual(['nvme2']);
  expect(await at('fc', 'nn-0x10000000000000ab:pn-0x20000000000000ab')).toEqual(['nvme4']);
  expect(await at('tcp', '10.0.0.2')).toEqual([]);
});
