/**
 * What every implementation of a port must do, as suites that run anywhere: under vitest on the
 * host, and as a plain program in the virtual machine, where there is no vitest. Hence nothing here
 * but functions and node:assert.
 */
export interface ContractTest {
  /** A behaviour. */
  readonly title: string;
  readonly run: () => Promise<void>;
}

export interface Contract {
  readonly name: string;
  readonly tests: readonly ContractTest[];
}

/** Polls until `condition` holds; fails with `what` after `limit` milliseconds. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limit = 30_000,
): Promise<void> {
  const deadline = performance.now() + limit;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${limit} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
