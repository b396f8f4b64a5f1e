/**
 * Which libnvme the daemons would load, and its version, from its file: stasadm loads nothing
 * native.
 */
import { closeSync, openSync, readSync, realpathSync } from 'node:fs';
import { basename } from 'node:path';
import { known, unknown, type Answer } from '../../../core/answer.ts';
import { identifyVersion } from '../../../libnvme-ffi/version.ts';
import type { Libnvme } from '../facts.ts';
import { bytesOf } from './files.ts';
import type { World } from './world.ts';

const SONAME = 'libnvme.so.1';

/** Where ld.so(8) looks besides its cache. */
const DEFAULT_FOLDERS = ['/lib64', '/usr/lib64', '/lib', '/usr/lib'];

/** The paths that the cache of ld.so(8) has for the library, in its order. */
export function pathsInCache(cache: Buffer): readonly string[] {
  const paths: string[] = [];
  const end = Buffer.from(`/${SONAME}\0`);
  for (let at = cache.indexOf(end); at !== -1; at = cache.indexOf(end, at + 1)) {
    const start = cache.lastIndexOf(0, at - 1) + 1;
    const path = cache.toString('utf8', start, at + end.length - 1);
    if (path.startsWith('/') && path.length < 4096) paths.push(path);
  }
  return [...new Set(paths)];
}

/** Class, byte order, and machine of an ELF file: 32-bit libraries are for other programs. */
function kindOf(elf: Buffer): string | undefined {
  if (elf.length < 20 || elf.readUInt32BE(0) !== 0x7f454c46) return undefined;
  return Buffer.concat([elf.subarray(4, 6), elf.subarray(18, 20)]).toString('hex');
}

/** Of the program that this process runs: what it could load, the daemons can. */
function ownKind(program: string): string | undefined {
  const header = Buffer.alloc(20);
  const descriptor = openSync(program, 'r');
  try {
    return kindOf(header.subarray(0, readSync(descriptor, header)));
  } finally {
    closeSync(descriptor);
  }
}

/** What the file says by its name, `libnvme.so.1.13.0`, and by the functions that it has. */
export function identifyLibrary(
  name: string,
  elf: Buffer,
): { readonly version: string; readonly minor: number } {
  const has = (symbol: string): boolean => elf.includes(`\0${symbol}\0`);
  const byFunctions = identifyVersion(undefined, has);
  const [, byName] = /\.so\.(1\.\d{1,3})(?:\.\d{1,3})*$/.exec(name) ?? [];
  if (byName === undefined) return { version: byFunctions.text, minor: byFunctions.minor };
  const named = identifyVersion(byName, has);
  // A file may have any name; what it lacks, it lacks.
  const chosen = named.minor >= byFunctions.minor ? named : byFunctions;
  return { version: chosen.text, minor: chosen.minor };
}

export function gatherLibnvme(world: World, program: string): Answer<Libnvme | undefined> {
  const cache = bytesOf(world, '/etc/ld.so.cache');
  if (cache.kind === 'unknown') return cache;
  const cached = cache.value === undefined ? [] : pathsInCache(cache.value);
  const kind = ownKind(program);
  for (const path of [...cached, ...DEFAULT_FOLDERS.map((folder) => `${folder}/${SONAME}`)]) {
    const bytes = bytesOf(world, path);
    if (bytes.kind === 'unknown') return bytes;
    if (bytes.value === undefined || kindOf(bytes.value) !== kind) continue;
    try {
      const name = basename(realpathSync(world.root + path));
      return known({ path, ...identifyLibrary(name, bytes.value) });
    } catch (thrown) {
      return unknown(`${path}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    }
  }
  return known(undefined);
}
