import assert from 'node:assert/strict';
import type { BootFirmware } from '../../src/ports/boot-firmware.ts';
import type { Contract } from './contract.ts';

export interface BootFirmwareWorld {
  /** There is no table yet. */
  readonly firmware: BootFirmware;
  /** Makes a table. */
  add(name: string, bytes: Uint8Array): Promise<void>;
  /** Makes one that cannot be read. */
  addUnreadable(name: string): Promise<void>;
  close(): Promise<void>;
}

export function bootFirmwareContract(
  name: string,
  open: () => Promise<BootFirmwareWorld>,
): Contract {
  const test = (title: string, body: (world: BootFirmwareWorld) => Promise<void>) => ({
    title,
    run: async () => {
      const world = await open();
      try {
        await body(world);
      } finally {
        await world.close();
      }
    },
  });
  return {
    name: `boot firmware: ${name}`,
    tests: [
      test('has no tables on most hosts', async ({ firmware }) => {
        assert.deepEqual(firmware.bootTables(), []);
        return Promise.resolve();
      }),
      test('gives the bytes of every table, in the order of the names', async (world) => {
        await world.add('NBFT2', new Uint8Array([3]));
        await world.add('NBFT1', new Uint8Array([1, 0, 255]));
        await world.add('NBFT3', new Uint8Array([]));
        const found = world.firmware
          .bootTables()
          .map(({ bytes, name }) => [name, bytes === undefined ? undefined : [...bytes]]);
        assert.deepEqual(found, [
          ['NBFT1', [1, 0, 255]],
          ['NBFT2', [3]],
          ['NBFT3', []],
        ]);
      }),
      test('says of a table that cannot be read that it is there', async (world) => {
        await world.add('NBFT1', new Uint8Array([1]));
        await world.addUnreadable('NBFT2');
        const [first, second] = world.firmware.bootTables();
        assert.deepEqual([...(first?.bytes ?? [])], [1]);
        assert.equal(second?.name, 'NBFT2');
        assert.equal(second.bytes, undefined);
        assert.equal(typeof second.error.code, 'string');
      }),
    ],
  };
}
