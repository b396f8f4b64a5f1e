import type { FabricsOptions } from '../ports/fabrics.ts';

/** Which options a kernel takes in a write to `/dev/nvme-fabrics`. */

/**
 * Reads what `/dev/nvme-fabrics` answers since Linux 5.17: one line, `name=%s` or `name=%d` for
 * each option, `name` alone for a flag, separated by commas; `instance` and `cntlid` belong to the
 * answer to a connect and are no options.
 */
export function parseFabricsOptions(text: string): FabricsOptions {
  const names = text
    .split(/[,\s]+/)
    .map((token) => token.replace(/=.*$/, ''))
    .filter((name) => /^[a-z][a-z0-9_]*$/.test(name) && name !== 'instance' && name !== 'cntlid');
  return new Set(names);
}

/** Options of every kernel that the daemons can run on (those of Linux 5.0 and before). */
const ALWAYS: readonly string[] = [
  'transport',
  'traddr',
  'trsvcid',
  'nqn',
  'queue_size',
  'nr_io_queues',
  'reconnect_delay',
  'ctrl_loss_tmo',
  'keep_alive_tmo',
  'hostnqn',
  'host_traddr',
  'hostid',
  'duplicate_connect',
  'disable_sqflow',
  'hdr_digest',
  'data_digest',
  'nr_write_queues',
];

/** Options with the first kernel version that has them, for kernels that cannot be asked. */
const SINCE: readonly (readonly [number, number, readonly string[]])[] = [
  [5, 2, ['nr_poll_queues', 'tos']],
  [5, 11, ['fast_io_fail_tmo']],
  [5, 14, ['host_iface']],
  // TP8013: a discovery controller with an NQN of its own
  [5, 16, ['discovery']],
  [6, 0, ['dhchap_secret', 'dhchap_ctrl_secret']],
];

/** What a kernel before 5.17 takes, by its release (`uname -r`, e.g. `5.15.0-91-generic`). */
export function optionsOfKernel(release: string): FabricsOptions {
  const match = /^(\d+)\.(\d+)/.exec(release);
  const major = Number(match?.[1] ?? 0);
  const minor = Number(match?.[2] ?? 0);
  const newer = SINCE.filter(
    ([sinceMajor, sinceMinor]) =>
      major > sinceMajor || (major === sinceMajor && minor >= sinceMinor),
  ).flatMap(([, , names]) => names);
  return new Set([...ALWAYS, ...newer]);
}
