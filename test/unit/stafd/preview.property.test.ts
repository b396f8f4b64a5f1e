/** What a preview says is what the pass after the reload does, and nothing is done before. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { foretold, fingerprint, happened, heldBy } from '../runtime/preview-oracle.ts';
import { refer, StafdBench } from './bench.ts';
import { dcTid, foundSoFar, HOST } from './plan-samples.ts';

const ADDRESSES = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', 'fd00::5'];
const NAMES = ['known.example', 'unknown.example'];
const OTHER_HOST = 'nqn.2014-08.org.nvmexpress:uuid:other';

const some = fc.subarray(ADDRESSES);

const files = fc.record({
  controllers: fc.subarray([...ADDRESSES, ...NAMES]),
  iface: fc.boolean(),
  ignoreIface: fc.boolean(),
  kato: fc.constantFrom('', '10', '20'),
  globalKato: fc.constantFrom('', '10', '30'),
  excluded: fc.oneof({ weight: 3, arbitrary: fc.constant<string[]>([]) }, some),
  families: fc.constantFrom('ipv4+ipv6', 'ipv4+ipv6', 'ipv4', 'ipv6'),
  zeroconf: fc.boolean(),
});
type Files = typeof files extends fc.Arbitrary<infer T> ? T : never;

function text(it: Files): string {
  const kato = it.kato === '' ? '' : `;kato=${it.kato}`;
  const iface = it.iface ? ';host-iface=eth0' : '';
  return [
    '[Global]',
    ...(it.globalKato === '' ? [] : [`kato=${it.globalKato}`]),
    `ignore-iface=${String(it.ignoreIface)}`,
    `ip-family=${it.families}`,
    '[Service Discovery]',
    `zeroconf=${it.zeroconf ? 'enabled' : 'disabled'}`,
    '[Controllers]',
    ...it.controllers.map(
      (at) => `controller=transport=tcp;traddr=${at};nqn=nqn.dc${kato}${iface}`,
    ),
    ...it.excluded.map((at) => `exclude=traddr=${at}`),
  ].join('\n');
}

const world = fc.record({
  before: files,
  after: files,
  otherHost: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, fc.constant(true)),
  referrals: fc.tuple(some, some, some, some, some),
  up: fc.subarray(ADDRESSES, { minLength: 3 }),
  announced: some,
  lost: some,
});

test('stafd does after a reload what its preview said, which did nothing', async () => {
  await fc.assert(
    fc.asyncProperty(world, async (it) => {
      const bench = new StafdBench(text(it.before));
      bench.resolver.set('known.example', '10.0.0.4');
      for (const [index, at] of ADDRESSES.entries()) {
        const entries = (it.referrals[index] ?? []).map(refer);
        if (it.up.includes(at)) bench.target(at, { entries });
      }
      await bench.start();
      await bench.reports(...it.announced.map((at) => dcTid(at)));
      for (const { device, traddr } of bench.devices.controllers) {
        if (it.lost.includes(traddr)) bench.devices.remove(device, { silent: true });
      }
      await bench.clock.advance(5_000);

      const hostnqn = it.otherHost ? OTHER_HOST : HOST;
      const [before, disconnects] = [heldBy(bench), bench.fabrics.disconnects.calls.length];
      const there = new Set(bench.devices.controllers.map(({ device }) => device));
      const untouched = fingerprint(bench);
      const preview = bench.preview(text(it.after), hostnqn);
      expect(fingerprint(bench)).toEqual(untouched);
      // What is found out later is not foretold.
      bench.resolver.lookups.hold();
      if (!it.before.zeroconf) bench.mdns = foundSoFar('nothing was heard yet');
      await bench.reload(text(it.after), 0, hostnqn);
      expect(foretold(preview, before, there)).toEqual(happened(bench, before, disconnects));
    }),
    { numRuns: 300 },
  );
}, 60_000);
