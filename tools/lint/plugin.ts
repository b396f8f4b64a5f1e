/** The ESLint plugin of this repository: its own rules, bound to its own layer table. */
import { layers } from './layers.ts';
import { createLayersRule } from './layers-rule.ts';

/** Makes the plugin; `root` is the absolute path of the repository. */
export function createPlugin(root: string) {
  return { meta: { name: 'local' }, rules: { layers: createLayersRule(layers, root) } };
}
