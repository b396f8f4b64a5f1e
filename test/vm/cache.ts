import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * The directory that disk images, saved machines and logs of failures are kept in, outside the
 * source tree: NVME_STAS_CACHE, or nvme-stas-node in the user's cache directory.
 */
export function cacheDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const own = environment['NVME_STAS_CACHE'];
  if (own !== undefined && own !== '') return own;
  const base = environment['XDG_CACHE_HOME'];
  const parent = base === undefined || base === '' ? join(homedir(), '.cache') : base;
  return join(parent, 'nvme-stas-node');
}

/** A short name for everything in `parts`, in their order: equal exactly when all are equal. */
export function cacheKey(parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    const bytes = Buffer.from(part);
    hash.update(`${bytes.length}:`).update(bytes);
  }
  return hash.digest('hex').slice(0, 16);
}
