import { inject } from 'vitest';
import { openLab, type Lab } from './lab.ts';

/** The laboratory of this vitest worker, with the package that the global set-up made. */
export function lab(): Promise<Lab> {
  return openLab(inject('debPath'));
}
