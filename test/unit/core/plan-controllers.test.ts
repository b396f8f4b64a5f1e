import { expect, it } from 'vitest';
import {
  addSource,
  planControllers,
  sameSources,
  type GatheredController,
} from '../../../src/core/plan-controllers.ts';
import { makeTid, tidKey } from '../../../src/nvme/transport-id.ts';

const TID = makeTid({ transport: 'tcp', traddr: '10.0.0.1', subsysnqn: 'nqn.one' });
const KEY = tidKey(TID);

function gathered(sources: ReadonlySet<string>): GatheredController<string> {
  return { key: KEY, tid: TID, sources, own: undefined, extra: '' };
}

it('leaves a set that two controllers share as it is when one gets another source', () => {
  const shared = new Set(['log:a']);
  const [one, other] = [gathered(shared), gathered(shared)];
  for (const source of ['log:a', 'log:b', 'log:c', 'log:b']) addSource(one, source);
  expect([...one.sources]).toEqual(['log:a', 'log:b', 'log:c']);
  expect([...other.sources]).toEqual(['log:a']);
  // Its own from then on, and not copied for each.
  const { sources } = one;
  addSource(one, 'log:d');
  expect(one.sources).toBe(sources);
});

it.each([
  [['a'], ['a'], true],
  [['a', 'b'], ['b', 'a'], true],
  [['a'], ['b'], false],
  [['a'], ['a', 'b'], false],
  [['a', 'b'], ['a'], false],
  [[], [], true],
])('compares sources by what they are: %j and %j', (one, other, same) => {
  expect(sameSources(new Set(one), new Set(other))).toBe(same);
});

it('keeps a controller with the very set that it has', () => {
  const sources = new Set(['configured:x']);
  const actions = planControllers({
    existing: [{ key: KEY, tid: TID, sources }],
    wanted: new Map([[KEY, gathered(sources)]]),
    evidence: () => {
      throw new Error('nobody has to be asked');
    },
    refusal: () => undefined,
  });
  expect(actions).toMatchObject([{ kind: 'keep', key: KEY, why: undefined }]);
  expect(actions[0]?.kind === 'keep' && actions[0].sources).toBe(sources);
});
