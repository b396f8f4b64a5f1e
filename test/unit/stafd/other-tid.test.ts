import { expect, test } from 'vitest';
import { refer, StafdBench } from './bench.ts';

const [A, B] = ['10.0.0.1', '10.0.0.2'];
const ETH0 = { name: 'eth0', address: '10.0.0.9', family: 'ipv4', mac: '' } as const;
const UNNAMED = `[Controllers]\ncontroller=transport=tcp;traddr=${A};nqn=nqn.dc\n`;
const NAMED = UNNAMED.replace('nqn=', 'host-iface=eth0;nqn=');

test.each([
  ['is named now', UNNAMED, NAMED],
  ['is named no longer', NAMED, UNNAMED],
  ['is ignored now', NAMED, `[Global]\nignore-iface=true\n${NAMED}`],
])(
  'where its interface %s, nothing of what its log lists is given up',
  async (_, before, after) => {
    const bench = new StafdBench(before);
    bench.interfaces.set(ETH0);
    bench.target(A, { entries: [refer(B)] });
    bench.target(B);
    await bench.start();
    expect(bench.connected).toEqual([A, B]);
    const connections = bench.devices.controllers.map(({ device, instance }) => {
      bench.devices.update(device, { srcAddr: ETH0.address });
      return instance;
    });
    await bench.reload(after, 0);
    expect(bench.fabrics.disconnects.calls).toHaveLength(0);
    await bench.clock.advance(5_000);
    expect(bench.fabrics.disconnects.calls).toHaveLength(0);
    expect(bench.devices.controllers.map(({ instance }) => instance)).toEqual(connections);
    expect(bench.service.controllers()).toHaveLength(2);
  },
);
