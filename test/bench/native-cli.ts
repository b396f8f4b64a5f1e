/** `npm run bench:native`: prints the table of test/bench/native.ts. */
import { growth, GROWTH_LIMIT, nativeRows, nativeTable } from './native.ts';

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

try {
  const rows = await nativeRows(say);
  process.stdout.write(
    `Milliseconds, medians (95 %); growth: of the time by that of the work, at most ${String(GROWTH_LIMIT)}.\n\n${nativeTable(rows)}\n`,
  );
  for (const row of rows) {
    if (growth(row) > GROWTH_LIMIT) say(`${row.what}: grows by ${growth(row).toFixed(2)}`);
  }
} catch (error) {
  say(`bench:native: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
