/**
 * How C functions are called: typed handles on koffi's functions, and the asynchronous call that
 * also brings errno. Everything that can block is called asynchronously, on libuv's thread pool;
 * only functions that touch nothing but memory are called directly.
 */
import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';
import type { LibraryHandle } from 'koffi';

/** Node's cache of modules, without the look-up, which could change errno before it is read. */
let loaded: typeof Koffi | undefined;

/** The foreign-function package, with its native code, when it is first needed. */
function koffi(): typeof Koffi {
  loaded ??= createRequire(import.meta.url)('koffi') as typeof Koffi;
  return loaded;
}

/** An address in C, 0 never; opaque outside of this folder. */
export type Pointer = bigint & { readonly __pointer: never };

type Argument = Pointer | Uint8Array | string | number | boolean | null;

/** A C function whose shape its caller vouches for: the compiler cannot check it against C. */
export interface NativeFunction<A extends readonly Argument[], R> {
  (...args: A): R;
  async(...args: [...A, (error: unknown, result: R) => void]): void;
}

export interface CallResult<R> {
  readonly result: R;
  /** Of the thread that made the call, right after it: meaningful only if `result` says so. */
  readonly errno: number;
}

/** C declaration without its name, as koffi writes it: `int %(int fd)`. */
export type Prototype = `${string}%(${string}`;

export function bind<A extends readonly Argument[], R>(
  library: LibraryHandle,
  name: string,
  prototype: Prototype,
): NativeFunction<A, R> {
  return library.func(prototype.replace('%', name));
}

/** As {@link bind}, or undefined if the library does not have the function. */
export function bindIfPresent<A extends readonly Argument[], R>(
  library: LibraryHandle,
  name: string,
  prototype: Prototype,
): NativeFunction<A, R> | undefined {
  return hasSymbol(library, name) ? bind<A, R>(library, name, prototype) : undefined;
}

export function hasSymbol(library: LibraryHandle, name: string): boolean {
  try {
    library.symbol(name);
    return true;
  } catch {
    return false;
  }
}

/**
 * Calls on the thread pool. Buffers among the arguments stay alive until the call has ended: koffi
 * takes their addresses only.
 */
export function callAsync<A extends readonly Argument[], R>(
  fn: NativeFunction<A, R>,
  ...args: A
): Promise<CallResult<R>> {
  return new Promise((resolve, reject) => {
    fn.async(...args, (error, result) => {
      const errno = koffi().errno();
      keepAlive(args);
      if (error === null || error === undefined) resolve({ result, errno });
      else reject(error instanceof Error ? error : new Error('the call could not be made'));
    });
  });
}

/** Does nothing, but later than the garbage collector might have liked. */
export function keepAlive(value: unknown): unknown {
  return value;
}

/** errno of the last direct call of a function of C. */
export function lastErrno(): number {
  return koffi().errno();
}

/** The address of a buffer's bytes: valid as long as the buffer is kept alive. */
export function addressOf(buffer: Uint8Array): bigint {
  return koffi().address(buffer);
}

/** 8, or 4 on 32-bit machines. */
export function wordSize(): 4 | 8 {
  return koffi().sizeof('long') === 4 ? 4 : 8;
}

/** libnvme and the C library below it put more on the stack than koffi's 128 KiB for some calls. */
const ASYNC_STACK_BYTES = 4 * 1024 * 1024;

/**
 * Gives asynchronous calls a large stack (address space: only what a call touches becomes memory).
 * koffi refuses after the first library was loaded.
 *
 * @returns whether calls have that stack now.
 */
export function configureStacks(concurrentCalls: number): boolean {
  const current = koffi().config();
  if (current.async_stack_size === ASYNC_STACK_BYTES) return true;
  try {
    koffi().config({
      ...current,
      async_stack_size: ASYNC_STACK_BYTES,
      resident_async_pools: Math.min(Math.max(concurrentCalls, 1), 32),
    });
    return true;
  } catch {
    return false;
  }
}

/** Loads a library by its soname, or, with null, the functions of the process itself (libc). */
export function loadLibrary(name: string | null): LibraryHandle {
  return koffi().load(name);
}
