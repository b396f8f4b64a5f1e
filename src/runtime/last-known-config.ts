/**
 * What a daemon remembers over a restart: JSON in a file of its own, versioned, never executed.
 *
 * Invariants:
 * - content that does not parse, or is of another version or daemon, is set aside with one warning
 *   and never used;
 * - one write at a time; the last saved value is the one that is on disk in the end;
 * - a failing write is one warning a spell and never stops the daemon; what was written before is
 *   set aside then: after a restart, a list that is known to be old would pass for a complete one.
 */
import { toPortError } from '../ports/errors.ts';
import type { StateFile } from '../ports/host.ts';
import type { Log } from '../ports/log.ts';

export interface LastKnownConfigDeps {
  readonly file: StateFile;
  readonly log: Log;
  /** `stafd` or `stacd`: a file of the other one is foreign. */
  readonly daemon: string;
  readonly version: number;
}

export class LastKnownConfig<T> {
  readonly #deps: LastKnownConfigDeps;
  readonly #parse: (content: unknown) => T | undefined;
  /** What is on disk, or will be when the write at hand is done; undefined if that is not known. */
  #written: string | undefined;
  #pending: string | undefined;
  #writing: Promise<void> | undefined;
  #failing = false;
  /** What was saved last was made of these; undefined if it may not be on disk. */
  #parts: readonly unknown[] | undefined;

  /** `parse` checks the content and returns undefined for what it does not trust. */
  constructor(deps: LastKnownConfigDeps, parse: (content: unknown) => T | undefined) {
    this.#deps = deps;
    this.#parse = parse;
  }

  /** What was saved, or undefined if there is nothing usable. Never rejects. */
  async load(): Promise<T | undefined> {
    const { file, log } = this.#deps;
    let text: string | undefined;
    try {
      text = await file.read();
    } catch (thrown) {
      log.warning(`Cannot read the last known configuration: ${toPortError(thrown).message}`);
      text = '';
    }
    if (text === undefined) return undefined;
    const content = this.#content(text);
    if (content !== undefined) return content;
    try {
      const path = await file.setAside();
      log.warning(`The last known configuration is not usable; it was set aside as ${path}`);
    } catch (thrown) {
      log.warning(`The last known configuration is not usable: ${toPortError(thrown).message}`);
    }
    return undefined;
  }

  /** Writes soon, if it differs from what is on disk. */
  save(content: unknown): void {
    const { daemon, version } = this.#deps;
    const text = `${JSON.stringify({ daemon, version, content })}\n`;
    if (text === (this.#pending ?? this.#written)) return;
    this.#pending = text;
    this.#writing ??= this.#writeAll();
  }

  /**
   * Saves what `content` makes of the parts, each of which is replaced when it changes: the same ones
   * as before are not looked at any further.
   */
  saveParts(parts: readonly unknown[], content: () => unknown): void {
    const before = this.#parts;
    const same = before?.length === parts.length && parts.every((part, at) => part === before[at]);
    if (same) return;
    this.#parts = parts;
    this.save(content());
  }

  /** Resolves when everything saved so far was written or given up. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  #content(text: string): T | undefined {
    try {
      const parsed: unknown = JSON.parse(text);
      if (typeof parsed !== 'object' || parsed === null) return undefined;
      if (!('daemon' in parsed) || parsed.daemon !== this.#deps.daemon) return undefined;
      if (!('version' in parsed) || parsed.version !== this.#deps.version) return undefined;
      if (!('content' in parsed)) return undefined;
      return this.#parse(parsed.content);
    } catch {
      return undefined;
    }
  }

  async #setOldAside(): Promise<void> {
    try {
      await this.#deps.file.setAside();
    } catch (thrown) {
      const { code, message } = toPortError(thrown);
      if (code === 'ENOENT') return;
      this.#deps.log.warning(`The one that was written before stays, though it is old: ${message}`);
    }
  }

  async #writeAll(): Promise<void> {
    while (this.#pending !== undefined) {
      const text = this.#pending;
      this.#pending = undefined;
      this.#written = text;
      try {
        await this.#deps.file.write(text);
        this.#failing = false;
      } catch (thrown) {
        this.#written = undefined;
        this.#parts = undefined;
        if (!this.#failing) {
          const { message } = toPortError(thrown);
          this.#deps.log.warning(`Cannot write the last known configuration: ${message}`);
          await this.#setOldAside();
        }
        this.#failing = true;
      }
    }
    this.#writing = undefined;
  }
}
