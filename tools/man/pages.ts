/**
 * The manual pages: sources doc/NAME.SECTION.scd in the format scdoc(5), with lines in them that
 * begin with `@` and stand for what the option table and the command lines say.
 *
 *     @settings stafd           the options of a configuration file
 *     @synopsis stafctl         the lines of SYNOPSIS
 *     @options stafctl          the options of a program
 *     @command stafctl ls       how a command is written and what it does
 *     @options stafctl ls       the options that this command has besides
 *     @include NAME             doc/include/NAME.scd
 */
import { readFile, readdir, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Command } from 'commander';
import type { ConfigFile } from '../../src/config/option-table.ts';
import { programCommands } from '../program-commands.ts';
import { PackageError, run } from '../package/run.ts';
import { write } from '../package/tree.ts';
import { commandEntry, commandsOf, optionList, synopsis } from './command-text.ts';
import { settings } from './option-text.ts';

/** A source with its generated parts in place. */
export interface PageSource {
  /** `stafd.conf.5` */
  readonly file: string;
  /** `5` */
  readonly section: string;
  /** Every name that its first section gives, the page's own first. */
  readonly names: readonly string[];
  /** scdoc(5). */
  readonly text: string;
}

/** A page as man(1) reads it. */
export interface ManPage extends Omit<PageSource, 'text'> {
  readonly roff: string;
}

const sourceName = /^(?<name>.+)\.(?<section>[1-8])\.scd$/;

const configFiles: readonly ConfigFile[] = ['stafd', 'stacd', 'sys'];

/** What a line that begins with `@` stands for; undefined if there is no such part. */
function part(line: string, programs: ReadonlyMap<string, Command>): string | undefined {
  const [kind, subject = '', name] = line.slice(1).trim().split(' ');
  if (kind === 'settings') {
    const file = configFiles.find((known) => known === subject);
    return file === undefined ? undefined : settings(file);
  }
  const program = programs.get(subject);
  const command =
    program === undefined || name === undefined
      ? program
      : commandsOf(program).find((known) => known.name() === name);
  if (command === undefined) return undefined;
  switch (kind) {
    case 'synopsis':
      return synopsis(command);
    case 'options':
      return optionList(command);
    case 'command':
      return commandEntry(command);
    default:
      return undefined;
  }
}

/** What sources share, by name. */
export type Includes = ReadonlyMap<string, string>;

/**
 * Puts the generated and the shared parts into a source.
 * @param path names the source in errors
 * @throws {PackageError} a part is not known, or the page does not begin as its name says
 */
export function expand(
  path: string,
  source: string,
  version: string,
  includes: Includes = new Map(),
): PageSource {
  const { name = '', section = '' } = sourceName.exec(basename(path))?.groups ?? {};
  const [title, ...lines] = source.split('\n');
  if (title !== `${name}(${section})`) {
    throw new PackageError(`${path}:1: the first line must be: ${name}(${section})`);
  }
  const names = /^# NAME\n\n(.+) - /m.exec(source)?.[1]?.split(', ') ?? [];
  if (names[0] !== name) {
    throw new PackageError(`${path}: its section NAME must begin with: ${name}`);
  }
  const programs = programCommands();
  const body = lines.map((line, index) => {
    if (!line.startsWith('@')) return line;
    const [, included] = /^@include (.+)$/.exec(line) ?? [];
    const text = included === undefined ? part(line, programs) : includes.get(included);
    if (text !== undefined) return text.trimEnd();
    throw new PackageError(`${path}:${index + 2}: there is no part '${line}'`);
  });
  const heading = `${title} "nvme-stas-node ${version}" "nvme-stas"`;
  return { file: `${name}.${section}`, section, names, text: [heading, ...body].join('\n') };
}

/**
 * Reads every source in doc/.
 * @param root absolute path of the repository
 */
export async function readSources(root: string, version: string): Promise<readonly PageSource[]> {
  const folder = join(root, 'doc');
  const read = (file: string): Promise<string> => readFile(join(folder, file), 'utf8');
  const includes = new Map<string, string>();
  for (const file of await readdir(join(folder, 'include'))) {
    includes.set(basename(file, '.scd'), await read(join('include', file)));
  }
  const files = (await readdir(folder)).filter((file) => sourceName.test(file)).sort();
  return Promise.all(
    files.map(async (file) => expand(`doc/${file}`, await read(file), version, includes)),
  );
}

/**
 * Compiles a page.
 * @param epoch seconds since 1970: the date that stands at the bottom of the page
 * @throws {PackageError} scdoc is not installed, or refuses the text
 */
export async function compile(source: PageSource, epoch: number): Promise<ManPage> {
  const { file, names, section, text } = source;
  try {
    const env = { SOURCE_DATE_EPOCH: String(epoch) };
    const roff = await run('scdoc', [], { env, input: text });
    // scdoc switches hyphenation and justification off, which .TH switches on again: a name must not
    // be broken at a hyphen that is not in it.
    return { file, names, section, roff: roff.replace(/^\.TH .*$/m, '$&\n.nh\n.ad l') };
  } catch (error) {
    if (!(error instanceof PackageError)) throw error;
    // scdoc counts the lines of the text with the generated parts in it.
    const line = /Error at (\d+):/.exec(error.message)?.[1];
    const where = line === undefined ? '' : `: ${text.split('\n')[Number(line) - 1] ?? ''}`;
    throw new PackageError(`doc/${file}.scd: ${error.message}${where}`, { cause: error });
  }
}

/** Reads and compiles all of them; see {@link readSources} and {@link compile}. */
export async function manPages(options: {
  readonly root: string;
  readonly version: string;
  readonly epoch: number;
}): Promise<readonly ManPage[]> {
  const sources = await readSources(options.root, options.version);
  return Promise.all(sources.map((source) => compile(source, options.epoch)));
}

/** Writes pages below a folder that man(1) searches, other names of a page as links to it. */
export async function installPages(
  folder: string,
  pages: readonly ManPage[],
  { compressed }: { readonly compressed: boolean },
): Promise<void> {
  const ending = compressed ? '.gz' : '';
  for (const { file, names, roff, section } of pages) {
    const place = join(folder, `man${section}`);
    const content = compressed ? gzipSync(roff, { level: 9 }) : roff;
    await write(join(place, `${file}${ending}`), content, 0o644);
    for (const alias of names.slice(1)) {
      await symlink(`${file}${ending}`, join(place, `${alias}.${section}${ending}`));
    }
  }
}
