import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BuildError, buildPrograms, programs } from '../../../tools/build.ts';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'nvme-stas-build-'));
  await put('package.json', '{ "version": "1.2.3" }');
  for (const { entry, name } of programs) {
    await put(entry, `export const said = '${name} ' + __VERSION__;`);
  }
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text);
}

const build = () => buildPrograms({ root, outDir: join(root, 'dist'), log: () => undefined });

describe('buildPrograms', () => {
  it('writes one bundle a program, with the version of package.json in it', async () => {
    const { version, bundles } = await build();
    expect(version).toBe('1.2.3');
    expect(bundles.map(({ program }) => program)).toEqual(programs.map(({ name }) => name));
    expect(await readFile(join(root, 'dist/stacctl.mjs'), 'utf8')).toContain('1.2.3');
  });

  it('keeps what is loaded only at need out of the program, in a file beside it', async () => {
    await put('src/stasadm/part.ts', "export const part = 'seldom needed';");
    await put('src/stasadm/main.ts', "console.log((await import('./part.ts')).part);");
    const { bundles } = await build();
    const paths = bundles.filter(({ program }) => program === 'stasadm').map(({ path }) => path);
    expect(paths.map((path) => basename(path).replace(/-[A-Z0-9]+\./, '-HASH.')).sort()).toEqual([
      'stasadm-HASH.mjs',
      'stasadm.mjs',
    ]);
    expect(await readFile(join(root, 'dist/stasadm.mjs'), 'utf8')).not.toContain('seldom');
    const { stdout } = spawnSync(process.execPath, [join(root, 'dist/stasadm.mjs')]);
    expect(String(stdout)).toBe('seldom needed\n');
  });

  it('puts text files into the bundle as their text', async () => {
    await put('udev/a.rules', 'ACTION=="change"');
    await put('src/stafd/main.ts', "import text from '../../udev/a.rules'; console.log(text);");
    await build();
    expect(await readFile(join(root, 'dist/stafd.cjs'), 'utf8')).toContain('ACTION=="change"');
  });

  it('makes programs of ASCII, whose stack traces have names and lines', async () => {
    const text = [
      '// Whatever it says: “…”',
      'class Prober { /** It “probes”. */ probe(): string {',
      "  return '“' + [1].map(function attempt() { return new Error().stack ?? ''; }).join(); } }",
      'console.log(new Prober().probe());',
    ];
    await put('src/stafd/main.ts', text.join('\n'));
    await build();
    const program = await readFile(join(root, 'dist/stafd.cjs'));
    expect(program.every((byte) => byte < 0x80)).toBe(true);
    const { stdout } = spawnSync(process.execPath, [join(root, 'dist/stafd.cjs')]);
    expect(String(stdout)).toMatch(
      /^“Error\n +at attempt \(.*stafd\.cjs:\d+:\d+\)\n(?:.*\n)* +at Prober\.probe \(/,
    );
  });

  it('names the program and the file when an entry is missing', async () => {
    await rm(join(root, 'src/stasadm/main.ts'));
    await expect(build()).rejects.toThrow(
      new BuildError('cannot build stasadm: src/stasadm/main.ts is missing'),
    );
  });

  it('says where the first error is', async () => {
    await put('src/stacd/main.ts', "import './nowhere.ts';");
    await expect(build()).rejects.toThrow(
      'cannot build stacd: src/stacd/main.ts:1: Could not resolve "./nowhere.ts"',
    );
  });

  it('lets daemons load native add-ons and keeps commands from it', async () => {
    await put('src/stafd/main.ts', "import koffi from 'koffi'; console.log(koffi);");
    await expect(build()).resolves.toBeDefined();
    await put('src/ctl/tool.ts', "import koffi from 'koffi'; console.log(koffi);");
    await put('src/ctl/stafctl.ts', "import './tool.ts';");
    await expect(build()).rejects.toThrow(
      'stafctl must load no native add-on, but src/ctl/tool.ts imports koffi',
    );
  });
});
