import { expect, test } from 'vitest';
import { identifyVersion } from '../../../src/libnvme-ffi/version.ts';

const none = (): boolean => false;
const having =
  (...symbols: string[]) =>
  (symbol: string): boolean =>
    symbols.includes(symbol);

test.each([
  ['1.3', 3, '1.3'],
  ['1.13', 13, '1.13'],
  ['1.16.2', 16, '1.16.2'],
  ['1.14-rc1', 14, '1.14-rc1'],
])('believes a library that calls itself %s', (reported, minor, text) => {
  expect(identifyVersion(reported, none)).toEqual({ minor, text });
});

test.each([undefined, 'n/a', '', '2.0', '1.', '1.9\n1.13', 'version 1.9'])(
  'goes by its functions when a library calls itself %j',
  (reported) => {
    const has = having('nvme_get_version', 'nvme_nbft_read', 'nvme_ctrl_find');
    expect(identifyVersion(reported, has)).toEqual({ minor: 6, text: '1.6' });
  },
);

test('takes a library without any newer function for 1.0', () => {
  expect(identifyVersion(undefined, none)).toEqual({ minor: 0, text: '1.0' });
});

test('goes by the newest function that is there', () => {
  const has = having('nvme_get_version', 'nvmf_connect_ctrl', 'nvme_subsystem_get_fw_rev');
  expect(identifyVersion('n/a', has).minor).toBe(13);
});
