/**
 * A daemon's start, reloads and stop, asked for by signals at any moment, made one after the other.
 *
 * Invariants:
 * - a reload or a stop that is asked for during the start is made after it: what the start restores
 *   must be there before it is planned with, and before it is saved;
 * - there is one stop; nothing is made after it was asked for but the stop itself.
 */
export interface LifecycleSteps {
  start(): Promise<void>;
  /** Must not throw. */
  reload(): void;
  stop(): Promise<void>;
}

export class Lifecycle {
  readonly #steps: LifecycleSteps;
  /** Resolves, whatever came of it, when the start is over. */
  #starting: Promise<unknown> | undefined;
  #stopping: Promise<void> | undefined;
  #reloadDue = false;

  constructor(steps: LifecycleSteps) {
    this.#steps = steps;
  }

  /** False if a stop was asked for meanwhile, whatever came of the start; rejects as it does. */
  async start(): Promise<boolean> {
    const started = this.#steps.start();
    this.#starting = started.catch(() => undefined);
    try {
      await started;
    } catch (thrown) {
      if (!this.#isStopping()) throw thrown;
    }
    this.#starting = undefined;
    if (this.#isStopping()) return false;
    if (this.#reloadDue) this.#steps.reload();
    return true;
  }

  reload(): void {
    if (this.#isStopping()) return;
    if (this.#starting === undefined) this.#steps.reload();
    else this.#reloadDue = true;
  }

  /** Every call resolves, or rejects, as the one stop does. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  #isStopping(): boolean {
    return this.#stopping !== undefined;
  }

  async #stop(): Promise<void> {
    await this.#starting;
    await this.#steps.stop();
  }
}
