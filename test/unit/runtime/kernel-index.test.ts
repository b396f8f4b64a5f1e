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

const TID = makeTid({ transport: 'tcp', traddr: '10.0.0.1', subsysnqn: '' });

test('has it read once for all who ask within the age that they accept', async () => {
  const { clock, devices, index } = bench();
  devices.lists.hold();
  const both = Promise.all([index.candidates(TID, 1_000), index.candidates(TID, 1_000)]);
  devices.lists.release();
  await both;
  await clock.advance(1_000);
  devices.add({ traddr: '10.0.0.1' });
  expect(await index.candidates(TID, 1_000)).toEqual([]);
  expect(devices.lists.calls).toHaveLength(1);
});

test('reads only what has come, and what was not live, while the rest was read lately', async () => {
  const { clock, devices, index } = bench();
  const unfinished = devices.add({ state: 'new' });
  devices.add({ traddr: '10.0.0.9' });
  devices.add({ traddr: '10.0.0.8' });
  await index.candidates(TID, 1_000);
  await clock.advance(1_001);
  devices.update(unfinished.device, { state: 'live', traddr: '10.0.0.1' });
  devices.remove('nvme2', { silent: true });
  const come = devices.add({ device: 'nvme7', traddr: '10.0.0.1' });
  const found = await index.candidates(TID, 1_000);
  expect(found.map(({ device }) => device)).toEqual([unfinished.device, come.device]);
  expect(devices.reads.calls.map(({ request }) => request)).toEqual([
    unfinished.device,
    come.device,
  ]);
  expect(devices.lists.calls).toHaveLength(1);
  const gone = makeTid({ transport: 'tcp', traddr: '10.0.0.8', subsysnqn: '' });
  expect(await index.candidates(gone, 1_000)).toEqual([]);
});

test('reads what has the name of another one, or may still turn out to be of another kind', async () => {
  const { clock, devices, index } = bench();
  devices.add({ traddr: '10.0.0.9' });
  devices.add({ traddr: '10.0.0.1', cntrltype: '' });
  devices.add({ traddr: '10.0.0.1', cntrltype: '', hasChildren: true });
  await index.get();
  devices.remove('nvme0', { silent: true });
  devices.add({ traddr: '10.0.0.1' }, { silent: true });
  devices.update('nvme1', { hasChildren: true });
  await clock.advance(1_001);
  const found = await index.candidates(TID, 1_000);
  expect(found.map(({ device, hasChildren }) => [device, hasChildren])).toEqual([
    ['nvme0', false],
    ['nvme1', true],
    ['nvme2', true],
  ]);
  expect(devices.reads.calls.map(({ request }) => request)).toEqual(['nvme0', 'nvme1']);
});

test('reads all, as a pass does, where many are to be read', async () => {
  const { clock, devices, index } = bench();
  for (let count = 0; count < 51; count += 1) devices.add({ state: 'connecting' });
  await index.candidates(TID, 1_000);
  await clock.advance(1_001);
  await index.candidates(TID, 1_000);
  expect(devices.lists.calls).toHaveLength(2);
  expect(devices.reads.calls).toEqual([]);
});

test('reads all of it again after a while', async () => {
  const { clock, devices, index } = bench();
  devices.add({ traddr: '10.0.0.9' });
  await index.candidates(TID, 1_000);
  devices.update('nvme0', { traddr: '10.0.0.1' });
  await clock.advance(10_000);
  expect(await index.candidates(TID, 1_000)).toEqual([]);
  await clock.advance(1_001);
  expect(await index.candidates(TID, 1_000)).toHaveLength(1);
  expect(devices.lists.calls).toHaveLength(2);
});

test('answers with what was read after the call where it is asked for what is now', async () => {
  const { devices, index } = bench();
  await index.get();
  devices.add({ traddr: '10.0.0.1' });
  expect((await index.get()).size).toBe(1);
  expect(await index.candidates(TID, 0)).toHaveLength(1);
});

test('does not give out what was read before a device went', async () => {
  const { devices, index } = bench();
  devices.add({ traddr: '10.0.0.1' });
  devices.lists.hold();
  const before = index.candidates(TID, 1_000);
  const [old] = devices.lists.pending;
  old?.complete();
  devices.remove('nvme0');
  index.invalidate();
  devices.lists.release();
  expect(await before).toHaveLength(1);
  expect(await index.candidates(TID, 1_000)).toEqual([]);
});

test('does not keep a comparison with what was read before a device went', async () => {
  const { clock, devices, index } = bench();
  devices.add({ traddr: '10.0.0.1' });
  await index.get();
  await clock.advance(1_001);
  devices.add({ state: 'new' });
  devices.reads.hold();
  const comparing = index.candidates(TID, 1_000);
  await clock.advance(0);
  devices.remove('nvme0');
  index.invalidate();
  devices.reads.release();
  await comparing;
  devices.add({ traddr: '10.0.0.1' });
  expect(await index.candidates(TID, 1_000)).toHaveLength(1);
});

test('tries again after a scan that failed', async () => {
  const { devices, index } = bench();
  devices.lists.failNext(new Error('sysfs'));
  await expect(index.get()).rejects.toThrow('sysfs');
  await expect(index.get()).resolves.toBeInstanceOf(Map);
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
