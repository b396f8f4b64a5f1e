/** What every option does, in the kernel, on the bus and at the targets: see option-effects/. */
import { beforeAll, describe, it } from 'vitest';
import { SCENARIOS } from './option-effects/registry.ts';
import { lab } from './vitest-lab.ts';

for (const { effects, observe, title: scenario } of SCENARIOS) {
  describe(scenario, () => {
    beforeAll(async () => {
      await observe(await lab());
    });

    for (const { check, title } of effects) it(title, check);
  });
}
