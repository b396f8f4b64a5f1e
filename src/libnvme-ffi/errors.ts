import { nvmeStatusText } from '../nvme/nvme-status.ts';
import { errnoMeaning, final, retry, type ErrnoMeaning } from '../ports/errno.ts';
import { PortError } from '../ports/errors.ts';

/**
 * Causes of failure as libnvme and the kernel report them: errno, libnvme's own numbers from 1000
 * up (`enum nvme_connect_err`), and NVMe status fields. Each becomes a PortError with a code, a
 * class and words for a person.
 */

/** libnvme's numbers that stand for an errno of the write to /dev/nvme-fabrics. */
const CONNECT_ERRNO: ReadonlyMap<number, number> = new Map([
  [1012, 114],
  [1013, 22],
  [1014, 98],
  [1015, 19],
  [1016, 95],
  [1017, 111],
  [1018, 99],
  [1020, 126],
]);

/** libnvme's other numbers: something within libnvme went wrong, before or after the connect. */
const CONNECT_OTHER: ReadonlyMap<number, ErrnoMeaning> = new Map([
  [1000, final('EINVAL', 'the address is not an IP address')],
  [1001, final('EINVAL', 'the address family is not known')],
  [1002, final('EINVAL', 'the transport address cannot be used')],
  [1003, final('EINVAL', 'the transport is missing')],
  [1004, final('EINVAL', 'the transport address is missing')],
  [1005, retry('NO_FABRICS', '/dev/nvme-fabrics cannot be opened')],
  [1006, retry('CONNECT_FAILED', 'the kernel refused the connection (see the kernel log)')],
  [1007, retry('CONNECT_FAILED', 'the kernel gave no answer after connecting')],
  [1008, retry('CONNECT_FAILED', 'the answer of the kernel after connecting cannot be read')],
  [1009, retry('CONNECT_FAILED', 'the new controller vanished at once')],
  [1010, retry('CONNECT_FAILED', 'the new controller vanished at once')],
  [1011, retry('CONNECT_FAILED', 'the new controller vanished at once')],
]);

/**
 * Words for errno values that may be about the key, where one was given. Older kernels say
 * ECONNREFUSED of a key that does not fit; any says EIO when the target breaks off for it.
 */
export const WORDS_WITH_KEY: ReadonlyMap<number, string> = new Map([
  [
    5,
    'the controller refused the connection or failed during it, perhaps for the key (see the kernel log)',
  ],
  [111, 'connection refused: nothing listens there, or the target does not have the same key'],
]);

/** Words for errno values that mean something else when a controller was to carry out a command. */
const COMMAND_WORDS: ReadonlyMap<number, string> = new Map([
  [4, 'the connection broke before the controller answered'],
  [11, 'the controller is not connected at the moment'],
  [22, 'invalid argument'],
]);

/** The errno that a number of libnvme stands for; the number itself if it is an errno. */
export function knownErrno(number: number): number | undefined {
  if (number > 0 && number < 1000) return number;
  return CONNECT_ERRNO.get(number);
}

/**
 * @param doing what failed, e.g. `connect`: begins the message.
 * @param number an errno, or a number of libnvme.
 * @param betterWords words by errno that fit what was done, where there are any.
 */
export function errnoError(
  doing: string,
  number: number,
  betterWords?: ReadonlyMap<number, string>,
): PortError {
  const errno = knownErrno(number);
  const meaning = errno === undefined ? CONNECT_OTHER.get(number) : errnoMeaning(errno);
  const { code, errorClass, words } =
    meaning ?? retry('CONNECT_FAILED', `libnvme reports error ${number}`);
  return new PortError(`${doing}: ${betterWords?.get(errno ?? number) ?? words} (${code})`, {
    code,
    errorClass,
    ...(errno === undefined ? {} : { errno }),
  });
}

/** The errno of opening a controller or of a command that it did not answer. */
export function commandError(doing: string, errno: number): PortError {
  return errnoError(doing, errno, COMMAND_WORDS);
}

/** Errors of node:fs carry a code and a negative errno; anything else is unexpected. */
export function fsError(doing: string, thrown: unknown): PortError {
  if (thrown instanceof Error && 'errno' in thrown && typeof thrown.errno === 'number') {
    return errnoError(doing, Math.abs(thrown.errno));
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new PortError(`${doing}: ${message}`, {
    code: 'UNEXPECTED',
    errorClass: 'retry',
    cause: thrown,
  });
}

/** Status code type and status code: what remains of the status field without CRD, M and DNR. */
const STATUS_MASK = 0x7ff;
/** Status code type 3: path related (NVMe base 2.1, figure 104). */
const SCT_PATH = 0x3;

/**
 * Status values that the transport or the kernel gives a command when the connection breaks under
 * it (figure 102). Everything else is the controller's own answer and a refusal: a DC that answers
 * a DIM command with an internal error for ever must not keep its log from being read.
 */
const TRANSPORT_STATUS: ReadonlySet<number> = new Set([
  0x07, // Command Abort Requested
  0x08, // Command Aborted due to SQ Deletion
  0x22, // Transient Transport Error
]);

/**
 * A command that the controller (or the kernel on its behalf, when the connection broke) completed
 * with an error: `retry` if the connection broke, `final` if it is the controller's answer.
 *
 * @param status as the kernel returns it: positive, DNR included.
 */
export function statusError(doing: string, status: number): PortError {
  const nvmeStatus = status & STATUS_MASK;
  const broken = nvmeStatus >> 8 === SCT_PATH || TRANSPORT_STATUS.has(nvmeStatus);
  return new PortError(`${doing}: ${nvmeStatusText(nvmeStatus)}`, {
    code: 'NVME_STATUS',
    errorClass: broken ? 'retry' : 'final',
    nvmeStatus,
  });
}
