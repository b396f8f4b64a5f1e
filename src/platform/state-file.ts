/**
 * A daemon's state on disk.
 *
 * Invariants: writes happen one at a time in the order they were asked for, so the last one wins;
 * what is read was written by this user into a file that no other user can write.
 */
import { constants } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { PortError } from '../ports/errors.ts';
import type { StateFile } from '../ports/host.ts';
import { replaceFile } from './atomic-file.ts';
import { fromSystemError, hasCode } from './system-error.ts';

/** A log page of thousands of entries is a few MiB of JSON. */
const DEFAULT_LIMIT = 64 * 1024 * 1024;
const WRITABLE_BY_OTHERS = 0o022;

/**
 * Codes beside errno names: `NOT_TRUSTED` when the file is not a regular file of this user that
 * only this user can write, `TOO_LARGE`; both final, and `setAside` works on such a file.
 */
export class DiskStateFile implements StateFile {
  readonly #path: string;
  readonly #limit: number;
  #lastWrite: Promise<void> = Promise.resolve();

  /** `limit`: the largest text that `read` accepts, bytes. */
  constructor(path: string, limit = DEFAULT_LIMIT) {
    this.#path = path;
    this.#limit = limit;
  }

  async read(): Promise<string | undefined> {
    let file: FileHandle;
    try {
      // Non-blocking: a FIFO put in its place must not stop the daemon.
      file = await open(
        this.#path,
        constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
      );
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined;
      // A symbolic link: nothing that this daemon made.
      if (hasCode(error, 'ELOOP')) throw this.#refused('is a symbolic link');
      throw fromSystemError(`cannot open ${this.#path}`, error);
    }
    try {
      const { size, uid, mode } = await file.stat();
      if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw this.#refused('is not a file');
      if (uid !== process.geteuid?.()) throw this.#refused('belongs to another user');
      if ((mode & WRITABLE_BY_OTHERS) !== 0) throw this.#refused('can be written by others');
      if (size > this.#limit) {
        throw new PortError(`${this.#path} has ${size} bytes, at most ${this.#limit} are read`, {
          code: 'TOO_LARGE',
          errorClass: 'final',
        });
      }
      return await file.readFile('utf8');
    } catch (error) {
      throw fromSystemError(`cannot read ${this.#path}`, error);
    } finally {
      await file.close();
    }
  }

  write(text: string): Promise<void> {
    const write = this.#lastWrite.then(() => this.#replace(text));
    this.#lastWrite = write.catch(() => undefined);
    return write;
  }

  async setAside(): Promise<string> {
    await this.#lastWrite;
    // One name: a file that is damaged again and again does not fill the disk.
    const aside = `${this.#path}.damaged`;
    try {
      await rename(this.#path, aside);
    } catch (error) {
      throw fromSystemError(`cannot rename ${this.#path}`, error);
    }
    return aside;
  }

  async #replace(text: string): Promise<void> {
    try {
      await replaceFile(this.#path, text, { mode: 0o600, directoryMode: 0o700, links: 'replace' });
    } catch (error) {
      throw fromSystemError(`cannot write ${this.#path}`, error);
    }
  }

  #refused(why: string): PortError {
    return new PortError(`${this.#path} ${why}`, { code: 'NOT_TRUSTED', errorClass: 'final' });
  }
}
