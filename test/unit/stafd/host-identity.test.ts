import { expect, test } from 'vitest';
import { hostIdOfNqn } from '../../../src/nvme/host-id.ts';
import { StafdBench, refer } from './bench.ts';
import { HOST } from './plan-samples.ts';

const A = '10.0.0.1';
const B = '10.0.0.2';
const C = '10.0.0.3';
const OTHER_NQN = 'nqn.2014-08.org.example:other';
const OTHER_ID = '11111111-1111-4111-8111-111111111111';
const LINE_OF_A = `[Controllers]\ncontroller=transport=tcp;traddr=${A};nqn=nqn.dc\n`;

test.each([
  ['the ID of its line', `;host-id=${OTHER_ID}`, OTHER_ID],
  ['the ID that belongs to its host NQN', '', hostIdOfNqn(OTHER_NQN)],
])(
  'a DC with another host NQN is connected with %s, and so is what it refers to',
  async (_, id, is) => {
    const line = `controller=transport=tcp;traddr=${B};nqn=nqn.dc;host-nqn=${OTHER_NQN}${id}\n`;
    const bench = new StafdBench(`${LINE_OF_A}${line}`);
    bench.target(A);
    bench.target(B, { entries: [refer(C)] });
    bench.target(C);
    await bench.start();
    const hosts = (of: StafdBench): unknown =>
      of.devices.controllers.map(({ hostid, hostnqn, traddr }) => [traddr, hostnqn, hostid]).sort();
    const expected = [
      [A, HOST, 'id'],
      [B, OTHER_NQN, is],
      [C, OTHER_NQN, is],
    ];
    expect(hosts(bench)).toEqual(expected);
    // The same after a restart, before the referring DC has answered again.
    await bench.service.stop();
    for (const { device } of bench.devices.controllers) bench.devices.remove(device);
    const after = new StafdBench(`${LINE_OF_A}${line}`, bench);
    after.fabrics.logs.hold();
    await after.start();
    expect(hosts(after)).toEqual(expected);
  },
);
