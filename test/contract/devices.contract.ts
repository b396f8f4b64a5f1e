import assert from 'node:assert/strict';
import type { DeviceEvent, Devices, KernelController } from '../../src/ports/devices.ts';
import { until } from './contract.ts';
import type { Contract } from './contract.ts';

/** A kernel, real or not, to which controllers can be connected. */
export interface DevicesWorld {
  readonly devices: Devices;
  /** What a connection that `connect` makes looks like. */
  readonly expected: Partial<KernelController>;
  /** Connects one I/O controller; resolves with its name. */
  readonly connect: () => Promise<string>;
  /** Connects one discovery controller that sends events; resolves with its name. */
  readonly connectDiscovery: () => Promise<string>;
  /** Makes the discovery controller report that its log changed. */
  readonly changeLog: (device: string) => Promise<void>;
  readonly disconnect: (device: string) => Promise<void>;
  /** Disconnects whatever is left. */
  readonly close: () => Promise<void>;
}

export function devicesContract(name: string, open: () => Promise<DevicesWorld>): Contract {
  const test = (
    title: string,
    body: (world: DevicesWorld, events: readonly DeviceEvent[]) => Promise<void>,
  ) => ({
    title,
    run: async () => {
      const world = await open();
      const events: DeviceEvent[] = [];
      const subscription = world.devices.onEvent((event) => events.push(event));
      try {
        await body(world, events);
      } finally {
        subscription.dispose();
        await world.close();
      }
    },
  });

  const seen = (events: readonly DeviceEvent[], wanted: DeviceEvent): Promise<void> =>
    until(`event ${JSON.stringify(wanted)} among ${JSON.stringify(events)}`, () =>
      events.some((event) => JSON.stringify(event) === JSON.stringify(wanted)),
    );

  return {
    name: `devices: ${name}`,
    tests: [
      test('shows a connection in the list, and alone', async ({ devices, connect, expected }) => {
        assert.deepEqual(await devices.list(), []);
        assert.deepEqual(await devices.instances(), new Map());
        const device = await connect();
        const [controller, ...others] = await devices.list();
        assert(controller !== undefined && others.length === 0);
        assert.equal(controller.device, device);
        assert.match(controller.instance, /^[1-9][0-9]*$/);
        assert.deepEqual(await devices.instances(), new Map([[device, controller.instance]]));
        assert.equal(controller.state, 'live');
        assert.equal(controller.cntrltype, 'io');
        assert.notEqual(controller.hostid, '');
        for (const [field, value] of Object.entries(expected)) {
          assert.equal(controller[field as keyof KernelController], value, field);
        }
        assert(Object.isFrozen(controller));
        assert.deepEqual(await devices.read(device), controller);
        assert.equal(await devices.read('nvme99'), undefined);
      }),
      test('sees the namespaces of a connection', async ({ devices, connect }) => {
        const device = await connect();
        await until('a child', async () => (await devices.read(device))?.hasChildren === true);
      }),
      test('tells that a controller came, is connected and went', async (world, events) => {
        const device = await world.connect();
        await seen(events, { kind: 'add', device });
        await seen(events, { kind: 'nvme-event', device, event: 'connected' });
        await world.disconnect(device);
        await seen(events, { kind: 'remove', device });
        assert.deepEqual(await world.devices.list(), []);
        assert.equal(await world.devices.read(device), undefined);
        const kinds = events.map(({ kind }) => kind);
        assert(kinds.indexOf('add') < kinds.indexOf('nvme-event'));
        assert(kinds.indexOf('nvme-event') < kinds.lastIndexOf('remove'));
      }),
      test('tells a connection from a later one of the same name', async (world) => {
        const first = await world.connect();
        const [before] = await world.devices.list();
        await world.disconnect(first);
        const second = await world.connect();
        const [after] = await world.devices.list();
        assert.equal(second, first);
        assert(before !== undefined && after !== undefined);
        assert.notEqual(after.instance, before.instance);
      }),
      test('passes on that the discovery log changed', async (world, events) => {
        const device = await world.connectDiscovery();
        const controller = await world.devices.read(device);
        assert.equal(controller?.cntrltype, 'discovery');
        assert.equal(controller.hasChildren, false);
        await seen(events, { kind: 'nvme-event', device, event: 'connected' });
        await world.changeLog(device);
        await seen(events, { kind: 'aen', device, aen: 0x70f002 });
      }),
      test('tells nothing to whom it was told not to', async (world, events) => {
        const deaf: DeviceEvent[] = [];
        world.devices.onEvent((event) => deaf.push(event)).dispose();
        const device = await world.connect();
        await seen(events, { kind: 'add', device });
        assert.deepEqual(deaf, []);
      }),
    ],
  };
}
