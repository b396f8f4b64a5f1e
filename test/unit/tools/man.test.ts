import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fieldsOf } from '../../../src/config/field-table.ts';
import { optionsOf } from '../../../src/config/option-table.ts';
import { formatProblem } from '../../../src/config/problem.ts';
import { parseServiceConfig } from '../../../src/config/service-config.ts';
import { parseSysConfig } from '../../../src/config/sys-config.ts';
import { parseCommandLine } from '../../../src/ctl/command-line.ts';
import { stacctl, stafctl } from '../../../src/ctl/tools.ts';
import { runStasadm } from '../../../src/stasadm/cli.ts';
import { commandsOf } from '../../../tools/man/command-text.ts';
import {
  compile,
  expand,
  installPages,
  readSources,
  type PageSource,
} from '../../../tools/man/pages.ts';
import { programCommands } from '../../../tools/program-commands.ts';

const root = dirname(dirname(dirname(import.meta.dirname)));
const sources = await readSources(root, '1.2.3');

function page(file: string): PageSource {
  const found = sources.find((source) => source.file === file);
  if (found === undefined) throw new Error(`there is no page ${file}`);
  return found;
}

/** What stands below a line, up to the next one that begins so. */
function below(text: string, line: string, next: string): string {
  const [, after = ''] = text.split(`\n${line}\n`);
  return after.split(`\n${next}`)[0] ?? '';
}

/** What is explained in a text: its entries, without what formats them. */
function terms(text: string): readonly string[] {
  return text
    .split('\n')
    .filter((line) => /^\t*\*/.test(line))
    .map((line) => line.trim().replaceAll(/[*_\\]/g, ''));
}

/** The texts of a page that stand as they are. */
function literals(file: string): readonly string[] {
  return page(file)
    .text.split('\n```\n')
    .filter((_, index) => index % 2 === 1);
}

describe.each(['stafd', 'stacd', 'sys'] as const)('the page of %s.conf', (file) => {
  it('explains every option, in its section', () => {
    const { text } = page(`${file}.conf.5`);
    for (const { key, section } of optionsOf(file)) {
      expect(terms(below(text, `## [${section}]`, '#'))).toContain(`${key}=`);
    }
  });

  it('has examples that can be used as they are', () => {
    const examples = literals(`${file}.conf.5`);
    expect(examples.length).toBeGreaterThan(1);
    const problems = examples.flatMap((example) =>
      file === 'sys'
        ? parseSysConfig('x', example, (path) => (path.endsWith('key') ? undefined : 'x')).problems
        : parseServiceConfig(file, [{ file: 'x', text: example }]).problems,
    );
    // The one file that is not there.
    const others = problems.filter(({ message }) => !message.includes('/etc/nvme/hostkey'));
    expect(others.map(formatProblem)).toEqual([]);
  });
});

describe.each(['stafd', 'stacd'] as const)('the page of %s.conf', (file) => {
  it('explains every field of controller= and exclude=', () => {
    const text = below(page(`${file}.conf.5`).text, '## [Controllers]', '#');
    for (const option of optionsOf(file)) {
      const { key, value } = option;
      if (value.kind !== 'controller' && value.kind !== 'exclude') continue;
      if (option.legacyOf !== undefined) continue;
      const explained = terms(below(text, `*${key}=*`, '*')).flatMap((term) => term.split(', '));
      const fields = fieldsOf(value.kind).flatMap(({ alias = [], name }) => [name].concat(alias));
      expect(explained).toEqual(fields.map((name) => `${name}=`));
    }
  });
});

describe.each([...programCommands()])('the page of %s', (name, program) => {
  const { text } = sources.find(({ names }) => names[0] === name) ?? { text: '' };

  it('explains every option', () => {
    const flags = program.createHelp().visibleOptions(program);
    expect(terms(below(text, '# OPTIONS', '# '))).toEqual(
      expect.arrayContaining(flags.map(flagsText)),
    );
  });

  it('explains every command with its options, and has all of them in its synopsis', () => {
    const commands = commandsOf(program);
    const entries = below(text, '# COMMANDS', '# ').split(/\n(?=\*)/);
    for (const command of commands) {
      const entry = entries.find(
        (candidate) => terms(candidate)[0]?.split(' ')[0] === command.name(),
      );
      expect(entry, command.name()).toBeDefined();
      expect(below(text, '# SYNOPSIS', '# ')).toContain(` *${command.name()}*`);
      // An option that the program has, too, and that takes other words here, is the command's.
      const shared = program.options.map(({ argChoices, long }) => [long, argChoices].join(' '));
      const own = command.options.filter(
        ({ argChoices, long }) => !shared.includes([long, argChoices].join(' ')),
      );
      expect(terms(entry ?? '').slice(1)).toEqual(own.map(flagsText));
    }
  });
});

/** `-f, --file <file>` as an entry has it. */
function flagsText({ flags }: { readonly flags: string }): string {
  return flags.replaceAll(/[<>]/g, '');
}

/** The words of the lines in a page's examples that run a program. */
function examplesOf(file: string, program: string): readonly (readonly string[])[] {
  const lines = literals(file).flatMap((text) => text.split('\n'));
  return lines.flatMap((line) => {
    const [, command] = new RegExp(`(?:^|\\|\\| )${program} ([^|&]+)`).exec(line) ?? [];
    if (command === undefined) return [];
    return [[...command.matchAll(/"([^"]*)"|\S+/g)].map(([word, quoted]) => quoted ?? word)];
  });
}

describe('the examples of a page', () => {
  it.each([stafctl, stacctl])('are command lines of $name', (tool) => {
    const examples = examplesOf(`${tool.name}.1`, tool.name);
    expect(examples.length).toBeGreaterThan(1);
    for (const args of examples) {
      expect(parseCommandLine(tool, '', args)).toMatchObject({ kind: 'request' });
    }
  });

  it('are command lines of stasadm', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'stasadm-'));
    const environment = {
      root: folder,
      isRoot: true,
      randomUuid: () => '30337838-5f1d-4e61-9c4e-d5ad2ad5b7ad',
      diff: () => Promise.resolve(0),
      doctor: () => Promise.resolve(0),
      stdout: () => undefined,
      stderr: (text: string) => expect(text).toBe(''),
    };
    try {
      const examples = examplesOf('stasadm.1', 'stasadm');
      expect(examples.length).toBeGreaterThan(1);
      for (const args of examples) expect(await runStasadm(args, environment, '')).toBe(0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

/** Pages of others that ours refer to. */
const FOREIGN = ['avahi-daemon(8)', 'machine-id(5)', 'nvme(1)'];

describe('a reference', () => {
  const ours = sources.flatMap(({ names, section }) => names.map((name) => `${name}(${section})`));

  it.each(sources.map(({ file, text }) => [file, text]))('in %s is to a page', (_, text) => {
    const references = [...text.matchAll(/[\w.@-]+\(\d\)/g)].map(([reference]) => reference);
    expect(references.filter((name) => ![...ours, ...FOREIGN].includes(name))).toEqual([]);
  });

  const folder = join(root, 'systemd');
  const units = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);

  it.each(units)('in %s is to a page, and there is one of its name', (unit) => {
    const text = readFileSync(join(folder, unit), 'utf8');
    const references = [...text.matchAll(/man:(\S+)/g)].map(([, reference = '']) => reference);
    expect(references.length).toBeGreaterThan(0);
    expect(references.filter((name) => !ours.includes(name))).toEqual([]);
    expect(ours).toContain(`${unit}(8)`);
  });
});

describe('expand', () => {
  const head = 'a.b(5)\n\n# NAME\n\na.b, c - what it is\n';

  it('gives a page the names that its first section lists', () => {
    expect(expand('doc/a.b.5.scd', head, '1.2.3')).toMatchObject({
      file: 'a.b.5',
      section: '5',
      names: ['a.b', 'c'],
    });
  });

  it('puts a shared part in its place', () => {
    const includes = new Map([['shared', 'what is shared\n']]);
    const { text } = expand('doc/a.b.5.scd', `${head}\n@include shared\n\nend\n`, '', includes);
    expect(text).toMatch(/\n\nwhat is shared\n\nend\n$/);
  });

  it.each([
    '@settings other',
    '@synopsis nobody',
    '@command stafctl nothing',
    '@include nothing',
    '@nonsense',
  ])('refuses %s, and says where it stands', (line) => {
    expect(() => expand('doc/a.b.5.scd', `${head}\n${line}\n`, '')).toThrow(
      `doc/a.b.5.scd:7: there is no part '${line}'`,
    );
  });

  it('refuses a page that is called something else than its file', () => {
    expect(() => expand('doc/b.5.scd', head, '')).toThrow('the first line must be: b(5)');
    const other = head.replace('a.b, c', 'c');
    expect(() => expand('doc/a.b.5.scd', other, '')).toThrow('NAME must begin with: a.b');
  });
});

const missing = ['scdoc', 'groff'].filter((tool) => spawnSync(tool, ['-v']).status !== 0);
const why = missing.length === 0 ? '' : ` (skipped: ${missing.join(', ')} not installed)`;

describe.skipIf(missing.length > 0)(`the pages, compiled${why}`, () => {
  const EPOCH = 86_400;
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'man-'));
  });

  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  it.each(sources.map((source) => [source.file, source] as const))(
    '%s is shown without a warning',
    async (_, source) => {
      const { roff } = await compile(source, EPOCH);
      const options = { input: roff, encoding: 'utf8' } as const;
      const { status, stderr, stdout } = spawnSync(
        'groff',
        ['-t', '-man', '-ww', '-Tutf8'],
        options,
      );
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).toContain('1970-01-02');
      expect(stdout).not.toContain('\u2010'); // a name broken at a hyphen of typesetting
    },
  );

  it('are installed where man(1) looks, under all of their names', async () => {
    const compiled = await compile(page('stas-config.target.8'), EPOCH);
    await installPages(folder, [compiled], { compressed: true });
    const place = join(folder, 'man8');
    expect(readdirSync(place).sort()).toEqual([
      'stas-config.target.8.gz',
      'stas-config@.service.8.gz',
    ]);
    expect(readlinkSync(join(place, 'stas-config@.service.8.gz'))).toBe('stas-config.target.8.gz');
    const packed = readFileSync(join(place, 'stas-config.target.8.gz'));
    expect(gunzipSync(packed).toString()).toBe(compiled.roff);
    // gzip -n: neither a name nor a time, so that the same page is the same file.
    expect([...packed.subarray(3, 8)]).toEqual([0, 0, 0, 0, 0]);
  });

  it('name the line that scdoc does not take', async () => {
    const source = { ...page('sys.conf.5'), text: `${page('sys.conf.5').text}\n\t\t\tdeep\n` };
    await expect(compile(source, EPOCH)).rejects.toThrow(
      /^doc\/sys\.conf\.5\.scd: scdoc ended with 1: .*: \t\t\tdeep$/,
    );
  });
});
