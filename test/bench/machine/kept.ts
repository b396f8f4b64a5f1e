/**
 * What earlier runs of the benchmark have measured, a group each, so that hours of it need not be
 * made in one go: `out/bench.json`. A group that is measured anew takes the place of its earlier one.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { NativeRow } from '../native.ts';
import type { Group, Result } from './results.ts';

export interface Measured {
  readonly runs: number;
  readonly results: readonly Result[];
}

export interface Kept {
  readonly groups: Readonly<Partial<Record<Group, Measured>>>;
  readonly native?: { readonly runs: number; readonly rows: readonly NativeRow[] };
}

/** JSON has no such number. */
const NEVER = 'never';

/** Nothing if there is no such file. Throws if it cannot be read. */
export function readKept(path: string): Kept {
  if (!existsSync(path)) return { groups: {} };
  const revive = (_: string, value: unknown): unknown => (value === NEVER ? Infinity : value);
  return JSON.parse(readFileSync(path, 'utf8'), revive) as Kept;
}

export function writeKept(path: string, kept: Kept): void {
  mkdirSync(dirname(path), { recursive: true });
  const replace = (_: string, value: unknown): unknown => (value === Infinity ? NEVER : value);
  writeFileSync(path, JSON.stringify(kept, replace));
}
