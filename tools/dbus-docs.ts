/**
 * Makes the reference in docs/dbus.md from the contracts in dbus/ (their comments are its text, in
 * Markdown; the policies beside them say who may call): `npm run docs`. What stands before the mark stays.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BuildError } from './build.ts';

/** What follows it is made. */
export const MARK = '<!-- Made from dbus/*.xml by `npm run docs`: do not edit below. -->';

/** The texts of one daemon. */
export interface DaemonContract {
  readonly daemon: string;
  /** Introspection XML with comments. */
  readonly xml: string;
  /** The bus's policy. */
  readonly policy: string;
}

interface Member {
  readonly kind: string;
  readonly name: string;
  readonly comment: string;
  readonly attributes: string;
  readonly body: string;
}

const ELEMENT =
  /(?:<!--\s*((?:(?!-->)[\s\S])*?)\s*-->\s*)?<(interface|method|signal|property) name="([\w.]+)"([^>]*?)(?:\/>|>)/g;

function membersOf(xml: string): readonly Member[] {
  const found = [...xml.matchAll(ELEMENT)];
  return found.map((match, index) => {
    const [, comment = '', kind = '', name = '', attributes = ''] = match;
    const from = match.index + match[0].length;
    return {
      kind,
      name,
      comment: unindented(comment),
      attributes,
      body: match[0].endsWith('/>') ? '' : xml.slice(from, found[index + 1]?.index),
    };
  });
}

/** The first line of a comment has lost its indentation; the others all have theirs. */
function unindented(comment: string): string {
  const [first = '', ...rest] = comment.split('\n');
  const depths = rest.filter((line) => line !== '').map((line) => line.search(/\S/));
  const depth = Math.min(...depths);
  return [first, ...rest.map((line) => line.slice(depth))].join('\n');
}

function args(body: string, direction: string, fallback: string): readonly string[] {
  return [...body.matchAll(/<arg ([^>]*)\/>/g)]
    .map(
      ([, text = '']) => new Map([...text.matchAll(/(\w+)="([^"]*)"/g)].map(([, k, v]) => [k, v])),
    )
    .filter((arg) => (arg.get('direction') ?? fallback) === direction)
    .map((arg) => `${arg.get('name') ?? ''} ${arg.get('type') ?? ''}`);
}

function signature({ kind, name, attributes, body }: Member): string {
  if (kind === 'property') {
    const [, type = ''] = /type="([^"]*)"/.exec(attributes) ?? [];
    const [, access = ''] = /access="([^"]*)"/.exec(attributes) ?? [];
    return `property ${name} ${type} (${access})`;
  }
  if (kind === 'signal') return `signal ${name}(${args(body, 'out', 'out').join(', ')})`;
  const results = args(body, 'out', 'in');
  const answer = results.length > 0 ? ` → ${results.join(', ')}` : '';
  return `${name}(${args(body, 'in', 'in').join(', ')})${answer}`;
}

function mayCall(policy: string, member: string, interfaceName: string): boolean {
  const [, others = ''] = policy.split('<policy context="default">');
  return others.includes(`send_interface="${interfaceName}" send_member="${member}"`);
}

/** The reference of one daemon, in Markdown. */
function reference({ daemon, xml, policy }: DaemonContract): string {
  const sections: string[] = [];
  let interfaceName = '';
  for (const member of membersOf(xml)) {
    if (member.kind === 'interface') {
      interfaceName = member.name;
      sections.push(`## ${daemon}: ${interfaceName}`, member.comment);
      continue;
    }
    sections.push(`### ${member.name}`, `\`\`\`text\n${signature(member)}\n\`\`\``);
    const rootOnly = member.kind === 'method' && !mayCall(policy, member.name, interfaceName);
    sections.push([...(rootOnly ? ['Root only.'] : []), member.comment].join(' '));
  }
  return sections.filter((section) => section !== '').join('\n\n');
}

/**
 * docs/dbus.md with its reference made anew.
 * @param text the present docs/dbus.md
 * @throws {BuildError} it has no mark
 */
export function withReference(text: string, contracts: readonly DaemonContract[]): string {
  const at = text.indexOf(MARK);
  if (at < 0) throw new BuildError(`docs/dbus.md has not the line ${MARK}`);
  return `${text.slice(0, at)}${MARK}\n\n${contracts.map(reference).join('\n\n')}\n`;
}

/** Reads what the reference is made from; `root`: absolute path of the repository. */
export async function daemonContracts(root: string): Promise<readonly DaemonContract[]> {
  const names = [
    ['stafd', 'org.nvmexpress.staf'],
    ['stacd', 'org.nvmexpress.stac'],
  ] as const;
  return Promise.all(
    names.map(async ([daemon, name]) => ({
      daemon,
      xml: await readFile(join(root, 'dbus', `${name}.xml`), 'utf8'),
      policy: await readFile(join(root, 'dbus', `${name}.conf`), 'utf8'),
    })),
  );
}

if (process.argv[1] === import.meta.filename) {
  const root = dirname(import.meta.dirname);
  const path = join(root, 'docs', 'dbus.md');
  await writeFile(path, withReference(await readFile(path, 'utf8'), await daemonContracts(root)));
}
