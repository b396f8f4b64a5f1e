/** What the kernel means by an errno, where a connection to a controller is wanted or used. */
import type { ErrorClass } from './errors.ts';

/** A code, a class and words for a person. */
export interface ErrnoMeaning {
  readonly code: string;
  readonly errorClass: ErrorClass;
  readonly words: string;
}

export function retry(code: string, words: string): ErrnoMeaning {
  return { code, errorClass: 'retry', words };
}

export function final(code: string, words: string): ErrnoMeaning {
  return { code, errorClass: 'final', words };
}

/**
 * Errno values of Linux on the architectures that Node runs on (all but MIPS share them).
 *
 * EINVAL is `retry`: the kernel gives it for an option it does not like, but also for a target
 * that answers the first exchange of NVMe/TCP with anything unexpected, which may heal.
 */
const ERRNO: ReadonlyMap<number, ErrnoMeaning> = new Map([
  [1, final('EPERM', 'not permitted')],
  [2, retry('ENOENT', 'the device does not exist')],
  [4, retry('EINTR', 'interrupted')],
  [
    5,
    retry('EIO', 'the controller refused the connection or failed during it (see the kernel log)'),
  ],
  [6, retry('ENXIO', 'the device is gone')],
  [11, retry('EAGAIN', 'the target accepts the connection but does not answer')],
  [12, retry('ENOMEM', 'out of memory')],
  [13, final('EACCES', 'permission denied')],
  [16, retry('EBUSY', 'the device is busy')],
  [19, retry('ENODEV', 'no such network interface or device')],
  [22, retry('EINVAL', 'invalid argument, or the target answers with something that is not NVMe')],
  [23, retry('ENFILE', 'too many open files in the system')],
  [24, retry('EMFILE', 'too many open files')],
  [32, retry('EPIPE', 'the connection was closed')],
  [71, retry('EPROTO', 'protocol error')],
  [88, retry('ENOTSOCK', 'the transport connection broke')],
  [95, final('EOPNOTSUPP', 'not supported by the kernel or the controller')],
  [97, final('EAFNOSUPPORT', 'address family not supported')],
  [98, retry('EADDRINUSE', 'address or host NQN already in use')],
  [99, retry('EADDRNOTAVAIL', 'the host address is not available on this host')],
  [100, retry('ENETDOWN', 'the network is down')],
  [101, retry('ENETUNREACH', 'no route to the network')],
  [102, retry('ENETRESET', 'the network dropped the connection')],
  [103, retry('ECONNABORTED', 'the connection was aborted')],
  [104, retry('ECONNRESET', 'the connection was reset by the target')],
  [107, retry('ENOTCONN', 'the transport is not connected')],
  [110, retry('ETIMEDOUT', 'no answer in time')],
  [111, retry('ECONNREFUSED', 'connection refused: nothing listens there')],
  [112, retry('EHOSTDOWN', 'the target host is down')],
  [113, retry('EHOSTUNREACH', 'no route to the target host')],
  [114, retry('EALREADY', 'the kernel already has this connection')],
  [121, retry('EREMOTEIO', 'the target failed')],
  [126, final('ENOKEY', 'the target asks for authentication and the key for it is missing')],
  [
    129,
    final(
      'EKEYREJECTED',
      'authentication failed: host and target do not have the same key (dhchap-secret, dhchap-ctrl-secret)',
    ),
  ],
]);

export function errnoMeaning(errno: number): ErrnoMeaning {
  return ERRNO.get(errno) ?? retry(`ERRNO_${errno}`, `error ${errno}`);
}
