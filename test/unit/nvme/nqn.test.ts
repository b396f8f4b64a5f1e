import { describe, expect, it } from 'vitest';
import { checkNqn, checkSubsystemNqn, isNqn } from '../../../src/nvme/nqn.ts';
import { WELL_KNOWN_DISCOVERY_NQN } from '../../../src/nvme/transport-id.ts';

const ofBytes = (count: number): string => `nqn.${'x'.repeat(count - 4)}`;

describe('checkNqn', () => {
  it.each([
    WELL_KNOWN_DISCOVERY_NQN,
    'nqn.2014-08.org.nvmexpress:uuid:f2782346-4809-484a-9a8b-952a04b57ba4',
    'nqn.2010-06.com.example:größe',
    ofBytes(223),
  ])('accepts %s', (nqn) => {
    expect(checkNqn(nqn)).toBeUndefined();
    expect(isNqn(nqn)).toBe(true);
  });

  it.each([
    ['', 'is empty'],
    ['nqn.', 'does not begin with "nqn."'],
    ['NQN.2014-08.org.nvmexpress', 'does not begin with "nqn."'],
    ['iqn.2014-08.org.nvmexpress', 'does not begin with "nqn."'],
    [ofBytes(224), 'is longer than 223 bytes'],
    [`nqn.${'é'.repeat(110)}`, 'is longer than 223 bytes'],
    ['nqn.a,reconnect_delay=1', 'contains a comma'],
    ['nqn.a b', 'contains a space, control or invisible character'],
    ['nqn.a\nforged line', 'contains a space, control or invisible character'],
    ['nqn.a\0', 'contains a space, control or invisible character'],
    ['nqn.a\u202Eb', 'contains a space, control or invisible character'],
    ['nqn.a\uFFFDb', 'contains bytes that are not UTF-8'],
  ])('refuses %j', (nqn, reason) => {
    expect(checkNqn(nqn)).toBe(reason);
    expect(isNqn(nqn)).toBe(false);
  });
});

describe('checkSubsystemNqn', () => {
  it('accepts a name without the prefix, as the Linux target may have', () => {
    expect(checkSubsystemNqn('blktests-subsystem-1')).toBeUndefined();
  });

  it('refuses everything else that an NQN cannot have', () => {
    expect(checkSubsystemNqn('a,b')).toBe('contains a comma');
    expect(checkSubsystemNqn('')).toBe('is empty');
    expect(checkSubsystemNqn('x'.repeat(224))).toBe('is longer than 223 bytes');
  });
});
