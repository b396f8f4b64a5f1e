import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { copyFile, rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildPrograms, programs } from '../../../tools/build.ts';
import { wrappers, wrapperText } from '../../../tools/package/tree.ts';

/** In place of a daemon: says whether it was loaded by another process, and its arguments. */
const DAEMON = `
import { startUp } from '${resolve('src/daemon/start-up.ts')}';
const loadedBy = process.pid;
startUp((works) => {
  console.log(JSON.stringify([loadedBy !== process.pid, process.argv.slice(2)]));
  if (process.env.FAILS === undefined) works();
});
`;

const PROCESSOR = 'cpu:type:x86:feature:,0000,0001\n';

/** What was built, once for all tests. */
let built: string;
/** The folder that stands for /usr/lib/nvme-stas-node, /usr/bin, /usr/sbin and /run. */
let root: string;
let mark: string;

beforeAll(async () => {
  built = mkdtempSync(join(tmpdir(), 'nvme-stas-snapshot-'));
  writeFileSync(join(built, 'package.json'), '{ "version": "1.2.3" }');
  for (const { entry, native } of programs) {
    mkdirSync(dirname(join(built, entry)), { recursive: true });
    writeFileSync(join(built, entry), native ? DAEMON : '');
  }
  await buildPrograms({ root: built, outDir: join(built, 'dist'), log: () => undefined });
});

afterAll(() => {
  rmSync(built, { recursive: true });
});

function install(name: string, text: string): void {
  const here = text
    .replaceAll('/usr/lib/nvme-stas-node', root)
    .replaceAll('/sys/devices/system/cpu', root)
    .replaceAll('/usr/bin', root)
    .replaceAll('/run/stafd', root)
    .replaceAll('/run/stacd', root);
  writeFileSync(join(root, name), here, { mode: 0o755 });
}

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'nvme-stas-snapshot-'));
  mark = join(root, 'starting-from-snapshot');
  symlinkSync(process.execPath, join(root, 'node'));
  writeFileSync(join(root, 'modalias'), PROCESSOR);
  for (const daemon of ['stafd', 'stacd']) {
    await copyFile(join(built, 'dist', `${daemon}.cjs`), join(root, `${daemon}.cjs`));
  }
  for (const name of ['snapshot.sh', 'make-snapshots']) {
    install(name, readFileSync(join('tools/package', name), 'utf8'));
  }
  for (const wrapper of wrappers.filter(({ daemon }) => daemon)) {
    install(wrapper.path.replace('usr/sbin/', ''), wrapperText(wrapper));
  }
  make();
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

function make(): void {
  execFileSync(join(root, 'make-snapshots'));
}

/** Starts stafd as its unit does: whether its modules had been loaded before. */
function start(env: Readonly<Record<string, string>> = { RUNTIME_DIRECTORY: root }): string {
  const text = execFileSync(join(root, 'stafd'), ['--syslog', 'a b'], {
    env,
    encoding: 'utf8',
    stdio: 'pipe',
    timeout: 30_000,
  });
  const [loadedBefore, args] = JSON.parse(text) as [boolean, readonly string[]];
  expect(args).toEqual(['--syslog', 'a b']);
  return loadedBefore ? 'from the snapshot' : 'from the program';
}

describe('a daemon', () => {
  it('starts from its snapshot, and so again, and from one that is made anew', () => {
    expect(start()).toBe('from the snapshot');
    expect(start()).toBe('from the snapshot');
    writeFileSync(mark, '');
    make();
    expect(start()).toBe('from the snapshot');
  });

  it('that did not come to work starts without it the next time', () => {
    const environment = { RUNTIME_DIRECTORY: root };
    expect(start({ ...environment, FAILS: '' })).toBe('from the snapshot');
    expect(start()).toBe('from the program');
    // Nor then: that it works without says nothing of the snapshot.
    expect(start()).toBe('from the program');
  });

  it('starts where the script that chooses is missing', () => {
    rmSync(join(root, 'snapshot.sh'));
    expect(start()).toBe('from the program');
  });

  it.each<[string, () => unknown]>([
    ['there is none', () => rmSync(join(root, 'snapshots'), { recursive: true })],
    ['something was written to it', () => appendFileSync(join(root, 'snapshots/stafd'), 'x')],
    [
      'another file has its name',
      async () => {
        await copyFile(join(root, 'snapshots/stafd'), join(root, 'other'));
        await rename(join(root, 'other'), join(root, 'snapshots/stafd'));
      },
    ],
    [
      'nothing says what it was made of',
      () => writeFileSync(join(root, 'snapshots/stafd.made-of'), ''),
    ],
    ['the program is another one', () => appendFileSync(join(root, 'stafd.cjs'), '\n')],
    [
      'Node is another one',
      () => {
        rmSync(join(root, 'node'));
        const script = `#!/bin/sh\nexec ${process.execPath} "$@"\n`;
        writeFileSync(join(root, 'node'), script, { mode: 0o755 });
      },
    ],
    ['the processor is another one', () => writeFileSync(join(root, 'modalias'), 'cpu:other\n')],
    ['the processor is not known', () => rmSync(join(root, 'modalias'))],
    ['the start before did not come as far as to run it', () => writeFileSync(mark, '')],
  ])('starts without its snapshot where %s', async (_, happens) => {
    await happens();
    expect(start()).toBe('from the program');
  });

  it('starts without its snapshot where no service manager starts it, or Node has options', () => {
    expect(start({})).toBe('from the program');
    expect(start({ RUNTIME_DIRECTORY: root, NODE_OPTIONS: '--max-old-space-size=900' })).toBe(
      'from the program',
    );
    expect(existsSync(mark)).toBe(false);
  });

  it('fails once with a snapshot that does not work, and starts without it from then on', () => {
    const of = readFileSync(join(root, 'snapshots/stafd.made-of'), 'utf8');
    writeFileSync(join(root, 'snapshots/stafd'), 'not one');
    const script = `. ${join(root, 'snapshot.sh')}; snapshot_made_of stafd '${of.split('\n')[0] ?? ''}'`;
    const forged = execFileSync('/bin/sh', ['-ec', script], { encoding: 'utf8' });
    writeFileSync(join(root, 'snapshots/stafd.made-of'), `${of.split('\n')[0] ?? ''}\n${forged}`);
    expect(() => start()).toThrow();
    expect(start()).toBe('from the program');
    expect(start()).toBe('from the program');
  });
});

describe('make-snapshots', () => {
  it('leaves out a snapshot that cannot be made', () => {
    appendFileSync(join(root, 'stafd.cjs'), '\nthrow new Error("broken");\n');
    make();
    expect(existsSync(join(root, 'snapshots/stafd'))).toBe(false);
    expect(existsSync(join(root, 'snapshots/stacd.made-of'))).toBe(true);
  });
});
