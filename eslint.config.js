import { build } from 'esbuild';
import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const root = import.meta.dirname;

// Node 20 cannot load TypeScript, and the rules are written in it like everything else.
const bundle = await build({
  entryPoints: [`${root}/tools/lint/plugin.ts`],
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  write: false,
});
const base64 = Buffer.from(bundle.outputFiles[0].contents).toString('base64');
const { createPlugin } = await import(`data:text/javascript;base64,${base64}`);

/** Layers whose results depend on their arguments alone. */
const pure = ['src/nvme/**', 'src/config/**', 'src/core/**', 'src/{stafd,stacd}/plan.ts'];
const takeItAsAnArgument = 'This layer is pure: take it as an argument.';

export default defineConfig(
  { ignores: ['dist/', 'out/', 'coverage/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: root } },
    plugins: { local: createPlugin(root) },
    rules: {
      'local/layers': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      eqeqeq: 'error',
      // A longer file says why at its top, where it switches this rule off.
      'max-lines': ['error', { max: 400 }],
    },
  },
  {
    files: pure,
    rules: {
      'no-restricted-globals': [
        'error',
        ...[
          'Date',
          'performance',
          'setTimeout',
          'setInterval',
          'setImmediate',
          'queueMicrotask',
          'fetch',
          'process',
          'console',
          'Promise',
        ].map((name) => ({ name, message: takeItAsAnArgument })),
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Math', property: 'random', message: takeItAsAnArgument },
      ],
      'no-restricted-syntax': [
        'error',
        { selector: ':function[async=true]', message: 'This layer is pure: nothing waits in it.' },
      ],
    },
  },
  {
    // What is said to a person or the journal goes through the log port or a command's output.
    files: ['src/**'],
    ignores: ['src/ctl/**', 'src/stasadm/**', 'src/platform/**', 'src/*/main.ts'],
    rules: { 'no-console': 'error' },
  },
  {
    files: ['**/*.{js,mjs}'],
    languageOptions: {
      globals: { Buffer: 'readonly', console: 'readonly', process: 'readonly', URL: 'readonly' },
    },
  },
);
