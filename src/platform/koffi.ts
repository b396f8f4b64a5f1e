import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';

/** The foreign-function package, loaded when it is first needed. Throws if it cannot be. */
export function loadKoffi(): typeof Koffi {
  const require = createRequire(import.meta.url);
  return require('koffi') as typeof Koffi;
}
