import { describe, expect, test } from 'vitest';
import { StacdBench } from './bench.ts';

const A = '10.1.0.1';
const ETH0 = { name: 'eth0', address: '10.1.0.9', family: 'ipv4', mac: '' } as const;
const LINE = `controller=transport=tcp;traddr=${A};trsvcid=4420;nqn=nqn.sub\n`;
const NAMED_LINE = LINE.replace('nqn=', 'host-iface=eth0;nqn=');
const UNNAMED = `[Controllers]\n${LINE}`;
const NAMED = `[Controllers]\n${NAMED_LINE}`;

describe('a connection that is asked for under another TID', () => {
  test.each([
    ['ignored now', NAMED, `[Global]\nignore-iface=true\n${NAMED}`],
    ['named now', UNNAMED, NAMED],
  ])('is passed on, not dropped and made again: its interface is %s', async (_, before, after) => {
    const bench = new StacdBench(before);
    bench.interfaces.set(ETH0);
    bench.target(A);
    await bench.start();
    const [connection] = bench.devices.controllers;
    bench.devices.update('nvme0', { srcAddr: ETH0.address });
    bench.reload(after);
    await bench.clock.advance(3_000);
    expect(bench.fabrics.disconnects.calls).toHaveLength(0);
    expect(bench.service.controllers().map(({ driver }) => driver.kernel?.instance)).toEqual([
      connection?.instance,
    ]);
  });

  test('is dropped where that TID is given up too', async () => {
    const both = `${UNNAMED}${NAMED_LINE}`;
    const bench = new StacdBench(both);
    bench.interfaces.set(ETH0);
    bench.target(A);
    await bench.start();
    for (const { device } of bench.devices.controllers) {
      bench.devices.update(device, { srcAddr: ETH0.address });
    }
    bench.reload('');
    await bench.clock.advance(3_000);
    expect(bench.connected).toEqual([]);
  });
});
