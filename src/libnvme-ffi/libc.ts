import { bind, loadLibrary } from './native.ts';
import type { NativeFunction, Pointer } from './native.ts';

/** The few functions of the C library that calls into libnvme need beside them. */
export interface Libc {
  memfdCreate: NativeFunction<[name: string, flags: number], number>;
  fdopen: NativeFunction<[fd: number, mode: string], Pointer | null>;
  fflush: NativeFunction<[stream: Pointer], number>;
  fclose: NativeFunction<[stream: Pointer], number>;
  close: NativeFunction<[fd: number], number>;
  strerror: NativeFunction<[errno: number], string>;
}

export const MFD_CLOEXEC = 1;

export function loadLibc(): Libc {
  const library = loadLibrary(null);
  return {
    memfdCreate: bind(library, 'memfd_create', 'int %(const char *name, unsigned int flags)'),
    fdopen: bind(library, 'fdopen', 'void *%(int fd, const char *mode)'),
    fflush: bind(library, 'fflush', 'int %(void *stream)'),
    fclose: bind(library, 'fclose', 'int %(void *stream)'),
    close: bind(library, 'close', 'int %(int fd)'),
    strerror: bind(library, 'strerror', 'const char *%(int number)'),
  };
}
