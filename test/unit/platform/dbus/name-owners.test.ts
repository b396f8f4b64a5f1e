import { describe, expect, it } from 'vitest';
import { NameOwner } from '../../../../src/platform/dbus/name-owners.ts';

function watched() {
  const name = new NameOwner();
  const told: (string | undefined)[] = [];
  name.watch((owner) => void told.push(owner));
  return { name, told };
}

describe('the owner of a name', () => {
  it('is told only when it is known', () => {
    const { name, told } = watched();
    expect(told).toEqual([]);
    name.changed(':1.1');
    expect(told).toEqual([]);
    name.answered(':1.1');
    expect(told).toEqual([':1.1']);
  });

  it('is told again at each change, and not without one', () => {
    const { name, told } = watched();
    name.answered(undefined);
    name.changed('');
    name.changed(':1.2');
    name.changed(':1.2');
    name.changed(':1.3');
    name.changed('');
    expect(told).toEqual([undefined, ':1.2', ':1.3', undefined]);
  });

  it('keeps a change that follows the answer at once', () => {
    const { name, told } = watched();
    name.answered(':1.4');
    name.changed('');
    expect(name.owner).toBeUndefined();
    expect(told).toEqual([':1.4', undefined]);
  });

  it('is told at once to who comes later', () => {
    const { name } = watched();
    name.answered(':1.5');
    const late: (string | undefined)[] = [];
    name.watch((owner) => void late.push(owner));
    expect(late).toEqual([':1.5']);
  });
});
