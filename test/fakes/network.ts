import type { Disposable } from '../../src/ports/disposable.ts';
import type { Network, NetworkEvent } from '../../src/ports/network.ts';

/** A network in which the test lets things come up. */
export class FakeNetwork implements Network {
  readonly #listeners = new Set<(event: NetworkEvent) => void>();

  onUp(listener: (event: NetworkEvent) => void): Disposable {
    const own = (event: NetworkEvent): void => {
      listener(event);
    };
    this.#listeners.add(own);
    return { dispose: () => void this.#listeners.delete(own) };
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  emit(event: NetworkEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}
