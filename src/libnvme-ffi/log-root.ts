/**
 * A libnvme root of its own for one operation, with what libnvme says during it.
 *
 * libnvme folds most errors of the kernel into one number. The cause is only in the message that it
 * writes to the stream given to `nvme_create_root`, so each root gets a memory file as its stream.
 * Versions before 1.6 or so write to the stream, later ones to its descriptor: a memory file has
 * both.
 *
 * The messages may hold a whole option string: they are searched, never passed on.
 */
import { readSync } from 'node:fs';
import { errnoError } from './errors.ts';
import { MFD_CLOEXEC } from './libc.ts';
import type { Libc } from './libc.ts';
import type { Libnvme } from './libnvme.ts';
import { lastErrno } from './native.ts';
import type { Pointer } from './native.ts';

/** LOG_INFO of syslog(3): includes the failed write; the option string with its secrets is above. */
const LOG_INFO = 6;
/** More than libnvme says in one operation at that level. */
const MESSAGES_BYTES = 16_384;

export interface LogRoot {
  readonly pointer: Pointer;
  /** What libnvme has said so far. */
  messages(): string;
}

/**
 * Runs `operation` with a new root and frees it afterwards with everything that hangs on it.
 * `operation` frees a controller that it created itself: before it is connected, no tree owns it.
 */
export async function withRoot<T>(
  api: { readonly libnvme: Libnvme; readonly libc: Libc },
  doing: string,
  operation: (root: LogRoot) => Promise<T>,
): Promise<T> {
  const { libnvme, libc } = api;
  const fd = libc.memfdCreate('libnvme-messages', MFD_CLOEXEC);
  if (fd < 0) throw errnoError(doing, lastErrno());
  const stream = libc.fdopen(fd, 'w');
  if (stream === null) {
    const errno = lastErrno();
    libc.close(fd);
    throw errnoError(doing, errno);
  }
  try {
    const pointer = libnvme.createRoot(stream, LOG_INFO);
    if (pointer === null) throw errnoError(doing, lastErrno());
    try {
      return await operation({
        pointer,
        messages: () => {
          libc.fflush(stream);
          const bytes = Buffer.alloc(MESSAGES_BYTES);
          return bytes.toString('utf8', 0, readSync(fd, bytes, 0, bytes.length, 0));
        },
      });
    } finally {
      libnvme.freeTree(pointer);
    }
  } finally {
    libc.fclose(stream);
  }
}

/**
 * The errno behind a failed write to, or open of, /dev/nvme-fabrics: libnvme ends that message with
 * strerror's words. They are compared with strerror's words of the same C library, so that neither
 * libnvme's wording nor the language matters.
 */
export function errnoInMessages(
  messages: string,
  strerror: (errno: number) => string,
): number | undefined {
  const lines = messages
    .split('\n')
    .filter((line) => line.includes('/dev/nvme-fabrics'))
    .reverse();
  for (const line of lines) {
    for (let errno = 1; errno <= LAST_ERRNO; errno += 1) {
      if (line.endsWith(`: ${strerror(errno)}`)) return errno;
    }
  }
  return undefined;
}

/** EHWPOISON, the last errno of Linux on most architectures. */
const LAST_ERRNO = 133;
