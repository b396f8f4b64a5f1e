/**
 * `npm run fuzz -- [--cases N] [--seed S] [--path P] [NAME…]`: gives every parser of what others
 * wrote random and damaged input, and looks at how its time grows. Ends with one plain line; exit
 * status 1 if a promise is broken, with a counterexample and the command that makes it again.
 *
 * The work is done in a thread, so that a parser that never returns can be seen and named.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { MAX_RATIO, measureGrowth } from './linear.ts';
import type { Failure, Target } from './target.ts';
import { targets } from './targets.ts';

/** One case takes milliseconds. */
const HANGS_AFTER_MS = 60_000;

interface Plan {
  readonly names: readonly string[];
  readonly cases: number | undefined;
  readonly seed: number;
  readonly path: string | undefined;
  /** [0] cases or measurements begun, of the target at hand. */
  readonly progress: Int32Array;
}

/** What the thread says. */
type Word =
  | { readonly kind: 'begin'; readonly name: string; readonly doing: 'cases' | 'growth' }
  | {
      readonly kind: 'end';
      readonly name: string;
      readonly cases: number;
      readonly seconds: number;
      readonly largest: number;
      readonly failure?: Failure;
    }
  | {
      readonly kind: 'growth';
      readonly name: string;
      readonly families: number;
      readonly worst: string;
      readonly ratio: number;
      readonly seconds: number;
    };

const USAGE = `usage: npm run fuzz -- [--cases N] [--seed S] [--path P] [NAME...]
  --cases N   cases for each parser, instead of its own number
  --seed S    the seed of a run, to make it again
  --path P    only the case that a failing run has named
  NAME        ${targets.map(({ name }) => name).join(', ')}`;

function refuse(why: string): never {
  process.stderr.write(`${why}\n${USAGE}\n`);
  process.exit(2);
}

function numberOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  return /^-?[0-9]{1,10}$/.test(text) ? Number(text) : refuse(`--${option} is a whole number`);
}

function planOf(args: readonly string[]): Plan {
  const options = {
    cases: { type: 'string' },
    seed: { type: 'string' },
    path: { type: 'string' },
    help: { type: 'boolean' },
  } as const;
  const parse = () => {
    try {
      return parseArgs({ args: [...args], options, allowPositionals: true });
    } catch (error) {
      return refuse(error instanceof Error ? error.message : String(error));
    }
  };
  const { positionals, values } = parse();
  if (values.help === true) {
    process.stdout.write(`${USAGE}\n`);
    process.exit(0);
  }
  const known = targets.map(({ name }) => name);
  const unknown = positionals.find((name) => !known.includes(name));
  if (unknown !== undefined) refuse(`there is no parser '${unknown}'`);
  return {
    names: positionals.length === 0 ? known : known.filter((name) => positionals.includes(name)),
    cases: numberOf('cases', values.cases),
    seed: numberOf('seed', values.seed) ?? Math.floor(Math.random() * 0x7fff_ffff),
    path: values.path,
    progress: new Int32Array(new SharedArrayBuffer(4)),
  };
}

/** In the thread: all the work. */
async function work(plan: Plan): Promise<void> {
  const say = (word: Word): void => parentPort?.postMessage(word);
  const step = (): void => void Atomics.add(plan.progress, 0, 1);
  for (const target of targets.filter(({ name }) => plan.names.includes(name))) {
    await workOn(target, plan, say, step);
  }
}

async function workOn(
  target: Target,
  plan: Plan,
  say: (word: Word) => void,
  step: () => void,
): Promise<void> {
  const { name } = target;
  const since = (start: number): number => (performance.now() - start) / 1000;
  Atomics.store(plan.progress, 0, 0);
  say({ kind: 'begin', name, doing: 'cases' });
  const started = performance.now();
  const outcome = await target.run({
    cases: plan.cases ?? target.cases,
    seed: plan.seed,
    onCase: step,
    ...(plan.path === undefined ? {} : { path: plan.path }),
  });
  say({ kind: 'end', name, ...outcome, seconds: since(started) });
  if (plan.path !== undefined || target.families.length === 0) return;

  say({ kind: 'begin', name, doing: 'growth' });
  const measured = performance.now();
  let worst = { family: '', ratio: 0 };
  for (const family of target.families) {
    const growth = measureGrowth(family, { onStep: step });
    if (growth.ratio > worst.ratio) worst = growth;
  }
  const families = target.families.length;
  const { family, ratio } = worst;
  say({ kind: 'growth', name, families, worst: family, ratio, seconds: since(measured) });
}

/** In the main thread: reports, and ends a run that hangs. */
class Report {
  readonly #plan: Plan;
  #failed = 0;
  #cases = 0;
  #at: { readonly name: string; readonly doing: 'cases' | 'growth' } | undefined;
  readonly #started = performance.now();

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#line(`seed ${plan.seed}`);
  }

  take(word: Word): void {
    switch (word.kind) {
      case 'begin':
        this.#at = word;
        return;
      case 'end': {
        this.#cases += word.cases;
        this.#line(
          `${word.name.padEnd(18)} ${String(word.cases).padStart(7)} cases ` +
            `${word.seconds.toFixed(1).padStart(6)} s, largest input ${word.largest}`,
        );
        if (word.failure !== undefined) this.#failure(word.name, word.failure);
        return;
      }
      case 'growth': {
        const { families, name, ratio, seconds, worst } = word;
        const slow = ratio > MAX_RATIO;
        if (slow) this.#failed += 1;
        this.#line(
          `${' '.repeat(18)} ${String(families).padStart(7)} shapes ${seconds.toFixed(1).padStart(5)} s, ` +
            `8 times the input takes at most ${ratio.toFixed(1)} times as long (${worst})`,
        );
        if (slow) this.#line(`FAILED: ${name} takes more than linear time for ${worst}`);
      }
    }
  }

  hangs(): void {
    this.#failed += 1;
    const { doing = '', name = '' } = this.#at ?? {};
    const index = Math.max(0, Atomics.load(this.#plan.progress, 0) - 1);
    this.#line(`FAILED: ${name} does not return`);
    if (doing !== 'cases') return;
    const target = targets.find((each) => each.name === name);
    this.#line(`input: ${target?.inputOf(this.#plan.seed, index) ?? ''}`);
    this.#again(name, String(index));
  }

  /** The last line; returns the exit status. */
  end(): number {
    const seconds = ((performance.now() - this.#started) / 1000).toFixed(0);
    const verdict = this.#failed === 0 ? 'nothing failed' : `${this.#failed} FAILED`;
    this.#line(
      `fuzz: ${this.#plan.names.length} parsers, ${this.#cases} cases, ${seconds} s, ${verdict}`,
    );
    return this.#failed === 0 ? 0 : 1;
  }

  #failure(name: string, { error, input, path }: Failure): void {
    this.#failed += 1;
    this.#line(`FAILED: ${name} with seed ${this.#plan.seed}\ninput: ${input}\n${error}`);
    this.#again(name, path);
  }

  #again(name: string, path: string): void {
    this.#line(`again: npm run fuzz -- --seed ${this.#plan.seed} --path ${path} ${name}`);
  }

  #line(text: string): void {
    process.stdout.write(`${text}\n`);
  }
}

async function supervise(plan: Plan): Promise<number> {
  const report = new Report(plan);
  const program = join(import.meta.dirname, '../../tools/run.mjs');
  const worker = new Worker(program, { argv: [import.meta.filename], workerData: plan });
  let before = -1;
  const watch = setInterval(() => {
    const now = Atomics.load(plan.progress, 0);
    if (now !== before) {
      before = now;
      return;
    }
    report.hangs();
    process.exit(report.end());
  }, HANGS_AFTER_MS);
  await new Promise<void>((resolve, reject) => {
    worker.on('message', (word: Word) => {
      report.take(word);
    });
    worker.on('error', reject);
    worker.on('exit', () => {
      resolve();
    });
  });
  clearInterval(watch);
  return report.end();
}

if (isMainThread) process.exitCode = await supervise(planOf(process.argv.slice(2)));
else await work(workerData as Plan);
