import { expect, test } from 'vitest';
import { StafdBench } from './bench.ts';

const PORT = 'nn-0x10000000000000ab:pn-0x20000000000000ab';
const HOST_PORT = 'nn-0x10000000000000cd:pn-0x20000000000000cd';
const OTHER = 'nn-0x10000000000000ef:pn-0x20000000000000ef';

async function bench(connected: boolean): Promise<StafdBench> {
  const made = new StafdBench(
    `[Controllers]\ncontroller=transport=fc;traddr=${PORT};host-traddr=${HOST_PORT};nqn=nqn.dc\n`,
  );
  if (connected) made.target(PORT, { transport: 'fc', trsvcid: '' });
  return made.start();
}

test('the event has the log of a connected DC read again, however its port is spelled', async () => {
  const here = await bench(true);
  expect(here.fabrics.logs.calls).toHaveLength(1);
  const [hostTraddr, traddr] = [HOST_PORT.toUpperCase(), PORT];
  here.devices.emit({ kind: 'fc-discovery', hostTraddr, traddr });
  await here.clock.advance(100);
  expect(here.fabrics.logs.calls).toHaveLength(2);
});

test('the event has a DC that waits connected at once', async () => {
  const here = await bench(false);
  await here.clock.advance(300_000);
  here.target(PORT, { transport: 'fc', trsvcid: '' });
  here.devices.emit({ kind: 'fc-discovery', hostTraddr: HOST_PORT, traddr: PORT });
  await here.clock.advance(100);
  expect(here.connected).toEqual([PORT]);
});

test.each([
  ['another port of the fabric', OTHER, HOST_PORT],
  ['another port of the host', PORT, OTHER],
])('the event of %s is nothing to a DC', async (_, traddr, hostTraddr) => {
  const here = await bench(true);
  here.devices.emit({ kind: 'fc-discovery', hostTraddr, traddr });
  await here.clock.advance(100);
  expect(here.fabrics.logs.calls).toHaveLength(1);
});
