import type { Disposable } from './disposable.ts';

/**
 * Something of this host's network came up, so that what was out of reach may not be any more. It
 * carries no decision. `lost`: the kernel told more than could be heard.
 */
export type NetworkEvent =
  | { readonly kind: 'link' | 'address' | 'route'; readonly ifindex: number }
  | { readonly kind: 'lost' };

/** Links, addresses and routes that come up. */
export interface Network {
  /**
   * Begins listening with the first call. What goes down is not told; what is told twice, or was up
   * before, may be. Never throws: a host where it cannot be heard is logged once.
   */
  onUp(listener: (event: NetworkEvent) => void): Disposable;
}
