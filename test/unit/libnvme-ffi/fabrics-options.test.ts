import { describe, expect, test } from 'vitest';
import { optionsOfKernel, parseFabricsOptions } from '../../../src/libnvme-ffi/fabrics-options.ts';

test('reads what the fabrics device answers', () => {
  // As Linux 6.12 gives it.
  const text =
    'instance=-1,cntlid=-1,transport=%s,traddr=%s,trsvcid=%s,nqn=%s,queue_size=%d,' +
    'nr_io_queues=%d,reconnect_delay=%d,ctrl_loss_tmo=%d,keep_alive_tmo=%d,hostnqn=%s,' +
    'host_traddr=%s,host_iface=%s,hostid=%s,duplicate_connect,disable_sqflow,hdr_digest,' +
    'data_digest,nr_write_queues=%d,nr_poll_queues=%d,tos=%d,keyring=%d,tls_key=%d,' +
    'fast_io_fail_tmo=%d,discovery,dhchap_secret=%s,dhchap_ctrl_secret=%s,tls\n';
  const options = parseFabricsOptions(text);
  expect([...options].filter((name) => !/^[a-z_]+$/.test(name))).toEqual([]);
  expect(options.size).toBe(27);
  for (const name of ['transport', 'host_iface', 'discovery', 'dhchap_ctrl_secret', 'tls', 'tos']) {
    expect(options).toContain(name);
  }
  expect(options).not.toContain('instance');
  expect(options).not.toContain('cntlid');
});

test.each(['', '\n', 'instance=-1,cntlid=-1\n', ',,=%s,=\n', '\0\u00ff'])(
  'finds no option in %j',
  (text) => {
    expect(parseFabricsOptions(text).size).toBe(0);
  },
);

describe('by kernel version, where the device cannot be asked', () => {
  const NEWER = ['host_iface', 'discovery', 'dhchap_secret', 'dhchap_ctrl_secret'];
  test.each([
    ['5.4.0-150-generic', []],
    ['5.13.19', []],
    ['5.14.0-427.el9.x86_64', ['host_iface']],
    ['5.15.0-91-generic', ['host_iface']],
    ['5.16.0', ['host_iface', 'discovery']],
    ['5.19.17', ['host_iface', 'discovery']],
    ['6.0.0', NEWER],
    ['6.1.0-18-amd64', NEWER],
    ['10.1.0', NEWER],
  ])('%s has %j of the newer options', (release, expected) => {
    const options = optionsOfKernel(release);
    expect(NEWER.filter((name) => options.has(name))).toEqual(expected);
    expect(options).toContain('ctrl_loss_tmo');
    expect(options).toContain('hdr_digest');
  });

  test('an unreadable release has only what every kernel has', () => {
    expect(optionsOfKernel('unknown')).toEqual(optionsOfKernel('4.19.0'));
  });
});
