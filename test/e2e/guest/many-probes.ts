/**
 * Probes 127.0.0.1 many times, as the daemons do: `node many-probes.mjs PORT MODE COUNT AT-A-TIME`.
 * Prints ProbeCount as JSON.
 */
import { makeTid } from '../../../src/nvme/transport-id.ts';
import { TcpProber } from '../../../src/platform/prober.ts';
import { MemoryLog } from '../../fakes/log.ts';
import type { ProbeCount } from '../many-probes.ts';

const [, , trsvcid = '', mode = '', count = '', concurrency = ''] = process.argv;
if (mode !== 'tcp' && mode !== 'nvme-tcp') throw new Error(`there is no probe ${mode}`);

const log = new MemoryLog();
const prober = new TcpProber({ log, timeLimit: 30_000, concurrency: Number(concurrency) });
const tid = makeTid({ transport: 'tcp', traddr: '127.0.0.1', trsvcid, subsysnqn: 'nqn.probed' });
await prober.probe(tid, mode);

const [started, before] = [performance.now(), process.cpuUsage()];
const results = await Promise.all(
  Array.from({ length: Number(count) }, () => prober.probe(tid, mode)),
);
const { user, system } = process.cpuUsage(before);
const failures = results.flatMap((result) =>
  result.kind === 'unreachable' ? [result.error.code] : [],
);
const counted: ProbeCount = {
  reachable: results.length - failures.length,
  failures: [...new Set([...failures, ...log.lines.map(({ message }) => message)])],
  tookMs: performance.now() - started,
  cpuMs: (user + system) / 1000,
};
process.stdout.write(JSON.stringify(counted));
