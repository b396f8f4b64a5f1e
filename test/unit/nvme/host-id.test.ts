import { describe, expect, it } from 'vitest';
import {
  checkHostId,
  hostIdOfNqn,
  identityFor,
  namedUuid,
  uuidOfNqn,
} from '../../../src/nvme/host-id.ts';

const UUID = 'f2782346-4809-484a-9a8b-952a04b57ba4';
const OWN = { hostnqn: 'nqn.own', hostid: UUID, key: 'k' };

describe('checkHostId', () => {
  it.each([
    [UUID, undefined],
    [UUID.toUpperCase(), undefined],
    ['', 'is not a UUID'],
    [`${UUID}0`, 'is not a UUID'],
    ['00000000-0000-0000-0000-000000000000', 'is a UUID of zeros'],
  ])('of %j is %j', (text, expected) => {
    expect(checkHostId(text)).toBe(expected);
  });
});

describe('the UUID of an NQN', () => {
  it.each([
    [`nqn.2014-08.org.nvmexpress:uuid:${UUID}`, UUID],
    [`nqn.2014-08.org.nvmexpress:uuid:${UUID.toUpperCase()}`, UUID],
    [`nqn.2014-08.org.nvmexpress:NVMf:uuid:${UUID}`, UUID],
    [`nqn.2014-08.org.nvmexpress:uuid:${UUID}x`, undefined],
    [`nqn.2014-08.org.example:${UUID}`, undefined],
    ['nqn.2014-08.org.example:host', undefined],
    ['nqn.2014-08.org.nvmexpress:uuid:00000000-0000-0000-0000-000000000000', undefined],
  ])('in %s is %j', (nqn, expected) => {
    expect(uuidOfNqn(nqn)).toBe(expected);
    expect(hostIdOfNqn(nqn)).toBe(expected ?? namedUuid(nqn));
  });

  // As `uuidgen --sha1 --namespace @url --name …` of util-linux prints them.
  it.each([
    ['nqn.2014-08.org.example:hostA', '1693d722-1a8f-57c4-8df5-734b4b4c165f'],
    ['nqn.2014-08.org.example:ü', 'cca8ac6f-cf1c-59eb-b84d-6f9a30c4ee99'],
  ])('that has none is made of it: %s', (nqn, expected) => {
    expect(namedUuid(nqn)).toBe(expected);
    expect(checkHostId(namedUuid(nqn))).toBeUndefined();
  });
});

describe('the identity to connect with', () => {
  it.each(['', 'nqn.own'])("is the host's own for the host NQN %j", (nqn) => {
    expect(identityFor(OWN, nqn, 'ignored')).toBe(OWN);
  });

  it('has the ID that is named for another NQN, or the one that belongs to it', () => {
    expect(identityFor(OWN, 'nqn.x', 'id')).toEqual({ ...OWN, hostnqn: 'nqn.x', hostid: 'id' });
    expect(identityFor(OWN, 'nqn.x', '').hostid).toBe(namedUuid('nqn.x'));
  });
});
