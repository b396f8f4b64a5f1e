import { readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import { textImports } from './tools/text-imports.ts';

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8')) as {
  version: string;
};

export default defineConfig({
  plugins: [textImports()],
  define: { __VERSION__: JSON.stringify(version) },
  test: {
    projects: [
      {
        extends: true,
        test: { name: 'unit', include: ['test/unit/**/*.test.ts'] },
      },
    ],
  },
});
