/**
 * Who owns a well-known name, followed without a gap.
 *
 * Invariant: events are applied in the order in which the bus sent them, the answer to
 * GetNameOwner included, which is why it comes here by a callback and not by a promise: a promise
 * would be settled after a NameOwnerChanged that follows the answer in the same read.
 */

export type OwnerListener = (owner: string | undefined) => void;

export class NameOwner {
  #owner: string | undefined;
  #known = false;
  readonly #listeners: OwnerListener[] = [];

  get owner(): string | undefined {
    return this.#owner;
  }

  /** GetNameOwner was answered. */
  answered(owner: string | undefined): void {
    this.#owner = owner;
    this.#known = true;
    this.#tell();
  }

  /** NameOwnerChanged; an empty text stands for nobody. */
  changed(newOwner: string): void {
    const owner = newOwner === '' ? undefined : newOwner;
    if (owner === this.#owner) return;
    this.#owner = owner;
    if (this.#known) this.#tell();
  }

  /** Tells at once if the owner is known, and then on each change. */
  watch(listener: OwnerListener): void {
    this.#listeners.push(listener);
    if (this.#known) listener(this.#owner);
  }

  #tell(): void {
    for (const listener of this.#listeners) listener(this.#owner);
  }
}
