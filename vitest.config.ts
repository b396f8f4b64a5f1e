import { readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/e2e/longest-first.ts';
import { textImports } from './tools/text-imports.ts';

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8')) as {
  version: string;
};

export default defineConfig({
  plugins: [textImports()],
  define: { __VERSION__: JSON.stringify(version) },
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        // Thousands of random cases take their time on a busy host.
        test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 60_000 },
      },
      {
        extends: true,
        test: {
          name: 'contract',
          include: ['test/contract/**/*.test.ts'],
          // Commands are started as processes, which takes its time on a busy host.
          testTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.e2e.ts'],
          globalSetup: ['test/e2e/global-setup.ts'],
          // Workers that keep their modules: the files of one share one virtual machine.
          isolate: false,
          maxWorkers: 2,
          testTimeout: 300_000,
          hookTimeout: 900_000,
        },
      },
    ],
  },
});
