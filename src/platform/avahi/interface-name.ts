import { loadKoffi } from '../koffi.ts';

/** IFNAMSIZ. */
const NAME_SIZE = 16;

/**
 * Gives the name of a network interface by its index, undefined if there is none. libc's function
 * is looked up on first use; throws if that fails.
 */
export function interfaceNames(): (index: number) => string | undefined {
  let lookUp: ((index: number, buffer: Buffer) => unknown) | undefined;
  return (index) => {
    lookUp ??= loadKoffi()
      .load('libc.so.6')
      .func('if_indextoname', 'void *', ['uint32_t', 'uint8_t *']);
    const buffer = Buffer.alloc(NAME_SIZE);
    if (lookUp(index, buffer) === null) return undefined;
    const name = buffer.toString('latin1');
    return name.slice(0, name.indexOf('\0'));
  };
}
