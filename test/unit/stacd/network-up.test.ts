import { expect, test } from 'vitest';
import { PortError } from '../../../src/ports/errors.ts';
import { StacdBench } from './bench.ts';

const A = '10.1.0.1';
const CONF = `[Controllers]\ncontroller=transport=tcp;traddr=${A};trsvcid=4420;nqn=nqn.sub\n`;
test('controllers that did not answer are tried at once when the network comes up', async () => {
  const bench = new StacdBench(CONF);
  bench.target(A);
  bench.prober.setUnreachable(A, '4420', 'ENETUNREACH');
  await bench.start();
  await bench.clock.advance(300_000);
  bench.prober.setReachable(A, '4420');
  bench.network.emit({ kind: 'address', ifindex: 3 });
  await bench.clock.advance(300);
  expect(bench.connected).toEqual([A]);
  await bench.service.stop();
  expect(bench.network.listeners).toBe(0);
});

test('controllers whose try began before the network came up are tried anew', async () => {
  const bench = new StacdBench(CONF);
  bench.target(A);
  bench.prober.probes.hold();
  await bench.start();
  const [before] = bench.prober.probes.calls;
  bench.network.emit({ kind: 'link', ifindex: 3 });
  await bench.clock.advance(300);
  expect(bench.prober.probes.calls).toHaveLength(2);
  before?.reject(new Error('too early'));
  bench.prober.probes.release();
  await bench.clock.advance(1_000);
  expect(bench.connected).toEqual([A]);
});

test('controllers at which the kernel hung wait on for nothing else to wait, whatever comes up', async () => {
  const bench = new StacdBench(CONF);
  bench.target(A);
  bench.fabrics.connects.hold();
  await bench.start();
  await bench.clock.advance(60_000);
  bench.fabrics.connects
    .pendingCall()
    .reject(new PortError('it hung', { code: 'ETIMEDOUT', errorClass: 'retry' }));
  await bench.clock.advance(100);
  const hangs = () => bench.record(A)?.driver.model.hangs;
  expect(hangs()).toBe(true);
  bench.network.emit({ kind: 'route', ifindex: 3 });
  await bench.clock.advance(300);
  expect(hangs()).toBe(true);
});
