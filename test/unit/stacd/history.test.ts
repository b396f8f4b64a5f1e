/** What the journal has of one subsystem: one line when something changes, found by its NQN. */
import { expect, test } from 'vitest';
import { known } from '../../../src/core/answer.ts';
import type { DiscoveryEntry } from '../../../src/nvme/discovery-log.ts';
import { makeTid } from '../../../src/nvme/transport-id.ts';
import { HOST, StacdBench } from './bench.ts';

const A = '10.1.0.1';
const DC = makeTid({ transport: 'tcp', traddr: '10.0.0.1', subsysnqn: 'nqn.dc', hostNqn: HOST });

function listed(subsystems: number, readAt = 0) {
  const entry = (index: number): DiscoveryEntry => ({
    ...{ trtype: 'tcp', adrfam: 'ipv4', subtype: 'nvme', treq: 0, portid: 1, trsvcid: '4420' },
    ...{ traddr: A, subnqn: `nqn.${String(index)}`, cntlid: 65535, asqsz: 32, eflags: 0 },
  });
  const log = known(Array.from({ length: subsystems }, (_, index) => entry(index)));
  const controllers = [{ tid: DC, hostId: '', log, fresh: true, readAt }];
  return known({ settled: true, askedAt: readAt, removed: new Map(), controllers });
}

/** As `journalctl NVME_SUBSYSNQN=…` shows it while nobody traces. */
function history(bench: StacdBench, subsysnqn: string): readonly string[] {
  return bench.log.lines
    .filter(({ fields, level }) => fields.NVME_SUBSYSNQN === subsysnqn && level !== 'debug')
    .map(({ level, message }) => `${level}: ${message.replace(/^\(.*?\)/, '')}`);
}

test('the history of a subsystem is all that happened to it, in order, each change once', async () => {
  const bench = new StacdBench('');
  bench.prober.setUnreachable(A, '4420', 'ECONNREFUSED');
  bench.target(A, 'nqn.0');
  await bench.start();
  await bench.says(listed(1));
  await bench.clock.advance(120_000);
  bench.prober.setReachable(A, '4420');
  await bench.clock.advance(60_000);
  const held = bench.record(A)?.driver.kernel;
  expect(held).toBeDefined();
  bench.devices.update('nvme0', { state: 'connecting' });
  await bench.clock.advance(61_000);
  bench.devices.update('nvme0', { state: 'live' });
  bench.devices.emit({ kind: 'nvme-event', device: 'nvme0', event: 'connected' });
  await bench.clock.advance(61_000);
  bench.devices.remove('nvme0');
  await bench.clock.advance(5_000);
  await bench.says(listed(0, bench.clock.now()));
  await bench.clock.advance(20_000);
  await bench.says(listed(0, bench.clock.now()));
  await bench.clock.advance(40_000);
  await bench.says(listed(0, bench.clock.now()));
  await bench.clock.advance(5_000);
  expect(bench.connected).toEqual([]);
  expect(history(bench, 'nqn.0')).toMatchInlineSnapshot(`
    [
      "info:  - Added: listed by the discovery log of (tcp, 10.0.0.1, 8009, nqn.dc)",
      "error:  - Failed to connect: 10.1.0.1:4420 does not answer. Retry in 1.0 s",
      "info:  | nvme0 - Connection established after 8 attempts",
      "warning:  | nvme0 - The connection is lost; the kernel tries to make it again (connecting)",
      "notice:  | nvme0 - The connection is back",
      "warning:  | nvme0 - The kernel removed the controller; connecting again",
      "info:  | nvme0 - Connection established",
      "info:  - Removed: its discovery controller no longer lists it",
      "info:  | nvme0 - Disconnect initiated",
      "info:  | nvme0 - Disconnected",
    ]
  `);
  for (const { fields, level, message } of bench.log.lines) {
    if (level !== 'debug' && message.includes('nqn.0')) expect(fields.NVME_SUBSYSNQN).toBe('nqn.0');
  }
});

test('a connection that comes back while it is looked at is not told to be lost again', async () => {
  const bench = new StacdBench('');
  bench.target(A, 'nqn.0');
  await bench.start();
  await bench.says(listed(1));
  const before = history(bench, 'nqn.0').length;
  await bench.clock.advance(10_000);
  const lost = bench.devices.update('nvme0', { state: 'connecting' });
  bench.devices.reads.hold();
  await bench.clock.advance(61_000);
  const look = bench.devices.reads.pendingCall();
  bench.devices.update('nvme0', { state: 'live' });
  bench.devices.emit({ kind: 'nvme-event', device: 'nvme0', event: 'connected' });
  look.resolve(lost);
  bench.devices.reads.release();
  await bench.clock.advance(61_000);
  expect(history(bench, 'nqn.0').slice(before)).toEqual([
    'notice:  | nvme0 - The connection was lost, and the kernel has made it again',
  ]);
});

test('each of many removals that are held back is in the history of its subsystem', async () => {
  const bench = new StacdBench('');
  for (let index = 0; index < 20; index += 1) bench.target(A, `nqn.${String(index)}`);
  await bench.start();
  await bench.says(listed(20));
  await bench.clock.advance(10_000);
  await bench.says(listed(1, bench.clock.now()));
  await bench.clock.advance(1_000);
  await bench.says(listed(20, bench.clock.now()));
  await bench.clock.advance(1_000);
  for (let index = 1; index < 20; index += 1) {
    const last = history(bench, `nqn.${String(index)}`).slice(-2);
    expect(last).toEqual([
      expect.stringMatching(/^(?:error|info): .*- Held back: /),
      expect.stringMatching(/^info: .*- No longer to be dropped$/),
    ]);
  }
});
