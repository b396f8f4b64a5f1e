/** What happens to a daemon leaves nothing in its memory: each of thousands of rounds is another one. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { known } from '../../../src/core/answer.ts';
import type { DiscoveryEntry } from '../../../src/nvme/discovery-log.ts';
import { makeTid } from '../../../src/nvme/transport-id.ts';
import { settle } from '../../fakes/clock.ts';
import { ScriptedOperation } from '../../fakes/scripted.ts';
import { StacdBench } from '../stacd/bench.ts';
import { StafdBench } from '../stafd/bench.ts';

/** Bytes that a round may leave: an entry in a map, or a timer, would be more. */
const ALLOWED = 32;
const ROUNDS = 100;
/** How often so many, at most, until the heap stays as it is. */
const TIMES = 20;

setFlagsFromString('--expose-gc');
// Optimised code comes and goes.
setFlagsFromString('--no-opt');
setFlagsFromString('--no-sparkplug');
const collectGarbage = runInNewContext('gc') as () => void;

async function heap(): Promise<number> {
  for (let turn = 0; turn < 4; turn += 1) {
    await settle();
    collectGarbage();
  }
  return process.memoryUsage().heapUsed;
}

/** What the fakes remember for tests to look at. */
function forget(bench: StafdBench | StacdBench): void {
  bench.log.lines.length = 0;
  bench.fabrics.registrations.length = 0;
  for (const fake of Object.values(bench) as readonly unknown[]) {
    for (const member of Object.values(fake ?? {}) as readonly unknown[]) {
      if (member instanceof ScriptedOperation) member.forget();
    }
  }
}

/** Bytes of heap that one round leaves in the end. */
async function left(
  bench: StafdBench | StacdBench,
  round: (number: number) => Promise<void>,
): Promise<number> {
  let number = 0;
  const rounds = async (): Promise<number> => {
    for (const end = number + ROUNDS; number < end; number += 1) {
      await round(number);
      forget(bench);
    }
    return heap();
  };
  // What is bounded gets full, and code is compiled, in the first of them.
  let before = await rounds();
  const growths: number[] = [];
  for (let times = 0; times < TIMES; times += 1) {
    const after = await rounds();
    growths.push((after - before) / ROUNDS);
    before = after;
    if (growths.slice(-2).every((growth) => Math.abs(growth) < ALLOWED) && times > 0) break;
  }
  return Math.max(...growths.slice(-2));
}

/** A round that does not do what it is for measures nothing. */
function mustHave({ connected }: StafdBench | StacdBench, count: number): void {
  if (connected.length !== count) throw new Error(`connected are ${connected.join()}`);
}

/** Another one each time. */
function address(number: number): string {
  return `10.1.${String(number >> 8)}.${String(number & 255)}`;
}

it('stafd keeps nothing of controllers that came and went, logs that changed, reloads', async () => {
  const first = '[Controllers]\ncontroller=transport=tcp;traddr=10.0.0.1;nqn=nqn.dc\n';
  const bench = new StafdBench(first);
  const dc = bench.target('10.0.0.1');
  await bench.start();
  const growth = await left(bench, async (number) => {
    const traddr = address(number);
    const target = bench.target(traddr, { entries: [{ traddr, subnqn: `nqn.of-${traddr}` }] });
    dc.entries = [{ traddr, subnqn: `nqn.at-${traddr}` }];
    const { device = '' } = bench.devices.controllers.find((at) => at.traddr === '10.0.0.1') ?? {};
    bench.devices.emit({ kind: 'aen', device, aen: 0x70f002 });
    await bench.reload(`${first}controller=transport=tcp;traddr=${traddr};nqn=nqn.dc\n`);
    mustHave(bench, 2);
    for (const lost of bench.devices.controllers) {
      if (lost.traddr === traddr) bench.devices.remove(lost.device);
    }
    await bench.clock.advance(3_000);
    mustHave(bench, 2);
    bench.fabrics.removeTarget(target);
    await bench.reload(first);
    mustHave(bench, 1);
    bench.told.length = 0;
  });
  expect(growth).toBeLessThan(ALLOWED);
});

it('stacd keeps nothing of controllers that came and went, and what stafd said', async () => {
  const bench = new StacdBench();
  await bench.start();
  const growth = await left(bench, async (number) => {
    const traddr = address(number);
    const target = bench.fabrics.addTarget({ kind: 'io', traddr, subsysnqn: 'nqn.sub' });
    const entry: DiscoveryEntry = {
      ...{ trtype: 'tcp', adrfam: 'ipv4', subtype: 'nvme', treq: 0, portid: 1, trsvcid: '4420' },
      ...{ subnqn: 'nqn.sub', traddr, cntlid: 65_535, asqsz: 32, eflags: 0 },
    };
    const tid = makeTid({ transport: 'tcp', traddr: '10.0.0.1', subsysnqn: 'nqn.dc' });
    const says = (entries: readonly DiscoveryEntry[]): Promise<void> => {
      const now = bench.clock.now();
      const log = known(entries);
      const controllers = [{ tid, hostId: '', log, fresh: true, readAt: now }];
      return bench.says(known({ settled: true, controllers, askedAt: now, removed: new Map() }));
    };
    await says([entry]);
    mustHave(bench, 1);
    for (const { device } of bench.devices.controllers) bench.devices.remove(device);
    await bench.clock.advance(3_000);
    mustHave(bench, 1);
    bench.fabrics.removeTarget(target);
    await says([]);
    mustHave(bench, 0);
    bench.reload('');
    await bench.clock.advance(1_000);
  });
  expect(growth).toBeLessThan(ALLOWED);
});
