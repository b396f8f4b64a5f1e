/**
 * Bundles the programs: one file each in dist/, and beside a command's what it loads only at need
 * (what is imported dynamically). They need only a node_modules folder with the native add-ons.
 * Run with `npm run build`.
 */
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { build } from 'esbuild';
import type { BuildOptions, Metafile } from 'esbuild';
import { textLoaders } from './text-imports.ts';

/** Add-ons with machine code: they stay outside the bundles. */
export const nativePackages = ['koffi', 'udev', 'systemd-journald'] as const;

/** What dbus-next loads only for kinds of bus address that a system bus does not have. */
export const neverLoaded = ['event-stream', 'usocket', 'x11'];

/** One program of the project. */
export interface Program {
  readonly name: string;
  /** The file that it starts with, relative to the repository. */
  readonly entry: string;
  /** Whether it may load native add-ons. Commands may not: they run anywhere, in a chroot too. */
  readonly native: boolean;
}

export const programs: readonly Program[] = [
  { name: 'stafd', entry: 'src/stafd/main.ts', native: true },
  { name: 'stacd', entry: 'src/stacd/main.ts', native: true },
  { name: 'stafctl', entry: 'src/ctl/stafctl.ts', native: false },
  { name: 'stacctl', entry: 'src/ctl/stacctl.ts', native: false },
  { name: 'stasadm', entry: 'src/stasadm/main.ts', native: false },
];

// tools/run.mjs gives import.meta of this file its value; here it is the bundle's that is meant.
const bundleUrl = ['import', 'meta', 'url'].join('.');
export const requireBanner = [
  "import { createRequire as createBundleRequire } from 'node:module';",
  `const require = createBundleRequire(${bundleUrl});`,
].join('\n');

/**
 * The daemons are CommonJS: Node makes start-up snapshots of nothing else. Their add-ons are looked
 * up from where they are.
 */
const addressBanner = "const programUrl = require('node:url').pathToFileURL(__filename).href;";

/** The name of a program's file in dist/ and where it is installed. */
export function bundleName({ name, native }: Pick<Program, 'name' | 'native'>): string {
  return `${name}.${native ? 'cjs' : 'mjs'}`;
}

/** What went wrong in building; its text is all that a person needs to see. */
export class BuildError extends Error {
  override readonly name = 'BuildError';
}

/** A file that was written: a program, or a part of one. */
export interface Bundle {
  readonly program: string;
  /** Absolute path. */
  readonly path: string;
  readonly bytes: number;
}

/** The result of `buildPrograms`. */
export interface BuildResult {
  readonly version: string;
  readonly bundles: readonly Bundle[];
  /** Folders (below node_modules) of the npm packages whose code is in the bundles. */
  readonly bundledPackages: readonly string[];
}

/** Reads the project's version from its package.json. */
export async function projectVersion(root: string): Promise<string> {
  const text = await readFile(join(root, 'package.json'), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return version;
}

/**
 * Bundles every program into `outDir`, which is emptied first.
 * @param root absolute path of the repository
 * @throws {BuildError} an entry file is missing, esbuild refuses, or a command needs an add-on
 */
export async function buildPrograms(options: {
  readonly root: string;
  readonly outDir: string;
  readonly log: (line: string) => void;
}): Promise<BuildResult> {
  const { root, outDir, log } = options;
  for (const { name, entry } of programs) {
    if (!(await exists(join(root, entry)))) {
      throw new BuildError(`cannot build ${name}: ${entry} is missing`);
    }
  }
  const version = await projectVersion(root);
  await rm(outDir, { recursive: true, force: true });
  await mkdir(outDir, { recursive: true });

  const bundles: Bundle[] = [];
  const packages = new Set<string>();
  for (const program of programs) {
    const metafile = await bundle(root, program, outDir, version);
    refuseNative(program, metafile);
    for (const folder of packagesIn(metafile)) packages.add(folder);
    for (const [output, { bytes }] of Object.entries(metafile.outputs)) {
      const path = join(root, output);
      bundles.push({ program: program.name, path, bytes });
      log(`${basename(path)} ${(bytes / 1024).toFixed(0)} KiB`);
    }
  }
  return { version, bundles, bundledPackages: [...packages].sort() };
}

/** How esbuild bundles what may use everything that the daemons use. */
export function bundleOptions(version: string) {
  return {
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    // A process keeps its program's text. Stack traces show names, and count lines: these stay
    // (minifySyntax takes names). ASCII alone, as V8 makes two bytes of each character otherwise:
    // hence no comments. The package has all licences in one file.
    minifyWhitespace: true,
    lineLimit: 120,
    legalComments: 'none',
    external: [...nativePackages, ...neverLoaded],
    loader: textLoaders(),
    define: { __VERSION__: JSON.stringify(version) },
    // CommonJS packages in the bundle call require() for Node's own modules.
    banner: { js: requireBanner },
    logLevel: 'silent',
  } as const satisfies BuildOptions;
}

async function bundle(
  root: string,
  program: Program,
  outDir: string,
  version: string,
): Promise<Metafile> {
  const options = bundleOptions(version);
  try {
    const result = await build({
      ...options,
      absWorkingDir: root,
      entryPoints: [{ in: program.entry, out: program.name }],
      outdir: outDir,
      ...(program.native
        ? {
            format: 'cjs',
            outExtension: { '.js': '.cjs' },
            banner: { js: addressBanner },
            define: { ...options.define, [bundleUrl]: 'programUrl' },
          }
        : {
            outExtension: { '.js': '.mjs' },
            chunkNames: `${program.name}-[hash]`,
            splitting: true,
          }),
      metafile: true,
    });
    return result.metafile;
  } catch (error) {
    throw new BuildError(`cannot build ${program.name}: ${firstError(error)}`, { cause: error });
  }
}

/** The first of esbuild's errors as one line. */
function firstError(error: unknown): string {
  const { errors } = error as {
    errors?: readonly { text: string; location: { file: string; line: number } | null }[];
  };
  const first = errors?.[0];
  if (first === undefined) return error instanceof Error ? error.message : String(error);
  const where = first.location === null ? '' : `${first.location.file}:${first.location.line}: `;
  return `${where}${first.text}`;
}

/** Native add-ons that the bundle described by `metafile` asks for. */
function nativeImports(metafile: Metafile): readonly string[] {
  const natives = new Set<string>(nativePackages);
  return Object.values(metafile.outputs)
    .flatMap((output) => output.imports)
    .filter(({ external, path }) => external === true && natives.has(path))
    .map(({ path }) => path);
}

function refuseNative(program: Program, metafile: Metafile): void {
  const [first] = nativeImports(metafile);
  if (program.native || first === undefined) return;
  const importer = Object.entries(metafile.inputs).find(([, input]) =>
    input.imports.some(({ path }) => path === first),
  );
  throw new BuildError(
    `${program.name} must load no native add-on, but ${importer?.[0] ?? 'something'} imports ${first}`,
  );
}

/** The package folders below node_modules that the bundle's inputs are in. */
function packagesIn(metafile: Metafile): readonly string[] {
  return Object.keys(metafile.inputs).flatMap((path) => {
    const match = /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path);
    return match?.[1] === undefined ? [] : [match[1]];
  });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

if (process.argv[1] === import.meta.filename) {
  const root = dirname(import.meta.dirname);
  try {
    await buildPrograms({ root, outDir: join(root, 'dist'), log: (line) => console.log(line) });
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(`tools/build.ts: ${error.message}`);
    process.exitCode = 1;
  }
}
