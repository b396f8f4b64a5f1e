/**
 * What is made by hand in tests, what the manual says of JSON, and the metrics that docs/metrics.md
 * tells of, held to what the daemons' services give.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { stacctl, stafctl, type Tool } from '../../../src/ctl/tools.ts';
import { controller, entry, run } from '../ctl/harness.ts';
import { row } from '../ctl/rows.ts';
import { kernelOf, someOf, type World } from './ctl-worlds.ts';

const TOOLS = [stafctl, stacctl] as const;
const worlds = new Map<Tool, World>();

beforeAll(async () => {
  for (const tool of TOOLS) worlds.set(tool, await someOf(tool));
});

async function json(tool: Tool, ...args: readonly string[]): Promise<unknown> {
  const world = worlds.get(tool);
  if (world === undefined) throw new Error('there is no daemon');
  const publish = world.publish.bind(world);
  const { stdout } = await run(tool, [...args, '-o', 'json'], { publish, kernel: kernelOf(world) });
  return JSON.parse(args[0] === 'watch' ? (stdout.split('\n')[0] ?? '') : stdout);
}

type Kinds = Readonly<Record<string, string>>;

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Key to kind of value. */
function kinds(value: unknown): Kinds {
  if (!isObject(value)) throw new Error('not an object');
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, Array.isArray(item) ? 'list' : typeof item]),
  );
}

/** What every one of them has, and what some have besides. */
function shape(values: unknown): { readonly always: Kinds; readonly any: Kinds } {
  if (!Array.isArray(values) || values.length === 0) throw new Error('there is none');
  const all = values.map(kinds);
  const any = Object.assign({}, ...all) as Kinds;
  const always = Object.entries(any).filter(([key]) => all.every((each) => key in each));
  return { always: Object.fromEntries(always), any };
}

/** All of what every real one has, and nothing that none has. */
function expectLike(made: object, real: unknown): void {
  const { always, any } = shape(real);
  expect(kinds(made)).toMatchObject(always);
  expect(any).toMatchObject(kinds(made));
}

/** The value below these keys; a list stands for all of its items, an empty key for the value. */
function at(value: unknown, ...path: readonly string[]): readonly unknown[] {
  return path.reduce<readonly unknown[]>(
    (values, key) =>
      values.flatMap((each): readonly unknown[] => {
        const next = isObject(each) ? each[key] : undefined;
        return next === undefined ? [] : Array.isArray(next) ? (next as unknown[]) : [next];
      }),
    Array.isArray(value) ? (value as unknown[]) : [value],
  );
}

describe('what tests make by hand is like what a daemon gives:', () => {
  it.each(TOOLS)('rows of version 1, of $daemon', async (tool) => {
    expectLike(row('192.0.2.1', {}), at(await json(tool, 'explain'), 'controllers'));
  });

  it.each(TOOLS)('controllers, of $daemon', async (tool) => {
    const { plain } = controller({});
    expectLike(plain, await json(tool, 'ls'));
    const { any } = shape(await json(tool, 'ls', '-d'));
    expect(any).toMatchObject(kinds({ ...plain, ...controller({}).details }));
  });

  it('entries of a discovery log', async () => {
    expectLike(entry({}), at(await json(stafctl, 'adlp'), 'log-pages'));
  });
});

const root = join(import.meta.dirname, '..', '..', '..');

/** The words of a source in `doc/` that stand for keys: `_host-traddr_`, in text from `begin` on. */
function words(file: string, begin: string, end: string): readonly string[] {
  const text = readFileSync(join(root, 'doc', file), 'utf8');
  const from = text.indexOf(begin);
  const to = text.indexOf(end, from + begin.length);
  if (from < 0 || to < 0) throw new Error(`${file} has no ${from < 0 ? begin : end}`);
  return [...text.slice(from, to).matchAll(/(?<![\w\\])_([a-z](?:[a-z-]|\\_)*)_(?!\w)/g)].map(
    ([, word = '']) => word.replaceAll('\\', ''),
  );
}

/** Every key at any depth. */
function keysOf(value: unknown): ReadonlySet<string> {
  if (Array.isArray(value)) return new Set(value.flatMap((item) => [...keysOf(item)]));
  if (!isObject(value)) return new Set();
  return new Set(Object.entries(value).flatMap(([key, item]) => [key, ...keysOf(item)]));
}

describe('the manual says which keys there are in the JSON of', () => {
  const OUTPUT = 'include/ctl-output.scd';

  it.each(TOOLS)('ls, all of them, of $daemon', async (tool) => {
    const { always } = shape(await json(tool, 'ls'));
    expect(words(OUTPUT, '- *ls*:', 'connect options').toSorted()).toEqual(
      Object.keys(always).toSorted(),
    );
  });

  it('dlp, all of them', async () => {
    const entries = await json(stafctl, 'dlp', '-a', '192.0.2.10', '-s', '8009');
    expect(words(OUTPUT, '- *dlp*:', '- *adlp*').toSorted()).toEqual(
      Object.keys(shape(entries).any).toSorted(),
    );
  });

  it('adlp and status', async () => {
    const all = await json(stafctl, 'adlp');
    expect(words(OUTPUT, '- *adlp*:', '- *status*').toSorted()).toEqual(
      Object.keys(shape(all).any).toSorted(),
    );
    const known = keysOf(await json(stafctl, 'status'));
    expect(
      words(OUTPUT, '- *status*:', 'The other commands').filter((word) => !known.has(word)),
    ).toEqual([]);
  });

  it.each(TOOLS)('explain, of $daemon', async (tool) => {
    const explanation = await json(tool, 'explain');
    expect(words('include/ctl-explain.scd', 'an object with', 'each\n')).toEqual(
      Object.keys(kinds(explanation)),
    );
  });

  it.each(TOOLS)('an event of watch, of $daemon', async (tool) => {
    const event = kinds(await json(tool, 'watch'));
    expect(words('include/ctl-watch.scd', 'an object a line', 'of the daemon').toSorted()).toEqual(
      Object.keys(event).toSorted(),
    );
  });

  it('tree, all of them', async () => {
    const said = words('stacctl.1.scd', 'an object with', '@command stacctl watch');
    // No process there has a mount of its own.
    expect([...new Set(said)].filter((word) => word !== 'process').toSorted()).toEqual(
      [...keysOf(await json(stacctl, 'tree'))].toSorted(),
    );
  });

  it.each(TOOLS)('metrics, all of them, of $daemon', async (tool) => {
    const families = await json(tool, 'metrics');
    expect(words('include/ctl-metrics.scd', 'an object for each metric', 'number.')).toEqual([
      ...Object.keys(shape(families).always),
      ...Object.keys(shape(at(families, 'samples')).always),
    ]);
  });
});

describe('docs/metrics.md', () => {
  const METRIC = /\bnvme_stas_\w+/g;
  const text = readFileSync(join(root, 'docs', 'metrics.md'), 'utf8');
  /** The rows below each of its three headings: of both daemons, of stafd, of stacd. */
  const [, common = '', ofStafd = '', ofStacd = ''] =
    /\n## What there is\n([^]*)\nstafd has besides:\n([^]*)\nstacd has besides:\n([^]*?)\n#/.exec(
      text,
    ) ?? [];

  async function familiesOf(tool: Tool): Promise<readonly (readonly [unknown, unknown])[]> {
    const families = at(await json(tool, 'metrics')).filter(isObject);
    return families.map(({ name, type }) => [name, type] as const);
  }

  it.each([
    [stafctl, common + ofStafd],
    [stacctl, common + ofStacd],
  ] as const)('has a row for each metric, and no other, of $daemon', async (tool, rows) => {
    const told = [...rows.matchAll(/^\| `(\w+)` *\| (\w+) /gm)].map(([, name, type]) => [
      name,
      type,
    ]);
    expect(told.toSorted()).toEqual((await familiesOf(tool)).toSorted());
  });

  it('names no metric elsewhere that there is not', async () => {
    const all = (await Promise.all(TOOLS.map(familiesOf))).flat();
    const samples = new Set(
      all.flatMap(([name, type]) =>
        (type === 'histogram' ? ['', '_bucket', '_sum', '_count'] : ['']).map(
          (suffix) => String(name) + suffix,
        ),
      ),
    );
    const named = [...text.matchAll(METRIC)].map(([name]) => name);
    expect(named.length).toBeGreaterThanOrEqual(all.length);
    expect(named.filter((name) => !samples.has(name))).toEqual([]);
  });
});
