import { describe, expect, it } from 'vitest';
import {
  AEN_DISCOVERY_LOG_CHANGED,
  isDiscoveryLogChange,
  parseAen,
  splitAen,
} from '../../../src/nvme/aen.ts';

describe('asynchronous events', () => {
  it.each([
    ['0x70f002', 0x70f002],
    ['0X70F002', 0x70f002],
    ['7401474', 0x70f002],
    [' 0x0 ', 0],
    ['0xffffffff', 0xffffffff],
    ['0x100000000', undefined],
    ['4294967296', undefined],
    ['', undefined],
    ['70f002', undefined],
    ['-1', undefined],
  ])('reads %j', (text, aen) => {
    expect(parseAen(text)).toBe(aen);
  });

  it('splits an event into type, information and log page', () => {
    expect(splitAen(AEN_DISCOVERY_LOG_CHANGED)).toEqual({
      type: 2,
      information: 0xf0,
      logPage: 0x70,
    });
  });

  it.each([
    [0x70f002, true],
    [0xff70f0fa, true],
    [0x70f003, false],
    [0x700002, false],
    [0x05f002, false],
  ])('knows whether %i says that the discovery log changed', (aen, changed) => {
    expect(isDiscoveryLogChange(aen)).toBe(changed);
  });
});
