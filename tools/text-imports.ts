/**
 * Files that TypeScript imports as their text, the same for esbuild and Vitest.
 * `src/types/text-imports.d.ts` declares them to the compiler; `tools/run.mjs`, which cannot
 * import this file, has the same list.
 */
import { readFile } from 'node:fs/promises';

/** The name endings of these files. */
export const textExtensions = ['.xml', '.conf', '.rules', '.service', '.sh'] as const;

/** esbuild's `loader` option for them. */
export function textLoaders(): Record<string, 'text'> {
  return Object.fromEntries(textExtensions.map((extension) => [extension, 'text'] as const));
}

/** A Vite plugin that does what esbuild's text loader does. */
export function textImports() {
  return {
    name: 'text-imports',
    enforce: 'pre' as const,
    async load(id: string) {
      const [path = ''] = id.split('?');
      if (!textExtensions.some((extension) => path.endsWith(extension))) return undefined;
      return `export default ${JSON.stringify(await readFile(path, 'utf8'))};`;
    },
  };
}
