#!/usr/bin/env node
/**
 * Runs a TypeScript program of this repository: `node tools/run.mjs FILE.ts ARGS…`.
 *
 * Node 20 cannot load TypeScript, so the file is bundled by esbuild and the bundle imported into
 * this very process: signals, exit codes, stdin and `process.exitCode` behave as if Node had run
 * the file itself. npm packages stay outside the bundle.
 *
 * What the program sees:
 * - `process.argv` is [node, absolute path of FILE.ts, ...ARGS];
 * - `import.meta.url`, `.filename` and `.dirname` name the source file that uses them, not the
 *   bundle, so `process.argv[1] === import.meta.filename` tells whether a module is the program;
 * - `import text from './file.sh'` (.xml, .sh, .conf, .service, .rules) gives the file's text.
 */
import { createHash } from 'node:crypto';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const cache = join(root, 'node_modules', '.cache', 'nvme-stas-node', 'run');
const dayMs = 24 * 60 * 60 * 1000;

/** File types that a program imports as text. */
const textLoaders = Object.fromEntries(
  ['.xml', '.sh', '.conf', '.service', '.rules'].map((extension) => [extension, 'text']),
);

/** An esbuild plugin that lets `import.meta.*` name the source file instead of the bundle. */
const importMetaOfSource = {
  name: 'import-meta-of-source',
  setup(build) {
    build.onLoad({ filter: /\.(ts|mjs|js)$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8');
      if (!text.includes('import.meta.')) return undefined;
      const contents = text
        .replaceAll(/\bimport\.meta\.url\b/g, JSON.stringify(pathToFileURL(path).href))
        .replaceAll(/\bimport\.meta\.filename\b/g, JSON.stringify(path))
        .replaceAll(/\bimport\.meta\.dirname\b/g, JSON.stringify(dirname(path)));
      return { contents, loader: path.endsWith('.ts') ? 'ts' : 'js' };
    });
  },
};

function projectVersion() {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version;
}

/** Bundles `file` and returns the path of the bundle, named by what is in it. */
async function bundle(file) {
  const { build } = await import('esbuild');
  const result = await build({
    entryPoints: [file],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    sourcemap: 'inline',
    sourcesContent: false,
    write: false,
    absWorkingDir: root,
    outdir: cache,
    logLevel: 'warning',
    loader: textLoaders,
    define: { __VERSION__: JSON.stringify(projectVersion()) },
    plugins: [importMetaOfSource],
  });
  const output = result.outputFiles[0];
  const name = basename(file).replace(/\.[^.]+$/, '');
  const hash = createHash('sha256').update(output.contents).digest('hex').slice(0, 16);
  const path = join(cache, `${name}-${hash}.mjs`);
  mkdirSync(cache, { recursive: true });
  // Another run may be importing the same bundle: it must never see half a file.
  writeFileSync(`${path}.${process.pid}`, output.contents);
  renameSync(`${path}.${process.pid}`, path);
  return path;
}

/** Removes bundles that no run has written for a day. */
function prune() {
  for (const entry of readdirSync(cache)) {
    const path = join(cache, entry);
    try {
      if (Date.now() - statSync(path).mtimeMs > dayMs) rmSync(path);
    } catch {
      // Another run removed it first.
    }
  }
}

const [file, ...args] = process.argv.slice(2);
if (file === undefined) {
  console.error('usage: node tools/run.mjs FILE.ts [ARGUMENT…]');
  process.exit(2);
}
let program;
try {
  program = await bundle(resolve(file));
  prune();
} catch (error) {
  if (error?.code === 'ERR_MODULE_NOT_FOUND') {
    console.error('tools/run.mjs: esbuild is not installed: run `node tools/setup.mjs` first');
  } else if (error?.errors === undefined) {
    throw error;
  } // else esbuild has printed what is wrong, with file and line
  process.exit(1);
}
process.argv = [process.argv[0], resolve(file), ...args];
process.setSourceMapsEnabled(true);
await import(pathToFileURL(program).href);
