/** The NVMe boot firmware tables that the kernel shows in sysfs. */
import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { BootFirmware, BootTableFile } from '../ports/boot-firmware.ts';
import { PortError } from '../ports/errors.ts';
import { oneLine } from './log-text.ts';
import { fromSystemError, hasCode } from './system-error.ts';

/** The greatest number of descriptors with the longest texts is a third of it. */
const MAX_TABLE_BYTES = 1024 * 1024;
/** A table a network card is what firmware makes. */
const MAX_TABLES = 64;
const MAX_NAME = 32;
const WRITABLE_BY_OTHERS = 0o022;

/**
 * Codes of a table beside errno names: `NOT_TRUSTED` when it is not a regular file of this user that
 * only this user can write, `TOO_LARGE`; `TOO_MANY` of the whole.
 */
export class AcpiTables implements BootFirmware {
  readonly #directory: string;

  /** `directory` is for tests. */
  constructor(directory = '/sys/firmware/acpi/tables') {
    this.#directory = directory;
  }

  bootTables(): readonly BootTableFile[] {
    const names = this.#names();
    if (names.length > MAX_TABLES) {
      throw new PortError(`${this.#directory} has ${names.length} boot firmware tables`, {
        code: 'TOO_MANY',
        errorClass: 'final',
      });
    }
    return names.map((file) => {
      const name = oneLine(file, MAX_NAME);
      try {
        return { name, bytes: this.#read(file) };
      } catch (error) {
        return { name, error: fromSystemError('cannot read it', error) };
      }
    });
  }

  #names(): readonly string[] {
    try {
      return readdirSync(this.#directory)
        .filter((name) => name.startsWith('NBFT'))
        .sort();
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR')) return [];
      throw fromSystemError(`cannot read ${this.#directory}`, error);
    }
  }

  #read(name: string): Uint8Array {
    const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY, S_IFMT, S_IFREG } = constants;
    const file = openSync(join(this.#directory, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const { mode, size, uid } = fstatSync(file);
      const ours = (mode & S_IFMT) === S_IFREG && uid === process.geteuid?.();
      if (!ours || (mode & WRITABLE_BY_OTHERS) !== 0) {
        throw new PortError('it is not a file that root alone can write', {
          code: 'NOT_TRUSTED',
          errorClass: 'final',
        });
      }
      if (size > MAX_TABLE_BYTES) {
        throw new PortError(`it has ${size} bytes, at most ${MAX_TABLE_BYTES} are read`, {
          code: 'TOO_LARGE',
          errorClass: 'final',
        });
      }
      const bytes = new Uint8Array(size);
      let length = 0;
      while (length < size) {
        const read = readSync(file, bytes, length, size - length, null);
        if (read === 0) break;
        length += read;
      }
      return bytes.subarray(0, length);
    } finally {
      closeSync(file);
    }
  }
}
