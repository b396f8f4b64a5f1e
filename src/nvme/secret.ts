/**
 * A DH-HMAC-CHAP secret. It prints, inspects and serialises redacted; only `reveal`, called at the
 * edge to libnvme, gives the text. (A private field is invisible to JSON, spread and inspection.)
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The secret itself: for the call into libnvme and nothing else. */
  reveal(): string {
    return this.#text;
  }

  /** Equality without revealing: did a reload change it? */
  equals(other: Secret): boolean {
    return this.#text === other.#text;
  }

  toString(): string {
    return '[redacted]';
  }

  toJSON(): string {
    return '[redacted]';
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[redacted]';
  }
}
