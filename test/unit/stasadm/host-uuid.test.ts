import { describe, expect, it } from 'vitest';
import {
  DEVICE_TREE_UUID,
  DMI_PRODUCT_UUID,
  MACHINE_ID,
  systemUuid,
  uuidFromDmi,
  uuidFromMachineId,
} from '../../../src/stasadm/host-uuid.ts';

const MACHINE = '0123456789abcdef0123456789abcdef';
const FROM_MACHINE = 'f2782346-4809-484a-9a8b-952a04b57ba4';
const DMI = '00112233-4455-6677-8899-AABBCCDDEEFF';
const FROM_DMI = '33221100-5544-7766-8899-AABBCCDDEEFF';
const PARTITION = 'c0ffee00-1234-5678-9abc-def012345678';

function from(files: Readonly<Record<string, string>>): string | undefined {
  return systemUuid((path) => files[path]);
}

describe('the UUID of this machine', () => {
  it('is the machine ID hashed for this use, as a version 4 UUID', () => {
    expect(uuidFromMachineId(`${MACHINE}\n`)).toBe(FROM_MACHINE);
    expect(uuidFromMachineId(MACHINE.toUpperCase())).toBe(FROM_MACHINE);
  });

  it('is the DMI UUID with its first three fields in network order', () => {
    expect(uuidFromDmi(`${DMI}\n`)).toBe(FROM_DMI);
  });

  it('comes from the best source that has one', () => {
    const all = { [MACHINE_ID]: MACHINE, [DMI_PRODUCT_UUID]: DMI, [DEVICE_TREE_UUID]: PARTITION };
    expect(from(all)).toBe(FROM_MACHINE);
    expect(from({ ...all, [MACHINE_ID]: '' })).toBe(FROM_DMI);
    expect(from({ [DEVICE_TREE_UUID]: `${PARTITION}\0` })).toBe(PARTITION);
    expect(from({})).toBeUndefined();
  });

  it('does not ask further than it needs to', () => {
    const asked: string[] = [];
    systemUuid((path) => {
      asked.push(path);
      return path === MACHINE_ID ? MACHINE : undefined;
    });
    expect(asked).toEqual([MACHINE_ID]);
  });

  it.each(['', 'uninitialized\n', MACHINE.slice(1), `${MACHINE}0`, '0'.repeat(32), 'g'.repeat(32)])(
    'is not taken from the machine ID %j',
    (text) => {
      expect(uuidFromMachineId(text)).toBeUndefined();
    },
  );

  it.each([
    '',
    'Not Settable',
    DMI.slice(1),
    '00000000-0000-0000-0000-000000000000',
    'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF',
  ])('is not taken from the DMI UUID %j', (text) => {
    expect(uuidFromDmi(text)).toBeUndefined();
  });
});
