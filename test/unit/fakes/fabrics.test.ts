import { expect, test } from 'vitest';
import { makeTid, WELL_KNOWN_DISCOVERY_NQN } from '../../../src/nvme/transport-id.ts';
import type { DeviceEvent } from '../../../src/ports/devices.ts';
import { PortError } from '../../../src/ports/errors.ts';
import type { ConnectRequest } from '../../../src/ports/fabrics.ts';
import { settle } from '../../fakes/clock.ts';
import { FakeDevices } from '../../fakes/devices.ts';
import { FakeFabrics } from '../../fakes/fabrics.ts';

const host = { hostnqn: 'nqn.2014-08.org.nvmexpress:uuid:1', hostid: '1' };

function request(subsysnqn: string, discovery = false): ConnectRequest {
  return {
    tid: makeTid({ transport: 'tcp', traddr: '192.0.2.1', trsvcid: '4420', subsysnqn }),
    host,
    options: {},
    discovery,
  };
}

function world(): { devices: FakeDevices; fabrics: FakeFabrics; events: DeviceEvent[] } {
  const devices = new FakeDevices();
  const events: DeviceEvent[] = [];
  devices.onEvent((event) => void events.push(event));
  return { devices, fabrics: new FakeFabrics(devices), events };
}

test('makes a controller of a connection to a target, once', async () => {
  const { devices, fabrics, events } = world();
  fabrics.addTarget({ kind: 'io', traddr: '192.0.2.1', subsysnqn: 'nqn.a' });
  expect(await fabrics.connect(request('nqn.a'))).toBe('nvme0');
  expect(devices.get('nvme0')).toMatchObject({ subsysnqn: 'nqn.a', cntrltype: 'io' });
  expect(events).toEqual([
    { kind: 'add', device: 'nvme0' },
    { kind: 'nvme-event', device: 'nvme0', event: 'connected' },
  ]);
  await expect(fabrics.connect(request('nqn.a'))).rejects.toMatchObject({ code: 'EALREADY' });
  await expect(fabrics.connect(request('nqn.b'))).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('lets the well-known NQN reach a DC, which shows its own', async () => {
  const { devices, fabrics } = world();
  const dc = fabrics.addTarget({
    kind: 'discovery',
    traddr: '192.0.2.1',
    subsysnqn: 'nqn.dc',
    entries: [{ subnqn: 'nqn.a', traddr: '192.0.2.1' }],
  });
  const device = await fabrics.connect(request(WELL_KNOWN_DISCOVERY_NQN, true));
  expect(devices.get(device)?.subsysnqn).toBe('nqn.dc');

  const before = await fabrics.getDiscoveryLog(device, { pleo: false });
  dc.entries = [];
  const after = await fabrics.getDiscoveryLog(device, { pleo: false });
  expect([before.count, after.count]).toEqual([1, 0]);
  expect(after.generation).toBeGreaterThan(before.generation);
});

test('disconnects the very controller that is meant', async () => {
  const { devices, fabrics } = world();
  fabrics.addTarget({ kind: 'io', traddr: '192.0.2.1', subsysnqn: 'nqn.a' });
  await fabrics.connect(request('nqn.a'));
  const [meant] = devices.controllers;
  if (meant === undefined) throw new Error('no controller');
  devices.remove('nvme0');
  await fabrics.connect(request('nqn.a'));

  await expect(fabrics.disconnect(meant)).rejects.toMatchObject({ code: 'DEVICE_CHANGED' });
  expect(devices.controllers).toHaveLength(1);
});

test('decides a held call by the world at its completion', async () => {
  const { devices, fabrics } = world();
  fabrics.connects.hold();
  const connected = fabrics.connect(request('nqn.a'));
  await settle();
  expect(fabrics.inFlight).toBe(1);
  fabrics.addTarget({ kind: 'io', traddr: '192.0.2.1', subsysnqn: 'nqn.a' });
  fabrics.connects.pendingCall().complete();
  expect(await connected).toBe('nvme0');
  expect(devices.controllers).toHaveLength(1);
  await fabrics.idle();
});

test('fails as many calls as it was told to, and no other', async () => {
  const { fabrics } = world();
  fabrics.addTarget({ kind: 'io', traddr: '192.0.2.1', subsysnqn: 'nqn.a' });
  const error = new PortError('no', { code: 'EIO', errorClass: 'retry' });
  fabrics.connects.failNext(error, ({ tid }) => tid.subsysnqn === 'nqn.a');
  await expect(fabrics.connect(request('nqn.b'))).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await expect(fabrics.connect(request('nqn.a'))).rejects.toBe(error);
  expect(await fabrics.connect(request('nqn.a'))).toBe('nvme0');
});

test('keeps to one host ID for a host NQN and one host NQN for a host ID, as the kernel does', async () => {
  const { fabrics } = world();
  for (const nqn of ['nqn.a', 'nqn.b']) {
    fabrics.addTarget({ kind: 'io', traddr: '192.0.2.1', subsysnqn: nqn });
  }
  await fabrics.connect(request('nqn.a'));
  for (const other of [
    { ...host, hostid: '2' },
    { ...host, hostnqn: 'nqn.other' },
  ]) {
    const refused = fabrics.connect({ ...request('nqn.b'), host: other });
    await expect(refused).rejects.toMatchObject({ code: 'EINVAL' });
  }
});
