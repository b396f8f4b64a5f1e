/**
 * A strict reader of OpenMetrics 1.0 text, written from the specification's grammar (and of the
 * older text format of Prometheus), for tests.
 */

export interface ReadFamily {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  /** By sample name and labels, `name{a="b"}`. */
  readonly samples: ReadonlyMap<string, number>;
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const NUMBER = '[+-]?(?:[0-9]+(?:\\.[0-9]*)?(?:e[+-]?[0-9]+)?|Inf|NaN)';
const SAMPLE = new RegExp(`^(${NAME})(\\{(?:${LABEL}(?:,${LABEL})*)?\\})? (${NUMBER})$`);

const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  openmetrics: ['_total'],
  prometheus: [''],
};

/** Throws for whatever the format does not allow. */
export function readMetrics(
  text: string,
  format: 'openmetrics' | 'prometheus' = 'openmetrics',
): ReadonlyMap<string, ReadFamily> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const lines = text.slice(0, -1).split('\n');
  if (format === 'openmetrics' && lines.pop() !== '# EOF') throw new Error('no EOF at the end');
  const families = new Map<string, ReadFamily & { samples: Map<string, number> }>();
  let head: { name: string; help?: string; type?: string } | undefined;
  let current: (ReadFamily & { samples: Map<string, number> }) | undefined;
  for (const line of lines) {
    if (line === '' && format === 'prometheus') continue;
    const [, kind, about, rest] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (kind !== undefined && about !== undefined && rest !== undefined) {
      if (head?.name !== about) head = { name: about };
      if (kind === 'HELP') head.help = rest;
      else head.type = rest;
      const { help, name, type } = head;
      if (help === undefined || type === undefined) continue;
      if (families.has(name)) throw new Error(`${name} is told twice`);
      current = { name, help, type, samples: new Map() };
      families.set(name, current);
      continue;
    }
    const [, name, labels = '', value] = SAMPLE.exec(line) ?? [];
    if (name === undefined || value === undefined) throw new Error(`not a line: ${line}`);
    if (current === undefined || !name.startsWith(current.name)) {
      throw new Error(`a sample of no family: ${line}`);
    }
    const suffix = name.slice(current.name.length);
    const allowed =
      current.type === 'histogram'
        ? ['_bucket', '_sum', '_count']
        : current.type === 'counter'
          ? (SUFFIXES[format] ?? [])
          : [''];
    if (!allowed.includes(suffix)) throw new Error(`not a sample of a ${current.type}: ${line}`);
    if (current.samples.has(name + labels)) throw new Error(`told twice: ${line}`);
    current.samples.set(name + labels, Number(value.replace('Inf', 'Infinity')));
  }
  for (const family of families.values()) if (family.type === 'histogram') checkBuckets(family);
  return families;
}

/** Buckets grow, end with +Inf, and that is the count. */
function checkBuckets({ name, samples }: ReadFamily): void {
  const series = new Map<string, { counts: number[]; bounds: number[] }>();
  for (const [sample, value] of samples) {
    if (!sample.startsWith(`${name}_bucket`)) continue;
    const bound = /le="([^"]+)"/.exec(sample)?.[1] ?? '';
    if (!/^(?:[0-9]+\.[0-9]+|\+Inf)$/.test(bound)) throw new Error(`not canonical: ${sample}`);
    const others = sample.replace(/,?le="[^"]+"/, '').replace('_bucket', '_count');
    const { bounds, counts } = series.get(others) ?? { bounds: [], counts: [] };
    if (value < (counts.at(-1) ?? 0)) throw new Error(`a bucket has less: ${sample}`);
    const number = Number(bound.replace('+Inf', 'Infinity'));
    if (number <= (bounds.at(-1) ?? -1)) throw new Error(`buckets are not in order: ${sample}`);
    series.set(others, { bounds: [...bounds, number], counts: [...counts, value] });
  }
  if (series.size === 0) throw new Error(`${name} has no buckets`);
  for (const [count, { bounds, counts }] of series) {
    if (bounds.at(-1) !== Infinity) throw new Error(`${name} does not end with +Inf`);
    if (samples.get(count) !== counts.at(-1)) throw new Error(`${count} is not that of +Inf`);
  }
}
