import { fstatSync, openSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import koffi from 'koffi';
import { expect, test } from 'vitest';
import type { Abi } from '../../../src/libnvme-ffi/layouts.ts';
import { loadLibc } from '../../../src/libnvme-ffi/libc.ts';
import type { Libnvme } from '../../../src/libnvme-ffi/libnvme.ts';
import { withLogReader } from '../../../src/libnvme-ffi/log-page.ts';
import { bind, loadLibrary } from '../../../src/libnvme-ffi/native.ts';

const ABI: Abi = { wordSize: 8, littleEndian: true };
const libc = loadLibc();
const memset = bind<[bigint & { readonly __pointer: never }, number, number], bigint>(
  loadLibrary(null),
  'memset',
  'void *%(void *to, int byte, size_t size)',
);

type Done = (error: null, result: number) => void;

interface Answer {
  readonly result: number;
  readonly errno?: number;
}

/** libnvme's two functions: `open` gives a descriptor of /dev/null, `getLog` notes and answers. */
class Device {
  readonly commands: Uint8Array[] = [];
  answer: Answer = { result: 0 };
  openErrno: number | undefined;
  fd = -1;

  readonly libnvme = {
    abi: ABI,
    open: {
      async: (_name: string, done: Done) => {
        this.fd = this.openErrno === undefined ? openSync('/dev/null', 'r') : -1;
        this.#later(done, { result: this.fd, errno: this.openErrno ?? 0 });
      },
    },
    getLog: {
      async: (args: Uint8Array, done: Done) => {
        this.commands.push(Uint8Array.from(args));
        const view = new DataView(args.buffer, args.byteOffset);
        const log = view.getBigUint64(16, true) as bigint & { readonly __pointer: never };
        if (this.answer.result === 0) memset(log, 0x5a, view.getUint32(40, true));
        this.#later(done, this.answer);
      },
    },
  } as unknown as Libnvme;

  get isOpen(): boolean {
    try {
      // Another file may have the number by now.
      return fstatSync(this.fd).rdev === statSync('/dev/null').rdev;
    } catch {
      return false;
    }
  }

  read(into: Uint8Array): Promise<void> {
    return withLogReader(this.libnvme, libc, 'nvme4', 'read nvme4', (read) =>
      read({ lid: 0x70, nsid: 0, lsp: 2, offset: 5120, rae: true, into }),
    );
  }

  #later(done: Done, { result, errno = 0 }: Answer): void {
    setImmediate(() => {
      koffi.errno(errno);
      done(null, result);
    });
  }
}

test('a command reaches libnvme with its fields, and its data the buffer', async () => {
  const device = new Device();
  const into = new Uint8Array(64);
  await device.read(into);
  expect([...into]).toEqual(Array(64).fill(0x5a));
  const view = new DataView(device.commands[0]?.buffer ?? new ArrayBuffer(0));
  expect(view.getBigUint64(0, true)).toBe(5120n);
  expect(view.getBigUint64(8, true)).toBe(0n);
  expect(view.getInt32(24, true)).toBe(64);
  expect(view.getInt32(28, true)).toBe(device.fd);
  expect(view.getUint32(36, true)).toBe(0x70);
  expect(view.getUint32(40, true)).toBe(64);
  expect(view.getUint32(44, true)).toBe(0);
  expect([...new Uint8Array(view.buffer, 52, 6)]).toEqual([0, 0, 2, 0, 1, 0]);
  // No command may wait for ever.
  expect(view.getUint32(32, true)).toBeGreaterThan(0);
});

test('the device is closed afterwards, after a failure as well', async () => {
  const device = new Device();
  await device.read(new Uint8Array(4));
  expect(device.isOpen).toBe(false);
  device.answer = { result: 0x4002 };
  await expect(device.read(new Uint8Array(4))).rejects.toMatchObject({
    code: 'NVME_STATUS',
    nvmeStatus: 2,
  });
  expect(device.isOpen).toBe(false);
});

test('a command that broke with its connection has its errno', async () => {
  const device = new Device();
  device.answer = { result: -1, errno: constants.errno.EINTR };
  await expect(device.read(new Uint8Array(4))).rejects.toMatchObject({
    code: 'EINTR',
    errorClass: 'retry',
  });
});

test('a device that cannot be opened has its errno, and no command is made', async () => {
  const device = new Device();
  device.openErrno = constants.errno.ENOENT;
  await expect(device.read(new Uint8Array(4))).rejects.toMatchObject({ code: 'ENOENT' });
  expect(device.commands).toEqual([]);
});
