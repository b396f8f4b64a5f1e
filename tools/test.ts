/**
 * Runs every check and test of the project, one part after the other, and ends with one plain line
 * `N passed, N failed`. `npm test -- unit e2e` runs only these parts.
 *
 * A part that is not counted test by test (formatting, lint, types) counts as one.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** A line for each that failed, as far as they are counted test by test. */
  readonly failures: readonly string[];
}

/** What is used of vitest's JSON report. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly testResults: readonly {
    /** The file. */
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages?: readonly string[];
    }[];
  }[];
}

interface Part {
  readonly name: string;
  readonly command: readonly string[];
  /** Whether vitest counts its tests. */
  readonly counted: boolean;
}

const PARTS: readonly Part[] = [
  { name: 'format', command: ['prettier', '--check', '.'], counted: false },
  { name: 'lint', command: ['eslint', '.'], counted: false },
  { name: 'types', command: ['tsc', '--noEmit'], counted: false },
  { name: 'unit', command: ['vitest', 'run', '--project', 'unit'], counted: true },
  { name: 'contract', command: ['vitest', 'run', '--project', 'contract'], counted: true },
  { name: 'e2e', command: ['vitest', 'run', '--project', 'e2e'], counted: true },
];

function chosenParts(names: readonly string[]): readonly Part[] {
  for (const name of names) {
    if (!PARTS.some((part) => part.name === name)) {
      const known = PARTS.map((part) => part.name).join(', ');
      process.stderr.write(`there is no part '${name}'; there are ${known}\n`);
      process.exit(2);
    }
  }
  return names.length === 0 ? PARTS : PARTS.filter(({ name }) => names.includes(name));
}

function execute(command: readonly string[]): Promise<number> {
  const [program = '', ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(join('node_modules', '.bin', program), args, { stdio: 'inherit' });
    child.on('error', reject);
    child.on('exit', (code) => {
      resolve(code ?? 1);
    });
  });
}

async function runPart(part: Part, folder: string): Promise<Counts> {
  if (!part.counted) {
    const status = await execute(part.command);
    return { passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1, skipped: 0, failures: [] };
  }
  const report = join(folder, `${part.name}.json`);
  const status = await execute([
    ...part.command,
    // Those in the machine are few and slow: each is shown as it ends.
    part.name === 'e2e' ? '--reporter=verbose' : '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
  ]);
  return counts(report, status);
}

async function counts(report: string, status: number): Promise<Counts> {
  try {
    const result = JSON.parse(await readFile(report, 'utf8')) as Report;
    const passed = result.numPassedTests;
    // A file that cannot be loaded has no tests to fail.
    const failed = Math.max(result.numFailedTests, status === 0 && passed > 0 ? 0 : 1);
    return { passed, failed, skipped: result.numPendingTests, failures: failuresOf(result) };
  } catch {
    return { passed: 0, failed: 1, skipped: 0, failures: ['no report: see above'] };
  }
}

function failuresOf(report: Report): readonly string[] {
  const firstLine = (text: string): string =>
    stripVTControlCharacters(text).split('\n', 1)[0] ?? '';
  return report.testResults.flatMap(({ assertionResults, message, name, status }) => {
    const file = relative(process.cwd(), name);
    const failed = assertionResults.filter((test) => test.status === 'failed');
    if (failed.length === 0) return status === 'failed' ? [`${file}: ${firstLine(message)}`] : [];
    return failed.map(({ failureMessages: [why = ''] = [], fullName }) =>
      [file, fullName, firstLine(why)].join(': '),
    );
  });
}

const parts = chosenParts(process.argv.slice(2));
const folder = await mkdtemp(join(tmpdir(), 'nvme-stas-test-'));
const summary: string[] = [];
const failing: string[] = [];
const total = { passed: 0, failed: 0, skipped: 0 };
try {
  for (const part of parts) {
    const started = Date.now();
    process.stdout.write(`\n== ${part.name}: ${part.command.join(' ')}\n`);
    const { failed, failures, passed, skipped } = await runPart(part, folder);
    total.passed += passed;
    total.failed += failed;
    total.skipped += skipped;
    failing.push(...failures.map((line) => `${part.name} failed: ${line}\n`));
    const seconds = ((Date.now() - started) / 1000).toFixed(0);
    const verdict = failed === 0 ? 'ok' : 'FAILED';
    const name = part.name.padEnd(9);
    summary.push(
      `${name} ${verdict.padEnd(6)} ${String(passed)} passed, ${String(failed)} failed, ${seconds} s`,
    );
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
const skipped = total.skipped === 0 ? '' : `, ${String(total.skipped)} skipped`;
process.stdout.write(`\n${failing.join('')}\n${summary.join('\n')}\n\n`);
process.stdout.write(`${String(total.passed)} passed, ${String(total.failed)} failed${skipped}\n`);
process.exitCode = total.failed === 0 ? 0 : 1;
