import { describe, expect, test } from 'vitest';
import {
  commandError,
  errnoError,
  fsError,
  knownErrno,
  statusError,
} from '../../../src/libnvme-ffi/errors.ts';
import { errnoInMessages } from '../../../src/libnvme-ffi/log-root.ts';
import { constants } from 'node:os';

describe('errno', () => {
  const names = Object.entries(constants.errno);

  test.each([
    ['ECONNREFUSED', 'retry'],
    ['ETIMEDOUT', 'retry'],
    ['EHOSTUNREACH', 'retry'],
    ['ENETUNREACH', 'retry'],
    ['ENODEV', 'retry'],
    ['EADDRNOTAVAIL', 'retry'],
    ['EALREADY', 'retry'],
    ['EIO', 'retry'],
    ['EINVAL', 'retry'],
    ['ENOMEM', 'retry'],
    ['EACCES', 'final'],
    ['EPERM', 'final'],
    ['EOPNOTSUPP', 'final'],
    ['EAFNOSUPPORT', 'final'],
  ] as const)('%s is %s', (code, errorClass) => {
    const errno = constants.errno[code];
    const error = errnoError('connect', errno);
    expect(error).toMatchObject({ code, errorClass, errno });
    expect(error.message).toMatch(new RegExp(`^connect: \\w.*\\(${code}\\)$`));
  });

  test('each known errno has the name that this system gives it', () => {
    for (const [name, errno] of names) {
      const { code } = errnoError('connect', errno);
      if (code.startsWith('ERRNO_')) continue;
      const same = names.filter(([, number]) => number === errno).map(([alias]) => alias);
      expect(same, name).toContain(code);
    }
  });

  test('an errno without words keeps its number', () => {
    expect(errnoError('connect', 61)).toMatchObject({
      code: 'ERRNO_61',
      errorClass: 'retry',
      errno: 61,
    });
  });

  test('words fit what was done', () => {
    const { EAGAIN, EINTR } = constants.errno;
    expect(errnoError('connect', EAGAIN).message).toMatch(/does not answer/);
    expect(commandError('read', EAGAIN)).toMatchObject({ code: 'EAGAIN', errorClass: 'retry' });
    expect(commandError('read', EAGAIN).message).toMatch(/not connected/);
    expect(commandError('read', EINTR).message).toMatch(/connection broke/);
    expect(commandError('read', constants.errno.ENOENT).message).toMatch(/does not exist/);
  });

  test('a rejected or missing key is final', () => {
    expect(errnoError('connect', 129)).toMatchObject({ code: 'EKEYREJECTED', errorClass: 'final' });
    expect(errnoError('connect', 126)).toMatchObject({ code: 'ENOKEY', errorClass: 'final' });
  });
});

describe("libnvme's own numbers", () => {
  test.each([
    [1012, 'EALREADY'],
    [1013, 'EINVAL'],
    [1014, 'EADDRINUSE'],
    [1015, 'ENODEV'],
    [1016, 'EOPNOTSUPP'],
    [1017, 'ECONNREFUSED'],
    [1018, 'EADDRNOTAVAIL'],
    [1020, 'ENOKEY'],
  ])('%i is %s', (number, code) => {
    expect(errnoError('connect', number)).toMatchObject({ code, errno: knownErrno(number) });
  });

  test('a folded number has no errno and is tried again', () => {
    expect(knownErrno(1006)).toBeUndefined();
    const error = errnoError('connect', 1006);
    expect(error).toMatchObject({ code: 'CONNECT_FAILED', errorClass: 'retry' });
    expect(error.errno).toBeUndefined();
  });

  test('a number of the future is tried again', () => {
    expect(errnoError('connect', 1099)).toMatchObject({
      code: 'CONNECT_FAILED',
      errorClass: 'retry',
    });
  });
});

describe('the cause in the messages of libnvme', () => {
  const words = new Map([
    [5, 'Input/output error'],
    [110, 'Connection timed out'],
    [111, 'Connection refused'],
    [113, 'No route to host'],
  ]);
  const strerror = (errno: number): string => words.get(errno) ?? `Unknown error ${errno}`;

  test('is the errno whose words end the line about the fabrics device', () => {
    expect(
      errnoInMessages('Failed to write to /dev/nvme-fabrics: No route to host\n', strerror),
    ).toBe(113);
    expect(
      errnoInMessages(
        '__nvmf_add_ctrl: no write /dev/nvme-fabrics: Connection timed out',
        strerror,
      ),
    ).toBe(110);
  });

  test('does not depend on the language', () => {
    const german = (errno: number): string => (errno === 113 ? 'Keine Route zum Zielrechner' : '?');
    const line = 'Failed to write to /dev/nvme-fabrics: Keine Route zum Zielrechner\n';
    expect(errnoInMessages(line, german)).toBe(113);
  });

  test('is the last one', () => {
    const text =
      'Failed to read from /dev/nvme-fabrics: Input/output error\n' +
      'Failed to write to /dev/nvme-fabrics: Connection refused\n';
    expect(errnoInMessages(text, strerror)).toBe(111);
  });

  test.each([
    '',
    'nvme3: nqn.x connected\n',
    'nqn.x: No route to host\n',
    '/dev/nvme-fabrics: why\n',
  ])('is not guessed from %j', (text) => {
    expect(errnoInMessages(text, strerror)).toBeUndefined();
  });
});

describe('NVMe status', () => {
  test.each([
    ['a broken path', 0x370],
    ['a command that the host cancelled', 0x371],
    ['a command cancelled with its queue', 0x008],
    ['a command that was aborted', 0x007],
    ['a transient transport error', 0x022],
    ['a broken path with Do Not Retry', 0x4370],
  ])('%s may be tried again', (_, status) => {
    expect(statusError('register', status)).toMatchObject({
      code: 'NVME_STATUS',
      errorClass: 'retry',
      nvmeStatus: status & 0x7ff,
    });
  });

  test.each([
    ['invalid opcode', 0x4001],
    ['invalid field', 0x4002],
    ['invalid field without Do Not Retry', 0x002],
    ['internal error', 0x006],
    ['invalid discovery information', 0x412f],
    ['something vendor specific', 0x7c0],
  ])('%s is the answer of the controller', (_, status) => {
    const error = statusError('register', status);
    expect(error).toMatchObject({
      code: 'NVME_STATUS',
      errorClass: 'final',
      nvmeStatus: status & 0x7ff,
    });
    expect(error.message).toContain((status & 0x7ff).toString(16));
  });
});

describe('errors of files', () => {
  test('keep their errno', () => {
    const error = Object.assign(new Error('EBUSY: busy'), { errno: -16, code: 'EBUSY' });
    expect(fsError('disconnect nvme1', error)).toMatchObject({ code: 'EBUSY', errno: 16 });
  });

  test('anything else is unexpected, and kept as the cause', () => {
    const cause = new TypeError('no');
    expect(fsError('disconnect nvme1', cause)).toMatchObject({ code: 'UNEXPECTED', cause });
  });
});
