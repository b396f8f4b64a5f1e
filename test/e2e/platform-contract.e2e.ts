import { beforeAll, describe, expect, it } from 'vitest';
import { daemonFlags } from '../../tools/package/tree.ts';
import { bundleOfSrc } from './bundle-of-src.ts';
import { GUEST, type Lab } from './lab.ts';
import { lab } from './vitest-lab.ts';

/** One line of what test/contract/in-machine.ts prints. */
interface Outcome {
  readonly contract: string;
  readonly test?: string;
  readonly error?: string;
}

const PROGRAM = `${GUEST}/in-machine.mjs`;

describe('the adapters on the real kernel, systemd, udevd and journald', () => {
  let here: Lab;

  beforeAll(async () => {
    here = await lab();
    await here.reset();
    await here.machine.writeFile(PROGRAM, await bundleOfSrc('test/contract/in-machine.ts'));
  });

  it('keep their contracts under the Node options that the daemons run with', async () => {
    const { status, stdout, stderr } = await here.machine.exec(`node ${daemonFlags} ${PROGRAM}`, {
      timeoutMs: 290_000,
    });
    const outcomes = stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Outcome);
    expect(outcomes.filter(({ error, test }) => error !== undefined || test === undefined)).toEqual(
      [],
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(outcomes.length).toBeGreaterThan(30);
  });
});
