import { expect, test } from 'vitest';
import type { ConfiguredController } from '../../../src/config/controller-entry.ts';
import { makeTid } from '../../../src/nvme/transport-id.ts';
import { ConfiguredControllers } from '../../../src/runtime/configured-controllers.ts';
import { FakeClock, settle } from '../../fakes/clock.ts';
import { FakeResolver } from '../../fakes/host.ts';
import { MemoryLog } from '../../fakes/log.ts';

const RULES = {
  ignoreIface: false,
  hostNqn: 'nqn.host',
  ipFamilies: new Set(['ipv4', 'ipv6'] as const),
};

function at(traddr: string): ConfiguredController {
  const tid = makeTid({ transport: 'tcp', traddr, subsysnqn: 'nqn.dc' });
  return { tid, options: {}, hostId: '', file: 'F', line: 1 };
}

function bench() {
  const clock = new FakeClock();
  const resolver = new FakeResolver();
  const log = new MemoryLog();
  let changes = 0;
  const source = new ConfiguredControllers({
    ...{ clock, log, resolver },
    random: () => 0.5,
    changed: () => (changes += 1),
  });
  const addresses = () =>
    source.list().map(({ answer }) => (answer.kind === 'known' ? answer.value.traddr : undefined));
  return { addresses, clock, log, resolver, source, changes: () => changes };
}

test('addresses need no resolver; the host NQN is filled in', () => {
  const { resolver, source } = bench();
  source.set([at('10.0.0.1')], RULES);
  expect(source.list()).toMatchObject([{ answer: { value: { hostNqn: 'nqn.host' } } }]);
  expect(resolver.lookups.calls).toEqual([]);
});

test('a name that does not resolve is unknown, is tried again, and is one line in the log', async () => {
  const { addresses, changes, clock, log, resolver, source } = bench();
  source.set([at('dc.example'), at('10.0.0.1')], RULES);
  await clock.advance(20_000);
  expect(addresses()).toEqual([undefined, '10.0.0.1']);
  expect(log.messages('error')).toHaveLength(1);
  resolver.set('dc.example', '10.0.0.2', '10.0.0.3');
  await clock.advance(30_000);
  expect(addresses()).toEqual(['10.0.0.2', '10.0.0.1']);
  expect(changes()).toBe(1);
});

test('a name that did not resolve is asked for at once when told so, and never twice at a time', async () => {
  const { addresses, clock, resolver, source } = bench();
  resolver.set('known.example', '10.0.0.9');
  source.set([at('dc.example'), at('known.example')], RULES);
  await clock.advance(20_000);
  const before = resolver.lookups.calls.length;
  resolver.set('dc.example', '10.0.0.2');
  resolver.lookups.hold();
  source.retryNow();
  source.retryNow();
  expect(resolver.lookups.calls).toHaveLength(before + 1);
  resolver.lookups.release();
  await clock.advance(0);
  expect(addresses()).toEqual(['10.0.0.2', '10.0.0.9']);
  source.dispose();
  expect(clock.pendingTimers).toBe(0);
});

test('a name without any address is one that does not resolve', async () => {
  const { addresses, clock, resolver, source } = bench();
  resolver.lookups.hold();
  source.set([at('dc.example')], RULES);
  resolver.lookups.pendingCall().resolve([]);
  await clock.advance(0);
  expect(addresses()).toEqual([undefined]);
  resolver.set('dc.example', '10.0.0.2');
  resolver.lookups.release();
  await clock.advance(2_000);
  expect(addresses()).toEqual(['10.0.0.2']);
});

test('a name keeps its address while it is among those that it has, and while nobody answers', async () => {
  const { addresses, changes, clock, resolver, source } = bench();
  resolver.set('dc.example', '10.0.0.2', '10.0.0.3');
  source.set([at('dc.example')], RULES);
  await settle();
  resolver.set('dc.example', '10.0.0.3', '10.0.0.2');
  await clock.advance(300_000);
  expect(addresses()).toEqual(['10.0.0.2']);
  resolver.set('dc.example');
  await clock.advance(600_000);
  expect(addresses()).toEqual(['10.0.0.2']);
  resolver.set('dc.example', '10.0.0.3');
  await clock.advance(60_000);
  expect(addresses()).toEqual(['10.0.0.3']);
  expect(changes()).toBe(2);
});

test('the first address of a family that is enabled is taken', async () => {
  const { addresses, resolver, source } = bench();
  resolver.set('dc.example', '10.0.0.2', 'fd00::2');
  source.set([at('dc.example')], { ...RULES, ipFamilies: new Set(['ipv6'] as const) });
  await settle();
  expect(addresses()).toEqual(['fd00::2']);
});

test('a reload keeps what is known, and drops answers to the earlier configuration', async () => {
  const { addresses, clock, resolver, source } = bench();
  resolver.set('a.example', '10.0.0.1');
  resolver.set('b.example', '10.0.0.2');
  source.set([at('a.example')], RULES);
  await settle();
  resolver.lookups.hold();
  source.set([at('a.example'), at('b.example')], RULES);
  expect(addresses()).toEqual(['10.0.0.1', undefined]);
  source.set([at('a.example')], RULES);
  resolver.lookups.release();
  await settle();
  expect(addresses()).toEqual(['10.0.0.1']);
  source.dispose();
  expect(clock.pendingTimers).toBe(0);
});
