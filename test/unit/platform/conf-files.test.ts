import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  ConfFileError,
  MAX_CONF_BYTES,
  readConfFile,
  readConfFiles,
  readDropIns,
} from '../../../src/platform/conf-files.ts';

let folder: string;
let file: string;
let dropIns: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'conf-files-'));
  file = join(folder, 'stafd.conf');
  dropIns = `${file}.d`;
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function drop(name: string | Buffer, text: string): void {
  mkdirSync(dropIns, { recursive: true });
  writeFileSync(Buffer.concat([Buffer.from(`${dropIns}/`), Buffer.from(name)]), text);
}

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (thrown) {
    if (thrown instanceof ConfFileError) return thrown.code;
    throw thrown;
  }
  return 'nothing was thrown';
}

describe('a file with its drop-in files', () => {
  it('is nothing where nothing is', () => {
    expect(readConfFiles(file)).toEqual({ present: false, sources: [], ignored: [] });
  });

  it('comes first, whatever the names of the others', () => {
    drop('00-first.conf', 'a');
    writeFileSync(file, 'main');
    expect(readConfFiles(file)).toEqual({
      present: true,
      sources: [
        { file, text: 'main' },
        { file: `${dropIns}/00-first.conf`, text: 'a' },
      ],
      ignored: [],
    });
  });

  it('may be missing where they are not', () => {
    drop('x.conf', 'a');
    const { present, sources } = readConfFiles(file);
    expect(present).toBe(false);
    expect(sources.map(({ text }) => text)).toEqual(['a']);
  });

  it('is read below another root, and named as if that were not there', () => {
    drop('x.conf', 'a');
    expect(readConfFiles('/stafd.conf', folder).sources).toEqual([
      { file: '/stafd.conf.d/x.conf', text: 'a' },
    ]);
  });
});

describe('drop-in files', () => {
  it('are read in the byte order of their names', () => {
    for (const name of ['b.conf', 'B.conf', '10.conf', '9.conf', 'ä.conf', 'a.conf', '-.conf']) {
      drop(name, name);
    }
    expect(readDropIns(dropIns).sources.map(({ text }) => text)).toEqual([
      '-.conf',
      '10.conf',
      '9.conf',
      'B.conf',
      'a.conf',
      'b.conf',
      'ä.conf',
    ]);
  });

  it('are read in the byte order of any names', () => {
    const name = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 8 })
      .filter((text) => !/[/\0.]/.test(text) && Buffer.from(text).toString() === text);
    fc.assert(
      fc.property(fc.uniqueArray(name, { maxLength: 6 }), (names) => {
        rmSync(dropIns, { recursive: true, force: true });
        for (const each of names) drop(`${each}.conf`, each);
        const expected = names.toSorted((a, b) =>
          Buffer.compare(Buffer.from(`${a}.conf`), Buffer.from(`${b}.conf`)),
        );
        const { sources } = readDropIns(dropIns);
        expect(sources.map(({ text }) => text)).toEqual(names.length === 0 ? [] : expected);
      }),
      { numRuns: 30 },
    );
  });

  it('keep names that are not text apart', () => {
    drop('a\n.conf', 'x');
    drop(Buffer.from([0xff, ...Buffer.from('.conf')]), 'y');
    expect(readDropIns(dropIns).sources.map((source) => source.file)).toEqual([
      `${dropIns}/a\n.conf`,
      `${dropIns}/\\xff.conf`,
    ]);
  });

  it('are named so that nothing in a name can end a line of a log', () => {
    mkdirSync(dropIns);
    symlinkSync('none', join(dropIns, 'a\n.conf'));
    expect(() => readDropIns(dropIns)).toThrow(`${dropIns}/a\\x0a.conf is a symbolic link`);
  });

  it('are only those that end in .conf and are not hidden', () => {
    for (const name of ['.x.conf', 'x.conf~', '#x.conf#', 'x.conf.dpkg-old', 'README', '.conf']) {
      drop(name, 'no');
    }
    expect(readDropIns(dropIns)).toEqual({ sources: [], ignored: [] });
  });

  it('are not directories, FIFOs and sockets, which are named', () => {
    drop('y.conf', 'y');
    mkdirSync(join(dropIns, 'x.conf'));
    spawnSync('mkfifo', [join(dropIns, 'z.conf')]);
    expect(readDropIns(dropIns)).toEqual({
      sources: [{ file: `${dropIns}/y.conf`, text: 'y' }],
      ignored: [
        { file: `${dropIns}/x.conf`, why: 'is a directory' },
        { file: `${dropIns}/z.conf`, why: 'is not a file' },
      ],
    });
  });

  it('are switched off by a link to /dev/null', () => {
    drop('y.conf', 'y');
    symlinkSync('/dev/null', join(dropIns, 'x.conf'));
    expect(readDropIns(dropIns).sources.map(({ text }) => text)).toEqual(['', 'y']);
  });

  it('may be links to files', () => {
    writeFileSync(join(folder, 'elsewhere'), 'y');
    mkdirSync(dropIns);
    symlinkSync('../elsewhere', join(dropIns, 'x.conf'));
    expect(readDropIns(dropIns).sources).toEqual([{ file: `${dropIns}/x.conf`, text: 'y' }]);
  });
});

describe('what cannot be read is not taken for nothing', () => {
  it.each<[string, string, () => void]>([
    [
      'DANGLING',
      'a link to nothing',
      () => {
        symlinkSync('none', file);
      },
    ],
    [
      'DANGLING',
      'a drop-in link to nothing',
      () => {
        mkdirSync(dropIns);
        symlinkSync('none', join(dropIns, 'x.conf'));
      },
    ],
    [
      'DANGLING',
      'a drop-in directory that is a link to nothing',
      () => {
        symlinkSync('none', dropIns);
      },
    ],
    [
      'ELOOP',
      'a link to itself',
      () => {
        symlinkSync('stafd.conf', file);
      },
    ],
    [
      'NOT_A_FILE',
      'a directory',
      () => {
        mkdirSync(file);
      },
    ],
    [
      'NOT_A_FILE',
      'a FIFO',
      () => {
        spawnSync('mkfifo', [file]);
      },
    ],
    [
      'TOO_LARGE',
      'a file that is too large',
      () => {
        writeFileSync(file, Buffer.alloc(MAX_CONF_BYTES + 1, 0x0a));
      },
    ],
    [
      'TOO_LARGE',
      'a drop-in file that is too large',
      () => {
        drop('x.conf', '\n'.repeat(MAX_CONF_BYTES + 1));
      },
    ],
    [
      'ENOTDIR',
      'a file in place of the directory',
      () => {
        writeFileSync(dropIns, '');
      },
    ],
  ])('%s: %s', (code, _, arrange) => {
    arrange();
    expect(codeOf(() => readConfFiles(file))).toBe(code);
  });

  it('says which file it is, and why', () => {
    symlinkSync('stafd.conf', file);
    expect(() => readConfFile(file)).toThrow(
      `${file} cannot be read: too many symbolic links encountered (ELOOP)`,
    );
  });

  it('reads a file of the greatest size', () => {
    writeFileSync(file, '\n'.repeat(MAX_CONF_BYTES));
    expect(readConfFile(file)).toHaveLength(MAX_CONF_BYTES);
  });
});
