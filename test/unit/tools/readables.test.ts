import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { docFolder, readables } from '../../../tools/package/tree.ts';

const root = dirname(dirname(dirname(import.meta.dirname)));

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** Where a document links to within the project, as paths from its root. */
function linksOf(path: string): readonly string[] {
  return [...read(path).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target.split('#')[0] ?? '')
    .filter((target) => target !== '' && !/^[a-z]+:/.test(target))
    .map((target) => posix.join(posix.dirname(path), target));
}

/** Places in the folder of documents that a text names. */
function namedIn(text: string): readonly string[] {
  const places = new RegExp(`/${docFolder}/([\\w./-]*[a-z\\d])`, 'g');
  return [...text.matchAll(places)].map(([, place = '']) => place);
}

describe('the documents that the package installs', () => {
  it.each(readables)('%s: links to installed ones only', (path) => {
    expect(linksOf(path).filter((target) => !readables.includes(target))).toEqual([]);
  });

  it('are those that the manual pages, the units and the list of installed files name', () => {
    const folders = ['doc', 'doc/include', 'systemd'];
    const files = folders.flatMap((folder) =>
      readdirSync(join(root, folder)).map((name) => `${folder}/${name}`),
    );
    const namers = ['DISTROS.md', ...files].filter((path) => statSync(join(root, path)).isFile());
    const named = new Map(namers.map((path) => [path, namedIn(read(path).replaceAll('\\_', '_'))]));
    expect(named.get('DISTROS.md')).toContain('docs/metrics.md');
    expect(named.get('doc/include/ctl-metrics.scd')).toContain('docs/metrics.md');
    expect([...named.values()].flat().filter((place) => !readables.includes(place))).toEqual([]);
  });
});

describe('every document of the project', () => {
  it.each([...readables, 'CHANGELOG.md', 'docs/benchmarks-cli.md'])(
    '%s: links to files that are there',
    (path) => {
      expect(linksOf(path).filter((target) => !existsSync(join(root, target)))).toEqual([]);
    },
  );
});
