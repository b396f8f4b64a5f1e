/** A subscription, timer or handle: who creates it disposes of it, once or more often. */
export interface Disposable {
  dispose(): void;
}
